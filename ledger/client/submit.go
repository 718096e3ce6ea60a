package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Recorded is a statement on record, proved.
type Recorded struct {
	// Receipt is the proof.
	Receipt *tracev1.Receipt
	// Envelope is the statement as it is on record: the submitted one, or the
	// same payload under another signature of its signer.
	Envelope *tracev1.Envelope
	// Entry is what the receipt proves: where the statement stands, and since
	// when.
	Entry verify.Entry
	// Already says that it was on record before the attempt that was answered,
	// which may be the second of the same call.
	Already bool
}

// Submit records a statement. When it returns without an error the statement is
// durable and its receipt proved.
//
// A *RefusalError says that it is not on record. After any other error the
// outcome is unknown and the same bytes may be submitted again. An error that
// wraps verify.ErrReceipt or verify.ErrCheckpoint, or a *ForkError, says that
// the server gave a wrong proof.
//
// The statement may be on record with another signature, if its payload was
// signed twice. The receipt is for that one, which Recorded holds.
func (c *Client) Submit(ctx context.Context, env *tracev1.Envelope) (*Recorded, error) {
	return c.submit(ctx, &ledgerv1.SubmitRequest{Envelope: env})
}

// Validate asks what Submit would say now, and records nothing. It returns nil
// if the statement would be admitted, and a *RefusalError if not. If it is on
// record already, it returns the proof.
func (c *Client) Validate(ctx context.Context, env *tracev1.Envelope) (*Recorded, error) {
	return c.submit(ctx, &ledgerv1.SubmitRequest{Envelope: env, ValidateOnly: true})
}

func (c *Client) submit(ctx context.Context, req *ledgerv1.SubmitRequest) (*Recorded, error) {
	floor := c.history.size()
	resp, err := c.Submissions().Submit(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.GetValidateOnly() && !resp.GetAlreadyRecorded() {
		return nil, nil
	}
	r, err := c.recorded(recordedEnvelope{req.GetEnvelope(), resp.GetRecordedEnvelope()}, resp.GetReceipt(), floor)
	if err != nil {
		return nil, err
	}
	r.Already = resp.GetAlreadyRecorded()
	return r, nil
}

// recordedEnvelope is a statement as it was submitted and, unless that is nil, as
// the server says it is on record with another signature.
type recordedEnvelope struct{ submitted, other *tracev1.Envelope }

// recorded proves a receipt for a statement that was submitted when the log had
// been seen at size floor.
func (c *Client) recorded(env recordedEnvelope, r *tracev1.Receipt, floor uint64) (*Recorded, error) {
	cp, err := c.history.accept(r.GetCheckpoint(), floor)
	if err != nil {
		return nil, err
	}
	if env.other != nil {
		return c.recordedOther(env, r)
	}
	entry, err := verify.VerifyRecorded(env.submitted, r, cp)
	if err != nil {
		return nil, err
	}
	return &Recorded{Receipt: r, Envelope: env.submitted, Entry: entry}, nil
}

// recordedOther proves a receipt for the submitted payload under another
// signature.
func (c *Client) recordedOther(env recordedEnvelope, r *tracev1.Receipt) (*Recorded, error) {
	if !bytes.Equal(env.other.GetPayload(), env.submitted.GetPayload()) {
		return nil, fmt.Errorf("%w: %w", verify.ErrReceipt, errOther)
	}
	proven, err := c.log.VerifyReceipt(env.other, r)
	if err != nil {
		return nil, err
	}
	return &Recorded{Receipt: r, Envelope: env.other, Entry: proven.Entry}, nil
}

// Comparison is what stands on record under a statement id.
type Comparison struct {
	// Recorded is the statement on record and its receipt, verified.
	Recorded *tracev1.ProvenStatement
	// Statement is what it says.
	Statement *tracev1.Statement
	// Index is where it stands.
	Index uint64
	// Same says that it has the same content as the other; see SameContent.
	Same bool
}

// Compare fetches what is on record under the signer and the statement id of an
// envelope, checks its receipt, and compares the contents. It is the answer to
// STATEMENT_EXISTS: either the statement was signed twice and need not be
// submitted, or it differs and calls for an amendment.
func (c *Client) Compare(ctx context.Context, env *tracev1.Envelope) (*Comparison, error) {
	mine, err := verify.ParsePayload(env.GetPayload())
	if err != nil {
		return nil, err
	}
	key := &ledgerv1.StatementKey{Signer: mine.Statement.GetSigner(), StatementId: mine.Statement.GetStatementId()}
	proven, found, err := c.statement(ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Key{Key: key}})
	if err != nil {
		return nil, err
	}
	st := found.Payload.Statement
	return &Comparison{Recorded: proven, Statement: st, Index: found.Entry.Index, Same: SameContent(st, mine.Statement)}, nil
}

// errOther says that the server answered with something else than was asked for.
var errOther = errors.New("the server answered with another statement")

// statement fetches a statement and verifies its receipt, and that it is the one
// that the request names.
func (c *Client) statement(ctx context.Context, req *ledgerv1.GetStatementRequest) (*tracev1.ProvenStatement, *verify.Proven, error) {
	floor := c.history.size()
	req.View = ledgerv1.StatementView_STATEMENT_VIEW_FULL
	resp, err := c.Queries().GetStatement(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	proven := &tracev1.ProvenStatement{Envelope: resp.GetStatement().GetEnvelope(), Receipt: resp.GetReceipt()}
	if _, err := c.history.accept(proven.GetReceipt().GetCheckpoint(), floor); err != nil {
		return nil, nil, err
	}
	found, err := c.log.VerifyReceipt(proven.GetEnvelope(), proven.GetReceipt())
	if err != nil {
		return nil, nil, err
	}
	if !named(req, found) {
		return nil, nil, fmt.Errorf("%w: %w", verify.ErrReceipt, errOther)
	}
	return proven, found, nil
}

// named reports whether a request names a statement.
func named(req *ledgerv1.GetStatementRequest, found *verify.Proven) bool {
	switch by := req.GetBy().(type) {
	case *ledgerv1.GetStatementRequest_StatementHash:
		return string(by.StatementHash) == string(found.Entry.StatementHash[:])
	case *ledgerv1.GetStatementRequest_Key:
		st := found.Payload.Statement
		return by.Key.GetSigner() == st.GetSigner() && string(by.Key.GetStatementId()) == string(st.GetStatementId())
	case *ledgerv1.GetStatementRequest_Index:
		return by.Index == found.Entry.Index
	}
	return false
}
