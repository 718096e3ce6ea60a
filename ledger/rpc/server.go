// Package rpc serves a ledger over gRPC: who is the caller, what may it do, what
// does an error look like on the wire. What is recorded and what follows from it
// is decided below, in packages ledger and custody.
//
// # Access
//
// Every call needs a client certificate that names one participant (package
// certs); every method stands in one table of access rules, and a method that
// does not is refused. What a caller may read is decided per statement, from the
// log: see caller.mayRead and caller.scope. Denied and missing are one answer.
package rpc

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// Limits bound what a peer can make the server hold. Zero values stand for the
// defaults.
type Limits struct {
	// MessageBytes is the largest message; 4 MiB.
	MessageBytes int
	// StreamInFlight is how many statements of a stream may await their
	// outcome; 8,192.
	StreamInFlight int
	// ConcurrentStreams is how many calls a connection may have open; 100.
	ConcurrentStreams uint32
	// CallTimeout ends a unary call that the client gave no shorter deadline;
	// 30 s.
	CallTimeout time.Duration
	// ConnectionAge ends connections, so that certificates are looked at
	// again; 30 min.
	ConnectionAge time.Duration
}

// answerLimit is above every answer: pages and messages of 1 or 2 MiB, and one
// more of the largest statement.
const answerLimit = 4 << 20

func (l Limits) withDefaults() Limits {
	if l.MessageBytes == 0 {
		l.MessageBytes = 4 << 20
	}
	if l.StreamInFlight == 0 {
		l.StreamInFlight = 8192
	}
	if l.ConcurrentStreams == 0 {
		l.ConcurrentStreams = 100
	}
	if l.CallTimeout == 0 {
		l.CallTimeout = 30 * time.Second
	}
	if l.ConnectionAge == 0 {
		l.ConnectionAge = 30 * time.Minute
	}
	return l
}

// Config is what a server is made of.
type Config struct {
	// Ledger is served; its Run is the caller's to run.
	Ledger *ledger.Ledger
	// TLS is a configuration of package certs, which demands client
	// certificates.
	TLS *tls.Config
	// TrustDomain is the SPIFFE trust domain of the certificates.
	TrustDomain string
	// Limits bound what peers can use.
	Limits Limits
	// Logger takes calls and faults, without anything commercial; nil discards.
	Logger *slog.Logger
}

// Server serves a ledger. Make it with New.
type Server struct {
	ledger      *ledger.Ledger
	trustDomain string
	limits      Limits
	logger      *slog.Logger
	tokenKey    [32]byte
	unary       map[string]bool // methods with a deadline, by full name
	grpc        *grpc.Server
	health      *health.Server
}

// New returns a server that Serve starts.
func New(cfg Config) (*Server, error) {
	if cfg.TLS == nil || cfg.TLS.ClientAuth != tls.RequireAndVerifyClientCert {
		return nil, errors.New("the TLS configuration does not demand client certificates")
	}
	s := &Server{
		ledger: cfg.Ledger, trustDomain: cfg.TrustDomain, limits: cfg.Limits.withDefaults(), logger: cfg.Logger, health: health.NewServer(),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if _, err := rand.Read(s.tokenKey[:]); err != nil {
		return nil, err
	}
	unary, stream, err := s.interceptors()
	if err != nil {
		return nil, err
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(cfg.TLS)),
		grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...),
		grpc.MaxRecvMsgSize(s.limits.MessageBytes), grpc.MaxSendMsgSize(max(s.limits.MessageBytes, answerLimit)),
		grpc.MaxConcurrentStreams(s.limits.ConcurrentStreams), grpc.MaxHeaderListSize(16<<10),
		grpc.ConnectionTimeout(5*time.Second), grpc.InTapHandle(s.deadline),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: 5 * time.Minute, MaxConnectionAge: s.limits.ConnectionAge, MaxConnectionAgeGrace: 30 * time.Second,
			Time: time.Minute, Timeout: 10 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 30 * time.Second}),
	)
	s.register()
	return s, nil
}

func (s *Server) register() {
	ledgerv1.RegisterSubmissionServiceServer(s.grpc, submissionService{Server: s})
	ledgerv1.RegisterQueryServiceServer(s.grpc, queryService{Server: s})
	ledgerv1.RegisterAuditServiceServer(s.grpc, auditService{Server: s})
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.RegisterV1(s.grpc)
	s.unary = make(map[string]bool)
	for name, service := range s.grpc.GetServiceInfo() {
		for _, m := range service.Methods {
			s.unary["/"+name+"/"+m.Name] = !m.IsClientStream && !m.IsServerStream
		}
	}
	s.setHealth(healthv1.HealthCheckResponse_SERVING)
}

// setHealth sets what the health service says of submissions; reading is served
// as long as the server is up.
func (s *Server) setHealth(submissions healthv1.HealthCheckResponse_ServingStatus) {
	s.health.SetServingStatus("", submissions)
	s.health.SetServingStatus(ledgerv1.SubmissionService_ServiceDesc.ServiceName, submissions)
	s.health.SetServingStatus(ledgerv1.QueryService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	s.health.SetServingStatus(ledgerv1.AuditService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
}

// Serve answers calls on a listener until the context ends, then lets calls
// finish for at most grace. When the ledger's writer stops, health says so, and
// reading goes on.
func (s *Server) Serve(ctx context.Context, lis net.Listener, grace time.Duration) error {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-s.ledger.Stopped():
			s.setHealth(healthv1.HealthCheckResponse_NOT_SERVING)
		case <-done:
		}
	})
	wg.Go(func() {
		select {
		case <-ctx.Done():
			s.shutDown(grace)
		case <-done:
		}
	})
	err := s.grpc.Serve(lis)
	close(done)
	wg.Wait()
	return err
}

// shutDown stops taking calls, waits for those under way, and after grace ends
// them.
func (s *Server) shutDown(grace time.Duration) {
	s.health.Shutdown()
	timer := time.AfterFunc(grace, s.grpc.Stop)
	defer timer.Stop()
	s.grpc.GracefulStop()
}
