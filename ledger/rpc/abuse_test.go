package rpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// limitIs fails the test unless an error has a code and names a limit, and
// returns when the client should come again.
func limitIs(t testing.TB, err error, code codes.Code, limit string) (retry time.Duration) {
	t.Helper()
	named := ""
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetReason() == "LIMIT_EXCEEDED" && d.GetDomain() == "magnet.ledger" {
				named = d.GetMetadata()["limit"]
			}
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration()
		}
	}
	if status.Code(err) != code || named != limit || !strings.Contains(status.Convert(err).Message(), "limit "+limit) {
		t.Errorf("got %v, which names limit %q; want %v and %q", err, named, code, limit)
	}
	return retry
}

// waiting opens streams of submissions and waits until the server has them.
func waiting(t *testing.T, p *peer, n int) []grpc.BidiStreamingClient[ledgerv1.SubmitStreamRequest, ledgerv1.SubmitStreamResponse] {
	t.Helper()
	var all []grpc.BidiStreamingClient[ledgerv1.SubmitStreamRequest, ledgerv1.SubmitStreamResponse]
	for range n {
		s := p.stream()
		send(t, s, 1, new(tracev1.Envelope))
		outcomes(t, s, 1)
		all = append(all, s)
	}
	return all
}

// TestTooManyCalls: the calls of a participant are bounded over all its
// connections, before a message is read; others are not concerned, and a call
// that ends makes room.
func TestTooManyCalls(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{CallsPerParticipant: 3}))
	first, second := w.peer("acme"), w.dial("acme", w.ca.ClientConfig("acme", "localhost"))
	defer second.conn.Close()
	streams := append(waiting(t, first, 2), waiting(t, second, 1)...)
	for _, p := range []*peer{first, second} {
		s := p.stream() // without a message
		_, err := s.Recv()
		if retry := limitIs(t, err, codes.ResourceExhausted, "calls_per_participant"); retry <= 0 {
			t.Error("it is not said when to come again")
		}
	}
	waiting(t, w.peer("bolt"), 3)
	finish(t, streams[0])
	for start := time.Now(); ; { // the end is counted a little later
		if _, err := first.GetCheckpoint(first.ctx, &ledgerv1.GetCheckpointRequest{}); err == nil {
			break
		} else if time.Since(start) > callTimeout {
			t.Fatal(err)
		}
	}
}

// TestTooManyReads: reading has a bound of its own, which leaves submissions in
// peace.
func TestTooManyReads(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{ReadsPerParticipant: 2}))
	p := w.peer("acme")
	for range 2 { // their requests never come
		if _, err := p.conn.NewStream(p.ctx, &grpc.StreamDesc{ClientStreams: true}, ledgerv1.AuditService_GetCheckpoint_FullMethodName); err != nil {
			t.Fatal(err)
		}
	}
	_, err := p.GetCheckpoint(p.ctx, &ledgerv1.GetCheckpointRequest{})
	limitIs(t, err, codes.ResourceExhausted, "reads_per_participant")
	w.record(w.signed(w.sale("acme")))
	p.healthOf("")
}

// TestConcurrentStreams: a client that ignores what the server allows on one
// connection is not served more. grpc-go as a client waits instead.
func TestConcurrentStreams(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{ConcurrentStreams: 2}))
	p := w.peer("acme")
	waiting(t, p, 2)
	ctx, cancel := context.WithTimeout(p.ctx, 200*time.Millisecond)
	defer cancel()
	_, err := p.GetCheckpoint(ctx, &ledgerv1.GetCheckpointRequest{})
	codeIs(t, err, codes.DeadlineExceeded)
}

func TestReadRate(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{ReadsPerSecond: 5}))
	p := w.peer("acme")
	var refused error
	for range 100 {
		if _, err := p.GetCheckpoint(p.ctx, &ledgerv1.GetCheckpointRequest{}); err != nil {
			refused = err
			break
		}
	}
	retry := limitIs(t, refused, codes.ResourceExhausted, "reads_per_second")
	if retry <= 0 || retry > time.Second/5 {
		t.Errorf("come again in %v", retry)
	}
	if _, err := w.peer("bolt").GetCheckpoint(p.ctx, &ledgerv1.GetCheckpointRequest{}); err != nil {
		t.Error(err)
	}
	time.Sleep(retry)
	if _, err := p.GetCheckpoint(p.ctx, &ledgerv1.GetCheckpointRequest{}); err != nil {
		t.Error(err)
	}
	time.Sleep(time.Second) // for the audit at the end, by another participant
}

// TestStatementRate: a stream beyond its rate is slowed down and a call refused;
// a new connection changes nothing.
func TestStatementRate(t *testing.T) {
	const rate = 20_000
	w := newWorld(t, withLimits(rpc.Limits{StatementsPerSecond: rate}))
	s := w.peer("acme").stream()
	nothing := slices.Repeat([]*tracev1.Envelope{new(tracev1.Envelope)}, rpc.MaxItems)
	began, messages := time.Now(), 8
	for i := range messages {
		send(t, s, uint64(i*rpc.MaxItems), nothing...)
		outcomes(t, s, rpc.MaxItems)
	}
	least := time.Duration(messages*rpc.MaxItems-rate) * time.Second / rate
	if took := time.Since(began); took < least {
		t.Errorf("%d statements took %v, less than %v", messages*rpc.MaxItems, took, least)
	}
}

// TestStatementRateOfCalls: single calls beyond the rate are told when to come
// again. The rate is so low that no machine is too slow to be faster.
func TestStatementRateOfCalls(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{StatementsPerSecond: 1}))
	again := w.peer("acme")
	var err error
	for range 2 * rpc.MaxItems {
		if _, err = again.Submit(again.ctx, &ledgerv1.SubmitRequest{}); status.Code(err) == codes.ResourceExhausted {
			break
		}
	}
	if retry := limitIs(t, err, codes.ResourceExhausted, "statements_per_second"); retry <= 0 {
		t.Error("it is not said when to come again")
	}
}

// rawConnection makes a connection of a participant that is not HTTP/2 yet.
func rawConnection(t *testing.T, w *world, id string) (*tls.Conn, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", w.address, w.ca.ClientConfig(id, "localhost"))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1)) // of the server's settings
	return conn, err
}

// TestConnectionsOfParticipant: one more connection is closed, and one that ends
// makes room.
func TestConnectionsOfParticipant(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{ConnectionsPerParticipant: 2}))
	first, err := rawConnection(t, w, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rawConnection(t, w, "acme"); err != nil {
		t.Fatal(err)
	}
	if _, err := rawConnection(t, w, "acme"); err == nil {
		t.Error("a third connection stands")
	}
	if _, err := rawConnection(t, w, "bolt"); err != nil {
		t.Error(err)
	}
	first.Close()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := rawConnection(t, w, "acme"); err == nil {
			break
		} else if time.Since(start) > callTimeout {
			t.Fatal(err)
		}
	}
}

// TestConnectionsOfAddress: connections that never begin the handshake are
// bounded for each address.
func TestConnectionsOfAddress(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{ConnectionsPerAddress: 3}))
	closed := func(conn net.Conn) bool {
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := conn.Read(make([]byte, 1))
		var timeout net.Error
		return !errors.As(err, &timeout) || !timeout.Timeout()
	}
	var silent []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
	}
	fourth, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer fourth.Close()
	if !closed(fourth) {
		t.Error("a fourth connection stands")
	}
	for _, conn := range silent {
		if closed(conn) {
			t.Error("one of the three is closed")
		}
		conn.Close()
	}
	w.peer("acme").healthOf("") // retries until there is room
}

func TestHeaderLimit(t *testing.T) {
	w := newWorld(t)
	p := w.peer("acme")
	// What the client would refuse itself, knowing the server's limit, is many
	// small fields: it does not count what HTTP/2 adds to each.
	ctx := p.ctx
	for range 600 {
		ctx = metadata.AppendToOutgoingContext(ctx, "a", "b")
	}
	if _, err := p.GetCheckpoint(ctx, &ledgerv1.GetCheckpointRequest{}); err == nil {
		t.Error("a call with large headers was answered")
	}
	large := metadata.AppendToOutgoingContext(p.ctx, "a", strings.Repeat("b", 17<<10))
	if _, err := p.GetCheckpoint(large, &ledgerv1.GetCheckpointRequest{}); err == nil {
		t.Error("a call with a large header was answered")
	}
	w.checkpoint()
}

// TestCompressed: compressed messages are refused without being decompressed,
// although gzip is registered in this process.
func TestCompressed(t *testing.T) {
	w := newWorld(t)
	p := w.peer("acme")
	bomb := &ledgerv1.SubmitRequest{Envelope: &tracev1.Envelope{Payload: make([]byte, 64<<20)}}
	_, err := p.Submit(p.ctx, bomb, grpc.UseCompressor(gzip.Name))
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "compressed messages are not taken") {
		t.Errorf("got %v", err)
	}
	s, err := p.SubmitStream(p.ctx, grpc.UseCompressor(gzip.Name))
	if err != nil {
		t.Fatal(err)
	}
	send(t, s, 1, bomb.GetEnvelope())
	_, err = s.Recv()
	codeIs(t, err, codes.Internal)
}

// TestStreamIdle: a stream on which nothing comes is ended, one that waits for
// its outcome is not, nor one that goes on.
func TestStreamIdle(t *testing.T) {
	const idle = 400 * time.Millisecond
	w := newWorld(t, withLimits(rpc.Limits{StreamIdle: idle}))
	silent := w.peer("bolt").stream()
	began := time.Now()
	_, err := silent.Recv()
	limitIs(t, err, codes.DeadlineExceeded, "stream_idle")
	if took := time.Since(began); took < idle {
		t.Errorf("it was ended after %v", took)
	}

	_, release := holdCommits(w)
	s := w.peer("acme").stream()
	send(t, s, 1, w.signed(w.sale("acme")))
	time.Sleep(3 * idle)
	release()
	outcomes(t, s, 1)
	for i := range 6 {
		time.Sleep(idle / 2)
		send(t, s, uint64(i), new(tracev1.Envelope))
		outcomes(t, s, 1)
	}
	_, err = s.Recv()
	limitIs(t, err, codes.DeadlineExceeded, "stream_idle")

	// Those who watch health wait for long.
	watch, err := w.peer("shop").health.Watch(context.Background(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * idle)
	w.stopServing()
	if _, err := watch.Recv(); err != nil {
		t.Error(err)
	}
	<-w.served
	w.served <- nil
	w.restart()
}

// TestRequestOfReadingStream: a call that answers in a stream waits for its
// request as long as others do.
func TestRequestOfReadingStream(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{CallTimeout: 300 * time.Millisecond}))
	p := w.peer("acme")
	s, err := p.conn.NewStream(p.ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, ledgerv1.AuditService_ReadEntries_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	limitIs(t, s.RecvMsg(new(emptypb.Empty)), codes.DeadlineExceeded, "stream_idle")
}

// TestSlowReader: a client that does not read what it asked for holds a stream
// for a while only; its connection goes, because what it was sent already would
// stay in memory otherwise.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{SendTimeout: 300 * time.Millisecond}))
	w.recordAll("acme", w.sales("acme", 2000))
	p := w.dial("regulator", w.ca.ClientConfig("regulator", "localhost"))
	defer p.conn.Close()
	s, err := p.ReadEntries(p.ctx, &ledgerv1.ReadEntriesRequest{View: full})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	for err == nil {
		_, err = s.Recv()
	}
	codeIs(t, err, codes.Unavailable)
	w.read()
}

// read reads the log as somebody who does read it.
func (w *world) read() {
	w.t.Helper()
	w.peer("auditor").read(&ledgerv1.ReadEntriesRequest{})
}

// TestUnreadAnswers: the same for unary calls, whose handlers have returned long
// ago. grpc-go keeps their answers until the connection ends.
func TestUnreadAnswers(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{SendTimeout: 300 * time.Millisecond}))
	w.recordAll("acme", w.sales("acme", 1000))
	config := credentials.NewTLS(w.ca.ClientConfig("regulator", "localhost"))
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(config), grpc.WithInitialWindowSize(64<<10), grpc.WithStaticStreamWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, ledgerv1.QueryService_ListStatements_FullMethodName)
	if err == nil {
		err = errors.Join(s.SendMsg(&ledgerv1.ListStatementsRequest{PageSize: 1000}), s.CloseSend())
	}
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); !strings.Contains(w.logs.String(), "a client does not take its answers"); time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > callTimeout {
			t.Fatal("the connection stands")
		}
	}
	for err == nil {
		err = s.RecvMsg(new(emptypb.Empty))
	}
	codeIs(t, err, codes.Unavailable)
}

// TestStreamBytes: a stream is read no further while what it sent awaits its
// outcome, and goes on then.
func TestStreamBytes(t *testing.T) {
	w := newWorld(t, withLimits(rpc.Limits{StreamBytes: 8 << 10}))
	waits, release := holdCommits(w)
	var envs []*tracev1.Envelope
	for _, st := range w.sales("acme", 200) {
		envs = append(envs, w.signed(st))
	}
	s := w.peer("acme").stream()
	for i, env := range envs {
		send(t, s, uint64(i), env)
	}
	<-waits
	time.Sleep(200 * time.Millisecond)
	if n, _ := w.ledger.Waiting(); n == 0 || n > 100 {
		t.Errorf("%d statements are queued", n)
	}
	release()
	outcomes(t, s, len(envs))
	finish(t, s)
}

// TestShareOfQueue: a participant that floods the queue is told that it is full
// while another one still finds its half.
func TestShareOfQueue(t *testing.T) {
	w := newWorld(t, withLedgerLimits(ledger.Limits{QueueStatements: 100}))
	_, release := holdCommits(w)
	var flood []*tracev1.Envelope
	for _, st := range w.sales("acme", 90) {
		flood = append(flood, w.signed(st))
	}
	greedy := w.peer("acme").stream()
	for i := range 9 {
		send(t, greedy, uint64(10*i), flood[10*i:10*i+10]...)
	}
	full := 0
	for seq, o := range outcomes(t, greedy, 40) {
		r := o.GetRefusal()
		if r.GetReason() != reason("QUEUE_FULL") || !strings.Contains(r.GetMessage(), "queue_statements") {
			t.Errorf("item %d: %v", seq, o)
		}
		full++
	}
	other := w.peer("bolt").stream()
	for i, st := range w.sales("bolt", 50) {
		send(t, other, uint64(i), w.signed(st))
	}
	time.Sleep(200 * time.Millisecond)
	if n, _ := w.ledger.Waiting(); n != 100 {
		t.Errorf("%d statements are queued", n)
	}
	release()
	for seq, o := range outcomes(t, other, 50) {
		if o.GetRecorded() == nil {
			t.Errorf("item %d of the other one: %v", seq, o)
		}
	}
	for seq, o := range outcomes(t, greedy, len(flood)-full) {
		if o.GetRecorded() == nil {
			t.Errorf("item %d: %v", seq, o)
		}
	}
}

// TestFloodLeavesCores: however many streams a participant has, no more of its
// statements are checked at once than there are cores, so that others are not
// the last of a long row. With a flood that was not so, every answer took a tenth
// of a second and more.
func TestFloodLeavesCores(t *testing.T) {
	w := newWorld(t, withoutCache)
	w.settle()
	envs := make([]*tracev1.Envelope, 30)
	for i := range envs {
		envs[i] = w.signed(w.sale("acme"))
	}
	greedy := w.peer("acme")
	var checked atomic.Int64
	let := make(chan struct{})
	w.memory.OnRead(func(int) error { // of acme's key, which was not used yet
		checked.Add(1)
		<-let
		return nil
	})
	var streams []submitStream
	for i, env := range envs {
		s := greedy.stream()
		send(t, s, uint64(i), env)
		streams = append(streams, s)
	}
	time.Sleep(300 * time.Millisecond)
	if n := int(checked.Load()); n == 0 || n > runtime.GOMAXPROCS(0) {
		t.Errorf("%d are checked at once, on %d cores", n, runtime.GOMAXPROCS(0))
	}
	w.memory.OnRead(nil)
	close(let)
	for _, s := range streams {
		outcomes(t, s, 1)
	}
}
