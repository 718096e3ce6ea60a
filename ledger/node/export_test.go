package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
)

// Ready returns what a node says whose disk has some bytes free, and whose
// commit under way began at a time, unless that is zero.
func Ready(cfg *Config, r *certs.Reloader, free int64, began time.Time) error {
	n := &Node{cfg: cfg, reloader: r, metrics: newMetrics()}
	n.metrics.free.Store(free)
	if !began.IsZero() {
		n.metrics.committed.Store(began.UnixNano())
	}
	return n.ready()
}

// RPC returns the limits that a server gets.
func (l LimitsConfig) RPC() rpc.Limits { return l.rpc() }

// FreeBytes is what is looked at.
func FreeBytes(dir string) (int64, error) { return freeBytes(dir) }

// CommitsFit is what is checked of the limits at the start.
func CommitsFit(l LimitsConfig, most int64) error { return l.commitsFit(most) }

// Scrub runs a scrubber until it has completed a pass, or has stopped.
func Scrub(ctx context.Context, l *ledger.Ledger, cfg *Config, registry prometheus.Registerer, logger *slog.Logger) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newScrubber(l, cfg, registry, logger)
	before, stopped := s.completed.Load(), make(chan struct{})
	go func() {
		defer close(stopped)
		s.run(ctx)
	}()
	for s.completed.Load() == before {
		select {
		case <-stopped:
			return
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	<-stopped
}
