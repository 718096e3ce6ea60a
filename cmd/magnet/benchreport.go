package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// syncsPerCommit is how many times a commit waits for the disk: Badger syncs its
// log and its value log (which holds nothing here, but is synced all the same),
// and the ledger its anchor.
const syncsPerCommit = 3

// benchReport is what a run measured. What is nil is not known.
type benchReport struct {
	Server     string  `json:"server"` // "throw-away", or where it is
	Mode       string  `json:"mode"`
	Producers  int     `json:"producers"`
	Lines      int     `json:"lines_per_statement"`
	Batch      int     `json:"statements_per_signature"`
	InFlight   int     `json:"in_flight"` // of each producer
	Statements int64   `json:"statements"`
	TurnedAway int64   `json:"turned_away"` // the queue was full
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"statements_per_second"`
	latencies

	Commits   int      `json:"commits"`
	Syncs     *int64   `json:"syncs_by_construction"`
	ClientCPU *float64 `json:"client_cpu_us_per_statement"`
	// SignerCPU is of signing beside the load, and not in ClientCPU.
	SignerCPU *float64 `json:"signer_cpu_us_per_statement,omitempty"`
	// SignerWait is the share of the time in which a producer had nothing to
	// submit, because it was not signed yet.
	SignerWait *float64 `json:"waited_for_signer_share,omitempty"`
	ServerCPU  *float64 `json:"server_cpu_us_per_statement"`
	ServerRSS  *int64   `json:"server_peak_rss_bytes"`

	StatementBytes float64  `json:"statement_bytes"`
	EnvelopeBytes  float64  `json:"envelope_bytes_per_statement"`
	WrittenBytes   *float64 `json:"written_bytes_per_statement"`
	DiskBytes      *float64 `json:"disk_bytes_per_statement"`

	Readers int          `json:"readers"`
	Reads   []readReport `json:"reads,omitempty"`

	Cores int    `json:"cores"`
	Go    string `json:"go"`
}

// readReport is what one kind of read took.
type readReport struct {
	Read      string  `json:"read"`
	Count     int64   `json:"count"`
	PerSecond float64 `json:"per_second"`
	latencies
}

// reported returns what is known when the load has ended.
func (b *bencher) reported(seconds float64, before, after costs) (*benchReport, error) {
	n := b.tally.recorded.Load()
	if n == 0 {
		return nil, no("nothing was recorded in the time: give a longer --duration")
	}
	r := &benchReport{
		Server: "throw-away", Mode: "stream", Producers: len(b.producers), Lines: b.opts.lines, Batch: b.opts.batch, InFlight: b.opts.inFlight,
		Statements: n, TurnedAway: b.tally.turnedAway.Load(), Seconds: seconds, PerSecond: float64(n) / seconds,
		latencies: b.tally.latency.latencies(), Commits: len(b.tally.commits),
		ClientCPU: cpuEach(before.client, after.client, n), ServerCPU: cpuEach(before.server, after.server, n),
		Readers: len(b.readers), Cores: runtime.NumCPU(), Go: runtime.Version(),
	}
	if b.opts.unary {
		r.Mode = "unary"
	}
	if b.server == nil {
		r.Server = b.address
	} else {
		syncs := int64(r.Commits) * syncsPerCommit
		r.Syncs = &syncs
	}
	if b.opts.duration > 0 {
		r.SignerCPU = cpuEach(before.signer, after.signer, n)
		r.ClientCPU = less(r.ClientCPU, r.SignerCPU)
	}
	if before.written != nil && after.written != nil {
		r.WrittenBytes = each(float64(*after.written-*before.written), n)
	}
	if len(b.readers) > 0 {
		for _, k := range b.readers[0].kinds {
			count := k.latency.count()
			r.Reads = append(r.Reads, readReport{Read: k.name, Count: count, PerSecond: float64(count) / seconds, latencies: k.latency.latencies()})
		}
	}
	return r, nil
}

func each(total float64, n int64) *float64 {
	v := total / float64(n)
	return &v
}

// cpuEach returns microseconds for each of n statements.
func cpuEach(before, after *time.Duration, n int64) *float64 {
	if before == nil || after == nil {
		return nil
	}
	return each(float64((*after - *before).Microseconds()), n)
}

// less returns a - b, nil if one of them is not known.
func less(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	v := max(0, *a-*b)
	return &v
}

// supplied adds what is known when nothing is signed any more.
func (b *bencher) supplied(r *benchReport) {
	var waited time.Duration
	taken, payload, envelope := 0, 0, 0
	for _, p := range b.producers {
		waited += p.supply.waited
		taken, payload, envelope = taken+p.supply.taken, payload+p.supply.payload, envelope+p.supply.envelope
	}
	r.StatementBytes, r.EnvelopeBytes = float64(payload)/float64(taken), float64(envelope)/float64(taken)
	if b.opts.duration > 0 {
		share := waited.Seconds() / r.Seconds / float64(len(b.producers))
		r.SignerWait = &share
	}
}

// left stops the throw-away server and adds what it left.
func (b *bencher) left(r *benchReport) error {
	if err := b.server.stop(); err != nil {
		return err
	}
	if usage, ok := b.server.process.ProcessState.SysUsage().(*syscall.Rusage); ok && runtime.GOOS == "linux" {
		peak := usage.Maxrss << 10
		r.ServerRSS = &peak
	}
	size, err := diskUsage(filepath.Join(b.server.dir, "reg", "data"))
	if err != nil {
		return err
	}
	r.DiskBytes = each(float64(size), r.Statements)
	return nil
}

func (b *bencher) print(r *benchReport) error {
	if b.json {
		return json.NewEncoder(b.out).Encode(r)
	}
	t := b.newTable("", "")
	t.ResetHeaders()
	for _, line := range r.lines() {
		t.AppendRow(row(line[0], line[1]))
	}
	b.render(t)
	if len(r.Reads) > 0 {
		t := b.newTable("read", ">count", ">per second", ">p50 / p99 / p99.9")
		for _, read := range r.Reads {
			t.AppendRow(row(read.Read, grouped(fmt.Sprint(read.Count)), fmt.Sprintf("%.1f", read.PerSecond), read.latencies))
		}
		b.say("")
		b.render(t)
	}
	if r.SignerWait != nil && *r.SignerWait > 0.02 {
		b.say("\nThe load waited for signatures: this measured the client rather than the ledger. Take --count, or a larger --batch.")
	}
	return nil
}

// lines are the report for people.
func (r *benchReport) lines() [][2]string {
	share := ""
	if r.Readers > 0 {
		share = ", reads included"
	}
	lines := [][2]string{
		{"server", r.Server},
		{"load", fmt.Sprintf("%s, %s with %s in flight, %s", r.Mode, counted(r.Producers, "producer"), grouped(fmt.Sprint(r.InFlight)), counted(r.Readers, "reader"))},
		{"statements", fmt.Sprintf("%s in %.1f s, each of %s, %s per signature", grouped(fmt.Sprint(r.Statements)), r.Seconds, counted(r.Lines, "line"), grouped(fmt.Sprint(r.Batch)))},
		{"per second", grouped(fmt.Sprintf("%.0f", r.PerSecond))},
		{"latency p50 / p99 / p99.9", r.latencies.String()},
		{"CPU of server, of client" + share, perStatement("µs", r.ServerCPU, r.ClientCPU)},
	}
	if r.SignerWait != nil {
		lines = append(lines, [2]string{"CPU of signing beside the load", fmt.Sprintf("%s, waited for %.0f %% of the time", perStatement("µs", r.SignerCPU), *r.SignerWait*100)})
	}
	if r.TurnedAway > 0 {
		lines = append(lines, [2]string{"turned away, the queue was full", grouped(fmt.Sprint(r.TurnedAway))})
	}
	return append(lines, [][2]string{
		{"commits", fmt.Sprintf("%s, of %.1f statements", grouped(fmt.Sprint(r.Commits)), float64(r.Statements)/float64(r.Commits))},
		{"fsyncs that commits wait for", r.syncs()},
		{"server's peak memory", mebibytes(r.ServerRSS)},
		{"statement, with signature", perStatement("bytes", &r.StatementBytes, &r.EnvelopeBytes)},
		{"written, on disk", perStatement("bytes", r.WrittenBytes, r.DiskBytes)},
	}...)
}

func (r *benchReport) syncs() string {
	if r.Syncs == nil {
		return notKnown
	}
	return fmt.Sprintf("%s, %d a commit by construction", grouped(fmt.Sprint(*r.Syncs)), syncsPerCommit)
}

const notKnown = "not known"

// perStatement prints figures for each statement.
func perStatement(unit string, figures ...*float64) string {
	texts := make([]string, len(figures))
	known := false
	for i, f := range figures {
		texts[i] = notKnown
		if f != nil {
			texts[i], known = grouped(fmt.Sprintf("%.0f", *f)), true
		}
		if f != nil && *f < 100 {
			texts[i] = fmt.Sprintf("%.1f", *f)
		}
	}
	text := strings.Join(texts, ", ")
	if known {
		text += " " + unit + " a statement"
	}
	return text
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(fmt.Sprint(n)) + " " + what
}

func mebibytes(n *int64) string {
	if n == nil {
		return notKnown
	}
	return fmt.Sprintf("%d MiB", *n>>20)
}
