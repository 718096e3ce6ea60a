package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/tlog"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

func (a *app) checkpointCommand() *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint", Short: "Print the latest signed checkpoint", Args: cobra.NoArgs,
		Long:    "Print the latest signed checkpoint, a C2SP tlog-checkpoint, checked against the\npinned ledger. Keep it somewhere else: a log that no longer extends it was forged.",
		Example: "  magnet -p reg/profiles/auditor.yaml checkpoint > 2026-06-30.checkpoint",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.session()
			if err != nil {
				return err
			}
			defer s.Close()
			cp, err := s.client.Checkpoint(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(&ledgerv1.GetCheckpointResponse{Checkpoint: cp.Note})
			}
			_, err = a.out.Write(cp.Note)
			return err
		},
	}
}

func (a *app) verifyCommand() *cobra.Command {
	var state, policy string
	var full bool
	cmd := &cobra.Command{
		Use:   "verify --state FILE",
		Short: "Check the chain, from where the last check ended",
		Long: `Check the chain: every entry since the last check, up to a new checkpoint, and
that the log still extends the checkpoint that was kept. With --full also every
statement that you may read: its bytes, its signature, its key.

The state is FILE, and beside it FILE.leaves with 32 bytes for each entry, which
tell where a log was rewritten. Keep both where the operator cannot reach them.
Exit code 0 says that all was sound, 1 that something was found. If the log was
rewritten since, FILE.fork.json proves it to others: see magnet fork verify.`,
		Example: "  magnet -p reg/profiles/auditor.yaml verify --state auditor.state --full",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.session()
			if err != nil {
				return err
			}
			defer s.Close()
			p, err := readPolicy(policy)
			if err != nil {
				return err
			}
			return s.verify(cmd.Context(), state, full, p)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "file to go on from; it is made by the first check")
	cmd.Flags().BoolVar(&full, "full", false, "check the statements too")
	cmd.Flags().StringVar(&policy, "policy", "", policyUsage)
	must(cmd.MarkFlagRequired("state"))
	return cmd
}

const policyUsage = "C2SP tlog-policy file that names witnesses: demand their cosignatures"

// readPolicy reads a policy file; of no path it is nil.
func readPolicy(path string) (*verify.Policy, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := verify.ParsePolicy(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// verify runs an audit from a state file and keeps the new state.
func (s *session) verify(ctx context.Context, state string, full bool, policy *verify.Policy) error {
	auditor, err := s.auditor(state, full)
	if err != nil {
		return err
	}
	leaves, err := client.OpenLeafFile(state+".leaves", auditor.Size())
	if err != nil {
		return err
	}
	defer leaves.Close()
	bar := s.progress("verifying", 1) // the length comes with the first report
	report, err := s.client.Audit(ctx, auditor, client.AuditOptions{Leaves: leaves, Policy: policy, Progress: func(done, total uint64) {
		bar.ChangeMax64(int64(total))
		_ = bar.Set64(int64(done))
	}})
	_ = bar.Close()
	if err != nil && report.Found > 0 { // what was found stays found
		fmt.Fprintln(s.err, "magnet:", errorText(err))
		return s.sayReport(auditor, report, nil)
	}
	if err != nil {
		return err
	}
	difference, err := s.locate(ctx, report, leaves)
	if err != nil {
		return err
	}
	if err := s.proveFork(ctx, state, auditor.Kept(), report); err != nil {
		fmt.Fprintln(s.err, "magnet: no proof of fork for others:", errorText(err))
	}
	if err := keepState(state, auditor, report); err != nil {
		return err
	}
	return s.sayReport(auditor, report, difference)
}

// auditor resumes from a state file, or begins.
func (s *session) auditor(state string, full bool) (*verify.Auditor, error) {
	b, err := os.ReadFile(state)
	if errors.Is(err, os.ErrNotExist) {
		return verify.NewAuditor(s.client.Log(), full), nil
	}
	if err != nil {
		return nil, err
	}
	a, err := verify.ResumeAuditor(s.client.Log(), b)
	if err != nil {
		return nil, err
	}
	if full != a.Full() {
		return nil, fmt.Errorf("%s is of an audit %s --full; go on like that, or begin another state file", state, map[bool]string{true: "with", false: "without"}[a.Full()])
	}
	return a, nil
}

// locate finds the first entry that differs from what was kept, if the log was
// rewritten.
func (s *session) locate(ctx context.Context, report *client.Report, leaves *client.LeafFile) (*client.Difference, error) {
	for _, f := range report.Findings {
		if f.Kind == verify.Rewritten || f.Kind == verify.CutBack {
			return s.client.Locate(ctx, leaves)
		}
	}
	return nil, nil
}

// proveFork leaves a proof for others if the log that is shown was rewritten since a
// checkpoint was kept. Of a log that was cut back, the server must show the rest.
func (s *session) proveFork(ctx context.Context, state string, kept *verify.Checkpoint, report *client.Report) error {
	for _, f := range report.Findings {
		if f.Kind != verify.Rewritten || kept == nil {
			continue
		}
		fork, err := tlog.FindFork(ctx, s.client.Log(), kept, report.Checkpoint, participantSource{s.client})
		if err != nil || fork == nil {
			return err
		}
		return s.leaveProof(state+".fork.json", s.client.Log(), fork)
	}
	return nil
}

// keepState replaces the state file, if the chain was found sound. What was
// found in statements does not keep an auditor from going on.
func keepState(path string, a *verify.Auditor, report *client.Report) error {
	for _, f := range report.Findings {
		if !f.OfStatement() {
			return nil
		}
	}
	b, err := a.State()
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(path), ".magnet-state-")
	if err != nil {
		return err
	}
	_, err = next.Write(append(b, '\n'))
	if err = errors.Join(err, next.Sync(), next.Close()); err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return os.Rename(next.Name(), path)
}

// verification is the report of verify for programs.
type verification struct {
	Sound      bool              `json:"sound"`
	From       uint64            `json:"from,string"`
	To         uint64            `json:"to,string"`
	Full       bool              `json:"full"`
	Checkpoint string            `json:"checkpoint"`
	Found      uint64            `json:"found,string"`
	Findings   []*verify.Finding `json:"findings"`
	// FirstDifference is the first entry that is not what was kept.
	FirstDifference *uint64 `json:"first_difference,omitempty"`
	// Unproved are entries beside a break of the chain that the checkpoint does
	// not cover.
	Unproved []uint64 `json:"unproved,omitempty"`
}

func (s *session) sayReport(a *verify.Auditor, r *client.Report, d *client.Difference) error {
	if s.json {
		v := verification{Sound: r.Sound(), From: r.From, To: r.To, Full: a.Full(), Found: r.Found, Findings: r.Findings, Unproved: r.Unproved}
		if r.Checkpoint != nil {
			v.Checkpoint = string(r.Checkpoint.Note)
		}
		if d != nil {
			v.FirstDifference = &d.Index
		}
		if err := json.NewEncoder(s.out).Encode(v); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		s.say("%v", f)
	}
	for _, index := range r.Unproved {
		s.say("The checkpoint does not cover entry %d as it was shown: it is the one that was changed.", index)
	}
	if d != nil {
		s.say("The first entry that is not what you kept stands at index %d.", d.Index)
	}
	if !r.Sound() {
		return no("%d findings in entries %d to %d; keep the state file and this output as evidence", r.Found, r.From, r.To)
	}
	what := "entries"
	if a.Full() {
		what = "entries and their statements"
	}
	s.say("Sound: %d new %s, %d in all; the checkpoint of size %d is kept.", r.To-r.From, what, a.Size(), r.Checkpoint.Size)
	return nil
}
