package rpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

const trustDomain = "ledger.test"

// world is a signed test ledger, the store that keeps it, and the server that
// serves it to peers over TLS on a loopback address. When the test ends, the
// regulator audits the whole log, the store is closed, which fails if a view
// was left open, and the logs are searched for what must not be in them.
type world struct {
	*verifytest.Ledger
	t    testing.TB
	ca   *certstest.CA
	logs *logBuffer
	boot []*tracev1.Envelope

	open         func() ledger.Store // opens what the store before it kept
	memory       *storetest.Memory   // the store, when it is in memory
	anchorPath   string
	limits       rpc.Limits
	tls          *tls.Config // of the server; nil stands for one of the authority
	metrics      prometheus.Registerer
	tracing      trace.TracerProvider
	ready        func() error
	ledgerLimits ledger.Limits
	grace        time.Duration

	*instance
	late        atomic.Int64 // how far the clock is behind Now, in nanoseconds
	broken      bool         // a test damaged it: it cannot be audited
	writerFails bool         // a test expects the writer to end with an error
}

// instance is a ledger that is open and served.
type instance struct {
	ledger  *ledger.Ledger
	server  *rpc.Server
	store   ledger.Store
	anchor  *ledger.FileAnchor
	address string
	peers   map[string]*peer

	stopServing, stopWriting context.CancelFunc
	served, written          chan error
}

// setting changes a world before it is founded.
type setting func(*world)

// withParameters changes the rule parameters of the genesis.
func withParameters(edit func(*tracev1.RuleParameters)) setting {
	return func(w *world) {
		st := w.GenesisStatement()
		edit(st.GetGenesis().GetRuleParameters())
		w.Genesis = w.Sign(w.Root, st)
		g, err := verify.OpenGenesis(w.Genesis)
		if err != nil {
			w.t.Fatal(err)
		}
		w.Log = g.Log
	}
}

func withLimits(l rpc.Limits) setting { return func(w *world) { w.limits = l } }

func withLedgerLimits(l ledger.Limits) setting { return func(w *world) { w.ledgerLimits = l } }

// newWorld founds a ledger with the cast and serves it.
func newWorld(t testing.TB, settings ...setting) *world {
	t.Helper()
	w := &world{
		Ledger: verifytest.NewLedger(t), t: t, ca: certstest.New(t, trustDomain), logs: new(logBuffer),
		anchorPath: filepath.Join(t.TempDir(), "anchor"), grace: 200 * time.Millisecond,
	}
	w.open = func() ledger.Store {
		if w.memory == nil {
			w.memory = storetest.NewMemory()
		} else {
			w.memory = w.memory.Crash()
		}
		return w.memory
	}
	for _, set := range settings {
		set(w)
	}
	w.boot = append([]*tracev1.Envelope{w.Genesis}, w.cast()...)
	w.start()
	t.Cleanup(w.end)
	return w
}

// cast returns the acts that admit those who take part in every test.
func (w *world) cast() []*tracev1.Envelope {
	var acts []*tracev1.Envelope
	for _, p := range []struct {
		id   string
		role tracev1.Role
	}{
		{"acme", tracev1.Role_ROLE_PRODUCER}, {"bolt", tracev1.Role_ROLE_PRODUCER}, {"shop", tracev1.Role_ROLE_CUSTOMER},
		{"auditor", tracev1.Role_ROLE_AUDITOR}, {"regulator", tracev1.Role_ROLE_REGULATOR},
	} {
		acts = append(acts, w.Register(p.id, p.role)...)
	}
	return acts
}

// start opens the ledger and serves it.
func (w *world) start() {
	w.t.Helper()
	anchor, err := ledger.OpenAnchor(w.anchorPath)
	if err != nil {
		w.t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store := w.open()
	l, err := ledger.Open(context.Background(), ledger.Config{
		Store: store, Anchor: anchor, CheckpointSigner: w.Checkpoints, Bootstrap: &tracev1.Bootstrap{Envelopes: w.boot},
		Now: func() time.Time { return w.Now.Add(-time.Duration(w.late.Load())) }, Limits: w.ledgerLimits, Logger: logger,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	config := w.tls
	if config == nil {
		config = w.ca.ServerConfig()
	}
	server, err := rpc.New(rpc.Config{
		Ledger: l, TLS: config, TrustDomain: trustDomain, Limits: w.limits, Logger: logger,
		Metrics: w.metrics, Tracing: w.tracing, Ready: w.ready,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.instance = &instance{ledger: l, server: server, store: store, anchor: anchor, peers: make(map[string]*peer)}
	w.serve()
}

// serve runs writer and server until stop.
func (w *world) serve() {
	w.t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	i := w.instance
	i.address, i.served, i.written = lis.Addr().String(), make(chan error, 1), make(chan error, 1)
	var serving, writing context.Context
	serving, i.stopServing = context.WithCancel(context.Background())
	writing, i.stopWriting = context.WithCancel(context.Background())
	grace := w.grace // read before others may set it
	go func() { i.served <- i.server.Serve(serving, lis, grace) }()
	go func() { i.written <- i.ledger.Run(writing) }()
}

// stop ends server, writer, ledger and store in that order.
func (w *world) stop() {
	w.t.Helper()
	for _, p := range w.peers {
		p.conn.Close()
	}
	w.stopServing()
	if err := <-w.served; err != nil {
		w.t.Errorf("serving: %v", err)
	}
	w.stopWriting()
	if err := <-w.written; (err != nil) != w.writerFails {
		w.t.Errorf("writing: %v", err)
	}
	w.writerFails = false
	w.ledger.Close()
	if err := errors.Join(w.anchor.Close(), w.store.Close()); err != nil {
		w.t.Errorf("closing: %v", err)
	}
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// settle has the state stored: a stop does that.
func (w *world) settle() {
	w.t.Helper()
	w.restart()
}

// withoutCache has the ledger read the state from the store each time.
func withoutCache(w *world) { w.ledgerLimits.CacheBytes = -1 }

// end is the last thing in every test.
func (w *world) end() {
	if !w.broken && !w.t.Failed() {
		w.audit("regulator")
	}
	w.stop()
	w.logs.check(w.t)
}

// audit reads the whole log as a peer and verifies everything in it.
func (w *world) audit(id string) {
	w.t.Helper()
	a := verify.NewAuditor(w.Log, true)
	cp := w.checkpoint()
	for _, e := range w.peer(id).read(&ledgerv1.ReadEntriesRequest{EndIndex: cp.Size, View: full}) {
		if err := a.Add(e.GetEntry(), e.GetEnvelope()); err != nil {
			w.t.Errorf("audit by %s: %v", id, err)
		}
	}
	if err := a.Finish(cp); err != nil {
		w.t.Errorf("audit by %s: %v", id, err)
	}
}

// secrets are what statements of these tests hold and no log may.
var secrets = []string{
	"客户", buyer, "own:", "gln:", "participant:", "C-1", "T-1", "L-1", "N42SH", "850511", "end of use", gln, "48271305", "127.0.0.1",
}

// logBuffer is a log.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) check(t testing.TB) {
	t.Helper()
	text := l.String()
	for line := range strings.Lines(text) {
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("the log tells %q: %s", secret, line)
			}
		}
	}
	if !strings.Contains(text, "grpc.method=") {
		t.Error("nothing was logged")
	}
}

// reopenAnchor opens the anchor until the test ends.
func (w *world) reopenAnchor() ledger.Anchor {
	w.t.Helper()
	a, err := ledger.OpenAnchor(w.anchorPath)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { a.Close() })
	return a
}

func (l *logBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}
