package ledger_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// slowStore is a store whose commits wait until they are released, once it is in
// use.
type slowStore struct {
	*noSnapshots
	used     bool
	merging  atomic.Bool   // the commit that waits is a step of a merge
	pending  atomic.Uint64 // the size that the waiting commit leads to, or 0
	released chan storetest.Fault
}

func (s *slowStore) Commit(ctx context.Context, expected []byte, writes []ledger.Write) error {
	if !s.used { // the ledger is being opened, and removes what a merge left
		return s.Memory.Commit(ctx, expected, writes)
	}
	s.merging.Store(isMerge(expected, writes))
	for _, w := range writes {
		if w.Key[0] == ledger.HeadKey[0] {
			s.pending.Store(headSize(w.Value))
		}
	}
	fault := <-s.released
	s.pending.Store(0)
	s.OnCommit(func(int) storetest.Fault { return fault })
	return s.Memory.Commit(ctx, expected, writes)
}

// submission is a group whose answer is awaited.
type submission struct {
	group   []*made
	want    []verdict
	answers <-chan answer
	giveUp  context.CancelFunc
}

// world is a ledger in a simulation, and what is expected of it.
type world struct {
	t       *testing.T
	random  *rand.Rand
	f       *faultySite
	pool    []*made
	now     time.Time
	latest  time.Time // that now ever was
	store   *slowStore
	i       *instance
	auditor *verify.Auditor
	opened  *verify.Checkpoint
	model   *model // of all that was submitted
	durable int    // how much of it is on disk
	open    []*submission
	acked   map[verify.Hash]int // where a statement was said to be
	killed  bool                // there is nobody to ask for receipts
}

func newWorld(t *testing.T, shared *site, pool []*made, random *rand.Rand) *world {
	s := *shared
	s.t = t
	s.restore(shared.memory(), &shared.anchor.(*memoryAnchor).point)
	f := &faultySite{site: &s, disk: s.memory(), anchor: s.anchor.(*memoryAnchor), signer: &brokenSigner{Signer: s.signer}}
	w := &world{t: t, random: random, f: f, pool: pool, now: s.made.Now, latest: s.made.Now, acked: make(map[verify.Hash]int),
		auditor: verify.NewAuditor(s.made.Log, true)}
	s.signer, s.clock = f.signer, func() time.Time { return w.now }
	s.limits = ledger.Limits{CommitStatements: 1 + random.IntN(6), QueueStatements: 12}
	w.model = newModel(madeOf(t, append([]*tracev1.Envelope{s.made.Genesis}, s.boot...)...)...)
	w.durable = len(w.model.log)
	w.start()
	return w
}

// start opens the ledger on what is durable, and tests that it is what is
// expected.
func (w *world) start() {
	w.t.Helper()
	w.store = &slowStore{noSnapshots: &noSnapshots{Memory: w.f.disk}, released: make(chan storetest.Fault)}
	w.f.store, w.f.site.store = w.store.noSnapshots, w.store
	l := w.f.mustOpen()
	w.store.used = true
	w.i = w.f.run(l)
	if w.durable > len(w.model.log) {
		w.t.Fatalf("%d entries are durable, %d were admitted", w.durable, len(w.model.log))
	}
	w.model = newModel(w.model.log[:w.durable]...)
	records := w.f.auditOn(w.i.Ledger, w.auditor)
	if len(records) != w.durable {
		w.t.Fatalf("%d entries, want %d", len(records), w.durable)
	}
	for index, r := range records {
		if verifytest.StatementHash(r.Envelope) != w.model.log[index].hash {
			w.t.Errorf("entry %d is not what was admitted there", index)
		}
	}
	for hash, index := range w.acked {
		if w.model.log[index].hash != hash {
			w.t.Errorf("entry %d is not what was acknowledged", index)
		}
	}
	w.model.wantVolumes(w.t, w.i.Ledger)
	synctest.Wait() // a merge may be due
}

// collect waits until nothing moves, and tests the answers that came.
func (w *world) collect(stopped bool) {
	w.t.Helper()
	synctest.Wait()
	open := w.open
	w.open = nil
	for _, sub := range open {
		select {
		case got := <-sub.answers:
			w.judge(sub, got, stopped)
			sub.giveUp()
		default:
			w.open = append(w.open, sub)
		}
	}
}

// judge compares an answer with what the model said. Only a ledger that stopped
// may leave statements undecided.
func (w *world) judge(sub *submission, got answer, stopped bool) {
	w.t.Helper()
	if got.err != nil {
		if !stopped || !errors.Is(got.err, ledger.ErrStopped) {
			w.t.Errorf("submit: %v", got.err)
		}
		return
	}
	for n, want := range sub.want {
		r := &got.results[n]
		var refusal *custody.Refusal
		switch {
		case r.Err == nil:
			if want.reason != 0 || r.Index != uint64(want.index) || r.Already != want.already || want.index >= w.durable {
				w.t.Errorf("recorded at %d, already %t; want %+v; %d are durable", r.Index, r.Already, want, w.durable)
				continue
			}
			w.ack(r, sub.group[n])
		case errors.As(r.Err, &refusal):
			if refusal.Reason != want.reason {
				w.t.Errorf("refused: %v, want %+v", r.Err, want)
			}
		case stopped && (errors.Is(r.Err, ledger.ErrStopped) || errors.Is(r.Err, ledger.ErrOutcomeUnknown)):
		default:
			w.t.Errorf("%v, want %+v", r.Err, want)
		}
	}
}

// ack tests the receipt of a statement that was acknowledged.
func (w *world) ack(r *ledger.Result, x *made) {
	w.t.Helper()
	recorded := w.model.log[r.Index]
	if string(recorded.env.GetPayload()) != string(x.env.GetPayload()) {
		w.t.Errorf("acknowledged at %d, where something else is", r.Index)
	}
	w.acked[recorded.hash] = int(r.Index)
	if w.killed {
		return
	}
	receipt, err := w.i.Receipt(r)
	if err != nil {
		w.t.Fatal(err)
	}
	cp := w.checkpoint(receipt.GetCheckpoint())
	e, err := verify.VerifyRecorded(recorded.env, receipt, cp)
	if err != nil || e.Index != r.Index || cp.Size > uint64(w.durable) {
		w.t.Errorf("receipt of %d: %v, entry %d under size %d", r.Index, err, e.Index, cp.Size)
	}
}

// checkpoint opens a checkpoint, unless it is the one that was opened last.
func (w *world) checkpoint(note []byte) *verify.Checkpoint {
	w.t.Helper()
	if w.opened == nil || string(w.opened.Note) != string(note) {
		var err error
		if w.opened, err = w.f.made.Log.OpenCheckpoint(note); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.opened
}
