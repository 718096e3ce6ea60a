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
//
// # Limits
//
// What a peer can make the server hold or do is bounded by Limits, most of them
// for each participant over all its connections. They are counted when the
// headers of a call are there, because interceptors run later, and name
// themselves in the error. Not bounded are the bytes of answers that wait for
// clients who take them slowly, but do take them: some MiB a call, until the
// connection ends of age.
//
// # What the operator is told
//
// Log, metrics and traces name no participant, no customer, no product and no
// volume. Health says whether statements would be recorded now.
package rpc

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

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
	// Metrics is where the server registers its metrics; nil registers none.
	Metrics prometheus.Registerer
	// Tracing takes spans of calls, without anything commercial; nil takes none.
	Tracing trace.TracerProvider
	// Ready says why statements would not be recorded now, beside what the
	// ledger says of itself; nil for no further reasons. It is asked every
	// second, and must not wait.
	Ready func() error
	// Cosigned returns the newest checkpoint that witnesses have cosigned, nil if
	// there is none; nil for a server without witnesses.
	Cosigned func() *verify.Checkpoint
}

// Server serves a ledger. Make it with New.
type Server struct {
	ledger      sharedLedger
	trustDomain string
	limits      Limits
	queue       ledger.Limits
	logger      *slog.Logger
	metrics     *metrics
	ready       func() error
	cosigned    func() *verify.Checkpoint
	tokenKey    [32]byte
	unary       map[string]bool // methods with a deadline, by full name
	peers       *peers
	calls       atomic.Uint64 // since the server started
	grpc        *grpc.Server
	health      *health.Server
}

// New returns a server that Serve starts.
func New(cfg Config) (*Server, error) {
	if cfg.TLS == nil || cfg.TLS.ClientAuth != tls.RequireAndVerifyClientCert {
		return nil, errors.New("the TLS configuration does not demand client certificates")
	}
	s := &Server{
		trustDomain: cfg.TrustDomain, limits: cfg.Limits.withDefaults(), queue: cfg.Ledger.Limits(),
		logger: slog.New(slog.DiscardHandler), ready: cfg.Ready, cosigned: cfg.Cosigned, health: health.NewServer(),
	}
	if s.cosigned == nil {
		s.cosigned = func() *verify.Checkpoint { return nil }
	}
	if cfg.Logger != nil {
		s.logger = slog.New(withRequestID{cfg.Logger.Handler(), strings.ToLower(rand.Text())[:8]})
	}
	s.peers = newPeers(s)
	s.ledger = sharedLedger{cfg.Ledger, s.peers, new(sync.Map)}
	metrics, err := newMetrics(s, cfg.Metrics)
	if err != nil {
		return nil, err
	}
	s.metrics = metrics
	if _, err := rand.Read(s.tokenKey[:]); err != nil {
		return nil, err
	}
	unary, stream, err := s.interceptors()
	if err != nil {
		return nil, err
	}
	options := []grpc.ServerOption{
		grpc.Creds(handshakes{credentials.NewTLS(cfg.TLS), s.peers}),
		grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...),
		grpc.MaxRecvMsgSize(s.limits.MessageBytes), grpc.MaxSendMsgSize(max(s.limits.MessageBytes, answerLimit)),
		//lint:ignore SA1019 what replaces it installs decompressors for the process and removes none
		grpc.RPCDecompressor(noDecompressor{}),
		grpc.MaxConcurrentStreams(s.limits.ConcurrentStreams), grpc.MaxHeaderListSize(s.limits.HeaderBytes),
		grpc.ConnectionTimeout(5 * time.Second), grpc.InTapHandle(s.admit),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: s.limits.ConnectionIdle, MaxConnectionAge: s.limits.ConnectionAge, MaxConnectionAgeGrace: s.limits.ConnectionGrace,
			Time: time.Minute, Timeout: 10 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 30 * time.Second}),
	}
	if cfg.Tracing != nil {
		options = append(options, grpc.StatsHandler(newTracing(cfg.Tracing)))
	}
	s.grpc = grpc.NewServer(options...)
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
	s.metrics.calls.InitializeMetrics(s.grpc)
	s.setHealth(healthv1.HealthCheckResponse_SERVING)
}

// noDecompressor stands in the way of gzip, which any package of the process may
// have registered: a message of some KiB would become one of MessageBytes.
type noDecompressor struct{}

// Type implements grpc.Decompressor.
func (noDecompressor) Type() string { return "gzip" }

// Do implements grpc.Decompressor.
func (noDecompressor) Do(io.Reader) ([]byte, error) {
	return nil, errors.New("compressed messages are not taken")
}

// Ready says why statements would not be recorded now; nil if they would.
func (s *Server) Ready() error {
	if err := s.ledger.Writable(); err != nil || s.ready == nil {
		return err
	}
	return s.ready()
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
// finish for at most grace. While statements would not be recorded, health says
// so, and reading goes on.
func (s *Server) Serve(ctx context.Context, lis net.Listener, grace time.Duration) error {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { s.watch(ctx, done) })
	wg.Go(func() {
		select {
		case <-ctx.Done():
			s.shutDown(grace)
		case <-done:
		}
	})
	err := s.grpc.Serve(addressListener{lis, s.peers})
	close(done)
	wg.Wait()
	return err
}

// watch keeps health true, and looks for connections that should be closed,
// until done.
func (s *Server) watch(ctx context.Context, done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	stopped := s.ledger.Stopped()
	for {
		select {
		case now := <-tick.C:
			s.peers.sweep(now)
		case <-stopped: // this is told at once
			stopped = nil
		case <-done:
			return
		}
		status := healthv1.HealthCheckResponse_SERVING
		if s.Ready() != nil {
			status = healthv1.HealthCheckResponse_NOT_SERVING
		}
		if ctx.Err() == nil { // else health was shut down
			s.setHealth(status)
		}
	}
}

// shutDown stops taking calls, waits for those under way, and after grace ends
// them.
func (s *Server) shutDown(grace time.Duration) {
	s.health.Shutdown()
	timer := time.AfterFunc(grace, s.grpc.Stop)
	defer timer.Stop()
	s.grpc.GracefulStop()
}
