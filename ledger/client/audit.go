package client

import (
	"context"
	"errors"
	"fmt"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// reportedFindings is how many findings a report holds.
const reportedFindings = 1000

// AuditOptions are what an audit may be given.
type AuditOptions struct {
	// Leaves takes the leaf hash of each entry; it must hold those that the
	// auditor has read before. It is durable when Audit returns.
	Leaves *LeafFile
	// Progress, unless nil, is told now and then how many entries of the log
	// were read, and at the end.
	Progress func(done, total uint64)
	// Policy, unless nil, must be satisfied by the checkpoint that the log is read
	// for, which is then the newest that witnesses have cosigned.
	Policy *verify.Policy
}

// Report is what an audit found.
type Report struct {
	// From and To are the entries that were read: [From, To).
	From, To uint64
	// Checkpoint is what the log was read for. Keep it.
	Checkpoint *verify.Checkpoint
	// Findings are the first 1,000 faults.
	Findings []*verify.Finding
	// Found is the number of faults.
	Found uint64
	// Unproved are, where the chain is broken, the entries on both sides of the
	// break that are not shown to be in the tree of the checkpoint: those were
	// changed since it was signed. If there is none, the break itself was
	// signed.
	Unproved []uint64
}

// Sound reports whether nothing was found.
func (r *Report) Sound() bool { return r.Found == 0 }

// Audit reads the log from where the auditor stopped the last time to the latest
// checkpoint; for a full audit with the statements that the caller may read. It
// goes on after findings of a statement and stops at any other. When nothing of
// the chain was found, the auditor has kept the checkpoint and has a State.
//
// Findings are in the report, not in the error. The error is that of a call, of
// the leaf file, wraps verify.ErrCheckpoint or verify.ErrPolicy, or is a *ForkError. The report says
// what was read and found before it.
//
// After a finding of kind Rewritten or CutBack, Locate tells where. It takes
// constant memory.
func (c *Client) Audit(ctx context.Context, a *verify.Auditor, opts AuditOptions) (*Report, error) {
	au := &audit{client: c, auditor: a, opts: opts, report: &Report{From: a.Size(), To: a.Size()}}
	if opts.Leaves != nil && opts.Leaves.Len() != a.Size() {
		return au.report, fmt.Errorf("%w: it holds %d entries, the audit has read %d", ErrLeafFile, opts.Leaves.Len(), a.Size())
	}
	err := au.run(ctx)
	if opts.Leaves != nil {
		err = errors.Join(err, opts.Leaves.Sync())
	}
	return au.report, err
}

type audit struct {
	client  *Client
	auditor *verify.Auditor
	opts    AuditOptions
	report  *Report
	last    *verify.Entry // of this audit, found sound
}

func (au *audit) run(ctx context.Context) error {
	floor := au.client.history.size()
	cp, err := au.client.latest(ctx)
	if au.opts.Policy != nil {
		floor = 0 // what is cosigned is older than what was seen
		cp, err = au.client.Cosigned(ctx, au.opts.Policy)
	}
	if err != nil {
		return err
	}
	if kept := au.auditor.Kept(); au.opts.Policy != nil && kept != nil && cp.Size < kept.Size {
		return fmt.Errorf("%w: the newest cosigned checkpoint, of size %d, is older than the one that was kept, of size %d", ErrNotCosigned, cp.Size, kept.Size)
	}
	au.report.Checkpoint = cp
	// The auditor judges before the connection does: what it kept is older.
	if err := au.auditor.Begin(cp); err != nil {
		return au.find(err)
	}
	if _, err := au.client.history.accept(cp.Note, floor); err != nil {
		return err
	}
	view := ledgerv1.StatementView_STATEMENT_VIEW_ENTRY
	if au.auditor.Full() {
		view = ledgerv1.StatementView_STATEMENT_VIEW_FULL
	}
	err = au.client.readEntries(ctx, entryRange{
		next: au.auditor.Size, end: cp.Size, view: view, visit: au.add, pause: func() { au.progress(cp) },
	})
	var stop *stopped
	switch {
	case errors.As(err, &stop):
		return errors.Join(au.find(stop.Finding), au.pinpoint(ctx, stop, cp))
	case err != nil:
		return err
	}
	return au.find(au.auditor.Finish(cp))
}

// stopped is a finding that stops an audit, with the entry that does not fit.
type stopped struct {
	*verify.Finding
	entry []byte
}

// add judges the next entry. The error is a *stopped or that of the leaf file.
func (au *audit) add(logged *ledgerv1.LoggedEntry) error {
	err := au.auditor.Add(logged.GetEntry(), logged.GetEnvelope())
	if f := verify.AsFinding(err); f != nil && !f.OfStatement() {
		return &stopped{f, logged.GetEntry()}
	}
	if err := au.find(err); err != nil {
		return err
	}
	e, err := verify.ParseEntry(logged.GetEntry())
	if err != nil {
		return err // not after the auditor has read it
	}
	au.last, au.report.To = &e, au.auditor.Size()
	if au.opts.Leaves != nil {
		return au.opts.Leaves.Append(e.LeafHash())
	}
	return nil
}

func (au *audit) progress(cp *verify.Checkpoint) {
	if au.opts.Progress != nil {
		au.opts.Progress(au.auditor.Size(), cp.Size)
	}
}

// find takes a finding into the report, and returns any other error.
func (au *audit) find(err error) error {
	f := verify.AsFinding(err)
	if f == nil {
		return err
	}
	au.report.Found++
	if len(au.report.Findings) < reportedFindings {
		au.report.Findings = append(au.report.Findings, f)
	}
	return nil
}

// pinpoint asks for proofs of the two entries between which the chain is broken,
// as they were read: what was changed since the checkpoint was signed has none.
func (au *audit) pinpoint(ctx context.Context, at *stopped, cp *verify.Checkpoint) error {
	if at.Kind != verify.BrokenChain {
		return nil
	}
	e, err := verify.ParseEntry(at.entry)
	if err != nil {
		return err // not after the chain has judged it
	}
	suspects := []*verify.Entry{&e}
	if au.last != nil {
		suspects = []*verify.Entry{au.last, &e}
	}
	for _, e := range suspects {
		proved, err := au.client.proves(ctx, *e, cp)
		if err != nil {
			return err
		}
		if !proved {
			au.report.Unproved = append(au.report.Unproved, e.Index)
		}
	}
	return nil
}

// proves reports whether the server shows an entry to be in the tree of a
// checkpoint.
func (c *Client) proves(ctx context.Context, e verify.Entry, cp *verify.Checkpoint) (bool, error) {
	resp, err := c.Audits().GetInclusionProof(ctx, &ledgerv1.GetInclusionProofRequest{Index: e.Index, TreeSize: cp.Size})
	if err != nil {
		if _, again := retryable(err); again || ctx.Err() != nil {
			return false, err
		}
		return false, nil // the server has no proof
	}
	return verify.VerifyInclusion(e.LeafHash(), e.Index, cp.Size, resp.GetPath(), cp.Root) == nil, nil
}
