package verify

import (
	"crypto/sha256"
	"errors"
	"fmt"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// VerifyRecorded checks that a statement stands in the tree of a checkpoint
// that was opened before. It is for whoever signed the statement itself and
// wants to know where it stands: payload and signature are not judged, and the
// checkpoint of the receipt is not read. It costs hashes alone, where
// VerifyReceipt verifies two signatures. The error wraps ErrReceipt.
func VerifyRecorded(env *tracev1.Envelope, r *tracev1.Receipt, cp *Checkpoint) (Entry, error) {
	e, err := proveRecorded(env, r, cp)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return e, nil
}

func proveRecorded(env *tracev1.Envelope, r *tracev1.Receipt, cp *Checkpoint) (Entry, error) {
	keyID, err := ParseHash(env.GetKeyId())
	if err != nil {
		return Entry{}, err
	}
	if sha256.Sum256(r.GetSignerSpki()) != keyID {
		return Entry{}, errors.New("the receipt is for another key")
	}
	e, err := ParseEntry(r.GetEntry())
	if err != nil {
		return Entry{}, err
	}
	if e.StatementHash != StatementHash(PayloadLeaf(env.GetPayload()), keyID, env.GetSignatureBlock()) {
		return Entry{}, errors.New("the entry is of another statement")
	}
	return e, VerifyInclusion(e.LeafHash(), e.Index, cp.Size, r.GetInclusionPath(), cp.Root)
}
