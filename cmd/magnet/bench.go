package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	count    int
	duration time.Duration

	producers int
	customers int
	lines     int
	size      int
	batch     int
	message   int
	inFlight  int
	unary     bool

	readers int
	reads   []string
	readAs  string

	running  bool // -p was given
	onRecord bool
	also     []string

	dir        string
	cpuProfile string
}

// Defaults that depend on other flags.
const (
	benchStreamInFlight = 4096
	benchUnaryInFlight  = 64
)

func (a *app) benchCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a throw-away ledger, or a running one, and report throughput and latency",
		Long: `Load a throw-away ledger on this machine: a server process of its own with a real
store, mutual TLS and all checks, and producers that submit signed statements. The
client, which takes CPU too, shares the machine. The ledger begins empty.

With -p, and --also for each further producer, the load goes to the running server
of the profile instead ($MAGNET_PROFILE is not looked at). THE STATEMENTS ARE THEN
ON RECORD FOR GOOD, as sales of that producer; --on-record says that this is meant.
What only the server's machine can tell is then shown as not known.

  signing    With --count, before the clock starts. With --duration a goroutine
             for each producer keeps some statements ahead; its CPU is shown on
             its own, and so is the time that the load waited for it. Where it did,
             the client was measured, not the ledger: take --count.
  latency    From before a statement is sent until its receipt is there. In buckets
             that are less than 1 % wide.
  commits    Seen by the checkpoints of the receipts.
  fsyncs     Not counted but worked out: commits, times the three syncs that each
             waits for (log and value log of the store, anchor). What the store
             does in the background comes on top.
  written    Pages that the server had the disk write under load (proc(5), io),
             without the file system's own journal.
  on disk    What the data directory takes after the server stopped. A short run
             shows mostly what an empty ledger takes.

With --readers the load is mixed: each reader has a connection and makes one call
after the other, of the kinds of --reads in turn: volumes by customer of a random
month, a statement recorded lately with its envelope, a receipt. CPU is then that
of writes and reads together.`,
		Example: `  magnet bench --count 200000 --batch 1024
  magnet bench --unary --in-flight 64 --count 20000 --batch 1
  magnet bench --duration 1m --readers 4 --reads volumes,receipt --json
  magnet bench -p acme/profile.yaml --also beta/profile.yaml --on-record --duration 30s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.running = cmd.Flag("profile").Changed
			if err := o.check(func(flag string) bool { return cmd.Flag(flag).Changed }); err != nil {
				return err
			}
			return a.bench(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.count, "count", 100_000, "statements to submit")
	f.DurationVar(&o.duration, "duration", 0, "how long to submit, for instance 30s, in place of --count")
	f.IntVar(&o.producers, "producers", 4, "producers, each with its own key and connection")
	f.IntVar(&o.customers, "customers", 500, "customers of each producer")
	f.IntVar(&o.lines, "lines", 1, "lines of each statement, 1 to 1,000")
	f.IntVar(&o.size, "statement-size", 0, "bytes of each statement, to a few: filled up with text that does not compress, with one line from about 230 to 740, with more lines further (default: as it comes)")
	f.IntVar(&o.batch, "batch", 1024, "statements under one signature, 1 to 4,096; 1: each its own")
	f.IntVar(&o.message, "message", 256, "statements in one message of the stream, 1 to 4,096")
	f.IntVar(&o.inFlight, "in-flight", 0, fmt.Sprintf("statements of a producer that await their outcome (default %d, with --unary %d)", benchStreamInFlight, benchUnaryInFlight))
	f.BoolVar(&o.unary, "unary", false, "one call for each statement, in place of a stream")
	f.IntVar(&o.readers, "readers", 0, "readers beside the producers")
	f.StringSliceVar(&o.reads, "reads", []string{"volumes", "statement", "receipt"}, "what readers read, in turn: volumes, statement, receipt")
	f.StringVar(&o.readAs, "read-as", "", "profile of the readers of a running server (default: the producers read what is theirs)")
	f.StringArrayVar(&o.also, "also", nil, "profile of one more producer of the running server; may be repeated")
	f.BoolVar(&o.onRecord, "on-record", false, "with -p: yes, put the statements on record for good")
	f.StringVar(&o.dir, "dir", "", "where to keep the throw-away ledger (default: a temporary directory, removed at the end)")
	f.StringVar(&o.cpuProfile, "server-profile", "", "write a CPU profile of the throw-away server to this file")
	return cmd
}

// check refuses what does not go together, and fills in defaults. changed says
// whether a flag was given.
func (o *benchOptions) check(changed func(flag string) bool) error {
	for _, n := range []struct {
		flag        string
		value, most int
	}{
		{"count", o.count, 1 << 30}, {"producers", o.producers, 1000}, {"customers", o.customers, 1_000_000},
		{"lines", o.lines, int(custody.DefaultRuleParameters().GetMaxTransactionLines())}, {"statement-size", o.size, 1 << 30},
		{"batch", o.batch, verify.MaxBatch}, {"message", o.message, benchMessageItems}, {"in-flight", o.inFlight, 1 << 20}, {"readers", o.readers, 1000},
	} {
		if changed(n.flag) && (n.value < 1 || n.value > n.most) && (n.flag != "readers" || n.value != 0) {
			return fmt.Errorf("--%s: %d is not from 1 to %s", n.flag, n.value, grouped(fmt.Sprint(n.most)))
		}
	}
	if err := o.checkServer(changed); err != nil {
		return err
	}
	switch {
	case changed("duration") && changed("count"):
		return errors.New("--count and --duration: a run ends by one of them; leave the other out")
	case changed("duration") && o.duration <= 0:
		return fmt.Errorf("--duration: %v is no time to submit in; 30s, for instance, is", o.duration)
	case o.readers == 0 && (changed("reads") || changed("read-as")):
		return errors.New("--reads and --read-as say what readers do: give --readers too")
	case o.unary && changed("message"):
		return errors.New("--message is for streams: leave it out, or --unary")
	}
	if o.duration > 0 {
		o.count = 0
	}
	if o.inFlight == 0 {
		o.inFlight = benchStreamInFlight
		if o.unary {
			o.inFlight = benchUnaryInFlight
		}
	}
	o.message = min(o.message, o.inFlight)
	_, err := readKinds(o.reads)
	return err
}

// checkServer refuses flags of the throw-away server for a running one, and the
// other way round.
func (o *benchOptions) checkServer(changed func(flag string) bool) error {
	wrong, why := []string{"also", "on-record", "read-as"}, "is for a running server: name a producer of it with -p, or leave the flag out"
	if o.running {
		wrong, why = []string{"producers", "dir", "server-profile"}, "is for the throw-away ledger: leave it out, or -p"
	}
	for _, flag := range wrong {
		if changed(flag) {
			return fmt.Errorf("--%s %s", flag, why)
		}
	}
	return nil
}

// amount says how much a run submits.
func (o *benchOptions) amount() string {
	if o.duration > 0 {
		return fmt.Sprintf("statements for %v", o.duration)
	}
	return grouped(fmt.Sprint(o.count)) + " statements"
}
