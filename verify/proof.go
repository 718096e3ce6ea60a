package verify

import (
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// ErrProof says that a proof does not prove what it should.
var ErrProof = errors.New("proof does not verify")

// VerifyInclusion checks that a leaf stands at an index of the tree with a size
// and root (RFC 9162, section 2.1.3.2). The error wraps ErrProof.
func VerifyInclusion(leaf Hash, index, size uint64, path [][]byte, root Hash) error {
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf[:], path, root[:]); err != nil {
		return fmt.Errorf("inclusion of entry %d in %d: %w: %v", index, size, ErrProof, err)
	}
	return nil
}

// VerifyConsistency checks that the tree of the newer checkpoint extends that
// of the older (RFC 9162, section 2.1.4.2). The error wraps ErrProof.
func VerifyConsistency(older, newer *Checkpoint, path [][]byte) error {
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, older.Size, newer.Size, path, older.Root[:], newer.Root[:]); err != nil {
		return fmt.Errorf("size %d to %d: %w: %v", older.Size, newer.Size, ErrProof, err)
	}
	return nil
}
