// Command magnet is the command line of a ledger, for producers, customers,
// auditors, regulators, the authority and the operator.
//
// Reading commands print a table for people and, with --json, protobuf JSON for
// programs. Exit codes: 0 done; 1 the answer is no (refused, not found, a finding,
// a receipt that does not verify); 2 wrong use; 3 no server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/tlog"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Exit codes.
const (
	exitDone     = 0
	exitNo       = 1
	exitUse      = 2
	exitNoServer = 3
)

func main() { os.Exit(Main()) }

// Main runs the command line of the process and returns its exit code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// app is one run of the command line.
type app struct {
	in       io.Reader
	out, err io.Writer
	profile  string // path of the profile
	json     bool
}

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, err: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(errOut, "magnet:", errorText(err))
	return exitCode(err)
}

// errorText returns an error for people: of a status only its words.
func errorText(err error) string {
	var st interface {
		error
		GRPCStatus() *status.Status
	}
	if errors.As(err, &st) {
		return strings.Replace(err.Error(), st.Error(), st.GRPCStatus().Message(), 1)
	}
	return err.Error()
}

// answerNo is the error of a question whose answer is no.
type answerNo struct{ error }

func (e answerNo) Unwrap() error { return e.error }

// no returns an answerNo.
func no(format string, args ...any) error { return answerNo{fmt.Errorf(format, args...)} }

func exitCode(err error) int {
	var answer answerNo
	var refusal *client.RefusalError
	switch st, ok := status.FromError(err); {
	case errors.As(err, &answer), isLie(err):
		return exitNo
	case errors.As(err, &refusal) && refusal.Retryable():
		return exitNoServer
	case refusal != nil:
		return exitNo
	case errors.Is(err, tlog.ErrUnavailable):
		return exitNoServer
	case errors.Is(err, tlog.ErrFolder), errors.Is(err, tlog.ErrBehind), errors.Is(err, verify.ErrPolicy), errors.Is(err, client.ErrNotCosigned):
		return exitNo
	case ok && st.Code() == codes.InvalidArgument:
		return exitUse
	case ok && (st.Code() == codes.Unavailable || st.Code() == codes.DeadlineExceeded):
		return exitNoServer
	case ok, errors.Is(err, context.Canceled):
		return exitNo
	}
	return exitUse
}

// isLie reports whether an error is evidence of a lying server.
func isLie(err error) bool {
	var fork *client.ForkError
	var published *tlog.ForkError
	var entries *tlog.NotLogError
	return errors.As(err, &fork) || errors.As(err, &published) || errors.As(err, &entries) || errors.Is(err, verify.ErrNoFork) ||
		errors.Is(err, verify.ErrCheckpoint) || errors.Is(err, verify.ErrProof) || errors.Is(err, verify.ErrReceipt)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "magnet",
		Short: "The command line of a traceability ledger for the magnet sector",
		Long: `The command line of a traceability ledger for the magnet sector.

  magnet demo         the whole job in one command, on real trade flows
  magnet init         found a ledger
  magnet submit       hand in transactions
  magnet volumes      ask for volumes per customer
  magnet verify       check the chain

Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 no server.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVarP(&a.profile, "profile", "p", os.Getenv("MAGNET_PROFILE"), "profile of the participant you act as (default $MAGNET_PROFILE)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print protobuf JSON")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(a.commands()...)
	return root
}

// group returns a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return fmt.Errorf("%q needs a command; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}
