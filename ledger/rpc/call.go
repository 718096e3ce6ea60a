package rpc

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// callKind is what a method does, as far as limits go.
type callKind int

const (
	neither callKind = iota
	reading
	submitting // one statement; of streams, each message is counted
)

func kindOf(method string) callKind {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	switch {
	case method == ledgerv1.SubmissionService_Submit_FullMethodName:
		return submitting
	case service == ledgerv1.QueryService_ServiceDesc.ServiceName, service == ledgerv1.AuditService_ServiceDesc.ServiceName:
		return reading
	}
	return neither
}

// callKeyType is the context key of a *call.
type callKeyType struct{}

// call is what the server keeps of a call from its headers on.
type call struct {
	number     uint64 // since the server started
	connection *connection
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKeyType{}).(*call)
	return c
}

// admit is asked when the headers of a call are there and its first message is
// not: interceptors of unary calls run only when the whole request has come. It
// counts the call against the limits of its participant, and bounds unary calls
// whose client set no shorter deadline. The transport waits for it.
func (s *Server) admit(ctx context.Context, info *tap.Info) (context.Context, error) {
	connection := connectionOf(ctx)
	if connection == nil {
		return nil, status.Error(codes.Unauthenticated, "mutual TLS is required")
	}
	kind := kindOf(info.FullMethodName)
	if err := s.peers.begin(connection, kind); err != nil {
		return nil, err
	}
	bounded, cancel := ctx, func() {}
	if at, ok := ctx.Deadline(); s.unary[info.FullMethodName] && !(ok && time.Until(at) <= s.limits.CallTimeout) {
		bounded, cancel = context.WithTimeout(ctx, s.limits.CallTimeout)
	}
	context.AfterFunc(ctx, func() { // when the call has ended
		s.peers.end(connection, kind)
		cancel()
	})
	return context.WithValue(bounded, callKeyType{}, &call{number: s.calls.Add(1), connection: connection}), nil
}

// requestID is the name of a call in the log: that of this run of the server, and
// the number of the call. It is not told to the client, to whom answers of one
// kind look alike in every byte.
const requestID = "request.id"

// withRequestID adds the id of a call to what is logged during it.
type withRequestID struct {
	slog.Handler
	run string
}

// Handle implements slog.Handler.
func (h withRequestID) Handle(ctx context.Context, r slog.Record) error {
	if c := callOf(ctx); c != nil {
		r.AddAttrs(slog.String(requestID, h.run+"."+strconv.FormatUint(c.number, 10)))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h withRequestID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequestID{h.Handler.WithAttrs(attrs), h.run}
}

// WithGroup implements slog.Handler.
func (h withRequestID) WithGroup(name string) slog.Handler {
	return withRequestID{h.Handler.WithGroup(name), h.run}
}

// boundStream holds a streaming call to its limits, and counts what came of its
// statements.
func (s *Server) boundStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	b := &boundedStream{ServerStream: stream, server: s, call: callOf(stream.Context()), patience: s.limits.CallTimeout}
	if info.IsClientStream {
		b.patience = s.limits.StreamIdle
	}
	b.room.L = &b.mu
	defer context.AfterFunc(stream.Context(), b.wake)()
	return next(srv, b)
}

// boundedStream is a stream under its limits.
type boundedStream struct {
	grpc.ServerStream
	server   *Server
	call     *call
	patience time.Duration // with a client that sends nothing

	mu    sync.Mutex
	room  sync.Cond
	sent  time.Time // when something was last sent
	items int       // statements that await their outcome, and their bytes
	bytes int
}

// receive is RecvMsg, but ends when the client sends nothing and waits for
// nothing. It waits beside the transport's RecvMsg, which tells the client of
// its own errors before anybody can put them better, and ends with the call.
func (b *boundedStream) receive(m any) error {
	received := make(chan error, 1)
	go func() {
		received <- b.server.guarded(b.Context(), func() error { return b.ServerStream.RecvMsg(m) })
	}()
	began := time.Now()
	for wait := b.patience; wait > 0; wait = b.patience - b.idleSince(began) {
		select {
		case err := <-received:
			return err
		case <-time.After(wait):
		}
	}
	return b.server.exceeded(limitIdle, codes.DeadlineExceeded, 0, "nothing came for %v; open another stream when there is something to send", b.patience)
}

// idleSince returns for how long nothing has happened on the stream.
func (b *boundedStream) idleSince(began time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.items > 0:
		return 0
	case b.sent.After(began):
		return time.Since(b.sent)
	}
	return time.Since(began)
}

func (b *boundedStream) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.room.Broadcast()
}

// RecvMsg implements grpc.ServerStream. It waits until what the client sent
// before has its outcome, but for StreamBytes, and slows down a participant that
// sends more than its rate.
func (b *boundedStream) RecvMsg(m any) error {
	if err := b.awaitRoom(); err != nil {
		return err
	}
	if err := b.receive(m); err != nil {
		return err
	}
	req, ok := m.(*ledgerv1.SubmitStreamRequest)
	if !ok {
		return nil
	}
	b.mu.Lock()
	b.items += len(req.GetItems())
	for _, item := range req.GetItems() {
		b.bytes += len(item.GetEnvelope().GetPayload()) + len(item.GetEnvelope().GetSignatureBlock())
	}
	b.mu.Unlock()
	if rates := b.call.connection.party.statementRate; rates != nil {
		// A message with too many items is refused by the method.
		return rates.WaitN(b.Context(), min(len(req.GetItems()), rates.Burst()))
	}
	return nil
}

func (b *boundedStream) awaitRoom() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.bytes >= b.server.limits.StreamBytes && b.Context().Err() == nil {
		b.room.Wait()
	}
	return b.Context().Err()
}

// SendMsg implements grpc.ServerStream.
func (b *boundedStream) SendMsg(m any) error {
	late := time.AfterFunc(b.server.limits.SendTimeout, func() { b.server.closeSlow(b.call.connection) })
	err := b.ServerStream.SendMsg(m)
	late.Stop()
	answered := 0
	if resp, ok := m.(*ledgerv1.SubmitStreamResponse); ok {
		answered = b.server.metrics.countOutcomes(resp)
	}
	b.answered(answered)
	return err
}

// answered gives back the room of statements that have their outcome: their
// share of what awaits one, since outcomes come in any order.
func (b *boundedStream) answered(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = time.Now()
	if n >= b.items {
		b.items, b.bytes = 0, 0
	} else {
		b.bytes -= b.bytes / b.items * n
		b.items -= n
	}
	b.room.Broadcast()
}

// countUnary counts what came of a statement that was submitted by itself.
func (s *Server) countUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	resp, err := next(ctx, req)
	if submit, ok := req.(*ledgerv1.SubmitRequest); ok && !submit.GetValidateOnly() {
		recorded, _ := resp.(*ledgerv1.SubmitResponse)
		s.metrics.countSubmit(recorded, err)
	}
	return resp, err
}
