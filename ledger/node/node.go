package node

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	"github.com/magnet-ledger/magnet-ledger/ledger/witness"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// defaultCheckInterval is how often the TLS files are looked at.
const defaultCheckInterval = 10 * time.Second

// defaultConnections is how many connections may be open at once.
const defaultConnections = 1024

// Node is an open ledger with a listener. Make it with Open, then call Serve
// once, or Close.
type Node struct {
	cfg      *Config
	logger   *slog.Logger
	store    *badgerstore.Store
	anchor   *ledger.FileAnchor
	ledger   *ledger.Ledger
	server   *rpc.Server
	reloader *certs.Reloader
	listener net.Listener
	metrics  *metrics
	monitor  *webServer            // nil if there is none
	public   *publicLog            // nil if there is none
	feeder   *witness.Feeder       // nil if there are no witnesses
	tracing  *trace.TracerProvider // nil if there is none
	scrubber *scrubber             // nil if there is none
	reload   chan struct{}

	ahead         atomic.Pointer[verify.Checkpoint] // what shows that the ledger was rolled back
	recording     context.Context                   // ends when nothing is recorded any more
	stopRecording context.CancelFunc

	tlsFault string // owned by the goroutine that reloads, like leaf
	leaf     *x509.Certificate
}

// Open opens the ledger in the data directory, or founds it there, and begins to
// listen. Nothing is answered before Serve.
func Open(ctx context.Context, cfg *Config, ask keyfile.Passphrase, logger *slog.Logger) (_ *Node, err error) {
	n := &Node{cfg: cfg, logger: logger, metrics: newMetrics(), reload: make(chan struct{}, 1)}
	n.recording, n.stopRecording = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("making data directory: %w", err)
	}
	if err := n.openLedger(ctx, ask); err != nil {
		return nil, err
	}
	if err := n.openWitnesses(); err != nil {
		return nil, err
	}
	if err := n.openServer(ctx, ask); err != nil {
		return nil, err
	}
	n.lookAtSpace()
	n.metrics.observe(n)
	if !cfg.Scrub.Off {
		n.scrubber = newScrubber(n.ledger, cfg, n.metrics.registry, logger)
	}
	if err := n.openMonitor(); err != nil {
		return nil, err
	}
	if err := n.openPublic(ask); err != nil {
		return nil, err
	}
	return n, nil
}

// checkFounded refuses a data directory without a store.
func (n *Node) checkFounded() error {
	_, err := os.Stat(filepath.Join(n.cfg.DataDir, storeName))
	return err
}

func (n *Node) openLedger(ctx context.Context, ask keyfile.Passphrase) (err error) {
	if err := checkEpoch(n.cfg.DataDir); err != nil {
		return err
	}
	bootstrap, err := readBootstrap(n.cfg.Genesis)
	if err != nil {
		return err
	}
	signer, err := keyfile.ReadCheckpointKey(n.cfg.CheckpointKey, ask)
	if err != nil {
		return err
	}
	n.store, err = badgerstore.Open(filepath.Join(n.cfg.DataDir, storeName), badgerstore.Options{
		Logger: n.logger, MinFreeBytes: n.cfg.Limits.MinFreeBytes,
	})
	if err != nil {
		return err
	}
	if err := n.cfg.Limits.commitsFit(n.store.CommitBytes()); err != nil {
		return err
	}
	// The anchor is opened behind the lock of the store.
	if n.anchor, err = ledger.OpenAnchor(filepath.Join(n.cfg.DataDir, anchorName)); err != nil {
		return err
	}
	n.ledger, err = ledger.Open(ctx, ledger.Config{
		Store: measuredStore{n.store, n.metrics}, Anchor: measuredAnchor{n.anchor, n.metrics}, Bootstrap: bootstrap, CheckpointSigner: signer,
		Limits: n.cfg.Limits.ledger(), Logger: n.logger,
	})
	return err
}

func (n *Node) openServer(ctx context.Context, ask keyfile.Passphrase) (err error) {
	n.reloader, err = certs.NewReloader(certs.Files{
		Certificate: n.cfg.TLS.Certificate, Key: n.cfg.TLS.Key, CA: n.cfg.TLS.ClientCA, CRL: n.cfg.TLS.CRL,
	}, func([]byte) (crypto.Signer, error) { return keyfile.ReadSigner(n.cfg.TLS.Key, ask) })
	if err != nil {
		return fmt.Errorf("reading TLS files: %w", err)
	}
	n.leaf = n.reloader.Leaf()
	if n.tracing, err = newTracing(ctx, n.logger); err != nil {
		return err
	}
	cfg := rpc.Config{
		Ledger: n.ledger, TLS: n.reloader.ServerConfig(), TrustDomain: n.cfg.TrustDomain,
		Limits: n.cfg.Limits.rpc(), Logger: n.logger, Metrics: n.metrics.registry, Ready: n.ready,
	}
	if n.tracing != nil {
		cfg.Tracing = n.tracing
	}
	if n.feeder != nil {
		cfg.Cosigned = n.feeder.Cosigned
	}
	n.server, err = rpc.New(cfg)
	if err != nil {
		return fmt.Errorf("making server: %w", err)
	}
	listener, err := net.Listen("tcp", n.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	connections := n.cfg.Limits.Connections
	if connections == 0 {
		connections = defaultConnections
	}
	n.listener = netutil.LimitListener(listener, connections)
	return nil
}

// Addr returns the address that the node listens on.
func (n *Node) Addr() string { return n.listener.Addr().String() }

// MonitorAddr returns the address of the monitor, empty if there is none.
func (n *Node) MonitorAddr() string { return n.monitor.address() }

// PublicAddr returns the address of the public log, empty if there is none.
func (n *Node) PublicAddr() string {
	if n.public == nil {
		return ""
	}
	return n.public.address()
}

// Reload has the TLS files read now, rather than at the next interval, and open
// connections judged by them. It does not wait. Safe for concurrent use.
func (n *Node) Reload() {
	select {
	case n.reload <- struct{}{}:
	default: // it is asked for already
	}
}

// Ledger returns the open ledger.
func (n *Node) Ledger() *ledger.Ledger { return n.ledger }

// Serve records and answers until the context ends, then closes the node. When
// the writer fails, reading goes on until the context ends; the error is
// returned then.
func (n *Node) Serve(ctx context.Context) error {
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	written, others := make(chan error, 1), new(errgroup.Group)
	go func() {
		err := n.ledger.Run(n.recording)
		if err != nil {
			n.logger.LogAttrs(ctx, slog.LevelError, "the writer has stopped: submissions are refused, reading goes on; restart the server when the cause is mended", slog.Any("error", err))
		}
		written <- err
	}()
	others.Go(func() error {
		return n.reloader.Run(writing, n.checkInterval(), n.reload, func(err error) { n.reloaded(ctx, err) })
	})
	others.Go(func() error { n.watchSpace(writing); return nil })
	if n.scrubber != nil {
		others.Go(func() error { n.scrubber.run(writing); return nil })
	}
	if n.monitor != nil {
		others.Go(func() error {
			err := n.monitor.serve(writing)
			if err != nil {
				n.logger.LogAttrs(ctx, slog.LevelError, "the monitor has stopped; the ledger is served", slog.Any("error", err))
			}
			return err
		})
	}
	if n.public != nil {
		n.servePublic(writing, others)
	}
	if n.feeder != nil {
		others.Go(func() error { return n.feeder.Run(writing) })
	}
	err := n.server.Serve(ctx, n.listener, n.cfg.ShutdownGrace)
	n.listener = nil // closed by Serve
	stopWriting()
	n.stopRecording()
	return errors.Join(err, <-written, others.Wait(), n.Close())
}

func (n *Node) checkInterval() time.Duration {
	if n.cfg.TLS.CheckInterval == 0 {
		return defaultCheckInterval
	}
	return n.cfg.TLS.CheckInterval
}

// reloaded tells the operator what became of the TLS files, once for each
// change, and judges open connections, whose certificates may have ended even if
// no file changed.
func (n *Node) reloaded(ctx context.Context, err error) {
	fault := ""
	n.metrics.tlsFault.Set(0)
	if err != nil {
		fault = err.Error()
		n.metrics.tlsFault.Set(1)
	}
	if fault != "" && fault != n.tlsFault {
		n.logger.LogAttrs(ctx, slog.LevelError, "TLS files were not reloaded; the old ones stay in use", slog.Any("error", err))
	}
	n.tlsFault = fault
	if leaf := n.reloader.Leaf(); leaf != n.leaf {
		n.leaf = leaf
		n.logger.LogAttrs(ctx, slog.LevelInfo, "TLS files were reloaded", slog.Time("certificate_ends", leaf.NotAfter))
	}
	n.server.CheckPeers(func(state tls.ConnectionState) error { return n.reloader.CheckPeer(state, time.Now()) })
}

// Close releases what Open opened. After Serve it has nothing left to do.
func (n *Node) Close() error {
	n.stopRecording()
	var errs []error
	if n.listener != nil {
		errs = append(errs, n.listener.Close())
	}
	if n.monitor != nil {
		errs = append(errs, n.monitor.close())
	}
	if n.public != nil {
		errs = append(errs, n.public.close())
	}
	if n.tracing != nil {
		flush, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := n.tracing.Shutdown(flush); err != nil {
			n.logger.Warn("the last traces were not exported", slog.Any("error", err))
		}
	}
	if n.ledger != nil {
		n.ledger.Close()
	}
	if n.anchor != nil {
		errs = append(errs, n.anchor.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	n.listener, n.monitor, n.public, n.tracing, n.ledger, n.anchor, n.store = nil, nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
