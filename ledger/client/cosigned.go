package client

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ErrNotCosigned says that witnesses have not cosigned a checkpoint yet that covers
// what was asked for. It may be there in some seconds.
var ErrNotCosigned = errors.New("witnesses have not cosigned this yet")

// Cosigned returns the newest checkpoint that witnesses have cosigned, which must
// satisfy a policy. The error wraps ErrNotCosigned, verify.ErrPolicy or
// verify.ErrCheckpoint, is a *ForkError or that of the call.
func (c *Client) Cosigned(ctx context.Context, p *verify.Policy) (*verify.Checkpoint, error) {
	resp, err := c.Audits().GetCheckpoint(ctx, &ledgerv1.GetCheckpointRequest{Cosigned: true})
	if err != nil {
		return nil, notCosigned(err)
	}
	cp, err := c.history.accept(resp.GetCheckpoint(), 0)
	if err != nil {
		return nil, err
	}
	return cp, p.Check(c.log, cp)
}

func notCosigned(err error) error {
	if status.Code(err) == codes.FailedPrecondition {
		return fmt.Errorf("%w: %w", ErrNotCosigned, err)
	}
	return err
}

// Cosign replaces the receipts of a bundle by those under the newest checkpoints
// that witnesses have cosigned, which must satisfy a policy; nil for any. The error
// is as that of Cosigned, or wraps verify.ErrReceipt.
func (c *Client) Cosign(ctx context.Context, b *tracev1.ReceiptBundle, p *verify.Policy) error {
	proven := append([]*tracev1.ProvenStatement{b.GetStatement(), b.GetGenesis()}, b.GetKeyRegistrations()...)
	for _, s := range proven {
		e, err := verify.ParseEntry(s.GetReceipt().GetEntry())
		if err != nil {
			return err
		}
		resp, err := c.Audits().GetReceipt(ctx, &ledgerv1.GetReceiptRequest{By: &ledgerv1.GetReceiptRequest_Index{Index: e.Index}, Cosigned: true})
		if err != nil {
			return notCosigned(err)
		}
		if _, err := c.history.accept(resp.GetReceipt().GetCheckpoint(), 0); err != nil {
			return err
		}
		s.Receipt = resp.GetReceipt()
	}
	if _, err := c.log.VerifyBundle(b); err != nil {
		return err
	}
	if p == nil {
		return nil
	}
	return p.CheckBundle(c.log, b)
}
