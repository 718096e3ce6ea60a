package rpc_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// TestRetryReturnsOriginal sends the same payload again after everything that
// may have happened since, one thing after the other.
func TestRetryReturnsOriginal(t *testing.T) {
	w := newWorld(t)
	st := w.sale("acme", to("shop"))
	env := w.signed(st)
	second := verifytest.P256Key("acme")
	w.record(w.RegisterKey("acme", second))
	entry := w.record(env)
	amendment := w.signed(w.amendment("acme", hashOf(env)))
	for _, step := range []struct {
		name    string
		happens func()
	}{
		{"at once", func() {}},
		{"after others", func() { w.record(w.signed(w.sale("acme")), w.signed(w.sale("bolt"))) }},
		{"after a restart", w.restart},
		{"after an amendment", func() { w.record(amendment) }},
		{"after a void", func() { w.record(w.signed(w.void("acme", hashOf(amendment)))) }},
		{"after a change of roles", func() { w.record(w.signed(w.newRoles("acme", tracev1.Role_ROLE_CUSTOMER))) }},
		{"after suspension", func() { w.record(w.signed(w.suspension("acme"))) }},
		{"after revocation", func() { w.record(w.signed(w.revocation(keyID("acme")))) }},
		{"after another restart", w.restart},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.happens()
			w.unchanged(func() {
				again(t, w, env, env, entry)
				again(t, w, env, w.SignBatch(verifytest.Key("acme"), st, w.sale("acme"))[0], entry)
				again(t, w, env, w.Sign(second, st), entry)
			})
		})
	}
}

// again submits an envelope whose payload is on record, in every way, and
// verifies what comes back against the recorded envelope.
func again(t *testing.T, w *world, recorded, env *tracev1.Envelope, want verify.Entry) {
	t.Helper()
	p := w.peer("acme")
	for _, validateOnly := range []bool{true, false} {
		resp, err := p.Submit(p.ctx, &ledgerv1.SubmitRequest{Envelope: env, ValidateOnly: validateOnly})
		if err != nil || !resp.GetAlreadyRecorded() {
			t.Fatalf("got %v, %v", resp, err)
		}
		if got := w.prove(recorded, resp.GetReceipt()); got != want {
			t.Errorf("got entry %+v, want %+v", got, want)
		}
		sameRecorded(t, resp.GetRecordedEnvelope(), env, recorded)
	}
	s := p.stream()
	send(t, s, 1, env, env)
	for _, o := range outcomes(t, s, 2) {
		if !o.GetRecorded().GetAlreadyRecorded() {
			t.Fatalf("got %v", o)
		}
		if got := w.prove(recorded, o.receipt()); got != want {
			t.Errorf("got entry %+v, want %+v", got, want)
		}
		sameRecorded(t, o.GetRecorded().GetRecordedEnvelope(), env, recorded)
	}
	finish(t, s)
	found, err := p.GetStatement(p.ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: want.Index}})
	if err != nil || !bytes.Equal(found.GetStatement().GetEnvelope().GetSignatureBlock(), recorded.GetSignatureBlock()) {
		t.Errorf("the recorded signature block is not kept: %v, %v", found, err)
	}
}

// sameRecorded: the envelope on record comes back if it is not the one that was
// sent.
func sameRecorded(t *testing.T, got, sent, recorded *tracev1.Envelope) {
	t.Helper()
	if proto.Equal(sent, recorded) {
		recorded = nil
	}
	if !proto.Equal(got, recorded) {
		t.Errorf("recorded envelope %v, want %v", got, recorded)
	}
}

// TestSignedAgain sends as much as a message holds, signed again: what comes
// back is larger than what was sent, and goes over several messages.
func TestSignedAgain(t *testing.T) {
	const most = 5 << 18
	w := newWorld(t, withLimits(rpc.Limits{MessageBytes: most}))
	long := func(tx *tracev1.Transaction) {
		line := tx.GetLines()[0]
		line.Composition, line.Coating, line.CoatingOther = nil, tracev1.Coating_COATING_OTHER, strings.Repeat("c", 64)
		tx.Lines = slices.Repeat(tx.GetLines(), 66)
	}
	sts := w.sales("acme", 200, long)
	again := w.SignBatch(verifytest.P256Key("acme"), sts...)
	n, size := 0, 0
	for ; n < len(again) && size < most; n++ {
		size += proto.Size(again[n]) + 16
	}
	sts, again = sts[:n-1], again[:n-1]
	recorded := w.recordAll("acme", sts)
	w.record(w.RegisterKey("acme", verifytest.P256Key("acme")))
	s := w.peer("acme").stream()
	send(t, s, 0, again...)
	for i, o := range outcomes(t, s, len(again)) {
		w.prove(recorded[i], o.receipt())
		sameRecorded(t, o.GetRecorded().GetRecordedEnvelope(), again[i], recorded[i])
	}
	finish(t, s)
}

// TestSameStatementAtOnce: however many send a statement at the same time, alone
// or in streams, it has one entry.
func TestSameStatementAtOnce(t *testing.T) {
	w := newWorld(t)
	st := w.sale("acme")
	envs := []*tracev1.Envelope{w.signed(st), w.SignBatch(verifytest.Key("acme"), w.sale("acme"), st)[1]}
	before := w.checkpoint().Size
	p := w.peer("acme")
	var streams []submitStream
	for range 16 {
		streams = append(streams, p.stream())
	}
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			if _, err := p.Submit(p.ctx, &ledgerv1.SubmitRequest{Envelope: envs[n%2]}); err != nil {
				t.Error(err)
			}
		})
		send(t, streams[n], 0, envs[0], envs[1])
	}
	for _, s := range streams {
		got := outcomes(t, s, 2)
		if !bytes.Equal(got[0].GetRecorded().GetEntry(), got[1].GetRecorded().GetEntry()) || got[0].GetRefusal() != nil {
			t.Errorf("got %v and %v", got[0], got[1])
		}
		finish(t, s)
	}
	wg.Wait()
	if after := w.checkpoint().Size; after != before+1 {
		t.Errorf("the log grew from %d to %d", before, after)
	}
}

// TestSameIDOfOthers: a statement id is one of its signer alone.
func TestSameIDOfOthers(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.sale("acme"), w.sale("bolt")
	theirs.StatementId = mine.GetStatementId()
	w.record(w.signed(mine), w.signed(theirs))
}

// TestJudgeTellsNothingOfTheFuture: what validate_only accepted leaves no trace,
// also not for the statement that is judged next.
func TestJudgeTellsNothingOfTheFuture(t *testing.T) {
	w := newWorld(t)
	first := w.signed(w.sale("acme"))
	p := w.peer("acme")
	w.unchanged(func() {
		for range 2 {
			resp, err := p.Submit(p.ctx, &ledgerv1.SubmitRequest{Envelope: first, ValidateOnly: true})
			if err != nil || resp.GetReceipt() != nil || resp.GetAlreadyRecorded() {
				t.Fatalf("got %v, %v", resp, err)
			}
		}
		_, err := p.Submit(p.ctx, &ledgerv1.SubmitRequest{Envelope: w.signed(w.void("acme", hashOf(first))), ValidateOnly: true})
		if r := refusedBy(t, err); r.refusal.GetReason() != reason("TARGET_UNKNOWN") {
			t.Errorf("got %+v", r)
		}
	})
	w.record(first)
}
