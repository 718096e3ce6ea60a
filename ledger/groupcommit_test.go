package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// recordingSigner keeps what was signed.
type recordingSigner struct {
	note.Signer
	mu    sync.Mutex
	texts []string
}

func (r *recordingSigner) Sign(msg []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, string(msg))
	return r.Signer.Sign(msg)
}

func (r *recordingSigner) signed(size uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range r.texts {
		if bytes.HasPrefix([]byte(text), fmt.Appendf(nil, "%s\n%d\n", r.Name(), size)) {
			return true
		}
	}
	return false
}

// TestGroupCommit follows three commits through the store and the anchor.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "acme")
		anchor, signer := s.anchor.(*memoryAnchor), &recordingSigner{Signer: s.signer}
		s.signer = signer
		envs := transactions(s.made, "acme", 6)
		i := s.start()
		defer i.close()
		storing, anchoring := hold(s.memory()), make(gate)
		anchor.onAppend = func(ledger.AnchorPoint) (bool, error) {
			anchoring.pass()
			return true, nil
		}
		size := s.founded()

		// The first commit holds what came first, alone.
		first := i.submitAsync(t.Context(), envs[0])
		synctest.Wait()
		var rest []<-chan answer
		for n := range 4 {
			rest = append(rest, i.submitAsync(t.Context(), envs[n+1]))
			synctest.Wait()
		}
		unpublished := func(from uint64) {
			t.Helper()
			v := i.View()
			defer v.Close()
			if v.Size() != from || v.Checkpoint().Size != from || signer.signed(from+1) || signer.signed(size+5) {
				t.Errorf("something after size %d is seen, or signed", from)
			}
		}
		waiting(t, append(rest, first)...)
		unpublished(size)
		storing.open()
		synctest.Wait() // durable, and not anchored
		waiting(t, append(rest, first)...)
		unpublished(size)
		anchoring.open()
		got := <-first
		s.checkReceipt(i.Ledger, envs[0], &got.results[0], size)
		waiting(t, rest...)
		unpublished(size + 1)

		// The second holds all that came meanwhile, and a retry of the first.
		again := i.submitAsync(t.Context(), envs[0])
		synctest.Wait()
		storing.open()
		synctest.Wait()
		waiting(t, append(rest, again)...)
		unpublished(size + 1)
		anchoring.open()
		for n, a := range rest {
			got := <-a
			s.checkReceipt(i.Ledger, envs[n+1], &got.results[0], size+1+uint64(n))
		}

		// The third has nothing to make durable.
		if got := <-again; !got.results[0].Already || got.results[0].Index != size {
			t.Errorf("retry: %+v", got)
		}
		s.wantSize(i.Ledger, size+5)
		wantQueued(t, i.Ledger, 0, 0)
	})
}

// TestRetryWhileCommitting submits a statement again while its commit is under
// way. The retry is answered when the statement is durable, and not before.
func TestRetryWhileCommitting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "acme")
		envs := transactions(s.made, "acme", 2)
		i := s.start()
		defer i.close()
		g := hold(s.memory())
		ctx, giveUp := context.WithCancel(t.Context())
		first := i.submitAsync(ctx, envs[0], envs[1], envs[1])
		synctest.Wait()
		giveUp()
		if got := <-first; !errors.Is(got.err, context.Canceled) {
			t.Fatalf("gave up: %+v", got)
		}
		again := i.submitAsync(t.Context(), envs[0])
		synctest.Wait()
		waiting(t, again)
		g.open()
		got := <-again
		if !got.results[0].Already {
			t.Errorf("retry: %+v", got)
		}
		s.checkReceipt(i.Ledger, envs[0], &got.results[0], s.founded())
		s.wantSize(i.Ledger, s.founded()+2)
		wantQueued(t, i.Ledger, 0, 0)
	})
}
