// Command peerbench measures the ledger side by side with what a user would pick
// instead: Tessera, PostgreSQL with a chain in the application, and the bare
// store and bare signatures as limits. All get the same statements, in the same
// bytes, in the same run.
//
//	go -C cmd/peerbench run . --seconds 5 --rounds 3
//
// Each measurement runs once in every round, with data of its own that is removed
// after it, and ends with the statements or with the time, whichever is first.
// Rounds alternate in order. Ratios are made within a round; what is reported is
// the median of the rounds. Nothing is counted before it is durable.
//
// It is a module of its own, so that the ledger does not depend on its peers. It
// runs on Linux.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// options are the flags.
type options struct {
	count      int
	limit      time.Duration
	rounds     int
	volumeRows int
	only       []string
	dir        string
	json       bool
	postgres   string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second interrupt ends the process at once, and its children with it.
	context.AfterFunc(ctx, stop)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peerbench:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var o options
	var seconds float64
	cmd := &cobra.Command{
		Use:   "peerbench",
		Short: "Measure the ledger side by side with Tessera, PostgreSQL and bare Badger",
		Long: `Measure the ledger side by side with Tessera, PostgreSQL and bare Badger.

A table goes to standard output, progress to standard error. PostgreSQL 15 must be
installed, and when peerbench runs as root, the user postgres must be able to reach
--dir. Everything listens on 127.0.0.1 or on a Unix socket alone.

Measurements, for --only:

` + catalogueText(),
		Example: `  go -C cmd/peerbench run .
  go -C cmd/peerbench run . --rounds 1 --seconds 2 --count 20000 --volume-rows 100000
  go -C cmd/peerbench run . --only stream-batch,pg-unnest,tessera-8192 --count 300000
  go -C cmd/peerbench run . --dir /srv/scratch --json > figures.json`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.limit = time.Duration(seconds * float64(time.Second))
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.count, "count", 100_000, "most statements of one measurement")
	f.Float64Var(&seconds, "seconds", 5, "most seconds of one measurement, without its preparation")
	f.IntVar(&o.rounds, "rounds", 3, "rounds, each of all measurements")
	f.IntVar(&o.volumeRows, "volume-rows", 1_000_000, "statements that the volume query is asked of")
	f.StringSliceVar(&o.only, "only", nil, "measure only these, for instance stream-batch,pg-unnest")
	f.StringVar(&o.dir, "dir", "", "where data goes, on the disk that is to be measured (default: the directory for temporary files); removed at the end")
	f.BoolVar(&o.json, "json", false, "print JSON in place of tables")
	f.StringVar(&o.postgres, "postgres", "/usr/lib/postgresql/15/bin", "directory of initdb and postgres")
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.AddCommand(childCommand("serve", serveLedger), childCommand("echo", serveEcho))
	return cmd
}

// childCommand is what this program runs as when it is its own server.
func childCommand(name string, serve func(context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " PATH", Hidden: true, Args: cobra.ExactArgs(1), SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error { return serve(cmd.Context(), args[0]) },
	}
}

func (o options) check() error {
	if o.count < producers || o.rounds < 1 || o.limit <= 0 || o.volumeRows < producers {
		return fmt.Errorf("--rounds and --seconds must be positive, --count and --volume-rows at least %d", producers)
	}
	for _, name := range o.only {
		if measurementNamed(name) == nil {
			return fmt.Errorf("--only: there is no measurement %q; there are %s", name, strings.Join(measurementNames(), ", "))
		}
	}
	return nil
}
