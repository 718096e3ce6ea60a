package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"

	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	count     int
	producers int
	customers int
	lines     int
	batch     int
	message   int
	inFlight  int
	unary     bool
	dir       string
	profile   string
}

func (a *app) benchCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a throw-away ledger, and report throughput and latency",
		Long: `Load a throw-away ledger on this machine: a server process of its own with a real
store, mutual TLS and all checks, and producers that submit statements which were
signed before the clock starts. Client and server share the machine.`,
		Example: "  magnet bench --count 200000 --batch 1024\n  magnet bench --unary --in-flight 256 --count 50000 --batch 1",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.bench(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.count, "count", 100_000, "statements to record")
	f.IntVar(&o.producers, "producers", 4, "producers, each with its own key and connection")
	f.IntVar(&o.customers, "customers", 500, "customers of each producer")
	f.IntVar(&o.lines, "lines", 1, "lines of each statement")
	f.IntVar(&o.batch, "batch", 1024, "statements under one signature; 1: each its own")
	f.IntVar(&o.message, "message", 256, "statements in one message of the stream")
	f.IntVar(&o.inFlight, "in-flight", 4096, "statements of a producer that await their outcome")
	f.BoolVar(&o.unary, "unary", false, "one call for each statement, in place of a stream")
	f.StringVar(&o.dir, "dir", "", "where to keep the throw-away ledger (default: a temporary directory, removed at the end)")
	f.StringVar(&o.profile, "server-profile", "", "write a CPU profile of the server to this file")
	return cmd
}

// benchServeCommand is the server of bench, in a process of its own so that its
// costs can be told from those of the load.
func (a *app) benchServeCommand() *cobra.Command {
	var profile string
	cmd := &cobra.Command{
		Use: "bench-serve CONFIG", Hidden: true, Args: cobra.ExactArgs(1),
		Example: "  magnet bench-serve reg/magnetd.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := node.ReadConfig(args[0])
			if err != nil {
				return err
			}
			cfg.Listen = "127.0.0.1:0"
			cfg.LimitMemory()
			n, err := node.Open(cmd.Context(), cfg, nil, slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
			if err != nil {
				return err
			}
			if profile != "" {
				out, err := os.Create(profile)
				if err != nil {
					return err
				}
				defer out.Close()
				if err := pprof.StartCPUProfile(out); err != nil {
					return err
				}
				defer pprof.StopCPUProfile()
			}
			fmt.Fprintln(a.out, n.Addr())
			return n.Serve(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&profile, "profile-to", "", "write a CPU profile to this file")
	return cmd
}

// benchReport is what a run measured.
type benchReport struct {
	Statements    int     `json:"statements"`
	Producers     int     `json:"producers"`
	Lines         int     `json:"lines_per_statement"`
	Batch         int     `json:"statements_per_signature"`
	Mode          string  `json:"mode"`
	Seconds       float64 `json:"seconds"`
	PerSecond     float64 `json:"statements_per_second"`
	P50           float64 `json:"p50_ms"`
	P99           float64 `json:"p99_ms"`
	P999          float64 `json:"p999_ms"`
	ClientCPU     float64 `json:"client_cpu_us_per_statement"`
	ServerCPU     float64 `json:"server_cpu_us_per_statement"`
	ServerRSS     int64   `json:"server_peak_rss_bytes"`
	EnvelopeBytes float64 `json:"envelope_bytes_per_statement"`
	DiskBytes     float64 `json:"disk_bytes_per_statement"`
	Cores         int     `json:"cores"`
	Go            string  `json:"go"`
}

// bencher is one run of bench.
type bencher struct {
	*app
	opts    benchOptions
	dir     string
	address string
	server  *exec.Cmd
	loads   []*load
}

// load is what one producer submits.
type load struct {
	session   *session
	envelopes []*tracev1.Envelope
	latencies []time.Duration
}

func (a *app) bench(ctx context.Context, o benchOptions) (err error) {
	if o.batch < 1 || o.batch > verify.MaxBatch || o.count < 1 || o.producers < 1 || o.lines < 1 || o.message < 1 || o.inFlight < 1 {
		return errors.New("counts must be positive, and --batch at most 4,096")
	}
	b := &bencher{app: a, opts: o, dir: o.dir}
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "magnet-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(b.dir)
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	report, err := b.run(ctx)
	if err != nil {
		return errors.Join(err, b.stop())
	}
	return b.report(report)
}

// prepare founds the ledger, starts the server, enrols producers and signs.
func (b *bencher) prepare(ctx context.Context) error {
	reg := filepath.Join(b.dir, "reg")
	if err := b.found(reg, founding{origin: "bench.ledger.test/1", listen: "127.0.0.1:7443", dev: true, offset: 8 * time.Hour}); err != nil {
		return err
	}
	if err := b.start(ctx, reg); err != nil {
		return err
	}
	authority, err := b.as(filepath.Join(reg, "profiles", "authority.yaml"))
	if err != nil {
		return errors.Join(err, b.stop())
	}
	defer authority.Close()
	bar := b.progress("signing", b.opts.count)
	defer bar.Close()
	for i := range b.opts.producers {
		s, err := b.producer(ctx, authority, fmt.Sprintf("producer-%d", i))
		if err != nil {
			return errors.Join(err, b.stop())
		}
		n := b.opts.count / b.opts.producers
		if i < b.opts.count%b.opts.producers {
			n++
		}
		envs, err := b.sign(s.author, n)
		if err != nil {
			return errors.Join(err, b.stop())
		}
		_ = bar.Add(n)
		b.loads = append(b.loads, &load{session: s, envelopes: envs})
	}
	return nil
}

// start runs the server and waits for its address.
func (b *bencher) start(ctx context.Context, reg string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"bench-serve", filepath.Join(reg, "magnetd.yaml")}
	if b.opts.profile != "" {
		args = append(args, "--profile-to", b.opts.profile)
	}
	b.server = exec.CommandContext(context.WithoutCancel(ctx), self, args...)
	b.server.Stderr = os.Stderr
	out, err := b.server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.server.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("the server did not start: %w", err), b.stop())
	}
	b.address = strings.TrimSpace(line)
	return nil
}

// stop ends the server and waits for it.
func (b *bencher) stop() error {
	for _, l := range b.loads {
		l.session.Close()
	}
	if b.server == nil || b.server.ProcessState != nil {
		return nil
	}
	return errors.Join(b.server.Process.Signal(syscall.SIGTERM), b.server.Wait())
}

func (b *bencher) as(path string) (*session, error) {
	p, err := readProfile(path)
	if err != nil {
		return nil, err
	}
	p.Address = b.address
	s, err := b.open(p)
	if err == nil {
		s.author, err = b.author(p)
	}
	return s, err
}

func (b *bencher) producer(ctx context.Context, authority *session, id string) (*session, error) {
	dir := filepath.Join(b.dir, id)
	err := b.requestEnrolment(enrolment{card: filepath.Join(b.dir, "reg", "ledger.card"), id: id, name: id, country: "CN", out: dir, dev: true})
	if err != nil {
		return nil, err
	}
	approval := filepath.Join(dir, "approval.json")
	if err := authority.approve(ctx, filepath.Join(dir, "request.json"), approval, []tracev1.Role{tracev1.Role_ROLE_PRODUCER}); err != nil {
		return nil, err
	}
	if err := finishEnrolment(dir, approval); err != nil {
		return nil, err
	}
	return b.as(filepath.Join(dir, "profile.yaml"))
}

// sign makes the statements of a producer, on all cores.
func (b *bencher) sign(author *client.Author, n int) ([]*tracev1.Envelope, error) {
	payloads := make([]*verify.Payload, n)
	var work errgroup.Group
	work.SetLimit(runtime.NumCPU())
	for start := 0; start < n; start += 4096 {
		work.Go(func() (err error) {
			for i := start; i < min(n, start+4096); i++ {
				st := &tracev1.Statement{Stated: &tracev1.Statement_Transaction{Transaction: b.transaction(i)}}
				if payloads[i], err = author.Payload(st, client.StatementID{}, time.Now()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	return author.SignAll(payloads, b.opts.batch)
}

// transaction returns the i-th transaction of a producer: customers in turn,
// days of the last year.
func (b *bencher) transaction(i int) *tracev1.Transaction {
	customer := i % b.opts.customers
	tx := &tracev1.Transaction{
		Kind:              tracev1.TransactionKind_TRANSACTION_KIND_SALE,
		Customer:          &tracev1.Party{OwnCode: fmt.Sprintf("C%05d", customer), Name: &tracev1.LegalName{Native: fmt.Sprintf("Customer %d", customer)}, Country: "CN"},
		TransactionDate:   time.Now().AddDate(0, 0, -(i % 365)).Format(time.DateOnly),
		TransactionNumber: fmt.Sprintf("T%09d", i),
		InvoiceNumber:     fmt.Sprintf("I%09d", i),
		EndUse:            tracev1.EndUse_END_USE_TRACTION,
	}
	for line := range b.opts.lines {
		tx.Lines = append(tx.Lines, &tracev1.TransactionLine{
			ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_NDFEB_SINTERED, Grade: "N42SH", HsCode: "8505111000",
			LotNumber: fmt.Sprintf("L%07d-%d", i/10, line), NetMassGrams: uint64(1000 + i%5000), PieceCount: uint64(100 + i%50),
			Composition: []*tracev1.ElementFraction{{Symbol: "Nd", Ppm: 295_000}, {Symbol: "Dy", Ppm: 12_000}},
		})
	}
	return tx
}

// run submits everything and measures.
func (b *bencher) run(ctx context.Context) (*benchReport, error) {
	before := cpuTime(syscall.RUSAGE_SELF)
	serverBefore := processCPU(b.server.Process.Pid)
	bar := b.progress("submitting", b.opts.count)
	defer bar.Close()
	var work errgroup.Group
	began := time.Now()
	for _, l := range b.loads {
		l.latencies = make([]time.Duration, len(l.envelopes))
		work.Go(func() error {
			if b.opts.unary {
				return b.unary(ctx, l)
			}
			return b.stream(ctx, l, func(n int) { _ = bar.Add(n) })
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	n := float64(b.opts.count)
	r := &benchReport{
		Statements: b.opts.count, Producers: b.opts.producers, Lines: b.opts.lines, Batch: b.opts.batch, Mode: "stream",
		Seconds: seconds, PerSecond: n / seconds,
		ClientCPU: float64((cpuTime(syscall.RUSAGE_SELF) - before).Microseconds()) / n,
		ServerCPU: float64((processCPU(b.server.Process.Pid) - serverBefore).Microseconds()) / n,
		Cores:     runtime.NumCPU(), Go: runtime.Version(),
	}
	if b.opts.unary {
		r.Mode = "unary"
	}
	b.latency(r)
	return r, nil
}

// stream submits over one stream, a window of statements at a time. It counts
// outcomes and does not verify them: what is measured is the ledger.
func (b *bencher) stream(ctx context.Context, l *load, progress func(int)) error {
	stream, err := l.session.client.Submissions().SubmitStream(ctx)
	if err != nil {
		return err
	}
	sent := make([]atomic.Int64, len(l.envelopes))
	window := make(chan struct{}, max(1, b.opts.inFlight/b.opts.message))
	var sender errgroup.Group
	sender.Go(func() error {
		for start := 0; start < len(l.envelopes); start += b.opts.message {
			window <- struct{}{}
			req := new(ledgerv1.SubmitStreamRequest)
			now := time.Now().UnixNano()
			for i := start; i < min(len(l.envelopes), start+b.opts.message); i++ {
				sent[i].Store(now)
				req.Items = append(req.GetItems(), &ledgerv1.SubmitItem{Sequence: uint64(i), Envelope: l.envelopes[i]})
			}
			if err := stream.Send(req); err != nil {
				return err
			}
		}
		return stream.CloseSend()
	})
	done := 0
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		now := time.Now().UnixNano()
		for _, o := range resp.GetOutcomes() {
			if refusal := o.GetRefusal(); refusal != nil {
				return &client.RefusalError{Refusal: refusal}
			}
			l.latencies[o.GetSequence()] = time.Duration(now - sent[o.GetSequence()].Load())
			if done++; done%b.opts.message == 0 || done == len(l.envelopes) {
				<-window
			}
		}
		progress(len(resp.GetOutcomes()))
	}
	return sender.Wait()
}

// unary submits by calls, some at a time.
func (b *bencher) unary(ctx context.Context, l *load) error {
	var next atomic.Int64
	var work errgroup.Group
	for range max(1, b.opts.inFlight/b.opts.producers) {
		work.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(l.envelopes) {
					return nil
				}
				began := time.Now()
				if _, err := l.session.client.Submissions().Submit(ctx, &ledgerv1.SubmitRequest{Envelope: l.envelopes[i]}); err != nil {
					return err
				}
				l.latencies[i] = time.Since(began)
			}
		})
	}
	return work.Wait()
}

func (b *bencher) latency(r *benchReport) {
	var all []time.Duration
	bytes := 0
	for _, l := range b.loads {
		all = append(all, l.latencies...)
		for _, e := range l.envelopes {
			bytes += len(e.GetPayload()) + len(e.GetKeyId()) + len(e.GetSignatureBlock())
		}
	}
	slices.Sort(all)
	at := func(q float64) float64 {
		return float64(all[min(len(all)-1, int(q*float64(len(all))))].Microseconds()) / 1000
	}
	r.P50, r.P99, r.P999 = at(0.50), at(0.99), at(0.999)
	r.EnvelopeBytes = float64(bytes) / float64(len(all))
}

// report stops the server, looks at what it left and prints.
func (b *bencher) report(r *benchReport) error {
	if err := b.stop(); err != nil {
		return fmt.Errorf("stopping the server: %w", err)
	}
	if usage, ok := b.server.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.ServerRSS = usage.Maxrss << 10
	}
	size, err := diskUsage(filepath.Join(b.dir, "reg", "data"))
	if err != nil {
		return err
	}
	r.DiskBytes = float64(size) / float64(r.Statements)
	if b.json {
		return json.NewEncoder(b.out).Encode(r)
	}
	t := b.newTable("", ">")
	t.ResetHeaders()
	for _, line := range [][2]string{
		{"statements", grouped(fmt.Sprint(r.Statements))},
		{"mode", fmt.Sprintf("%s, %d producers, %d lines, %d per signature", r.Mode, r.Producers, r.Lines, r.Batch)},
		{"per second", grouped(fmt.Sprintf("%.0f", r.PerSecond))},
		{"latency p50 / p99 / p99.9", fmt.Sprintf("%.1f / %.1f / %.1f ms", r.P50, r.P99, r.P999)},
		{"CPU of server, of client", fmt.Sprintf("%.1f, %.1f µs a statement", r.ServerCPU, r.ClientCPU)},
		{"server's peak memory", fmt.Sprintf("%d MiB", r.ServerRSS>>20)},
		{"envelope, on disk", fmt.Sprintf("%.0f, %.0f bytes a statement", r.EnvelopeBytes, r.DiskBytes)},
	} {
		t.AppendRow(row(line[0], line[1]))
	}
	b.render(t)
	return nil
}

func cpuTime(who int) time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processCPU returns the CPU time of another process (proc(5), stat fields 14
// and 15 in clock ticks of 10 ms).
func processCPU(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var user, system int64
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// diskUsage returns the bytes that files take on the disk; Badger's are sparse.
func diskUsage(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
			total += st.Blocks * 512
		}
		return nil
	})
	return total, err
}
