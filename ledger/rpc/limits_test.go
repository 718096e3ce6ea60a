package rpc_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// TestRequestsNameTheirFault: what a request must look like is judged before
// anything is looked up, and the field at fault is named.
func TestRequestsNameTheirFault(t *testing.T) {
	w := newWorld(t)
	p := w.peer("acme")
	env := func(edit func(*tracev1.Envelope)) *ledgerv1.SubmitRequest {
		e := w.signed(w.sale("acme"))
		edit(e)
		return &ledgerv1.SubmitRequest{Envelope: e}
	}
	statement := func(r *ledgerv1.GetStatementRequest) func() error {
		return func() error { _, err := p.GetStatement(p.ctx, r); return err }
	}
	submit := func(r *ledgerv1.SubmitRequest) func() error {
		return func() error { _, err := p.Submit(p.ctx, r); return err }
	}
	list := func(r *ledgerv1.ListStatementsRequest) func() error {
		return func() error { _, err := p.ListStatements(p.ctx, r); return err }
	}
	key := func(signer string, id []byte) *ledgerv1.GetStatementRequest {
		return &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Key{Key: &ledgerv1.StatementKey{Signer: signer, StatementId: id}}}
	}
	w.unchanged(func() {
		for field, call := range map[string]func() error{
			"envelope":                 submit(new(ledgerv1.SubmitRequest)),
			"envelope.payload":         submit(env(func(e *tracev1.Envelope) { e.Payload = nil })),
			"envelope.key_id":          submit(env(func(e *tracev1.Envelope) { e.KeyId = e.GetKeyId()[1:] })),
			"envelope.signature_block": submit(env(func(e *tracev1.Envelope) { e.SignatureBlock = make([]byte, 469) })),
			"by":                       statement(new(ledgerv1.GetStatementRequest)),
			"statement_hash":           statement(&ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_StatementHash{StatementHash: make([]byte, 31)}}),
			"key.signer":               statement(key("Acme", make([]byte, 16))),
			"key.statement_id":         statement(key("acme", make([]byte, 15))),
			"view":                     list(&ledgerv1.ListStatementsRequest{View: 7}),
			"page_size":                list(&ledgerv1.ListStatementsRequest{PageSize: -1}),
			"page_token":               list(&ledgerv1.ListStatementsRequest{PageToken: strings.Repeat("A", 5000)}),
			"states[0]":                list(&ledgerv1.ListStatementsRequest{States: []ledgerv1.StatementState{9}}),
			"filter.kinds[1]":          list(&ledgerv1.ListStatementsRequest{Filter: &ledgerv1.TransactionFilter{Kinds: []tracev1.TransactionKind{1, 99}}}),
			"filter.sellers[0]":        list(&ledgerv1.ListStatementsRequest{Filter: &ledgerv1.TransactionFilter{Sellers: []string{"A B"}}}),
			"filter.end_uses[0]":       list(&ledgerv1.ListStatementsRequest{Filter: &ledgerv1.TransactionFilter{EndUses: []tracev1.EndUse{-1}}}),
			"period.first_day":         list(&ledgerv1.ListStatementsRequest{Period: &ledgerv1.Period{LastDay: "2026-01-01"}}),
			"participant_id": func() error {
				_, err := p.GetParticipant(p.ctx, &ledgerv1.GetParticipantRequest{ParticipantId: "-"})
				return err
			},
			"from_size": func() error {
				_, err := p.GetConsistencyProof(p.ctx, &ledgerv1.GetConsistencyProofRequest{ToSize: 3})
				return err
			},
			"view ": func() error { _, err := p.tryRead(&ledgerv1.ReadEntriesRequest{View: 3}); return err },
		} {
			err := call()
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), strings.TrimSpace(field)) {
				t.Errorf("%s: got %v", field, err)
			}
		}
	})
}

// TestUnknownFieldsOfRequests: a newer client may ask with fields that this
// server does not know.
func TestUnknownFieldsOfRequests(t *testing.T) {
	w := newWorld(t)
	w.recordAll("acme", w.sales("acme", 5))
	p := w.peer("acme")
	unknown := protowire.AppendString(protowire.AppendTag(nil, 5000, protowire.BytesType), "from a newer client")
	newer := func(m proto.Message) { m.ProtoReflect().SetUnknown(unknown) }

	list := &ledgerv1.ListStatementsRequest{PageSize: 2}
	newer(list)
	if all, _ := p.pages(list, func() {}); len(all) != 5 {
		t.Errorf("%d statements", len(all))
	}
	submit := &ledgerv1.SubmitRequest{Envelope: w.signed(w.sale("acme"))}
	newer(submit)
	newer(submit.GetEnvelope())
	if _, err := p.Submit(p.ctx, submit); err != nil {
		t.Error(err)
	}
}

// TestMessageLimit: a message beyond the limit is refused, and ends a stream.
func TestMessageLimit(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{MessageBytes: 32 << 10}))
	large := w.signed(w.sale("acme", func(tx *tracev1.Transaction) { tx.Lines = slices.Repeat(tx.GetLines(), 1000) }))
	env := w.signed(w.sale("acme"))
	w.unchanged(func() {
		_, err := w.submit("acme", large)
		codeIs(t, err, codes.ResourceExhausted)
	})
	s := w.peer("acme").stream()
	send(t, s, 1, env)
	if o := outcomes(t, s, 1)[1]; o.GetRecorded() == nil {
		t.Errorf("got %v", o)
	}
	send(t, s, 2, large)
	_, err := s.Recv()
	codeIs(t, err, codes.ResourceExhausted)
}

// TestItemLimit: as many items as the schema allows are taken, one more ends the
// stream, and what was sent before is answered.
func TestItemLimit(t *testing.T) {
	w := newWorld(t)
	nothing := new(tracev1.Envelope)
	s := w.peer("acme").stream()
	send(t, s, 0, slices.Repeat([]*tracev1.Envelope{nothing}, rpc.MaxItems)...)
	outcomes(t, s, rpc.MaxItems)
	send(t, s, 5000, w.own("acme"))
	send(t, s, 6000, slices.Repeat([]*tracev1.Envelope{nothing}, rpc.MaxItems+1)...)
	outcomes(t, s, 1)
	_, err := s.Recv()
	codeIs(t, err, codes.InvalidArgument)
}

// TestRoomInFlight: a stream with little room takes its messages one after the
// other, also those that are larger than the room.
func TestRoomInFlight(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{StreamInFlight: 3}))
	var envs []*tracev1.Envelope
	for _, st := range w.sales("acme", 40) {
		envs = append(envs, w.signed(st))
	}
	s := w.peer("acme").stream()
	n := uint64(0)
	for chunk := range slices.Chunk(envs, 5) {
		send(t, s, n, chunk[:2]...)
		send(t, s, n+2, chunk[2:]...)
		n += 5
	}
	send(t, s, 100, envs...)
	for seq, o := range outcomes(t, s, 80) {
		if o.GetRecorded().GetAlreadyRecorded() != (seq >= 100) {
			t.Errorf("item %d: %v", seq, o)
		}
	}
	finish(t, s)
}

// TestCallTimeout: the server's own deadline ends calls that wait, and calls
// whose request never comes.
func TestCallTimeout(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{CallTimeout: time.Second}))
	env := w.signed(w.sale("acme"))
	_, release := holdCommits(w)
	p := w.peer("acme")
	silent, err := p.conn.NewStream(p.ctx, &grpc.StreamDesc{ClientStreams: true}, ledgerv1.SubmissionService_Submit_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.submit("acme", env)
	if codeIs(t, err, codes.DeadlineExceeded); !strings.Contains(status.Convert(err).Message(), "send the same bytes again") {
		t.Errorf("got %v", err)
	}
	codeIs(t, silent.RecvMsg(new(ledgerv1.SubmitResponse)), codes.DeadlineExceeded)
	release()
	if _, err := w.submit("acme", env); err != nil {
		t.Error(err)
	}
}
