package ledger_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// site is where a ledger lives: what outlasts one that is open.
type site struct {
	t      testing.TB
	made   *verifytest.Ledger
	store  ledger.Store
	anchor ledger.Anchor
	boot   []*tracev1.Envelope // after the genesis
	signer note.Signer         // of checkpoints
	clock  func() time.Time
	limits ledger.Limits
}

// newSite returns a site with an empty store in memory, where sellers take part.
func newSite(t testing.TB, sellers ...string) *site {
	made := verifytest.NewLedger(t)
	s := &site{
		t: t, made: made, store: storetest.NewMemory(), anchor: new(memoryAnchor), signer: made.Checkpoints,
		clock: func() time.Time { return made.Now },
	}
	for _, id := range sellers {
		s.boot = append(s.boot, made.Register(id, tracev1.Role_ROLE_PRODUCER)...)
	}
	return s
}

// founded returns the size that founding leaves.
func (s *site) founded() uint64 { return uint64(1 + len(s.boot)) }

// memory returns the store, which is in memory.
func (s *site) memory() *storetest.Memory { return s.store.(*storetest.Memory) }

// open opens the ledger, but does not run its writer.
func (s *site) open() (*ledger.Ledger, error) {
	return ledger.Open(context.Background(), ledger.Config{
		Store: s.store, Anchor: s.anchor, CheckpointSigner: s.signer, Now: s.clock, Limits: s.limits,
		Bootstrap: &tracev1.Bootstrap{Envelopes: append([]*tracev1.Envelope{s.made.Genesis}, s.boot...)},
	})
}

// mustOpen is open for ledgers that must open.
func (s *site) mustOpen() *ledger.Ledger {
	s.t.Helper()
	l, err := s.open()
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// refused tests that the ledger does not open, for a reason.
func (s *site) refused(want error) {
	s.t.Helper()
	l, err := s.open()
	if err == nil {
		l.Close()
	}
	if !errors.Is(err, want) {
		s.t.Errorf("open: %v, want %v", err, want)
	}
}

// instance is an open ledger whose writer runs.
type instance struct {
	*ledger.Ledger
	t     testing.TB
	disk  *storetest.Memory // nil for another store
	stop  context.CancelFunc
	ended chan error
}

// start opens the ledger and runs its writer. The caller closes the instance.
func (s *site) start() *instance {
	s.t.Helper()
	return s.run(s.mustOpen())
}

// run runs the writer of a ledger.
func (s *site) run(l *ledger.Ledger) *instance {
	ctx, stop := context.WithCancel(context.Background())
	i := &instance{Ledger: l, t: s.t, stop: stop, ended: make(chan error, 1)}
	i.disk, _ = s.store.(*storetest.Memory)
	go func() { i.ended <- i.Run(ctx) }()
	return i
}

// end stops the writer and returns its error.
func (i *instance) end() error {
	i.stop()
	err := <-i.ended
	i.Close()
	return err
}

// close stops the writer, which must not have failed. What it stores at the end,
// no hook holds up.
func (i *instance) close() {
	i.t.Helper()
	if i.disk != nil {
		i.disk.OnCommit(nil)
	}
	if err := i.end(); err != nil {
		i.t.Error(err)
	}
}

// check checks envelopes as their signers would have them checked.
func (i *instance) check(envs ...*tracev1.Envelope) []*ledger.Item {
	i.t.Helper()
	items := make([]*ledger.Item, len(envs))
	for n, env := range envs {
		p, err := verify.ParsePayload(env.GetPayload())
		if err != nil {
			i.t.Fatal(err)
		}
		if items[n], err = i.Check(env, p.Statement.GetSigner()); err != nil {
			i.t.Fatal(err)
		}
	}
	return items
}

// submit checks and submits envelopes as one group.
func (i *instance) submit(envs ...*tracev1.Envelope) []ledger.Result {
	i.t.Helper()
	results, err := i.Submit(context.Background(), i.check(envs...))
	if err != nil {
		i.t.Fatal(err)
	}
	return results
}

// record submits envelopes that must all be recorded.
func (i *instance) record(envs ...*tracev1.Envelope) []ledger.Result {
	i.t.Helper()
	results := i.submit(envs...)
	for n := range results {
		if results[n].Err != nil {
			i.t.Fatalf("statement %d: %v", n, results[n].Err)
		}
	}
	return results
}

// answer is what Submit returned.
type answer struct {
	results []ledger.Result
	err     error
}

// submitAsync submits envelopes as one group, and returns where the answer will
// be.
func (i *instance) submitAsync(ctx context.Context, envs ...*tracev1.Envelope) <-chan answer {
	i.t.Helper()
	items, answers := i.check(envs...), make(chan answer, 1)
	go func() {
		results, err := i.Submit(ctx, items)
		answers <- answer{results, err}
	}()
	return answers
}

// waiting tests that there is no answer yet.
func waiting(t testing.TB, answers ...<-chan answer) {
	t.Helper()
	for n, a := range answers {
		select {
		case got := <-a:
			t.Fatalf("group %d was answered: %+v", n, got)
		default:
		}
	}
}

// transactions returns n transactions of a seller under a few signatures. They
// have 1, 2, ... grams.
func transactions(l *verifytest.Ledger, seller string, n int) []*tracev1.Envelope {
	var envs []*tracev1.Envelope
	for len(envs) < n {
		var sts []*tracev1.Statement
		for range min(n-len(envs), verify.MaxBatch) {
			sts = append(sts, l.TransactionStatement(seller, uint64(len(envs)+len(sts)+1)))
		}
		envs = append(envs, l.SignBatch(verifytest.Key(seller), sts...)...)
	}
	return envs
}

// checkReceipt tests the receipt of a result, and where it says the statement is.
func (s *site) checkReceipt(l *ledger.Ledger, env *tracev1.Envelope, r *ledger.Result, index uint64) {
	s.t.Helper()
	receipt, err := l.Receipt(r)
	if err != nil {
		s.t.Fatal(err)
	}
	proven, err := s.made.Log.VerifyReceipt(env, receipt)
	if err != nil {
		s.t.Fatal(err)
	}
	if r.Index != index || proven.Entry.Index != index {
		s.t.Errorf("result at %d, receipt for %d, want %d", r.Index, proven.Entry.Index, index)
	}
}

// audit audits everything that the ledger serves, as an auditor would, and
// returns its records.
func (s *site) audit(l *ledger.Ledger) []ledger.Record {
	s.t.Helper()
	return s.auditOn(l, verify.NewAuditor(s.made.Log, true))
}

// auditOn is audit by an auditor who has read the log before, up to some size.
func (s *site) auditOn(l *ledger.Ledger, a *verify.Auditor) []ledger.Record {
	s.t.Helper()
	v := l.View()
	defer v.Close()
	cp, err := s.made.Log.OpenCheckpoint(v.Checkpoint().Note)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := a.Begin(cp); err != nil {
		s.t.Fatal(err)
	}
	var records []ledger.Record
	err = v.Records(context.Background(), 0, v.Size(), func(r ledger.Record) error {
		records = append(records, ledger.Record{Entry: r.Entry, Envelope: cloned(r.Envelope)})
		if r.Entry.Index < a.Size() {
			return nil
		}
		return a.Add(r.Entry.Bytes(), r.Envelope)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := a.Finish(cp); err != nil {
		s.t.Fatal(err)
	}
	return records
}

func cloned(env *tracev1.Envelope) *tracev1.Envelope {
	return &tracev1.Envelope{
		Payload:        append([]byte(nil), env.GetPayload()...),
		KeyId:          append([]byte(nil), env.GetKeyId()...),
		SignatureBlock: append([]byte(nil), env.GetSignatureBlock()...),
	}
}

// wantSize audits the ledger and tests how many entries it has.
func (s *site) wantSize(l *ledger.Ledger, size uint64) {
	s.t.Helper()
	if got := uint64(len(s.audit(l))); got != size {
		s.t.Fatalf("%d entries, want %d", got, size)
	}
}

// headSize returns the size in a stored head.
func headSize(head []byte) uint64 { return binary.BigEndian.Uint64(head[1:]) }
