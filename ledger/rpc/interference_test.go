package rpc_test

import (
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

var interferenceSeed = flag.Uint64("interference", rand.Uint64(), "the seed of TestNonInterference")

// TestNonInterference: whatever one participant does, another one is answered
// the same, but for where and when something stands on the log: every message,
// error, header and trailer, and so every size.
func TestNonInterference(t *testing.T) {
	t.Logf("seed %d", *interferenceSeed)
	quiet, busy := transcript(t, false), transcript(t, true)
	if len(quiet) != len(busy) {
		t.Fatalf("%d answers, and %d beside the other one", len(quiet), len(busy))
	}
	for i := range quiet {
		if quiet[i] != busy[i] {
			t.Errorf("answer %d is %.2000s\nbeside the other one it is %.2000s", i, quiet[i], busy[i])
		}
	}
}

// transcript returns what bolt is told, alone or with acme at work.
func transcript(t *testing.T, beside bool) []string {
	w := newWorld(t, withLedgerLimits(ledger.Limits{QueueStatements: 64}), withLimits(rpc.Limits{
		CallsPerParticipant: 40, ReadsPerParticipant: 20, ConnectionsPerParticipant: 8, MessageBytes: 64 << 10,
	}))
	rng := rand.New(rand.NewPCG(*interferenceSeed, 0))
	asks := w.questionsOf("bolt", rng, 120)
	if beside {
		defer w.attack("acme", asks)()
	}
	var told []string
	p := w.peer("bolt")
	for _, a := range asks {
		if a.stream == nil {
			told = append(told, masked(t, a.method, p.ask(a.method, a.req)))
			continue
		}
		s := p.stream()
		send(t, s, 0, a.stream...)
		got := outcomes(t, s, len(a.stream))
		finish(t, s)
		for seq := range uint64(len(a.stream)) {
			told = append(told, maskedMessage(got[seq].SubmitOutcome))
		}
	}
	return told
}

// asked is a question, or a stream of statements.
type asked struct {
	method string
	req    proto.Message
	stream []*tracev1.Envelope
}

// questionsOf returns what a participant will do. The requests are the same in
// every world.
func (w *world) questionsOf(id string, rng *rand.Rand, n int) []asked {
	var own []*tracev1.Envelope
	statement := func() *tracev1.Envelope {
		var st *tracev1.Statement
		switch {
		case len(own) > 3 && rng.IntN(4) == 0:
			st = w.amendment(id, hashOf(own[rng.IntN(len(own))]))
		case len(own) > 3 && rng.IntN(8) == 0:
			st = w.void(id, hashOf(own[rng.IntN(len(own))]))
		default:
			st = w.sale(id, func(tx *tracev1.Transaction) { tx.Lines[0].NetMassGrams += uint64(rng.IntN(1000)) })
		}
		env := w.signed(st)
		switch rng.IntN(8) {
		case 0:
			if len(own) > 0 {
				return own[rng.IntN(len(own))] // again
			}
		case 1:
			env.Payload = mutate(env.GetPayload(), []byte{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())})
		case 2:
			st.Salt = slices.Repeat([]byte{7}, 16)
			own = append(own, env)
			return w.signed(st) // the same id with other content
		}
		own = append(own, env)
		return env
	}
	var all []asked
	for range n {
		all = append(all, w.questionOf(id, rng, statement))
	}
	return all
}

func (w *world) questionOf(id string, rng *rand.Rand, statement func() *tracev1.Envelope) asked {
	switch rng.IntN(12) {
	case 0, 1, 2:
		return asked{method: ledgerv1.SubmissionService_Submit_FullMethodName, req: &ledgerv1.SubmitRequest{Envelope: statement(), ValidateOnly: rng.IntN(4) == 0}}
	case 3:
		var envs []*tracev1.Envelope
		for range 1 + rng.IntN(10) {
			envs = append(envs, statement())
		}
		return asked{stream: envs}
	case 4:
		return asked{method: ledgerv1.QueryService_GetStatement_FullMethodName, req: &ledgerv1.GetStatementRequest{
			By: &ledgerv1.GetStatementRequest_StatementHash{StatementHash: hashOf(statement())}}}
	case 5:
		st := new(tracev1.Statement)
		if p, err := verify.ParsePayload(statement().GetPayload()); err == nil {
			st = p.Statement
		}
		key := &ledgerv1.StatementKey{Signer: []string{id, "acme"}[rng.IntN(2)], StatementId: st.GetStatementId()}
		return asked{method: ledgerv1.AuditService_GetReceipt_FullMethodName, req: &ledgerv1.GetReceiptRequest{By: &ledgerv1.GetReceiptRequest_Key{Key: key}}}
	case 6:
		return asked{method: ledgerv1.QueryService_ListStatements_FullMethodName, req: &ledgerv1.ListStatementsRequest{
			PageSize: int32(1 + rng.IntN(50)), View: full, Filter: &ledgerv1.TransactionFilter{Sellers: [][]string{nil, {"acme"}, {id}}[rng.IntN(3)]}}}
	case 7, 8:
		return asked{method: ledgerv1.QueryService_QueryVolumes_FullMethodName, req: &ledgerv1.QueryVolumesRequest{
			IncludeElements: true, GroupBy: [][]ledgerv1.VolumeDimension{nil, {
				ledgerv1.VolumeDimension_VOLUME_DIMENSION_SELLER, ledgerv1.VolumeDimension_VOLUME_DIMENSION_CUSTOMER,
			}, {ledgerv1.VolumeDimension_VOLUME_DIMENSION_MONTH}}[rng.IntN(3)]}}
	case 9:
		return asked{method: ledgerv1.QueryService_GetParticipant_FullMethodName, req: &ledgerv1.GetParticipantRequest{ParticipantId: []string{id, "acme", "nobody"}[rng.IntN(3)]}}
	case 10:
		return asked{method: ledgerv1.AuditService_GetCheckpoint_FullMethodName, req: &ledgerv1.GetCheckpointRequest{}}
	}
	return asked{method: ledgerv1.AuditService_ReadEntries_FullMethodName, req: &ledgerv1.ReadEntriesRequest{EndIndex: uint64(1 + rng.IntN(8)), View: full}}
}

// attack has a participant do its worst until the function that it returns is
// called.
func (w *world) attack(id string, victims []asked) (stop func()) {
	var sales []*tracev1.Envelope
	for _, st := range w.sales(id, 300) {
		sales = append(sales, w.signed(st))
	}
	var stolen []*tracev1.Envelope
	for _, a := range victims {
		stolen = append(stolen, a.stream...)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var wg sync.WaitGroup
	for i, harm := range []func(ctx context.Context, p *peer, rng *rand.Rand){
		func(ctx context.Context, p *peer, rng *rand.Rand) { // a flood of statements, its own and others'
			s, err := p.SubmitStream(ctx)
			for range 50 {
				from := rng.IntN(len(sales) - 20)
				for _, envs := range [][]*tracev1.Envelope{sales[from : from+20], stolen[:min(20, len(stolen))]} {
					req := new(ledgerv1.SubmitStreamRequest)
					for i, env := range envs {
						req.Items = append(req.Items, &ledgerv1.SubmitItem{Sequence: uint64(i), Envelope: env})
					}
					if err == nil {
						err = s.Send(req)
					}
				}
			}
		},
		func(ctx context.Context, p *peer, rng *rand.Rand) { // its statements under the victim's ids, and voids of what is not its
			env := stolen[rng.IntN(len(stolen))]
			st := w.void(id, hashOf(env))
			if p, err := verify.ParsePayload(env.GetPayload()); err == nil && rng.IntN(2) == 0 {
				st = w.sale(id)
				st.StatementId = p.Statement.GetStatementId()
			}
			_, _ = p.Submit(ctx, &ledgerv1.SubmitRequest{Envelope: w.signed(st)})
		},
		func(ctx context.Context, p *peer, rng *rand.Rand) { // garbage, oversize, methods that are not there
			garbage := &tracev1.Envelope{Payload: make([]byte, rng.IntN(100<<10)), KeyId: make([]byte, 32)}
			_, _ = p.Submit(ctx, &ledgerv1.SubmitRequest{Envelope: garbage})
			_ = p.conn.Invoke(ctx, "/x.Y/Z", &emptypb.Empty{}, &emptypb.Empty{})
		},
		func(ctx context.Context, p *peer, rng *rand.Rand) { // calls that are cancelled, never sent, or never read
			short, cancel := context.WithTimeout(ctx, time.Duration(rng.IntN(20))*time.Millisecond)
			defer cancel()
			for range 30 {
				_, _ = p.conn.NewStream(short, &grpc.StreamDesc{ClientStreams: true}, ledgerv1.AuditService_GetCheckpoint_FullMethodName)
			}
			_, _ = p.ReadEntries(short, &ledgerv1.ReadEntriesRequest{View: full})
			<-short.Done()
		},
		func(ctx context.Context, p *peer, _ *rand.Rand) { // connections
			again := w.dial(id, w.ca.ClientConfig(id, "localhost"))
			defer again.conn.Close()
			_, _ = again.QueryVolumes(ctx, &ledgerv1.QueryVolumesRequest{})
		},
	} {
		p := w.dial(id, w.ca.ClientConfig(id, "localhost"))
		wg.Go(func() {
			defer p.conn.Close()
			rng := rand.New(rand.NewPCG(*interferenceSeed, uint64(i)+1))
			for ctx.Err() == nil {
				round, cancel := context.WithTimeout(ctx, time.Second)
				harm(round, p, rng)
				cancel()
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	return func() { cancel(); wg.Wait() }
}

// masked returns the text of an answer without what tells where and when
// something stands on the log.
func masked(t *testing.T, method string, x exchange) string {
	t.Helper()
	desc, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")))
	if err != nil {
		t.Fatal(err)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(desc.(protoreflect.MethodDescriptor).Output().FullName())
	if err != nil {
		t.Fatal(err)
	}
	text := new(strings.Builder)
	for _, b := range x.messages {
		m := kind.New().Interface()
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatal(err)
		}
		text.WriteString(maskedMessage(m))
	}
	st := new(spb.Status)
	if err := proto.Unmarshal(x.status, st); err != nil {
		t.Fatal(err)
	}
	text.WriteString(maskedMessage(st))
	for _, md := range []map[string][]string{x.header, x.trailer} {
		for _, name := range slices.Sorted(maps.Keys(md)) {
			if name != "grpc-status-details-bin" { // the status again
				text.WriteString(name + strings.Join(md[name], ","))
			}
		}
	}
	return method + " " + text.String()
}

func maskedMessage(m proto.Message) string {
	m = proto.Clone(m)
	mask(m.ProtoReflect())
	b, err := prototext.MarshalOptions{}.Marshal(m)
	if err != nil {
		return err.Error()
	}
	text := strings.ReplaceAll(string(b), "  ", " ") // prototext varies its spaces
	return atIndex.ReplaceAllString(text, "at index N")
}

// atIndex is how refusals say where a statement of the caller's own stands.
var atIndex = regexp.MustCompile(`at index [0-9]+`)

// mask takes out of a message, at every level, what depends on the log's
// length and clock. Of an entry the statement hash stays.
func mask(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch f.Name() {
		case "inclusion_path", "checkpoint", "as_of_size", "tree_size", "next_page_token":
			m.Clear(f)
			return true
		case "entry":
			m.Set(f, protoreflect.ValueOfBytes(v.Bytes()[verify.EntrySize-verify.HashSize:]))
			return true
		}
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				mask(v.List().Get(i).Message())
			}
		case f.Message() != nil && !f.IsMap():
			mask(v.Message())
		}
		return true
	})
}
