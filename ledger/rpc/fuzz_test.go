package rpc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// outside is the test that a world belongs to which outlives the calls of a fuzz
// target: there, a testing.F can do next to nothing.
type outside struct {
	testing.TB
	fuzzing bool
}

func (o *outside) Helper() {}

func (o *outside) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (o *outside) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Cleanup drops what is registered while fuzzing: contexts, which time out.
func (o *outside) Cleanup(fn func()) {
	if !o.fuzzing {
		o.TB.Cleanup(fn)
	}
}

// mutate applies edits, each an operation, a place and a value.
func mutate(b, edits []byte) []byte {
	b = slices.Clone(b)
	for ; len(edits) >= 3; edits = edits[3:] {
		op, value := edits[0], edits[2]
		at := int(edits[1])
		if op&0x80 != 0 {
			at = len(b) - 1 - at // from the end
		}
		if at < 0 || at >= len(b) {
			continue
		}
		switch op & 0x7f % 6 {
		case 0:
			b[at] = value
		case 1:
			b[at] ^= 1 << (value % 8)
		case 2:
			b = slices.Insert(b, at, value)
		case 3:
			b = slices.Delete(b, at, min(len(b), at+1+int(value)))
		case 4: // again what stands there
			b = append(b, b[at:min(len(b), at+1+int(value))]...)
		case 5:
			b = b[:at]
		}
	}
	return b
}

// bases returns statements of every sort that are sound and not on record.
func bases(w *world, live []byte) []*tracev1.Statement {
	st := []*tracev1.Statement{
		w.sale("acme"), w.sale("acme", to("shop")), w.sale("bolt", toIdentifier), w.amendment("acme", live), w.void("acme", live),
		w.admission(fmt.Sprintf("new-%d", w.checkpoint().Size), tracev1.Role_ROLE_TRADER), w.suspension("idle"), w.reinstatement("idle"),
		w.newRoles("idle", tracev1.Role_ROLE_MINER), w.right("auditor", "acme", "bolt"), w.right("auditor"), w.revocation(keyID("idle")),
	}
	return append(st, clone(w.GenesisStatement()))
}

// requests returns a sound request of every method that takes one.
func requests(w *world) []question {
	all := w.questions([]object{{env: w.boot[1], listed: true}})
	key := &ledgerv1.StatementKey{Signer: "acme", StatementId: slices.Repeat([]byte{1}, 16)}
	return append(all,
		question{"acme", ledgerv1.AuditService_GetReceipt_FullMethodName, &ledgerv1.GetReceiptRequest{By: &ledgerv1.GetReceiptRequest_Key{Key: key}}},
		question{"acme", ledgerv1.QueryService_QueryVolumes_FullMethodName, &ledgerv1.QueryVolumesRequest{
			Period:  &ledgerv1.Period{FirstDay: "2026-05-31", LastDay: "2026-06-01"},
			Filter:  &ledgerv1.TransactionFilter{Sellers: []string{"acme"}, HsCodes: []string{"850511"}, DestinationCountries: []string{""}},
			GroupBy: []dimension{1, 4, 7}, Limit: 3,
		}},
		question{"acme", ledgerv1.SubmissionService_SubmitStream_FullMethodName, &ledgerv1.SubmitStreamRequest{Items: []*ledgerv1.SubmitItem{{Sequence: 1, Envelope: w.own("acme")}}}},
		question{"acme", ledgerv1.SubmissionService_Submit_FullMethodName, &ledgerv1.SubmitRequest{Envelope: w.own("acme")}},
	)
}

// answers are the codes that a request may end with, sound or not.
var answers = []codes.Code{
	codes.OK, codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.AlreadyExists, codes.FailedPrecondition, codes.OutOfRange,
}

// FuzzRequests changes requests, and the bytes of statements before they are
// signed, and sends them to a server. It never meets an internal error, and the
// log grows by what is recorded and nothing else.
func FuzzRequests(f *testing.F) {
	for which := range byte(32) {
		f.Add(which, which%2 == 0, []byte{which, which * 7, 0x41, 0x81, which, 3})
	}
	f.Add(byte(0), true, []byte{})
	f.Add(byte(17), false, []byte{})
	f.Add(byte(4), true, []byte{0x80, 60, 0xff, 2, 3, 9})
	f.Add(byte(6), false, []byte{5, 0, 0})
	tb := &outside{TB: f}
	w := newWorld(tb)
	live := w.signed(w.sale("acme"))
	w.record(append(w.Register("idle", tracev1.Role_ROLE_MINER), live)...)
	asked := requests(w)
	for _, peer := range []string{"acme", "bolt", "shop", "late", "auditor-acme", "regulator", "authority", "root"} {
		w.peer(peer)
	}
	tb.fuzzing = true
	f.Cleanup(func() { tb.fuzzing = false })
	f.Fuzz(func(t *testing.T, which byte, statement bool, edits []byte) {
		q := asked[int(which)%len(asked)]
		b, err := proto.Marshal(q.req)
		if err != nil {
			t.Fatal(err)
		}
		b = mutate(b, edits)
		if statement {
			sts := bases(w, hashOf(live))
			st := sts[int(which)%len(sts)]
			env := w.signedBytes(st.GetSigner(), mutate(w.bytesOf(st), edits))
			q = question{st.GetSigner(), ledgerv1.SubmissionService_Submit_FullMethodName, nil}
			if b, err = proto.Marshal(&ledgerv1.SubmitRequest{Envelope: env}); err != nil {
				t.Fatal(err)
			}
		}
		askAnything(t, w, q, b)
	})
}

// askAnything sends bytes as a request and judges what comes of it.
func askAnything(t *testing.T, w *world, q question, b []byte) {
	req := new(emptypb.Empty)
	req.ProtoReflect().SetUnknown(b)
	w.logs.reset()
	before := w.checkpoint()
	x := w.peer(q.peer).ask(q.method, req)
	after := w.checkpoint()
	st := new(spb.Status)
	if err := proto.Unmarshal(x.status, st); err != nil {
		t.Fatal(err)
	}
	code := codes.Code(st.GetCode())
	unreadable := code == codes.Internal && strings.HasPrefix(st.GetMessage(), "grpc: ")
	if !slices.Contains(answers, code) && !unreadable || strings.Contains(w.logs.String(), "msg=panic") {
		t.Errorf("%s: %v\n%s", q.method, st, w.logs)
	}
	if grew := after.Size - before.Size; grew > 1 || grew == 1 && (code != codes.OK || !strings.Contains(q.method, "/Submit")) {
		t.Errorf("%s: %v, and the log grew by %d", q.method, st, grew)
	}
}
