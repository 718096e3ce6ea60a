package client

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// longestChain bounds the registrations of a bundle. Each is by a key that was
// registered before; a chain this long is one of a server that makes them up.
const longestChain = 64

// Bundle fetches everything that proves a statement to somebody who has the
// ledger card alone: statement, registrations of keys, genesis, each with its
// receipt. The request names the statement; its view does not count. The bundle
// is verified before it is returned.
func (c *Client) Bundle(ctx context.Context, req *ledgerv1.GetStatementRequest) (*tracev1.ReceiptBundle, error) {
	bundle, err := c.bundle(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("making receipt bundle: %w", err)
	}
	return bundle, nil
}

func (c *Client) bundle(ctx context.Context, req *ledgerv1.GetStatementRequest) (*tracev1.ReceiptBundle, error) {
	statement, signed, err := c.statement(ctx, proto.CloneOf(req))
	if err != nil {
		return nil, err
	}
	b := &tracev1.ReceiptBundle{Statement: statement}
	if b.Genesis, _, err = c.statement(ctx, atIndex(0)); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	genesis, err := verify.OpenGenesis(b.GetGenesis().GetEnvelope())
	if err != nil {
		return nil, err
	}
	for !founded(genesis, signed) && len(b.GetKeyRegistrations()) < longestChain {
		var registration *tracev1.ProvenStatement
		if registration, signed, err = c.registration(ctx, signed); err != nil {
			return nil, fmt.Errorf("key registration %d: %w", len(b.GetKeyRegistrations()), err)
		}
		b.KeyRegistrations = append(b.GetKeyRegistrations(), registration)
	}
	if _, err := c.log.VerifyBundle(b); err != nil {
		return nil, err
	}
	return b, nil
}

func atIndex(index uint64) *ledgerv1.GetStatementRequest {
	return &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{Index: index}}
}

// founded reports whether the genesis names the key of a statement.
func founded(g *verify.Genesis, signed *verify.Proven) bool {
	key := g.Keys[signed.Payload.Statement.GetSigner()]
	return key != nil && key.ID() == signed.Key.ID()
}

// registration fetches the statement that registers the key of another.
func (c *Client) registration(ctx context.Context, signed *verify.Proven) (*tracev1.ProvenStatement, *verify.Proven, error) {
	signer, keyID := signed.Payload.Statement.GetSigner(), signed.Key.ID()
	resp, err := c.Queries().GetParticipant(ctx, &ledgerv1.GetParticipantRequest{ParticipantId: signer})
	if err != nil {
		return nil, nil, err
	}
	for _, key := range resp.GetKeys() {
		if string(key.GetKeyId()) == string(keyID[:]) {
			return c.statement(ctx, atIndex(key.GetRegisteredIndex()))
		}
	}
	return nil, nil, fmt.Errorf("the server knows no key %s of %q", keyID, signer)
}
