package ledger_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// TestFailedCommit lets a commit fail in every way, with statements in it, in
// the batch after it and in the queue, and opens the ledger again.
func TestFailedCommit(t *testing.T) {
	for _, failure := range failures {
		t.Run(failure.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testFailedCommit(t, failure) })
		})
	}
}

func testFailedCommit(t *testing.T, failure failure) {
	f := newFaultySite(t, "acme")
	f.limits = ledger.Limits{CommitStatements: 3}
	envs := transactions(f.made, "acme", 20)
	i := f.start()
	before := i.record(envs[:2]...) // acknowledged, whatever comes
	storing := make(gate)
	f.disk.OnCommit(func(int) storetest.Fault {
		storing.pass()
		return failure.fault
	})
	groups := [][]*tracev1.Envelope{
		envs[2:3], // in the commit
		envs[2:6], // a retry of that, and what fills the batch after it
		envs[6:8], // wait in the queue
	}
	var answers []<-chan answer
	for _, g := range groups {
		answers = append(answers, i.submitAsync(t.Context(), g...))
		synctest.Wait()
	}
	waiting(t, answers...)
	if failure.plant != nil {
		failure.plant(f)
	}
	storing.open()
	err := <-i.ended
	if !errors.Is(err, failure.want) {
		t.Errorf("run: %v, want %v", err, failure.want)
	}
	wantAll(t, <-answers[0], ledger.ErrOutcomeUnknown)
	wantAll(t, <-answers[1], ledger.ErrStopped)
	if got := <-answers[2]; !errors.Is(got.err, ledger.ErrStopped) {
		t.Errorf("in the queue: %+v", got)
	}
	for range 5 {
		if _, err := i.Submit(t.Context(), i.check(envs[10:12]...)); !errors.Is(err, ledger.ErrStopped) {
			t.Errorf("submitted later: %v", err)
		}
	}
	select {
	case <-i.Stopped():
	default:
		t.Error("a ledger whose writer failed is not stopped")
	}
	// What was acknowledged is still served.
	f.checkReceipt(i.Ledger, envs[0], &before[0], f.founded())
	f.wantSize(i.Ledger, f.founded()+2)
	i.Close()

	f.crash()
	i = f.start()
	defer i.close()
	size := f.founded() + 2
	if failure.durable {
		size++
	}
	f.wantSize(i.Ledger, size)
	for n, r := range i.record(envs[:8]...) {
		if r.Index != f.founded()+uint64(n) || r.Already != (r.Index < size) {
			t.Errorf("statement %d after the crash: %+v", n, r)
		}
	}
	f.wantSize(i.Ledger, f.founded()+8)
}

// wantAll tests that all results of an answer have an error.
func wantAll(t *testing.T, got answer, want error) {
	t.Helper()
	if got.err != nil {
		t.Errorf("%v, want results", got.err)
	}
	for n := range got.results {
		if !errors.Is(got.results[n].Err, want) {
			t.Errorf("result %d: %+v, want %v", n, got.results[n], want)
		}
	}
}

// TestFailedGroup lets the second of the commits fail that a group is split
// over: what the first one made durable is acknowledged.
func TestFailedGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaultySite(t, "acme")
		f.limits = ledger.Limits{CommitStatements: 4}
		envs := transactions(f.made, "acme", 15)
		i := f.start()
		f.disk.OnCommit(func(n int) storetest.Fault {
			if n == 2 {
				return storetest.Lost
			}
			return storetest.None
		})
		results := i.submit(envs...)
		for n := range results {
			want := error(nil)
			if n >= 4 {
				want = ledger.ErrOutcomeUnknown
			}
			if n >= 8 {
				want = ledger.ErrStopped
			}
			if !errors.Is(results[n].Err, want) {
				t.Errorf("result %d: %v, want %v", n, results[n].Err, want)
			}
			if want == nil {
				f.checkReceipt(i.Ledger, envs[n], &results[n], f.founded()+uint64(n))
			}
		}
		if err := i.end(); !errors.Is(err, storetest.ErrFault) {
			t.Errorf("run: %v", err)
		}
		wantQueued(t, i.Ledger, 0, 0)
		f.crash()
		i = f.start()
		defer i.close()
		f.wantSize(i.Ledger, f.founded()+4)
	})
}

// TestFailedRead lets reads of the store fail while statements are admitted,
// which stops the writer, and while they are checked, which does not.
func TestFailedRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaultySite(t, "acme", "zeta", "yota")
		f.limits = ledger.Limits{CacheBytes: -1}
		envs := transactions(f.made, "acme", 4)
		envs[1] = f.made.Transaction("zeta", 1) // who was not read yet
		f.start().close()                       // stores what follows from the founding
		i := f.start()
		items := i.check(envs...)
		storing := hold(f.disk)
		inCommit := i.submitAsync(t.Context(), envs[0])
		synctest.Wait()
		f.disk.OnRead(func(int) error { return errBroken })
		next := i.submitAsync(t.Context(), envs[1], envs[2])
		synctest.Wait()
		storing.open()
		if err := <-i.ended; !errors.Is(err, errBroken) || errors.Is(err, ledger.ErrDamaged) {
			t.Errorf("run: %v", err)
		}
		if got := <-inCommit; got.err != nil || got.results[0].Err != nil {
			t.Errorf("in the commit: %+v", got)
		}
		wantAll(t, <-next, ledger.ErrStopped)
		if _, err := i.Submit(t.Context(), items[3:]); !errors.Is(err, ledger.ErrStopped) {
			t.Errorf("submitted later: %v", err)
		}
		if _, err := i.Check(f.made.Transaction("yota", 1), "yota"); !errors.Is(err, errBroken) || errors.Is(err, ledger.ErrDamaged) {
			t.Errorf("check: %v", err)
		}
		i.Close()
		f.crash()
		i = f.start()
		defer i.close()
		f.wantSize(i.Ledger, f.founded()+1)
	})
}

// liar is a store that reports an unknown outcome for one commit, which it makes
// or does not make.
type liar struct {
	ledger.Store
	lie, commits int // which commit, from 1
	applied      bool
}

func (l *liar) Commit(ctx context.Context, expected []byte, writes []ledger.Write) error {
	if l.commits++; l.commits != l.lie {
		return l.Store.Commit(ctx, expected, writes)
	}
	if l.applied {
		if err := l.Store.Commit(ctx, expected, writes); err != nil {
			return err
		}
	}
	return errBroken
}

// TestFailedCommitOnDisk is TestFailedCommit for a store on disk.
func TestFailedCommitOnDisk(t *testing.T) {
	for name, applied := range map[string]bool{"lost": false, "applied": true} {
		t.Run(name, func(t *testing.T) {
			s, dir := newSite(t, "acme"), t.TempDir()
			envs := transactions(s.made, "acme", 3)
			store := openBadger(t, filepath.Join(dir, "store"))
			anchor := openAnchor(t, filepath.Join(dir, "anchor"))
			s.store, s.anchor = &liar{Store: store, lie: 3, applied: applied}, anchor
			i := s.start()
			i.record(envs[0])
			if r := i.submit(envs[1])[0]; !errors.Is(r.Err, ledger.ErrOutcomeUnknown) {
				t.Errorf("%+v", r)
			}
			if err := i.end(); !errors.Is(err, errBroken) {
				t.Errorf("run: %v", err)
			}
			if err := errors.Join(store.Close(), anchor.Close()); err != nil {
				t.Fatal(err)
			}

			s.store, s.anchor = openBadger(t, filepath.Join(dir, "store")), openAnchor(t, filepath.Join(dir, "anchor"))
			i = s.start()
			defer i.close()
			for n, r := range i.record(envs...) {
				if r.Index != s.founded()+uint64(n) || r.Already != (n == 0 || n == 1 && applied) {
					t.Errorf("statement %d: %+v", n, r)
				}
			}
			s.wantSize(i.Ledger, s.founded()+3)
		})
	}
}
