package ledger_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
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
				for range 50 {
					w.step()
				}
				w.finish()
			})
		})
	}
}

// simulated returns the site of which each simulation takes a copy, and what may
// be submitted there.
func simulated(t *testing.T) (*site, []*made) {
	s := newSite(t)
	l := s.made
	second, late := verifytest.Key("acme 2"), verifytest.Key("late")
	boot := append(l.Register("acme", tracev1.Role_ROLE_PRODUCER), l.RegisterKey("acme", second))
	boot = append(append(boot, l.Register("zeta", tracev1.Role_ROLE_TRADER)...), l.Admit("late", tracev1.Role_ROLE_MINER))
	s.boot = l.SignBatch(l.Authority, statements(madeOf(t, boot...)...)...) // one signature is read faster
	sell := func(seller string, n int) *tracev1.Statement {
		st := l.TransactionStatement(seller, uint64(n*n*1009))
		st.GetTransaction().Customer.OwnCode = fmt.Sprint("C-", n%3)
		st.GetTransaction().TransactionDate = fmt.Sprintf("2026-%02d-11", 1+n%5)
		return st
	}
	var mine, others, lates []*tracev1.Statement
	for n := range 12 {
		mine = append(mine, sell("acme", n+1))
	}
	for n := range 6 { // the first of no grams
		others = append(others, sell("zeta", n))
	}
	for n := range 4 {
		lates = append(lates, sell("late", n+1))
	}
	// Conflicts: the ids of others for another content.
	for n, st := range mine[:3] {
		conflict := sell("acme", 20+n)
		conflict.StatementId = st.GetStatementId()
		mine = append(mine, conflict)
	}
	pool := madeOf(t, l.SignBatch(verifytest.Key("acme"), mine...)...)
	again := madeOf(t, l.Sign(verifytest.Key("acme"), mine[1]))[0] // other signature, same payload
	pool = append(pool, again)
	pool = append(pool, madeOf(t, l.SignBatch(second, sell("acme", 13), sell("acme", 14), mine[4], sell("acme", 15))...)...)
	pool = append(pool, madeOf(t, l.SignBatch(verifytest.Key("zeta"), others...)...)...)
	pool = append(pool, madeOf(t, l.SignBatch(late, lates...)...)...)
	pool = append(pool, versions(t, l, pool[:6], sell)...)
	return s, append(pool, acts(t, l, second, late)...)
}

func statements(ms ...*made) []*tracev1.Statement {
	var sts []*tracev1.Statement
	for _, m := range ms {
		sts = append(sts, m.st)
	}
	return sts
}

// versions returns amendments and voids of transactions of acme, some of which
// compete for one target, and some of which target one another.
func versions(t *testing.T, l *verifytest.Ledger, targets []*made, sell func(string, int) *tracev1.Statement) []*made {
	amend := func(target *made, n int) *tracev1.Statement {
		st := sell("acme", n)
		st.Stated = &tracev1.Statement_Amendment{Amendment: &tracev1.Amendment{
			Target: target.hash[:], Replacement: st.GetTransaction(), Reason: "weighed again"}}
		return st
	}
	void := func(target *made) *tracev1.Statement {
		return l.Complete("acme", &tracev1.Statement{Stated: &tracev1.Statement_Void{Void: &tracev1.Void{
			Target: target.hash[:], Reason: "never happened"}}})
	}
	var first, second []*tracev1.Statement
	for n, target := range targets {
		first = append(first, amend(target, 24+n), amend(target, 30+n), void(target))
	}
	vs := madeOf(t, l.SignBatch(verifytest.Key("acme"), first...)...)
	for n := range targets {
		second = append(second, amend(vs[3*n], 36+n), void(vs[3*n]))
	}
	return append(vs, madeOf(t, l.SignBatch(verifytest.Key("acme"), second...)...)...)
}

// acts returns acts of the authority that compete with each other and with
// transactions.
func acts(t *testing.T, l *verifytest.Ledger, second, late *verify.Signer) []*made {
	act := func(st *tracev1.Statement) *tracev1.Statement { return l.Complete(verify.AuthorityID, st) }
	suspended := func() *tracev1.Statement {
		return act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantSuspended{
			ParticipantSuspended: &tracev1.ParticipantSuspended{ParticipantId: "zeta", Reason: "inspection"}}})
	}
	reinstated := func() *tracev1.Statement {
		return act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantReinstated{
			ParticipantReinstated: &tracev1.ParticipantReinstated{ParticipantId: "zeta", Reason: "inspected"}}})
	}
	ms := madeOf(t, l.RevokeKey(second.Public()), l.RevokeKey(second.Public()), l.RegisterKey("late", late), l.RegisterKey("late", late))
	sts := append(statements(ms...), suspended(), suspended(), reinstated(), reinstated())
	return madeOf(t, l.SignBatch(l.Authority, sts...)...)
}

// slowStore is a store whose commits wait until they are released.
type slowStore struct {
	*noSnapshots
	pending  atomic.Uint64 // the size that the waiting commit leads to, or 0
	released chan storetest.Fault
}

func (s *slowStore) Commit(ctx context.Context, expected []byte, writes []ledger.Write) error {
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
	w.i = w.f.start()
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
	if w.store.pending.Load() == 0 {
		w.i.stop()
		w.fail(nil)
	} else {
		w.store.released <- storetest.None
		w.fail(errors.ErrUnsupported)
	}
	w.reopen()
}

// fail waits for the end of the writer, of which errors.ErrUnsupported stands
// for any error.
func (w *world) fail(want error) {
	w.t.Helper()
	err := <-w.i.ended
	if want == errors.ErrUnsupported && err != nil {
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
	w.i.stop()
	for synctest.Wait(); w.store.pending.Load() != 0; synctest.Wait() {
		w.durable = int(w.store.pending.Load())
		w.store.released <- storetest.None
	}
	w.fail(nil)
	w.reopen()
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
	w.i.close()
}
