package client_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

func TestSubmitAll(t *testing.T) {
	w := newWorld(t)
	c, envs := w.dial("acme", nil), w.envelopes("INV", 600, 350)
	for i, o := range submitAll(t, c, envs) {
		if o.Recorded.Already {
			t.Fatalf("statement %d was on record", i)
		}
		if i%200 != 0 {
			continue
		}
		if _, err := w.book.Log.VerifyReceipt(o.Envelope, o.Recorded.Receipt); err != nil {
			t.Fatal(err)
		}
	}
	for i, o := range submitAll(t, c, envs[:300]) {
		if !o.Recorded.Already {
			t.Fatalf("statement %d was not on record", i)
		}
	}
	submitAll(t, c, nil)
	w.check(envs)
}

// cutter is a network between client and server that breaks each connection
// after a random number of bytes in one direction.
type cutter struct {
	lis    net.Listener
	target string
	cuts   atomic.Int64
	wg     sync.WaitGroup
}

func newCutter(t *testing.T, target string, seed uint64, most int64) *cutter {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &cutter{lis: lis, target: target}
	n.wg.Go(func() { n.accept(rand.New(rand.NewPCG(seed, 0)), most) })
	t.Cleanup(func() {
		lis.Close()
		n.wg.Wait()
	})
	return n
}

func (n *cutter) accept(random *rand.Rand, most int64) {
	for {
		near, err := n.lis.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", n.target)
		if err != nil {
			near.Close()
			continue
		}
		up, down := int64(1<<62), int64(1<<62)
		if limit := 3000 + random.Int64N(most); random.IntN(2) == 0 {
			up = limit
		} else {
			down = limit
		}
		n.wg.Go(func() { n.copy(far, near, up) })
		n.wg.Go(func() { n.copy(near, far, down) })
	}
}

// copy closes both ends after most bytes, so that what is on the way is lost.
func (n *cutter) copy(to, from net.Conn, most int64) {
	if copied, _ := io.CopyN(to, from, most); copied == most {
		n.cuts.Add(1)
	}
	to.Close()
	from.Close()
}

// However often the connection breaks, each statement has one outcome and one
// entry.
func TestBrokenStreams(t *testing.T) {
	for seed := range uint64(2) {
		w := newWorld(t)
		network := newCutter(t, w.addr, seed, 100_000)
		c := w.dial("acme", func(cfg *client.Config) { cfg.Address, cfg.Window = network.lis.Addr().String(), 100 })
		envs := w.envelopes("INV", 400, 200)
		submitAll(t, c, envs)
		if n := network.cuts.Load(); n < 3 {
			t.Errorf("only %d connections were cut", n)
		}
		w.check(envs)
	}
}

// The server goes away in the middle and comes back with the same store, once
// after an unknown outcome.
func TestServerRestarts(t *testing.T) {
	w := newWorld(t)
	c, envs := w.dial("acme", nil), w.envelopes("INV", 400, 200)
	w.store.OnCommit(func(n int) storetest.Fault {
		if n == 2 {
			return storetest.Applied
		}
		return storetest.None
	})
	delivered := make(chan struct{}, len(envs))
	var wg sync.WaitGroup
	wg.Go(func() {
		<-w.ledger.Stopped() // by the fault
		w.stop()
		w.store = w.store.Crash()
		time.Sleep(100 * time.Millisecond)
		w.start()
	})
	// One at a time, so that there is a second commit.
	source := func(yield func(*tracev1.Envelope, error) bool) {
		for i, env := range envs {
			if !yield(env, nil) {
				return
			}
			if i == 0 {
				<-delivered
			}
		}
	}
	err := c.SubmitAll(t.Context(), source, func(o client.Outcome) error {
		delivered <- struct{}{}
		return nil
	})
	wg.Wait()
	if err != nil || len(delivered) != len(envs)-1 {
		t.Fatalf("%d outcomes, %v", len(delivered), err)
	}
	w.check(envs)
}

// A queue that is full, or a server that says it is away, is waited for.
func TestRetryableRefusals(t *testing.T) {
	w := newWorld(t)
	refusals := 0
	c := w.dial("acme", lies(liar(func(reply any) {
		unroll(reply)
		m, ok := reply.(*ledgerv1.SubmitStreamResponse)
		for _, o := range m.GetOutcomes() {
			if ok && refusals < 40 && o.GetSequence()%3 == 0 {
				refusals++
				o.Outcome = &ledgerv1.SubmitOutcome_Refusal{Refusal: &tracev1.Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_QUEUE_FULL}}
			}
		}
	})...))
	envs := w.envelopes("INV", 60, 60)
	for i, o := range submitAll(t, c, envs) {
		if o.Recorded == nil {
			t.Errorf("statement %d: %v", i, o.Refusal)
		}
	}
	if refusals != 40 {
		t.Errorf("%d refusals", refusals)
	}
	w.check(envs)
}

// A real queue that holds less than the client sends.
func TestSmallQueue(t *testing.T) {
	w := newWorld(t)
	w.stop()
	w.limits = ledger.Limits{QueueStatements: 50, CommitStatements: 20}
	w.start()
	envs := w.envelopes("INV", 400, 400)
	submitAll(t, w.dial("acme", nil), envs)
	w.check(envs)
}

// Patience ends when nothing gets on.
func TestPatienceEnds(t *testing.T) {
	w := newWorld(t)
	c := w.dial("acme", func(cfg *client.Config) { cfg.Patience = 300 * time.Millisecond })
	w.stop()
	started := time.Now()
	err := c.SubmitAll(t.Context(), from(w.envelopes("INV", 3, 3)), fails(t))
	if err == nil || time.Since(started) > 3*time.Second || status.Code(err) != codes.Unavailable {
		t.Errorf("got %v after %v", err, time.Since(started))
	}
	if _, err := c.Submit(t.Context(), w.envelope("X")); err == nil {
		t.Error("a server that is away recorded a statement")
	}
	w.start()
	submitAll(t, c, w.envelopes("INV", 3, 3))
}

// A peer that takes the connection and says nothing is given up in the end.
func TestSilentPeer(t *testing.T) {
	w := newWorld(t)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	c := w.dial("acme", func(cfg *client.Config) {
		cfg.Address, cfg.Timeout, cfg.Patience = lis.Addr().String(), 50*time.Millisecond, 200*time.Millisecond
	})
	if err := c.SubmitAll(t.Context(), from(w.envelopes("INV", 1, 1)), fails(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("stream: got %v", err)
	}
	if _, err := c.Checkpoint(t.Context()); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("unary: got %v", err)
	}
}

// A server that swallows statements, or all of them, is asked again.
func TestSwallowedOutcomes(t *testing.T) {
	w := newWorld(t)
	swallowed := 0
	c := w.dial("acme", func(cfg *client.Config) {
		cfg.Timeout = 300 * time.Millisecond
		cfg.Options = liar(func(reply any) {
			if m, ok := reply.(*ledgerv1.SubmitStreamResponse); ok && swallowed < 2 {
				swallowed++
				unroll(m)
				m.Outcomes = m.GetOutcomes()[:len(m.GetOutcomes())/2]
			}
		})
	})
	envs := w.envelopes("INV", 64, 64)
	submitAll(t, c, envs)
	if swallowed != 2 {
		t.Errorf("swallowed %d times", swallowed)
	}
	w.check(envs)
}

// What the source has ready goes in few messages: it is read ahead while one is
// sent.
func TestMessagesAreShared(t *testing.T) {
	w := newWorld(t)
	messages, items := 0, 0
	c := w.dial("acme", lies(liar(func(reply any) {
		if m, ok := reply.(*ledgerv1.SubmitStreamResponse); ok {
			messages, items = messages+1, items+len(m.GetRun().GetSequences())
		}
	})...))
	envs := w.envelopes("INV", 4000, 1000)
	submitAll(t, c, envs)
	if items != len(envs) || messages > len(envs)/8 {
		t.Errorf("%d statements were answered in %d messages", items, messages)
	}
}

// No more than the window waits for outcomes, however slow they are taken.
func TestWindow(t *testing.T) {
	w := newWorld(t)
	c := w.dial("acme", func(cfg *client.Config) { cfg.Window = 7 })
	envs := w.envelopes("INV", 60, 60)
	var taken, delivered atomic.Int64
	source := func(yield func(*tracev1.Envelope, error) bool) {
		for _, env := range envs {
			// One more is held by the source while there is no room.
			if waits := taken.Add(1) - delivered.Load(); waits > 7+1 {
				t.Errorf("%d wait", waits)
			}
			if !yield(env, nil) {
				return
			}
		}
	}
	err := c.SubmitAll(t.Context(), source, func(client.Outcome) error {
		time.Sleep(time.Millisecond)
		delivered.Add(1)
		return nil
	})
	if err != nil || delivered.Load() != 60 {
		t.Errorf("%d delivered, %v", delivered.Load(), err)
	}
}

func TestSubmitAllEndsEarly(t *testing.T) {
	w := newWorld(t)
	c, envs := w.dial("acme", nil), w.envelopes("INV", 500, 500)
	mine := errors.New("mine")
	t.Run("source fails", func(t *testing.T) {
		n := 0
		err := c.SubmitAll(t.Context(), func(yield func(*tracev1.Envelope, error) bool) {
			for _, env := range envs[:10] {
				yield(env, nil)
			}
			yield(nil, mine)
		}, func(client.Outcome) error { n++; return nil })
		if !errors.Is(err, mine) || n != 10 {
			t.Errorf("%d outcomes, %v", n, err)
		}
	})
	t.Run("taker fails", func(t *testing.T) {
		n := 0
		err := c.SubmitAll(t.Context(), from(envs), func(client.Outcome) error { n++; return mine })
		if !errors.Is(err, mine) || n != 1 {
			t.Errorf("%d outcomes, %v", n, err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := c.SubmitAll(ctx, from(envs), func(client.Outcome) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cancelled while the source waits", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := c.SubmitAll(ctx, func(yield func(*tracev1.Envelope, error) bool) {
			yield(envs[0], nil)
			<-ctx.Done()
		}, func(client.Outcome) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("malformed", func(t *testing.T) {
		bad := &tracev1.Envelope{Payload: []byte{1}, KeyId: []byte{1}, SignatureBlock: []byte{1}}
		outcomes := submitAll(t, c, []*tracev1.Envelope{bad, envs[0], {}})
		if outcomes[0].Refusal == nil || outcomes[1].Recorded == nil || outcomes[2].Refusal == nil {
			t.Errorf("got %+v", outcomes)
		}
	})
	t.Run("too large", func(t *testing.T) {
		large := &tracev1.Envelope{Payload: make([]byte, 4<<20), KeyId: make([]byte, 32), SignatureBlock: make([]byte, 68)}
		err := c.SubmitAll(t.Context(), from([]*tracev1.Envelope{large}), fails(t))
		if !errors.Is(err, client.ErrProtocol) {
			t.Errorf("got %v", err)
		}
	})
}

// A source that waits does not hold back what it gave before, and an idle stream
// is not a failure, however long it lasts.
func TestSlowSource(t *testing.T) {
	w := newWorld(t)
	c := w.dial("acme", func(cfg *client.Config) { cfg.Timeout, cfg.Patience = 80*time.Millisecond, 500*time.Millisecond })
	envs := w.envelopes("INV", 2, 2)
	delivered, n := make(chan struct{}, 2), 0
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := c.SubmitAll(ctx, func(yield func(*tracev1.Envelope, error) bool) {
		for _, env := range envs {
			if !yield(env, nil) {
				return
			}
			select {
			case <-delivered:
				time.Sleep(700 * time.Millisecond)
			case <-ctx.Done():
			}
		}
	}, func(client.Outcome) error { n++; delivered <- struct{}{}; return nil })
	if err != nil || n != 2 {
		t.Errorf("%d outcomes, %v", n, err)
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	w := newWorld(t)
	c := w.dial("acme", nil)
	submitAll(t, c, w.envelopes("INV", 100, 100))
	ctx, cancel := context.WithCancel(t.Context())
	c.SubmitAll(ctx, from(w.envelopes("MORE", 100, 100)), func(client.Outcome) error { cancel(); return nil })
	c.Close()
	w.stop()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(10 * time.Millisecond)
	}
}
