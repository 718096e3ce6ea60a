package node_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// openIn opens a ledger on a store.
func openIn(t *testing.T, store ledger.Store, anchor ledger.Anchor, made *verifytest.Ledger) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{
		Store: store, Anchor: anchor, CheckpointSigner: note.Signer(made.Checkpoints), Now: func() time.Time { return made.Now },
		Bootstrap: &tracev1.Bootstrap{Envelopes: append([]*tracev1.Envelope{made.Genesis}, made.Register("acme", tracev1.Role_ROLE_PRODUCER)...)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// scrub scrubs until a pass is complete, or damage was found, and returns the
// metrics.
func scrub(t *testing.T, l *ledger.Ledger, dir string) (metrics string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	registry := prometheus.NewRegistry()
	node.Scrub(ctx, l, &node.Config{DataDir: dir, Scrub: node.ScrubConfig{BytesPerSecond: 1 << 30, Interval: time.Hour}}, registry,
		slog.New(slog.DiscardHandler))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

// TestScrubber makes a pass, remembers it over a restart, finds damage in the next,
// and makes the ledger read-only.
func TestScrubber(t *testing.T) {
	dir, store, made := t.TempDir(), storetest.NewMemory(), verifytest.NewLedger(t)
	anchor, err := ledger.OpenAnchor(filepath.Join(dir, "anchor"))
	if err != nil {
		t.Fatal(err)
	}
	defer anchor.Close()
	l := openIn(t, store, anchor, made)
	if m := scrub(t, l, dir); !strings.Contains(m, "magnet_scrub_completed_timestamp_seconds") || l.ReadOnly() != nil {
		t.Errorf("%v\n%s", l.ReadOnly(), m)
	}
	state := filepath.Join(dir, "scrub.json")
	b, err := os.ReadFile(state)
	if err != nil || !strings.Contains(string(b), `"over":true`) {
		t.Errorf("remembered: %s, %v", b, err)
	}
	l.Close()

	l = openIn(t, store, anchor, made)
	defer func() { l.Close() }()
	if err := os.WriteFile(state, []byte("{"), 0o600); err != nil { // begins anew
		t.Fatal(err)
	}
	store.OnRead(func(int) error { return errors.Join(ledger.ErrDamaged, errors.New("a bit fell over")) })
	m := scrub(t, l, dir)
	e := l.ReadOnly()
	if e == nil || e.Reason != ledger.Damaged || !strings.Contains(e.Detail(), "a bit fell over") {
		t.Errorf("read-only: %v", e)
	}
	if !strings.Contains(m, `name:"magnet_scrub_damage"`) || !strings.Contains(m, "gauge:{value:1}") {
		t.Errorf("metrics:\n%s", m)
	}
	store.OnRead(nil)
}
