package node

import (
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/tlog"
)

// publicLog is the log as strangers see it.
type publicLog struct {
	webServer
	reloader *certs.Reloader // of certificates of its own; nil if it uses the server's, or none
}

// openPublic begins to listen for readers of the public log, if the configuration
// has an address.
func (n *Node) openPublic(ask keyfile.Passphrase) error {
	c := n.cfg.Public
	if c.Listen == "" {
		return nil
	}
	opts := tlog.HandlerOptions{Logger: n.logger}
	if n.feeder != nil {
		opts.Checkpoint = func() []byte { return n.feeder.Published().Note }
	}
	handler, err := tlog.NewHandler(n.ledger, opts)
	if err != nil {
		return fmt.Errorf("making the public log: %w", err)
	}
	p := &publicLog{webServer: webServer{name: "the public log", server: &http.Server{
		Handler: handler, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(n.logger.Handler(), slog.LevelDebug),
	}}}
	if !c.BehindProxy {
		reloader := n.reloader
		if c.Certificate != "" {
			p.reloader, err = certs.NewReloader(certs.Files{Certificate: c.Certificate, Key: c.Key, CA: n.cfg.TLS.ClientCA},
				func([]byte) (crypto.Signer, error) { return keyfile.ReadSigner(c.Key, ask) })
			if err != nil {
				return fmt.Errorf("reading TLS files of the public log: %w", err)
			}
			reloader = p.reloader
		}
		p.server.TLSConfig = reloader.PublicConfig()
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening for the public log: %w", err)
	}
	connections := c.Connections
	if connections == 0 {
		connections = defaultConnections
	}
	p.listener = netutil.LimitListener(listener, connections)
	n.public = p
	return nil
}

// servePublic has the public log served until the context ends. The ledger does
// not depend on it.
func (n *Node) servePublic(ctx context.Context, others *errgroup.Group) {
	p := n.public
	others.Go(func() error {
		err := p.serve(ctx)
		if err != nil {
			n.logger.LogAttrs(ctx, slog.LevelError, "the public log has stopped; the ledger is served", slog.Any("error", err))
		}
		return err
	})
	if p.reloader == nil {
		return
	}
	fault := ""
	others.Go(func() error {
		return p.reloader.Run(ctx, n.checkInterval(), nil, func(err error) {
			if err != nil && err.Error() != fault {
				n.logger.LogAttrs(ctx, slog.LevelError, "TLS files of the public log were not reloaded; the old ones stay in use", slog.Any("error", err))
			}
			if fault = ""; err != nil {
				fault = err.Error()
			}
		})
	})
}
