package rpc

import (
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Limits bound what a peer can make the server hold or do. Zero values stand for
// the defaults. What goes beyond a limit gets an error whose ErrorInfo has the
// reason LIMIT_EXCEEDED and names the limit, as it is called in a configuration
// file.
type Limits struct {
	// MessageBytes is the largest message; 4 MiB. Compressed ones are refused.
	MessageBytes int
	// HeaderBytes is the largest list of headers of a call; 16 KiB.
	HeaderBytes uint32

	// ConnectionsPerAddress is how many connections may come from one network
	// address, counted before the handshake; 128.
	ConnectionsPerAddress int
	// ConnectionsPerParticipant is how many connections a participant may have;
	// 32. One more is closed after the handshake.
	ConnectionsPerParticipant int
	// ConcurrentStreams is how many calls a connection may have open; 100.
	ConcurrentStreams uint32
	// CallsPerParticipant and ReadsPerParticipant are how many calls of any
	// kind, and how many that query or audit, a participant may have open over
	// all its connections; 512 and 64.
	CallsPerParticipant, ReadsPerParticipant int
	// ReadsPerSecond and StatementsPerSecond are the rates of a participant; 0
	// is without limit, the default. A second's worth may come at once, of
	// statements at least as many as fit in a message. Beyond it calls are
	// refused, streams slowed down.
	ReadsPerSecond, StatementsPerSecond float64

	// StreamInFlight is how many statements of a stream may await their
	// outcome; 8,192.
	StreamInFlight int
	// StreamBytes is from how many bytes of statements that await their outcome
	// a stream is read no further; 16 MiB.
	StreamBytes int

	// CallTimeout ends a unary call that the client gave no shorter deadline,
	// and a call that reads whose request does not come; 30 s.
	CallTimeout time.Duration
	// StreamIdle ends a stream of submissions without a message or an outcome
	// on its way; 5 min.
	StreamIdle time.Duration
	// SendTimeout is how long an answer may wait for its client to take it;
	// 1 min. After it the connection is closed: an answer that nobody takes
	// stays in memory for as long as there is a connection.
	SendTimeout time.Duration
	// ConnectionAge ends connections, ConnectionGrace after that the calls that
	// they still have, and ConnectionIdle those without calls; 30 min, 30 s and
	// 5 min.
	ConnectionAge, ConnectionGrace, ConnectionIdle time.Duration
}

// answerLimit is above every answer: pages and messages of 1 or 2 MiB, and one
// more of the largest statement.
const answerLimit = 4 << 20

func (l Limits) withDefaults() Limits {
	orDefault(&l.MessageBytes, 4<<20)
	orDefault(&l.HeaderBytes, 16<<10)
	orDefault(&l.ConnectionsPerAddress, 128)
	orDefault(&l.ConnectionsPerParticipant, 32)
	orDefault(&l.ConcurrentStreams, 100)
	orDefault(&l.CallsPerParticipant, 512)
	orDefault(&l.ReadsPerParticipant, 64)
	orDefault(&l.StreamInFlight, 8192)
	orDefault(&l.StreamBytes, 16<<20)
	orDefault(&l.CallTimeout, 30*time.Second)
	orDefault(&l.StreamIdle, 5*time.Minute)
	orDefault(&l.SendTimeout, time.Minute)
	orDefault(&l.ConnectionAge, 30*time.Minute)
	orDefault(&l.ConnectionGrace, 30*time.Second)
	orDefault(&l.ConnectionIdle, 5*time.Minute)
	return l
}

func orDefault[T comparable](v *T, def T) {
	if *v == *new(T) {
		*v = def
	}
}

// limit is the name of a limit, as it is called in a configuration file.
type limit string

const (
	limitAddress    limit = "connections_per_address"
	limitPeer       limit = "connections_per_participant"
	limitCalls      limit = "calls_per_participant"
	limitReads      limit = "reads_per_participant"
	limitReadRate   limit = "reads_per_second"
	limitStatements limit = "statements_per_second"
	limitQueue      limit = "queue_statements"
	limitIdle       limit = "stream_idle"
	limitSend       limit = "send_timeout"
)

// limits are all that are counted.
var limits = []limit{
	limitAddress, limitPeer, limitCalls, limitReads, limitReadRate, limitStatements, limitQueue, limitIdle, limitSend,
}

// exceeded counts that a limit was met and returns the error for it. retry, if
// positive, is when the client should come again.
func (s *Server) exceeded(l limit, code codes.Code, retry time.Duration, format string, args ...any) error {
	s.metrics.limited.WithLabelValues(string(l)).Inc()
	details := []protoadapt.MessageV1{protoadapt.MessageV1Of(&errdetails.ErrorInfo{
		Reason: "LIMIT_EXCEEDED", Domain: errorDomain, Metadata: map[string]string{"limit": string(l)},
	})}
	if retry > 0 {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(retry)}))
	}
	st := status.New(code, fmt.Sprintf("limit %s: ", l)+fmt.Sprintf(format, args...))
	with, err := st.WithDetails(details...)
	if err != nil {
		return st.Err() // the details are messages of ours: it cannot fail
	}
	return with.Err()
}
