package verifytest

import (
	"crypto/sha256"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Tree is a Merkle tree in the words of RFC 9162, section 2.1: the definitions
// recurse over lists of leaves, and nothing is clever but that a subtree is
// hashed once. It is what proofs made otherwise are compared with. It is not
// safe for concurrent use.
type Tree struct {
	leaves []verify.Hash
	hashed map[span]verify.Hash
}

// span is the leaves [begin, end).
type span struct{ begin, end uint64 }

// NewTree returns a tree over leaf hashes.
func NewTree(leaves ...verify.Hash) *Tree {
	return &Tree{leaves: leaves, hashed: make(map[span]verify.Hash)}
}

// Append adds leaf hashes on the right.
func (t *Tree) Append(leaves ...verify.Hash) { t.leaves = append(t.leaves, leaves...) }

// Size returns the number of leaves.
func (t *Tree) Size() uint64 { return uint64(len(t.leaves)) }

// Leaf returns a leaf hash.
func (t *Tree) Leaf(index uint64) verify.Hash { return t.leaves[index] }

// Root returns the root of the first size leaves: MTH, section 2.1.1.
func (t *Tree) Root(size uint64) verify.Hash { return t.root(span{0, size}) }

// Inclusion returns the path of a leaf in the tree of the first size leaves:
// PATH, section 2.1.3.1. The index must be below the size.
func (t *Tree) Inclusion(index, size uint64) [][]byte {
	return t.path(index, span{0, size})
}

// Consistency returns the proof that the tree of the first newer leaves extends
// that of the first older: PROOF, section 2.1.4.1; empty if older is 0.
func (t *Tree) Consistency(older, newer uint64) [][]byte {
	if older == 0 {
		return nil
	}
	return t.subproof(older, span{0, newer}, true)
}

func (t *Tree) root(s span) verify.Hash {
	if h, ok := t.hashed[s]; ok {
		return h
	}
	var h verify.Hash
	switch s.end - s.begin {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return t.leaves[s.begin]
	default:
		left, right := s.split()
		l, r := t.root(left), t.root(right)
		h = sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
	t.hashed[s] = h
	return h
}

func (t *Tree) path(index uint64, s span) [][]byte {
	if s.end-s.begin == 1 {
		return nil
	}
	left, right := s.split()
	if index < left.end {
		return append(t.path(index, left), t.bytes(right))
	}
	return append(t.path(index, right), t.bytes(left))
}

// subproof is SUBPROOF; whole says that the first older leaves are a subtree
// whose root the verifier knows.
func (t *Tree) subproof(older uint64, s span, whole bool) [][]byte {
	if older == s.end {
		if whole {
			return nil
		}
		return [][]byte{t.bytes(s)}
	}
	left, right := s.split()
	if older <= left.end {
		return append(t.subproof(older, left, whole), t.bytes(right))
	}
	return append(t.subproof(older, right, false), t.bytes(left))
}

func (t *Tree) bytes(s span) []byte {
	h := t.root(s)
	return h[:]
}

// split cuts a span of two or more leaves where the largest power of two below
// its length ends.
func (s span) split() (left, right span) {
	k := uint64(1)
	for k*2 < s.end-s.begin {
		k *= 2
	}
	return span{s.begin, s.begin + k}, span{s.begin + k, s.end}
}
