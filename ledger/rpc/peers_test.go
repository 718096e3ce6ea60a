package rpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

const (
	full      = ledgerv1.StatementView_STATEMENT_VIEW_FULL
	entryOnly = ledgerv1.StatementView_STATEMENT_VIEW_ENTRY
)

// peer is a connection of a participant.
type peer struct {
	t    testing.TB
	w    *world
	id   string
	conn *grpc.ClientConn
	ctx  context.Context
	ledgerv1.SubmissionServiceClient
	ledgerv1.QueryServiceClient
	ledgerv1.AuditServiceClient
	health healthv1.HealthClient
}

// peer returns the connection of a participant, whose certificate the authority
// issued.
func (w *world) peer(id string) *peer {
	w.t.Helper()
	if p := w.peers[id]; p != nil {
		return p
	}
	p := w.dial(id, w.ca.ClientConfig(id, "localhost"))
	w.peers[id] = p
	return p
}

// callTimeout is how long a call of a test may take before it counts as hung.
const callTimeout = 30 * time.Second

func unaryTimeout(ctx context.Context, method string, req, resp any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return invoke(ctx, method, req, resp, cc, opts...)
}

func (w *world) streamTimeout(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	w.t.Cleanup(cancel)
	return open(ctx, desc, cc, method, opts...)
}

func (w *world) dial(id string, config *tls.Config) *peer {
	w.t.Helper()
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithInitialWindowSize(64<<10), // what a reader who does not read lets the server send
		grpc.WithUnaryInterceptor(unaryTimeout), grpc.WithStreamInterceptor(w.streamTimeout))
	if err != nil {
		w.t.Fatal(err)
	}
	return &peer{
		t: w.t, w: w, id: id, conn: conn, ctx: context.Background(),
		SubmissionServiceClient: ledgerv1.NewSubmissionServiceClient(conn),
		QueryServiceClient:      ledgerv1.NewQueryServiceClient(conn),
		AuditServiceClient:      ledgerv1.NewAuditServiceClient(conn),
		health:                  healthv1.NewHealthClient(conn),
	}
}

// submit submits an envelope as a peer.
func (w *world) submit(id string, env *tracev1.Envelope) (*ledgerv1.SubmitResponse, error) {
	return w.peer(id).Submit(w.peer(id).ctx, &ledgerv1.SubmitRequest{Envelope: env})
}

// record submits envelopes as their signers, which must succeed and record them
// anew, and returns the last entry.
func (w *world) record(envs ...*tracev1.Envelope) verify.Entry {
	w.t.Helper()
	var last verify.Entry
	for _, env := range envs {
		resp, err := w.submit(statementOf(w.t, env).GetSigner(), env)
		if err != nil {
			w.t.Fatal(err)
		}
		if resp.GetAlreadyRecorded() {
			w.t.Fatal("recorded before")
		}
		last = w.prove(env, resp.GetReceipt())
	}
	return last
}

// prove verifies the receipt of an envelope and returns its entry.
func (w *world) prove(env *tracev1.Envelope, r *tracev1.Receipt) verify.Entry {
	w.t.Helper()
	proven, err := w.Log.VerifyReceipt(env, r)
	if err != nil {
		w.t.Fatal(err)
	}
	return proven.Entry
}

// checkpoint returns the latest checkpoint, verified.
func (w *world) checkpoint() *verify.Checkpoint {
	w.t.Helper()
	p := w.peer("regulator")
	resp, err := p.GetCheckpoint(p.ctx, &ledgerv1.GetCheckpointRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	cp, err := w.Log.OpenCheckpoint(resp.GetCheckpoint())
	if err != nil {
		w.t.Fatal(err)
	}
	return cp
}

// unchanged runs fn and fails the test if the log grew meanwhile.
func (w *world) unchanged(fn func()) {
	w.t.Helper()
	before := w.checkpoint()
	fn()
	if after := w.checkpoint(); string(after.Note) != string(before.Note) {
		w.t.Fatalf("the log grew from %d to %d", before.Size, after.Size)
	}
}

// stream opens a stream of submissions.
func (p *peer) stream() grpc.BidiStreamingClient[ledgerv1.SubmitStreamRequest, ledgerv1.SubmitStreamResponse] {
	p.t.Helper()
	s, err := p.SubmitStream(p.ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// receiving calls each for every message of a stream until it ends, and returns
// the error that it ends with, nil for the end.
func receiving[M any](s grpc.ServerStreamingClient[M], err error, each func(*M)) error {
	for err == nil {
		var m *M
		if m, err = s.Recv(); err == nil {
			each(m)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// tryRead reads entries, or returns the error.
func (p *peer) tryRead(req *ledgerv1.ReadEntriesRequest) ([]*ledgerv1.LoggedEntry, error) {
	var entries []*ledgerv1.LoggedEntry
	s, err := p.ReadEntries(p.ctx, req)
	err = receiving(s, err, func(m *ledgerv1.ReadEntriesResponse) { entries = append(entries, m.GetEntries()...) })
	return entries, err
}

func (p *peer) read(req *ledgerv1.ReadEntriesRequest) []*ledgerv1.LoggedEntry {
	p.t.Helper()
	entries, err := p.tryRead(req)
	if err != nil {
		p.t.Fatal(err)
	}
	return entries
}

// volumes returns the answer to a question for volumes.
func (p *peer) volumes(req *ledgerv1.QueryVolumesRequest) (header *ledgerv1.VolumeHeader, rows []*ledgerv1.VolumeRow) {
	p.t.Helper()
	s, err := p.QueryVolumes(p.ctx, req)
	err = receiving(s, err, func(m *ledgerv1.QueryVolumesResponse) {
		switch {
		case m.GetHeader() != nil && header == nil:
			header = m.GetHeader()
		case header == nil || (m.GetColumns() == nil) != (m.GetRows() != nil) || (m.GetColumns() != nil) != req.GetColumns():
			p.t.Errorf("the header is not first and once, or rows are not what was asked for: %v", m)
		}
		rows = append(rows, m.GetRows().GetRows()...)
		if m.GetColumns() != nil {
			turned, err := client.VolumeRows(m.GetColumns())
			if err != nil {
				p.t.Error(err)
			}
			rows = append(rows, turned...)
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return header, rows
}

// refused is what an error tells a client.
type refused struct {
	code    codes.Code
	reason  string
	fields  []string
	refusal *tracev1.Refusal
	retry   time.Duration
}

// refusedBy reads an error as a client would.
func refusedBy(t testing.TB, err error) refused {
	t.Helper()
	st, ok := status.FromError(err)
	if err == nil || !ok {
		t.Fatalf("not refused: %v", err)
	}
	r := refused{code: st.Code()}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			r.reason = d.GetReason()
			if d.GetDomain() != "magnet.ledger" {
				t.Errorf("domain %q", d.GetDomain())
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				r.fields = append(r.fields, v.GetField())
			}
		case *tracev1.Refusal:
			r.refusal = d
		case *errdetails.RetryInfo:
			r.retry = d.GetRetryDelay().AsDuration()
		}
	}
	return r
}

// codeIs fails the test unless an error has a code.
func codeIs(t testing.TB, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

// statusBytes returns all that an error tells a client.
func statusBytes(err error) []byte {
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(status.Convert(err).Proto())
	return b
}

func hashOf(env *tracev1.Envelope) []byte {
	h := verifytest.StatementHash(env)
	return h[:]
}

func statementOf(t testing.TB, env *tracev1.Envelope) *tracev1.Statement {
	t.Helper()
	p, err := verify.ParsePayload(env.GetPayload())
	if err != nil {
		t.Fatal(err)
	}
	return p.Statement
}
