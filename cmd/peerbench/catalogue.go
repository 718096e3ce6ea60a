package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// measure measures once. The data it works on is new, or was loaded before the
// rounds, and is removed when it returns.
type measure func(ctx context.Context, b *bench) (sample, error)

// Units.
const (
	perSecond  = "/s"
	medianCall = "ms p50"
)

// measurement is one thing to measure.
type measurement struct {
	name string
	what string
	unit string
	// lacks says what a peer does not do, which the ledger does in its figure.
	lacks   string
	measure measure
}

const (
	lacksTessera  = "signatures; TLS, or any transport: called in process; rules, duplicates, lookup by id, projections. The leaf is the envelope"
	lacksPostgres = "signatures; TLS: on a Unix socket; reading the statement: its columns are taken from it before the clock; rules and rights; tree, receipt, checkpoint. A crash can leave a hole in the chain"
	lacksBadger   = "anything but keeping bytes: no transport, check, hash, chain, lookup by id or projection"
	lacksTheRest  = "anything else: it is a limit"
)

// catalogue lists the measurements. Those that are compared stand together, so
// that they run soon after each other.
func catalogue() []measurement {
	return []measurement{
		{"stream-batch", "ledger: streamed, batch-signed, 4 producers", perSecond, "", measureStream(batchSigned)},
		{"pg-unnest", "PostgreSQL: unnest of 1,000 rows, 4 connections", perSecond, lacksPostgres, measureInserts(batchSigned, byUnnest)},
		{"pg-copy", "PostgreSQL: COPY of 1,000 rows, 4 connections", perSecond, lacksPostgres, measureInserts(batchSigned, byCopy)},
		{"tessera-8192", "Tessera POSIX: 8,192 callers, each awaits its checkpoint", perSecond, lacksTessera, measureTessera(batchSigned, 8192)},
		{"badger", "bare Badger: one transaction of 2,048 envelopes, a key for each", perSecond, lacksBadger, measureBadger(batchSigned, 1)},
		{"badger-values", "bare Badger: one transaction of 2,048 envelopes, 256 in a value", perSecond, lacksBadger, measureBadger(batchSigned, 256)},
		{"stream-single", "ledger: streamed, singly signed, 4 producers", perSecond, "", measureStream(singleSigned)},
		{"ed25519", "bare crypto/ed25519.Verify on all cores", perSecond, lacksTheRest, measureEd25519},
		{"unary", "ledger: unary, singly signed, 256 in flight", perSecond, "", measureUnary},
		{"pg-single", "PostgreSQL: single inserts, 64 connections", perSecond, lacksPostgres, measureInserts(singleSigned, bySingle)},
		{"tessera-256", "Tessera POSIX: 256 callers, each awaits its checkpoint", perSecond, lacksTessera, measureTessera(singleSigned, 256)},
		{"unary-alone", "ledger: unary, singly signed, one caller alone", medianCall, "", measureAlone},
		{"echo", "gRPC echo of the envelope under the same mutual TLS", medianCall, lacksTheRest, measureEcho},
		{"fdatasync", "one write of the envelope and fdatasync", medianCall, lacksTheRest, measureSync},
		{"volumes", "ledger: QueryVolumes, customers x months of one producer", medianCall, "", measureVolumes},
		{"pg-volumes", "PostgreSQL: the same in SQL, covering index", medianCall, "TLS: on a Unix socket; rights, amendments; a checkpoint with the answer", measureVolumesSQL},
	}
}

func measurementNames() []string {
	var names []string
	for _, m := range catalogue() {
		names = append(names, m.name)
	}
	return names
}

func measurementNamed(name string) *measurement {
	all := catalogue()
	if i := slices.IndexFunc(all, func(m measurement) bool { return m.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

func catalogueText() string {
	var b strings.Builder
	for _, m := range catalogue() {
		fmt.Fprintf(&b, "  %-14s %s\n", m.name, m.what)
	}
	return b.String()
}

// claim is a ratio of measurements, and what it has to be.
type claim struct {
	of     string
	over   []string // together
	target float64  // 0: only reported
	atMost bool
}

func claims() []claim {
	return []claim{
		{of: "stream-batch", over: []string{"pg-unnest"}, target: 1},
		{of: "stream-batch", over: []string{"pg-copy"}},
		{of: "stream-batch", over: []string{"tessera-8192"}, target: 1.5},
		{of: "stream-batch", over: []string{"badger"}},
		{of: "stream-batch", over: []string{"badger-values"}},
		{of: "stream-single", over: []string{"ed25519"}, target: 0.7},
		{of: "unary", over: []string{"pg-single"}, target: 1},
		{of: "unary", over: []string{"tessera-256"}, target: 4},
		{of: "unary-alone", over: []string{"echo", "fdatasync"}, target: 3, atMost: true},
		{of: "pg-volumes", over: []string{"volumes"}, target: 5},
	}
}

func (c claim) String() string {
	over := strings.Join(c.over, " + ")
	if len(c.over) > 1 {
		over = "(" + over + ")"
	}
	return c.of + " / " + over
}

func (c claim) wanted() string {
	switch {
	case c.target == 0:
		return ""
	case c.atMost:
		return fmt.Sprintf("at most %g", c.target)
	}
	return fmt.Sprintf("at least %g", c.target)
}

// verdict says whether a ratio is what it has to be.
func (c claim) verdict(ratio float64) string {
	switch {
	case c.target == 0:
		return ""
	case c.atMost == (ratio <= c.target) || ratio == c.target:
		return "yes"
	}
	return "no"
}
