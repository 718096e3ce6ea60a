package ledger_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

var simulations = flag.Int("simulations", 200, "how many simulations TestSimulation runs")

// TestSimulation runs a ledger through random histories: submissions, retries,
// conflicts, amendments, keys that are revoked meanwhile, lost replies, commits
// that fail in every way, crashes and restarts. One goroutine makes one step
// after the other and waits until everything has come to rest, so that a seed
// always gives the same history, but for the groups that a graceful stop may or
// may not still take.
func TestSimulation(t *testing.T) {
	s, pool := simulated(t)
	s.mustOpen().Close() // founded, once for all
	for seed := range uint64(*simulations) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, s, pool, rand.New(rand.NewPCG(seed, 1)))
				for range 40 {
					w.step()
				}
				w.finish()
			})
		})
	}
}

// step does something, and waits until nothing moves any more.
func (w *world) step() {
	switch n := w.random.IntN(100); {
	case n < 55:
		w.submit()
	case n < 80:
		w.commit()
	case n < 88:
		w.loseReply()
	case n < 95:
		// Never so far back that nothing is recorded.
		w.now = w.latest.Add(time.Duration(w.random.Int64N(int64(20*time.Second))) - 9*time.Second)
		if w.now.After(w.latest) {
			w.latest = w.now
		}
	case n == 95:
		w.restart()
	case n == 96:
		w.crash()
	default:
		w.commit()
	}
	if w.store.pending.Load() == 0 {
		wantQueued(w.t, w.i.Ledger, 0, 0)
	}
}

// submit submits a group of what may be submitted.
func (w *world) submit() {
	var group []*made
	var items []*ledger.Item
	for range 1 + w.random.IntN(5) {
		x := w.pool[w.random.IntN(len(w.pool))]
		item, err := w.i.Check(x.env, x.st.GetSigner())
		if err != nil {
			w.wantUnchecked(x, err)
			continue
		}
		group, items = append(group, x), append(items, item)
	}
	if len(group) == 0 {
		return
	}
	if queued, _ := w.i.Queued(); queued >= 12 {
		if _, err := w.i.Submit(w.t.Context(), items); !errors.Is(err, ledger.ErrQueueFull) {
			w.t.Errorf("full queue: %v", err)
		}
		return
	}
	sub := &submission{group: group}
	for _, x := range group {
		sub.want = append(sub.want, w.model.admit(x))
	}
	ctx, giveUp := context.WithCancel(w.t.Context())
	answers := make(chan answer, 1)
	sub.answers, sub.giveUp = answers, giveUp
	go func() {
		results, err := w.i.Submit(ctx, items)
		answers <- answer{results, err}
	}()
	w.open = append(w.open, sub)
	w.collect(false)
}

// wantUnchecked tests why a statement was refused before it was submitted: its
// key is not registered yet, as far as is published.
func (w *world) wantUnchecked(x *made, err error) {
	w.t.Helper()
	var refusal *custody.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN {
		w.t.Errorf("check: %v", err)
	}
	if _, known := newModel(w.model.log[:w.durable]...).keys[verify.Hash(x.env.GetKeyId())]; known {
		w.t.Errorf("check of a statement whose key is registered: %v", err)
	}
}

// commit releases a waiting commit. Now and then it fails, or what follows.
func (w *world) commit() {
	pending := int(w.store.pending.Load())
	if pending == 0 {
		return
	}
	if w.random.IntN(10) > 0 {
		w.durable = pending
		w.store.released <- storetest.None
		w.collect(false)
		return
	}
	failure := failures[w.random.IntN(len(failures))]
	if failure.plant != nil && w.store.merging.Load() {
		w.store.released <- storetest.None // nothing is anchored or signed after it
		w.collect(false)
		return
	}
	if failure.plant != nil {
		failure.plant(w.f)
	}
	w.store.released <- failure.fault
	w.fail(failure.want)
	if failure.durable {
		w.durable = pending
	}
	w.reopen()
}

// crash ends the process at once.
func (w *world) crash() {
	w.f.disk.Crash()
	w.killed = true
	w.i.stop()
	for synctest.Wait(); w.store.pending.Load() != 0; synctest.Wait() {
		w.store.released <- storetest.None
	}
	w.fail(errors.ErrUnsupported)
	w.reopen()
}

// fail waits for the end of the writer, of which errors.ErrUnsupported stands
// for any error.
func (w *world) fail(want error) {
	w.t.Helper()
	err := <-w.i.ended
	if want == errors.ErrUnsupported {
		want = err
	}
	if !errors.Is(err, want) {
		w.t.Errorf("run: %v, want %v", err, want)
	}
	w.collect(true)
	if len(w.open) > 0 {
		w.t.Fatalf("%d submissions were not answered", len(w.open))
	}
	w.i.Close()
}

func (w *world) reopen() {
	w.killed = false
	w.f.crash()
	w.start()
}

// restart stops the ledger when its commits are done, and opens it again.
func (w *world) restart() {
	w.stop()
	w.reopen()
}

// stop stops the ledger when its commits are done.
func (w *world) stop() {
	w.i.stop()
	for synctest.Wait(); w.store.pending.Load() != 0; synctest.Wait() {
		w.durable = int(w.store.pending.Load())
		w.store.released <- storetest.None
	}
	w.fail(nil)
}

// loseReply gives a submission up, whose statements may be recorded all the same.
func (w *world) loseReply() {
	if len(w.open) == 0 {
		return
	}
	n := w.random.IntN(len(w.open))
	sub := w.open[n]
	w.open = append(w.open[:n], w.open[n+1:]...)
	sub.giveUp()
	if got := <-sub.answers; !errors.Is(got.err, context.Canceled) {
		w.t.Errorf("given up: %+v", got)
	}
}

// finish lets all commits succeed, and tests what is recorded in the end.
func (w *world) finish() {
	w.restart()
	w.stop()
}
