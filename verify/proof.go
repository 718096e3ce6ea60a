package verify

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// treeHasher is rfc6962.DefaultHasher with one allocation for a node.
type treeHasher struct{ *rfc6962.Hasher }

var hasher = treeHasher{rfc6962.DefaultHasher}

// HashChildren returns the hash of a node, SHA-256(0x01 || l || r).
func (treeHasher) HashChildren(l, r []byte) []byte {
	b := append(make([]byte, 0, 1+2*HashSize), rfc6962.RFC6962NodeHashPrefix)
	h := sha256.Sum256(append(append(b, l...), r...))
	return h[:]
}

// NodeHash is HashChildren for two hashes.
func NodeHash(l, r Hash) Hash {
	var b [1 + 2*HashSize]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], l[:])
	copy(b[1+HashSize:], r[:])
	return sha256.Sum256(b[:])
}

func hashSlices(hs []Hash) [][]byte {
	out := make([][]byte, len(hs))
	for i := range hs {
		out[i] = hs[i][:]
	}
	return out
}

// ErrProof says that a proof does not prove what it should.
var ErrProof = errors.New("proof does not verify")

// VerifyInclusion checks that a leaf stands at an index of the tree with a size
// and root (RFC 9162, section 2.1.3.2). The error wraps ErrProof.
func VerifyInclusion(leaf Hash, index, size uint64, path [][]byte, root Hash) error {
	if err := proof.VerifyInclusion(hasher, index, size, leaf[:], path, root[:]); err != nil {
		return fmt.Errorf("inclusion of entry %d in %d: %w: %s", index, size, ErrProof, proofProblem(err))
	}
	return nil
}

// VerifyConsistency checks that the tree of the newer checkpoint extends that
// of the older (RFC 9162, section 2.1.4.2). The error wraps ErrProof.
func VerifyConsistency(older, newer *Checkpoint, path [][]byte) error {
	if err := proof.VerifyConsistency(hasher, older.Size, newer.Size, path, older.Root[:], newer.Root[:]); err != nil {
		return fmt.Errorf("size %d to %d: %w: %s", older.Size, newer.Size, ErrProof, proofProblem(err))
	}
	return nil
}

// proofProblem words an error of package proof for one line.
func proofProblem(err error) string {
	var mismatch proof.RootMismatchError
	if errors.As(err, &mismatch) {
		return fmt.Sprintf("it leads to root %x, not %x", mismatch.CalculatedRoot, mismatch.ExpectedRoot)
	}
	return err.Error()
}
