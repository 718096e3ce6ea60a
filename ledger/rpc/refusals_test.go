package rpc_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// refusalCase is a statement that is refused, and what has to be mended so that
// the same statement id is accepted.
type refusalCase struct {
	name   string
	reason tracev1.RefusalReason
	fields []string // at fault
	limit  string   // that is exceeded

	// good returns a statement that would be accepted; nil: a sale of acme.
	good func(*world) *tracev1.Statement
	// spoil changes a copy of it; nil: the statement is the same.
	spoil func(*world, *tracev1.Statement)
	// sign returns the envelope of the spoilt statement; nil: it is signed by
	// its signer.
	sign func(*world, *tracev1.Statement) *tracev1.Envelope
	// peer submits it; empty: its signer.
	peer string
	// mend changes the world before the good statement is submitted.
	mend func(*world)
	// goodSign returns the envelope of the good statement, as sign does.
	goodSign func(*world, *tracev1.Statement) *tracev1.Envelope
	// recorded says that the good statement is on record already.
	recorded bool
}

// attempt is a case that is ready to be tried.
type attempt struct {
	refusalCase
	peer      string
	bad, good *tracev1.Envelope
}

func (c refusalCase) prepare(w *world) attempt {
	w.t.Helper()
	a := attempt{refusalCase: c, peer: c.peer}
	if c.good == nil {
		c.good = func(w *world) *tracev1.Statement { return w.sale("acme") }
	}
	st := c.good(w)
	bad := clone(st)
	if c.spoil != nil {
		c.spoil(w, bad)
	}
	sign := func(with func(*world, *tracev1.Statement) *tracev1.Envelope, st *tracev1.Statement) *tracev1.Envelope {
		if with == nil {
			return w.signed(st)
		}
		return with(w, st)
	}
	a.bad, a.good = sign(c.sign, bad), sign(c.goodSign, st)
	if a.peer == "" {
		a.peer = bad.GetSigner()
	}
	return a
}

// check compares a refusal with what the case wants.
func (a *attempt) check(t *testing.T, r *tracev1.Refusal) {
	t.Helper()
	var fields []string
	for _, v := range r.GetViolations() {
		fields = append(fields, v.GetField())
		if v.GetDescription() == "" {
			t.Errorf("nothing is said of %s", v.GetField())
		}
	}
	if r.GetReason() != a.reason || !slices.Equal(fields, a.fields) || r.GetLimit().GetName() != a.limit || r.GetMessage() == "" {
		t.Errorf("got %v, want %v, fields %q, limit %q", r, a.reason, a.fields, a.limit)
	}
	if (a.limit != "") != (r.GetLimit().GetValue() > 0) {
		t.Errorf("limit %v", r.GetLimit())
	}
}

// smallLimits are rule parameters that are quick to exceed.
func smallLimits(p *tracev1.RuleParameters) {
	p.MaxPayloadBytes, p.MaxTransactionLines, p.MaxBatchSize = 4<<10, 5, 4
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, withParameters(smallLimits))
	preparing(w)
	for _, c := range refusalCases() {
		t.Run(c.reason.String()[len("REFUSAL_REASON_"):]+"/"+c.name, func(t *testing.T) {
			tryRefusal(t, w, c.prepare(w))
		})
	}
}

// tryRefusal submits what must be refused, looks that nothing came of it, and
// submits what was mended.
func tryRefusal(t *testing.T, w *world, a attempt) {
	p := w.peer(a.peer)
	w.unchanged(func() {
		_, err := p.Submit(p.ctx, &ledgerv1.SubmitRequest{Envelope: a.bad})
		r := refusedBy(t, err)
		if want := "REFUSAL_REASON_" + r.reason; r.code != codeFor(a.reason) || want != a.reason.String() {
			t.Errorf("got %v %s, want %v %v", r.code, r.reason, codeFor(a.reason), a.reason)
		}
		if !slices.Equal(r.fields, a.fields) {
			t.Errorf("BadRequest names %q, want %q", r.fields, a.fields)
		}
		if a.check(t, r.refusal); status.Convert(err).Message() != r.refusal.GetMessage() {
			t.Errorf("status %q, refusal %q", err, r.refusal.GetMessage())
		}
		_, judged := p.Submit(p.ctx, &ledgerv1.SubmitRequest{Envelope: a.bad, ValidateOnly: true})
		if !bytes.Equal(statusBytes(judged), statusBytes(err)) {
			t.Errorf("validate_only says %v", judged)
		}
	})
	if a.mend != nil {
		a.mend(w)
	}
	tryMended(t, w, a)
}

// tryMended submits the good statement of a case, whose id was not used up.
func tryMended(t *testing.T, w *world, a attempt) {
	t.Helper()
	signer := w.peer(statementOf(t, a.good).GetSigner())
	req := &ledgerv1.SubmitRequest{Envelope: a.good, ValidateOnly: true}
	w.unchanged(func() {
		judged, err := signer.Submit(signer.ctx, req)
		if err != nil || judged.GetAlreadyRecorded() != a.recorded || (judged.GetReceipt() != nil) != a.recorded {
			t.Fatalf("mended, validate_only: %v, %v", judged, err)
		}
	})
	req.ValidateOnly = false
	resp, err := signer.Submit(signer.ctx, req)
	if err != nil || resp.GetAlreadyRecorded() != a.recorded {
		t.Fatalf("mended: %v, %v", resp, err)
	}
	w.prove(a.good, resp.GetReceipt())
}

// codeFor is the status code of each reason, as the interface promises it.
func codeFor(r tracev1.RefusalReason) codes.Code {
	for code, reasons := range map[codes.Code][]tracev1.RefusalReason{
		codes.PermissionDenied:   {12, 13, 14, 15, 16, 17},
		codes.AlreadyExists:      {18, 19, 20, 21, 27},
		codes.FailedPrecondition: {22, 23, 24, 25, 26},
		codes.ResourceExhausted:  {28},
		codes.Unavailable:        {29, 30},
	} {
		if slices.Contains(reasons, r) {
			return code
		}
	}
	return codes.InvalidArgument
}

// TestEveryReasonIsTested holds the tables against the enumeration.
func TestEveryReasonIsTested(t *testing.T) {
	tested := make(map[tracev1.RefusalReason]bool)
	for _, c := range refusalCases() {
		tested[c.reason] = true
	}
	for _, c := range serverCases {
		tested[c.reason] = true
	}
	for number, name := range tracev1.RefusalReason_name {
		switch r := tracev1.RefusalReason(number); r {
		case tracev1.RefusalReason_REFUSAL_REASON_UNSPECIFIED, tracev1.RefusalReason_REFUSAL_REASON_INTERNAL:
			if tested[r] {
				t.Errorf("%s is no answer to a statement", name)
			}
		default:
			if !tested[r] {
				t.Errorf("%s is not tested", name)
			}
		}
	}
}

// TestRefusalIsSmall: details travel in trailers, for which clients have as
// little as 8 KiB.
func TestRefusalIsSmall(t *testing.T) {
	w := newWorld(t)
	for name, edit := range map[string]func(*tracev1.Statement){
		"many faults": func(st *tracev1.Statement) {
			tx := st.GetTransaction()
			for range 999 {
				tx.Lines = append(tx.Lines, &tracev1.TransactionLine{LotNumber: "ä", HsCode: "1", PieceCount: 1 << 60, Coating: tracev1.Coating_COATING_OTHER})
			}
			st.Stated = &tracev1.Statement_Amendment{Amendment: &tracev1.Amendment{Target: []byte{1}, Replacement: tx}}
		},
		"a long signer": func(st *tracev1.Statement) { st.Signer = string(bytes.Repeat([]byte{1}, 200<<10)) },
	} {
		t.Run(name, func(t *testing.T) {
			st := w.sale("acme")
			edit(st)
			_, err := w.submit("acme", w.Sign(verifytest.Key("acme"), st))
			if n := len(statusBytes(err)); err == nil || n > 6<<10 {
				t.Errorf("refusal of %d bytes", n)
			}
		})
	}
}
