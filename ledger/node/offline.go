package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
)

// Offline is the ledger of a data directory whose server is stopped, to be read.
type Offline struct{ n *Node }

// OpenOffline opens the ledger of a data directory, as a server does when it
// starts, and serves nothing. While it is open no server starts. It founds none: the
// error is ledger.ErrBehindAnchor, or fs.ErrNotExist, if there is no ledger.
func OpenOffline(ctx context.Context, cfg *Config, ask keyfile.Passphrase, logger *slog.Logger) (*Offline, error) {
	n := &Node{cfg: cfg, logger: logger, metrics: newMetrics()}
	n.recording, n.stopRecording = context.WithCancel(context.WithoutCancel(ctx))
	if err := n.checkFounded(); err != nil {
		return nil, fmt.Errorf("opening %s: %w", cfg.DataDir, err)
	}
	if err := n.openLedger(ctx, ask); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return &Offline{n}, nil
}

// Ledger returns the ledger. Nothing is recorded.
func (o *Offline) Ledger() *ledger.Ledger { return o.n.ledger }

// Close releases the ledger.
func (o *Offline) Close() error { return o.n.Close() }
