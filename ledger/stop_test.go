package ledger_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// obedient is a store that makes no commit whose context has ended.
type obedient struct{ *storetest.Memory }

func (o obedient) Commit(ctx context.Context, expected []byte, writes []ledger.Write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return o.Memory.Commit(ctx, expected, writes)
}

// TestEndedContext ends the context of the writer while statements are in a
// commit, in the batch after it and in the queue.
func TestEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "acme")
		s.limits = ledger.Limits{CommitStatements: 3}
		disk := s.memory()
		s.store = obedient{disk}
		envs := transactions(s.made, "acme", 8)
		i := s.start()
		storing := hold(disk)
		var answers []<-chan answer
		for _, g := range [][]*tracev1.Envelope{envs[:1], envs[1:4], envs[4:6]} {
			answers = append(answers, i.submitAsync(t.Context(), g...))
			synctest.Wait()
		}
		i.stop()
		synctest.Wait()
		waiting(t, answers...)
		storing.open()
		storing.open()
		storing.open() // what follows from them
		if err := <-i.ended; err != nil {
			t.Errorf("run: %v", err)
		}
		for n, a := range answers[:2] {
			got := <-a
			for k := range got.results {
				s.checkReceipt(i.Ledger, envs[n+k], &got.results[k], s.founded()+uint64(n+k))
			}
		}
		if got := <-answers[2]; !errors.Is(got.err, ledger.ErrStopped) {
			t.Errorf("in the queue: %+v", got)
		}
		i.Close()
		disk.OnCommit(nil)
		i = s.start()
		defer i.close()
		s.wantSize(i.Ledger, s.founded()+4)
	})
}

// TestEndedContextFails is TestEndedContext with a commit that fails after the
// context has ended.
func TestEndedContextFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaultySite(t, "acme")
		envs := transactions(f.made, "acme", 2)
		i := f.start()
		storing := make(gate)
		f.disk.OnCommit(func(int) storetest.Fault {
			storing.pass()
			return storetest.Applied
		})
		first := i.submitAsync(t.Context(), envs[0])
		synctest.Wait()
		second := i.submitAsync(t.Context(), envs[1])
		synctest.Wait()
		i.stop()
		synctest.Wait()
		storing.open()
		if err := <-i.ended; !errors.Is(err, storetest.ErrFault) {
			t.Errorf("run: %v", err)
		}
		wantAll(t, <-first, ledger.ErrOutcomeUnknown)
		wantAll(t, <-second, ledger.ErrStopped)
		i.Close()
		f.crash()
		i = f.start()
		defer i.close()
		f.wantSize(i.Ledger, f.founded()+1)
	})
}
