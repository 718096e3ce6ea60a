package node

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/net/netutil"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
)

// reloadInterval is how often the files of the certificate are looked at.
const reloadInterval = 30 * time.Second

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
}

// Open opens the ledger in the data directory, or founds it there, and begins to
// listen. Nothing is answered before Serve.
func Open(ctx context.Context, cfg *Config, ask keyfile.Passphrase, logger *slog.Logger) (_ *Node, err error) {
	n := &Node{cfg: cfg, logger: logger}
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
	if err := n.openServer(ask); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *Node) openLedger(ctx context.Context, ask keyfile.Passphrase) (err error) {
	bootstrap, err := readBootstrap(n.cfg.Genesis)
	if err != nil {
		return err
	}
	signer, err := keyfile.ReadCheckpointKey(n.cfg.CheckpointKey, ask)
	if err != nil {
		return err
	}
	n.store, err = badgerstore.Open(filepath.Join(n.cfg.DataDir, "store"), badgerstore.Options{
		Logger: n.logger, MinFreeBytes: n.cfg.Limits.MinFreeBytes,
	})
	if err != nil {
		return err
	}
	// The anchor is opened behind the lock of the store.
	if n.anchor, err = ledger.OpenAnchor(filepath.Join(n.cfg.DataDir, "anchor")); err != nil {
		return err
	}
	n.ledger, err = ledger.Open(ctx, ledger.Config{
		Store: n.store, Anchor: n.anchor, Bootstrap: bootstrap, CheckpointSigner: signer,
		Limits: n.cfg.Limits.ledger(), Logger: n.logger,
	})
	return err
}

func (n *Node) openServer(ask keyfile.Passphrase) (err error) {
	n.reloader, err = certs.NewReloader(certs.Files{
		Certificate: n.cfg.TLS.Certificate, Key: n.cfg.TLS.Key, CA: n.cfg.TLS.ClientCA,
	}, func([]byte) (crypto.Signer, error) { return keyfile.ReadSigner(n.cfg.TLS.Key, ask) })
	if err != nil {
		return fmt.Errorf("reading TLS files: %w", err)
	}
	n.server, err = rpc.New(rpc.Config{
		Ledger: n.ledger, TLS: n.reloader.ServerConfig(), TrustDomain: n.cfg.TrustDomain,
		Limits: n.cfg.Limits.rpc(), Logger: n.logger,
	})
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

// Ledger returns the open ledger.
func (n *Node) Ledger() *ledger.Ledger { return n.ledger }

// Serve records and answers until the context ends, then closes the node. When
// the writer fails, reading goes on until the context ends; the error is
// returned then.
func (n *Node) Serve(ctx context.Context) error {
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	written, reloaded := make(chan error, 1), make(chan error, 1)
	go func() {
		err := n.ledger.Run(writing)
		if err != nil {
			n.logger.LogAttrs(ctx, slog.LevelError, "the writer has stopped: submissions are refused, reading goes on; restart the server when the cause is mended", slog.Any("error", err))
		}
		written <- err
	}()
	go func() {
		reloaded <- n.reloader.Run(writing, reloadInterval, nil, func(err error) {
			if err == nil {
				return
			}
			n.logger.LogAttrs(ctx, slog.LevelError, "TLS files were not reloaded; the old ones stay in use", slog.Any("error", err))
		})
	}()
	err := n.server.Serve(ctx, n.listener, n.cfg.ShutdownGrace)
	n.listener = nil // closed by Serve
	stopWriting()
	return errors.Join(err, <-written, <-reloaded, n.Close())
}

// Close releases what Open opened. After Serve it has nothing left to do.
func (n *Node) Close() error {
	var errs []error
	if n.listener != nil {
		errs = append(errs, n.listener.Close())
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
	n.listener, n.ledger, n.anchor, n.store = nil, nil, nil, nil
	return errors.Join(errs...)
}
