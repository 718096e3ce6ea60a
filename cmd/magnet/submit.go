package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

func (a *app) templateCommand() *cobra.Command {
	csv := &cobra.Command{
		Use: "csv", Short: "Print a CSV file to fill in", Args: cobra.NoArgs,
		Long:    "Print a CSV file to fill in. The columns:\n\n" + columnHelp(),
		Example: "  magnet template csv > june.csv",
		RunE:    func(*cobra.Command, []string) error { return csvfile.WriteTemplate(a.out) },
	}
	return group("template", "Print a file to fill in", csv)
}

func columnHelp() string {
	var b strings.Builder
	for _, c := range csvfile.Columns {
		need := " "
		if c.Required {
			need = "*"
		}
		fmt.Fprintf(&b, "  %s %-28s %s\n", need, c.Name, c.Help)
	}
	return b.String() + "\n  * required"
}

// submitOptions are the flags of submit.
type submitOptions struct {
	dryRun   bool
	batch    int
	receipts string // directory
	rejected string // file
	next     bool   // say what comes next
}

func (a *app) submitCommand() *cobra.Command {
	var opts submitOptions
	cmd := &cobra.Command{
		Use:   "submit FILE.csv",
		Short: "Hand in transactions; interrupted, run it again",
		Long: `Hand in transactions from a CSV file (see "magnet template csv").

Every statement is signed and kept in the outbox beside the profile before it is
sent; a run that was interrupted is simply run again, and a file that was exported
anew counts nothing twice. Receipts go to FILE.receipts/, rows that were rejected
to FILE.rejected.csv with the reason in a last column: mend and submit that.`,
		Example: "  magnet -p acme/profile.yaml submit --dry-run june.csv\n  magnet -p acme/profile.yaml submit june.csv",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			base := strings.TrimSuffix(args[0], filepath.Ext(args[0]))
			if opts.receipts == "" {
				opts.receipts = base + ".receipts"
			}
			if opts.rejected == "" {
				opts.rejected = base + ".rejected.csv"
			}
			if opts.dryRun {
				return a.dryRun(args[0])
			}
			opts.next = true
			s, err := a.signing()
			if err != nil {
				return err
			}
			defer s.Close()
			return s.submitFile(cmd.Context(), args[0], opts)
		},
	}
	cmd.Flags().BoolVar(&opts.dryRun, "dry-run", false, "check the file, send nothing")
	cmd.Flags().IntVar(&opts.batch, "batch", 1024, "statements under one signature, 1 to 4,096")
	cmd.Flags().StringVar(&opts.receipts, "receipts", "", "directory for receipts (default FILE.receipts)")
	cmd.Flags().StringVar(&opts.rejected, "rejected", "", "file for rejected rows (default FILE.rejected.csv)")
	return cmd
}

// readFile reads a CSV file, and says what is to be said of it.
func (a *app) readFile(path string) (*csvfile.File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	f, err := csvfile.Read(in, custody.DefaultRuleParameters())
	if err != nil {
		return nil, answerNo{fmt.Errorf("%s: %w", path, err)}
	}
	for _, w := range f.Warnings {
		fmt.Fprintln(a.err, "warning:", w.String())
	}
	return f, nil
}

func (a *app) dryRun(path string) error {
	f, err := a.readFile(path)
	if err != nil {
		return err
	}
	ahead := 0
	for _, t := range f.Transactions {
		for _, v := range custody.CheckDateBounds(t.Message, time.Now().UnixMicro(), 8*3600, custody.DefaultRuleParameters()) {
			fmt.Fprintf(a.err, "%s: %s: %s\n", t.Number, v.Field, v.Description)
			ahead++
		}
	}
	a.sayRejections(f)
	a.say("%d rows, %d transactions are well formed, %d rows have faults. Nothing was sent.", f.Rows, len(f.Transactions)-ahead, len(f.Rejected)+ahead)
	if len(f.Rejected)+ahead > 0 {
		return answerNo{errors.New("some transactions would be rejected")}
	}
	if a.profile != "" {
		a.say("\nNext:\n  magnet -p %s submit %s", a.profile, path)
	}
	return nil
}

func (a *app) sayRejections(f *csvfile.File) {
	var lines []string
	for _, r := range f.Rejected {
		lines = append(lines, r.String())
	}
	a.sayFirst(lines)
}

// sayFirst prints the first of some complaints.
func (a *app) sayFirst(lines []string) {
	const most = 20
	for _, line := range lines[:min(most, len(lines))] {
		fmt.Fprintln(a.err, line)
	}
	if len(lines) > most {
		fmt.Fprintf(a.err, "… and %d more\n", len(lines)-most)
	}
}

// submission is one run of submit.
type submission struct {
	*session
	opts   submitOptions
	file   *csvfile.File
	outbox *client.Outbox
	proofs map[string]*tracev1.ReceiptBundle // of genesis and key, by key id
	done   summary
	// refused are reasons by transaction number.
	refused map[string]string
}

// summary is what submit did, for programs.
type summary struct {
	Rows         int    `json:"rows"`
	Transactions int    `json:"transactions"`
	Recorded     int    `json:"recorded"`
	Already      int    `json:"already_recorded"`
	Rejected     int    `json:"rejected_transactions"`
	Receipts     string `json:"receipts"`
	RejectedFile string `json:"rejected_file,omitempty"`
}

func (s *session) submitFile(ctx context.Context, path string, opts submitOptions) error {
	f, err := s.readFile(path)
	if err != nil {
		return err
	}
	box, err := client.OpenOutbox(filepath.Join(s.profile.dir, "outbox"))
	if err != nil {
		return err
	}
	defer box.Close()
	if err := os.MkdirAll(opts.receipts, 0o700); err != nil {
		return err
	}
	run := &submission{session: s, opts: opts, file: f, outbox: box, refused: make(map[string]string), proofs: make(map[string]*tracev1.ReceiptBundle)}
	run.done = summary{Rows: f.Rows, Transactions: len(f.Transactions), Receipts: opts.receipts}
	if err := run.send(ctx); err != nil {
		if ctx.Err() != nil {
			return answerNo{fmt.Errorf("interrupted after %d of %d; run the same command again to go on", run.done.Recorded+run.done.Already, len(f.Transactions))}
		}
		return err
	}
	return run.finish()
}

// send signs what is not signed yet, and submits everything.
func (r *submission) send(ctx context.Context) error {
	if err := r.sign(); err != nil {
		return err
	}
	bar := r.progress("submitting", len(r.file.Transactions))
	defer bar.Close()
	err := r.client.SubmitAll(ctx, r.drafts(), func(o client.Outcome) error {
		_ = bar.Add(1)
		return r.outcome(ctx, r.file.Transactions[o.Position].Number, o)
	})
	return err
}

// progress returns a progress bar, if there is somebody to look at it. A total of
// -1 is not known.
func (a *app) progress(what string, total int) *progressbar.ProgressBar {
	out := io.Discard
	if f, ok := a.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) && !a.json {
		out = f
	}
	return progressbar.NewOptions(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(out),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0)) // nothing moves by itself: that would be a data race
}

// signAtOnce is how many transactions are signed and synced to the outbox in one
// go.
const signAtOnce = 4096

// sign signs the transactions that the outbox does not hold with this content.
func (r *submission) sign() error {
	bar := r.progress("signing", len(r.file.Transactions))
	defer bar.Close()
	var payloads []*verify.Payload
	var labels []string
	flush := func() error {
		envs, err := r.author.SignAll(payloads, r.opts.batch)
		if err != nil {
			return err
		}
		drafts := make([]client.Draft, len(envs))
		for i, env := range envs {
			drafts[i] = client.Draft{Label: labels[i], Envelope: env}
		}
		payloads, labels = payloads[:0], labels[:0]
		return r.outbox.Append(drafts...)
	}
	for _, t := range r.file.Transactions {
		_ = bar.Add(1)
		st := &tracev1.Statement{Stated: &tracev1.Statement_Transaction{Transaction: t.Message}}
		payload, err := r.author.Payload(st, r.id(t.Number), time.Now())
		if err != nil {
			return err
		}
		if kept, err := r.kept(t.Number, payload); err != nil || kept {
			if err != nil {
				return err
			}
			continue
		}
		if payloads, labels = append(payloads, payload), append(labels, t.Number); len(payloads) == signAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (r *submission) id(number string) client.StatementID {
	return client.TransactionID(r.author.Log.ID(), r.author.ID, number)
}

// kept reports whether the outbox holds a transaction with the content of a
// payload, signed with the key that signs now. If it holds another, that was
// refused, or differs from what is on record, or is on record with the key of
// then: the server will tell.
func (r *submission) kept(number string, payload *verify.Payload) (bool, error) {
	draft, err := r.outbox.Get(r.id(number))
	if errors.Is(err, client.ErrNoDraft) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	old, err := verify.ParsePayload(draft.Envelope.GetPayload())
	if err != nil {
		return false, err
	}
	key := r.author.Signer.Public().ID()
	return bytes.Equal(draft.Envelope.GetKeyId(), key[:]) && client.SameContent(old.Statement, payload.Statement), nil
}

// drafts yields the envelopes of the file's transactions, in its order.
func (r *submission) drafts() iter.Seq2[*tracev1.Envelope, error] {
	return func(yield func(*tracev1.Envelope, error) bool) {
		for _, t := range r.file.Transactions {
			draft, err := r.outbox.Get(r.id(t.Number))
			if !yield(draft.Envelope, err) || err != nil {
				return
			}
		}
	}
}

// outcome keeps the receipt of a recorded transaction, or why it was refused.
func (r *submission) outcome(ctx context.Context, number string, o client.Outcome) error {
	if o.Refusal != nil {
		return r.refusal(ctx, number, o)
	}
	if o.Recorded.Already {
		r.done.Already++
	} else {
		r.done.Recorded++
	}
	return r.keepReceipt(ctx, number, &tracev1.ProvenStatement{Envelope: o.Recorded.Envelope, Receipt: o.Recorded.Receipt})
}

// refusal finds out what a refusal means: a statement id that was used may be the
// same content, signed again on another machine.
func (r *submission) refusal(ctx context.Context, number string, o client.Outcome) error {
	if o.Refusal.Refusal.GetReason() != tracev1.RefusalReason_REFUSAL_REASON_STATEMENT_EXISTS {
		r.refused[number] = strings.TrimPrefix(o.Refusal.Error(), "refused: ")
		return nil
	}
	c, err := r.client.Compare(ctx, o.Envelope)
	if err != nil {
		return err
	}
	if !c.Same {
		return r.differing(ctx, number, o.Position, c.Index)
	}
	r.done.Already++
	return r.keepReceipt(ctx, number, c.Recorded)
}

// differing finds out whether a transaction that was recorded otherwise was
// amended since to what the file says.
func (r *submission) differing(ctx context.Context, number string, position, index uint64) error {
	st, hash, err := r.latest(ctx, number)
	var voided answerNo
	switch {
	case errors.As(err, &voided):
		r.refused[number] = fmt.Sprintf("recorded at index %d with other content, and voided since", index)
		return nil
	case err != nil:
		return err
	case !proto.Equal(transactionOf(st), r.file.Transactions[position].Message):
		r.refused[number] = fmt.Sprintf("recorded at index %d with other content: use `magnet amend`", index)
		return nil
	}
	r.done.Already++
	bundle, err := r.client.Bundle(ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_StatementHash{StatementHash: hash[:]}})
	if err != nil {
		return err
	}
	return r.writeReceipt(number, bundle)
}

// keepReceipt writes a bundle that verifies offline.
func (r *submission) keepReceipt(ctx context.Context, number string, proven *tracev1.ProvenStatement) error {
	key := string(proven.GetEnvelope().GetKeyId())
	if r.proofs[key] == nil {
		entry, err := verify.ParseEntry(proven.GetReceipt().GetEntry())
		if err != nil {
			return err
		}
		r.proofs[key], err = r.client.Bundle(ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: entry.Index}})
		if err != nil {
			return err
		}
	}
	bundle := &tracev1.ReceiptBundle{Statement: proven, Genesis: r.proofs[key].GetGenesis(), KeyRegistrations: r.proofs[key].GetKeyRegistrations()}
	return r.writeReceipt(number, bundle)
}

func (r *submission) receiptPath(number string) string {
	return filepath.Join(r.opts.receipts, url.PathEscape(number)+".receipt.json")
}

func (r *submission) writeReceipt(number string, bundle *tracev1.ReceiptBundle) error {
	return writeReceipt(r.receiptPath(number), bundle)
}

// finish writes what was rejected and says what was done.
func (r *submission) finish() error {
	numbers := make(map[string]bool)
	for _, rejection := range r.file.Rejected {
		numbers[rejection.Number] = true
	}
	for number := range r.refused {
		numbers[number] = true
	}
	r.done.Rejected = len(numbers)
	if r.done.Rejected > 0 {
		if err := r.writeRejected(); err != nil {
			return err
		}
	} else if err := os.Remove(r.opts.rejected); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if r.json {
		if err := json.NewEncoder(r.out).Encode(r.done); err != nil {
			return err
		}
	}
	r.say("%d recorded, %d were on record already, %d rejected. Receipts: %s", r.done.Recorded, r.done.Already, r.done.Rejected, r.opts.receipts)
	if r.done.Rejected > 0 {
		return answerNo{fmt.Errorf("rejected rows are in %s, with the reason in the last column: mend them there and submit that file", r.opts.rejected)}
	}
	if r.opts.next && len(r.file.Transactions) > 0 {
		r.say("\nNext:\n  magnet -p %s volumes --by customer,month", r.app.profile)
		r.say("  magnet -p %s verify --state %s", r.app.profile, r.session.profile.path("audit.state"))
		r.say("  magnet receipt verify %s --ledger %s", r.receiptPath(r.file.Transactions[0].Number), r.session.profile.path(r.session.profile.Ledger))
	}
	return nil
}

func (r *submission) writeRejected() error {
	r.sayRejections(r.file)
	var refusals []string
	for number, reason := range r.refused {
		refusals = append(refusals, number+": "+reason)
	}
	slices.Sort(refusals)
	r.sayFirst(refusals)
	r.done.RejectedFile = r.opts.rejected
	out, err := os.OpenFile(r.opts.rejected, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(r.file.WriteRejected(out, r.refused), out.Close())
}
