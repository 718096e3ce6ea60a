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
	e, err := recordedEntry(env, r.GetEntry(), keyIDOf(r.GetSignerSpki()))
	if err == nil {
		err = VerifyInclusion(e.LeafHash(), e.Index, cp.Size, r.GetInclusionPath(), cp.Root)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return e, nil
}

func keyIDOf(spki []byte) Hash { return sha256.Sum256(spki) }

// recordedEntry reads an entry that is said to be of a statement, signed with the
// key that was named.
func recordedEntry(env *tracev1.Envelope, entry []byte, named Hash) (Entry, error) {
	keyID, err := ParseHash(env.GetKeyId())
	if err != nil {
		return Entry{}, err
	}
	if named != keyID {
		return Entry{}, errors.New("the receipt is for another key")
	}
	e, err := ParseEntry(entry)
	if err != nil {
		return Entry{}, err
	}
	if e.StatementHash != StatementHash(PayloadLeaf(env.GetPayload()), keyID, env.GetSignatureBlock()) {
		return Entry{}, errors.New("the entry is of another statement")
	}
	return e, nil
}
