package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// TestConcurrentRetries submits the same statements from many goroutines, each
// in an order of its own, alone and in groups.
func TestConcurrentRetries(t *testing.T) {
	onStores(t, func(t *testing.T, place func(*site) *site) {
		const statements, submitters = 150, 8
		s := place(newSite(t, "acme"))
		envs := transactions(s.made, "acme", statements)
		i := s.start()
		defer i.close()
		var fresh [statements]atomic.Int64
		var indexes [submitters][statements]uint64
		var work sync.WaitGroup
		for n := range submitters {
			work.Go(func() {
				indexes[n] = submitAll[[statements]uint64](i, envs, rand.New(rand.NewPCG(1, uint64(n))), fresh[:])
			})
		}
		work.Wait()
		for k := range envs {
			if got := fresh[k].Load(); got != 1 {
				t.Errorf("statement %d was recorded %d times", k, got)
			}
			for n := range submitters {
				if indexes[n][k] != indexes[0][k] {
					t.Errorf("statement %d is at %d and at %d", k, indexes[0][k], indexes[n][k])
				}
			}
		}
		records := s.audit(i.Ledger)
		if got, want := uint64(len(records)), s.founded()+statements; got != want {
			t.Fatalf("%d entries, want %d", got, want)
		}
		for k, env := range envs {
			if got := records[indexes[0][k]].Envelope; !bytes.Equal(got.GetPayload(), env.GetPayload()) {
				t.Errorf("statement %d is not at index %d", k, indexes[0][k])
			}
		}
		wantQueued(t, i.Ledger, 0, 0)
	})
}

// submitAll submits envelopes in a random order and in groups of random sizes,
// counts those that are recorded by it, and returns where they are.
func submitAll[A ~[150]uint64](i *instance, envs []*tracev1.Envelope, random *rand.Rand, fresh []atomic.Int64) (indexes A) {
	order := random.Perm(len(envs))
	for len(order) > 0 {
		group := order[:min(len(order), 1+random.IntN(20)*random.IntN(2))]
		order = order[len(group):]
		var members []*tracev1.Envelope
		for _, k := range group {
			members = append(members, envs[k])
		}
		results, err := i.Submit(context.Background(), i.check(members...))
		if err != nil {
			i.t.Error(err)
			return indexes
		}
		for n, k := range group {
			if results[n].Err != nil {
				i.t.Error(results[n].Err)
			}
			if !results[n].Already {
				fresh[k].Add(1)
			}
			indexes[k] = results[n].Index
			if _, err := i.Receipt(&results[n]); err != nil {
				i.t.Error(err)
			}
		}
	}
	return indexes
}

func wantQueued(t testing.TB, l *ledger.Ledger, statements, bytes int64) {
	t.Helper()
	if s, b := l.Queued(); s != statements || b != bytes {
		t.Errorf("queued: %d statements, %d bytes; want %d and %d", s, b, statements, bytes)
	}
}

// sizeOf returns what an envelope takes in the queue.
func sizeOf(envs ...*tracev1.Envelope) (n int64) {
	for _, env := range envs {
		n += int64(len(env.GetPayload()) + len(env.GetSignatureBlock()))
	}
	return n
}

// gate blocks what passes it, until it is opened for one.
type gate chan struct{}

func (g gate) pass() { <-g }
func (g gate) open() { g <- struct{}{} }

// hold blocks commits at a gate.
func hold(m *storetest.Memory) gate {
	g := make(gate)
	m.OnCommit(func(int) storetest.Fault {
		g.pass()
		return storetest.None
	})
	return g
}

// gated is a store whose commits of entries are blocked at a gate, if it has one.
// Merges pass.
type gated struct {
	ledger.Store
	gate gate
}

func (g *gated) Commit(ctx context.Context, expected []byte, writes []ledger.Write) error {
	if g.gate != nil && !isMerge(expected, writes) {
		g.gate.pass()
	}
	return g.Store.Commit(ctx, expected, writes)
}

// TestQueueLimits fills the queue while a commit is blocked, over and over: what
// was refused must not be counted, neither as waiting nor as decided.
func TestQueueLimits(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits func(size int64) ledger.Limits // size is that of a statement
	}{
		{"statements", func(int64) ledger.Limits { return ledger.Limits{QueueStatements: 5, QueueBytes: 1 << 30} }},
		{"bytes", func(size int64) ledger.Limits {
			return ledger.Limits{QueueStatements: 1 << 10, QueueBytes: 5*size - size/2}
		}},
		{"both", func(size int64) ledger.Limits { return ledger.Limits{QueueStatements: 5, QueueBytes: 5*size - size/2} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, "acme")
				envs := transactions(s.made, "acme", 256)
				size := sizeOf(envs[0])
				s.limits = test.limits(size)
				store, g := &gated{Store: s.store}, make(gate)
				s.store = store
				l := s.mustOpen()
				store.gate = g
				i := s.run(l)
				defer i.close()
				for range 3 {
					next := envs[:7]
					envs = envs[7:]
					var answers []<-chan answer
					for n := range 4 { // the last is larger than what is left, and let in
						answers = append(answers, i.submitAsync(t.Context(), next[n:n+1+n/3]...))
						synctest.Wait()
					}
					wantQueued(t, i.Ledger, 5, sizeOf(next[:5]...))
					for _, group := range [][]*tracev1.Envelope{next[5:6], next[5:7], next[5:6]} {
						if _, err := i.Submit(t.Context(), i.check(group...)); !errors.Is(err, ledger.ErrQueueFull) {
							t.Fatalf("full queue: %v", err)
						}
					}
					wantQueued(t, i.Ledger, 5, sizeOf(next[:5]...))
					g.open()
					g.open()
					for _, a := range answers {
						if got := <-a; got.err != nil || got.results[0].Err != nil {
							t.Fatalf("%+v", got)
						}
					}
					wantQueued(t, i.Ledger, 0, 0)
				}
				s.wantSize(i.Ledger, s.founded()+15)
			})
		})
	}
}

// TestNothingSubmitted submits an empty group.
func TestNothingSubmitted(t *testing.T) {
	s := newSite(t, "acme")
	i := s.start()
	defer i.close()
	if results, err := i.Submit(t.Context(), nil); results != nil || err != nil {
		t.Errorf("%v, %v", results, err)
	}
}

// TestJudge asks what would become of statements, which records nothing.
func TestJudge(t *testing.T) {
	s := newSite(t, "acme")
	envs := transactions(s.made, "acme", 2)
	i := s.start()
	defer i.close()
	for range 2 {
		if err := i.Judge(i.check(envs[0])[0]); err != nil {
			t.Errorf("new statement: %v", err)
		}
	}
	s.wantSize(i.Ledger, s.founded())
	i.record(envs[0])
	if err := i.Judge(i.check(envs[0])[0]); err == nil || err.Error() != fmt.Sprintf("recorded at index %d", s.founded()) {
		t.Errorf("recorded statement: %v", err)
	}
	if err := i.Judge(i.check(envs[1])[0]); err != nil {
		t.Errorf("new statement: %v", err)
	}
	s.wantSize(i.Ledger, s.founded()+1)
}
