package rpc_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

type submitStream = grpc.BidiStreamingClient[ledgerv1.SubmitStreamRequest, ledgerv1.SubmitStreamResponse]

// send sends envelopes in one message, numbered from a sequence on.
func send(t testing.TB, s submitStream, from uint64, envs ...*tracev1.Envelope) {
	t.Helper()
	req := new(ledgerv1.SubmitStreamRequest)
	for i, env := range envs {
		req.Items = append(req.Items, &ledgerv1.SubmitItem{Sequence: from + uint64(i), Envelope: env})
	}
	if err := s.Send(req); err != nil {
		t.Fatal(err)
	}
}

// outcome is what a stream said of an item, with the checkpoint of its message.
type outcome struct {
	*ledgerv1.SubmitOutcome
	checkpoint []byte
}

// receipt returns the receipt of what was recorded.
func (o outcome) receipt() *tracev1.Receipt {
	r := o.GetRecorded()
	return &tracev1.Receipt{Entry: r.GetEntry(), InclusionPath: r.GetInclusionPath(), Checkpoint: o.checkpoint, SignerSpki: r.GetSignerSpki()}
}

// unrolled returns the outcomes of a message, those of its run with the rest.
func unrolled(m *ledgerv1.SubmitStreamResponse) []*ledgerv1.SubmitOutcome {
	all, run := slices.Clone(m.GetOutcomes()), m.GetRun()
	if run == nil {
		return all
	}
	common := verify.Run{Entries: run.GetEntries(), Proof: run.GetRangeProof(), SignerSPKI: run.GetSignerSpki()}
	for i, r := range verifytest.Receipts(&common, m.GetCheckpoint()) {
		all = append(all, &ledgerv1.SubmitOutcome{Sequence: run.GetSequences()[i], Outcome: &ledgerv1.SubmitOutcome_Recorded{
			Recorded: &ledgerv1.Recorded{Entry: r.GetEntry(), InclusionPath: r.GetInclusionPath(), SignerSpki: r.GetSignerSpki()},
		}})
	}
	return all
}

// outcomes receives until there is one outcome for each of n items; two for one
// item are an error.
func outcomes(t testing.TB, s submitStream, n int) map[uint64]outcome {
	t.Helper()
	got := make(map[uint64]outcome)
	for len(got) < n {
		m, err := s.Recv()
		if err != nil {
			t.Fatalf("after %d of %d outcomes: %v", len(got), n, err)
		}
		for _, o := range unrolled(m) {
			if _, twice := got[o.GetSequence()]; twice {
				t.Errorf("two outcomes for item %d", o.GetSequence())
			}
			got[o.GetSequence()] = outcome{o, m.GetCheckpoint()}
		}
	}
	return got
}

// finish ends a stream, which must have nothing more to say.
func finish(t testing.TB, s submitStream) {
	t.Helper()
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if m, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v, %v", m, err)
	}
}

// TestStreamRefusals sends every case through one stream of its peer, among
// statements that are accepted, then what was mended.
func TestStreamRefusals(t *testing.T) {
	w := newWorld(t, withParameters(smallLimits))
	preparing(w)
	attempts := make(map[string][]attempt)
	for _, c := range refusalCases() {
		switch c.name {
		case "suspended before", "not suspended": // these two are of one participant in turn
			continue
		}
		a := c.prepare(w)
		attempts[a.peer] = append(attempts[a.peer], a)
	}
	for peer, as := range attempts {
		t.Run(peer, func(t *testing.T) { streamAttempts(t, w, peer, as) })
	}
}

func streamAttempts(t *testing.T, w *world, peer string, as []attempt) {
	s := w.peer(peer).stream()
	var envs []*tracev1.Envelope
	for _, a := range as {
		envs = append(envs, a.bad)
	}
	w.unchanged(func() {
		send(t, s, 0, envs...)
		for seq, o := range outcomes(t, s, len(envs)) {
			t.Run(as[seq].reason.String()+"/"+as[seq].name, func(t *testing.T) { as[seq].check(t, o.GetRefusal()) })
		}
	})
	finish(t, s)
	for _, a := range as {
		if a.mend != nil {
			a.mend(w)
		}
		mended := w.peer(statementOf(t, a.good).GetSigner()).stream()
		send(t, mended, 7, a.good)
		o := outcomes(t, mended, 1)[7]
		if o.GetRefusal() != nil || o.GetRecorded().GetAlreadyRecorded() != a.recorded {
			t.Fatalf("%s: mended: %v", a.name, o)
		}
		w.prove(a.good, o.receipt())
		finish(t, mended)
	}
}

// TestStreamGoesOn mixes what is accepted with what is not even an envelope.
func TestStreamGoesOn(t *testing.T) {
	w := newWorld(t)
	broken := []func(*tracev1.Envelope) *tracev1.Envelope{
		func(*tracev1.Envelope) *tracev1.Envelope { return nil },
		func(*tracev1.Envelope) *tracev1.Envelope { return new(tracev1.Envelope) },
		func(e *tracev1.Envelope) *tracev1.Envelope { e.Payload = []byte{0xff}; return e },
		func(e *tracev1.Envelope) *tracev1.Envelope { e.KeyId = e.GetKeyId()[1:]; return e },
		func(e *tracev1.Envelope) *tracev1.Envelope { e.SignatureBlock = e.GetSignatureBlock()[:3]; return e },
		func(e *tracev1.Envelope) *tracev1.Envelope { e.SignatureBlock = make([]byte, 500); return e },
	}
	var envs []*tracev1.Envelope
	for _, spoil := range broken {
		envs = append(envs, spoil(w.signed(w.sale("acme"))), w.signed(w.sale("acme")))
	}
	s := w.peer("acme").stream()
	for round := range uint64(3) {
		send(t, s, round*100, envs...)
		for seq, o := range outcomes(t, s, len(envs)) {
			switch {
			case seq%2 == 0 && o.GetRefusal().GetReason() != reason("MALFORMED"):
				t.Errorf("item %d: %v", seq, o)
			case seq%2 == 1 && (o.GetRecorded() == nil || o.GetRecorded().GetAlreadyRecorded() != (round > 0)):
				t.Errorf("item %d: %v", seq, o)
			case seq%2 == 1:
				w.prove(envs[seq-round*100], o.receipt())
			}
		}
	}
	finish(t, s)
}

// TestStreamOfLongSigners: what a client may send, it can be answered.
func TestStreamOfLongSigners(t *testing.T) {
	w := newWorld(t)
	st := w.sale("acme")
	st.Signer = string(slices.Repeat([]byte{1}, 250<<10))
	env := w.signedBytes("acme", w.bytesOf(st))
	s := w.peer("acme").stream()
	send(t, s, 0, slices.Repeat([]*tracev1.Envelope{env}, 16)...)
	for _, o := range outcomes(t, s, 16) {
		if o.GetRefusal().GetReason() != reason("PEER_NOT_SIGNER") {
			t.Errorf("got %v", o)
		}
	}
	finish(t, s)
}

// serverCases are the reasons that say nothing about a statement.
var serverCases = []struct {
	reason  tracev1.RefusalReason
	limits  ledger.Limits
	provoke func(t *testing.T, w *world) (release func())
	retry   time.Duration
	recover func(*world)
}{
	{reason("QUEUE_FULL"), ledger.Limits{QueueStatements: 1}, fillQueue, 200 * time.Millisecond, nil},
	{reason("QUEUE_FULL"), ledger.Limits{QueueBytes: 100}, fillQueue, 200 * time.Millisecond, nil},
	{reason("UNAVAILABLE"), ledger.Limits{}, stopWriter, 0, (*world).restart},
	{reason("UNAVAILABLE"), ledger.Limits{}, setClockBack, 0, nil},
	{reason("OUTCOME_UNKNOWN"), ledger.Limits{}, loseCommit, 0, (*world).restart},
}

// holdCommits has the store take its time until released. It tells when the next
// commit waits.
func holdCommits(w *world) (waits <-chan struct{}, release func()) {
	waiting, let := make(chan struct{}, 1), make(chan struct{})
	w.memory.OnCommit(func(int) storetest.Fault {
		select {
		case waiting <- struct{}{}:
		default:
		}
		<-let
		return storetest.None
	})
	return waiting, func() {
		w.memory.OnCommit(nil)
		close(let)
	}
}

// fillQueue has a statement wait in the store.
func fillQueue(t *testing.T, w *world) func() {
	waits, release := holdCommits(w)
	first, env := make(chan error, 1), w.signed(w.sale("bolt"))
	bolt := w.peer("bolt")
	go func() {
		_, err := bolt.Submit(bolt.ctx, &ledgerv1.SubmitRequest{Envelope: env})
		first <- err
	}()
	<-waits
	return func() {
		release()
		if err := <-first; err != nil {
			t.Errorf("the statement that filled the queue: %v", err)
		}
	}
}

func stopWriter(_ *testing.T, w *world) func() {
	w.stopWriting()
	<-w.ledger.Stopped()
	return func() {}
}

func setClockBack(_ *testing.T, w *world) func() {
	w.late.Store(int64(time.Minute))
	return func() { w.late.Store(0) }
}

// loseCommit has the store fail in the next commit.
func loseCommit(_ *testing.T, w *world) func() {
	w.memory.OnCommit(func(int) storetest.Fault { return storetest.Lost })
	w.writerFails = true
	return func() {}
}

func TestServerRefuses(t *testing.T) {
	for _, c := range serverCases {
		for _, streamed := range []bool{false, true} {
			t.Run(c.reason.String(), func(t *testing.T) {
				w := newWorld(t, withLedgerLimits(c.limits))
				env, shape := w.signed(w.sale("acme")), w.checkpoint()
				release := c.provoke(t, w)
				if streamed {
					refusedInStream(t, w, env, c.reason)
				} else {
					refusedUnary(t, w, env, c.reason, c.retry)
				}
				release()
				if c.recover != nil {
					c.recover(w)
				}
				if after := w.checkpoint(); after.Size > shape.Size+1 {
					t.Errorf("the log has %d entries", after.Size)
				}
				w.record(env)
			})
		}
	}
}

func refusedUnary(t *testing.T, w *world, env *tracev1.Envelope, want tracev1.RefusalReason, retry time.Duration) {
	t.Helper()
	_, err := w.submit("acme", env)
	r := refusedBy(t, err)
	if r.code != codeFor(want) || r.refusal.GetReason() != want || r.retry != retry {
		t.Errorf("got %+v", r)
	}
}

func refusedInStream(t *testing.T, w *world, env *tracev1.Envelope, want tracev1.RefusalReason) {
	t.Helper()
	s := w.peer("acme").stream()
	send(t, s, 0, env, env)
	for _, o := range outcomes(t, s, 2) {
		if got := o.GetRefusal().GetReason(); got != want {
			t.Errorf("got %v", o)
		}
	}
	finish(t, s)
}

// TestStoppedIsNotFull: a writer that stopped refuses for ever, and never says
// that there will be room.
func TestStoppedIsNotFull(t *testing.T) {
	w := newWorld(t, withLedgerLimits(ledger.Limits{QueueStatements: 4}))
	env := w.signed(w.sale("acme"))
	stopWriter(t, w)
	for range 40 {
		refusedUnary(t, w, env, reason("UNAVAILABLE"), 0)
	}
	w.restart()
	w.record(env)
}

// TestCallerLeaves: a statement whose caller went away is recorded or not, and
// the same bytes tell which.
func TestCallerLeaves(t *testing.T) {
	w := newWorld(t)
	env := w.signed(w.sale("acme"))
	release := fillQueue(t, w)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := w.peer("acme").Submit(ctx, &ledgerv1.SubmitRequest{Envelope: env})
	codeIs(t, err, 4)
	release()
	resp, err := w.submit("acme", env)
	if err != nil {
		t.Fatal(err)
	}
	w.prove(env, resp.GetReceipt())
}
