package verify_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// Every proof is checked up to size allProofs, and every seventh up to
// proofSize.
const (
	proofSize = 300
	allProofs = 100
)

func plainTree(n int) (*verifytest.Tree, []verify.Hash) {
	var leaves []verify.Hash
	for _, e := range plainEntries(n) {
		leaves = append(leaves, e.LeafHash())
	}
	return verifytest.NewTree(leaves...), leaves
}

// TestInclusion checks proofs for each size, and that they fail for the next
// index, another leaf, another root and a longer path.
func TestInclusion(t *testing.T) {
	t.Parallel()
	tree, leaves := plainTree(proofSize + 1)
	for size := uint64(1); size <= proofSize; size++ {
		root := tree.Root(size)
		for index := range size {
			if size > allProofs && (size+index)%7 != 0 {
				continue
			}
			path := tree.Inclusion(index, size)
			if err := verify.VerifyInclusion(leaves[index], index, size, path, root); err != nil {
				t.Fatal(err)
			}
			if (size+index)%7 != 0 {
				continue
			}
			for name, err := range map[string]error{
				"the next index": verify.VerifyInclusion(leaves[index], index+1, size, path, root),
				"the next leaf":  verify.VerifyInclusion(leaves[index+1], index, size, path, root),
				"the next root":  verify.VerifyInclusion(leaves[index], index, size, path, tree.Root(size+1)),
				"a longer path":  verify.VerifyInclusion(leaves[index], index, size, append(path, root[:]), root),
			} {
				if !errors.Is(err, verify.ErrProof) {
					t.Fatalf("entry %d of %d with %s: got error %v", index, size, name, err)
				}
			}
		}
	}
}

// TestTamperedInclusion changes each part of proofs.
func TestTamperedInclusion(t *testing.T) {
	tree, leaves := plainTree(100)
	for _, c := range []struct{ index, size uint64 }{{0, 2}, {1, 2}, {2, 3}, {0, 100}, {63, 100}, {64, 100}, {99, 100}} {
		path, root := tree.Inclusion(c.index, c.size), tree.Root(c.size)
		check := func(name string, leaf verify.Hash, index, size uint64, path [][]byte, root verify.Hash) {
			t.Helper()
			if err := verify.VerifyInclusion(leaf, index, size, path, root); !errors.Is(err, verify.ErrProof) {
				t.Errorf("entry %d of %d with %s: got error %v", c.index, c.size, name, err)
			}
		}
		leaf := leaves[c.index]
		for i := range path {
			check("a path cut off", leaf, c.index, c.size, path[:i], root)
			for b := range path[i] {
				check("a flipped byte", leaf, c.index, c.size, withHash(path, i, flipped(path[i], b)), root)
			}
			check("a short hash", leaf, c.index, c.size, withHash(path, i, path[i][:31]), root)
			check("a long hash", leaf, c.index, c.size, withHash(path, i, append(bytes.Clone(path[i]), 0)), root)
			check("no hash", leaf, c.index, c.size, withHash(path, i, nil), root)
		}
		for i := range root {
			check("a flipped root", leaf, c.index, c.size, path, verify.Hash(flipped(root[:], i)))
			check("a flipped leaf", verify.Hash(flipped(leaf[:], i)), c.index, c.size, path, root)
		}
		for index := range c.size + 2 {
			if index != c.index {
				check("another index", leaf, index, c.size, path, root)
			}
		}
		check("size 0", leaf, 0, 0, nil, tree.Root(0))
		check("index 2^64-1", leaf, minusOne, c.size, path, root)
		check("a size of 2^64-1", leaf, c.index, minusOne, path, root)
	}
}

func withHash(path [][]byte, at int, hash []byte) [][]byte {
	out := slices.Clone(path)
	out[at] = hash
	return out
}

// TestConsistency checks proofs from and to each size, and that they fail for
// other roots.
func TestConsistency(t *testing.T) {
	t.Parallel()
	tree, _ := plainTree(proofSize)
	at := func(size uint64) *verify.Checkpoint { return &verify.Checkpoint{Size: size, Root: tree.Root(size)} }
	forged := &verify.Checkpoint{Root: verify.Hash{1}}
	for newer := range uint64(proofSize + 1) {
		for older := range newer + 1 {
			if newer > allProofs && (newer+older)%7 != 0 {
				continue
			}
			path := tree.Consistency(older, newer)
			if err := verify.VerifyConsistency(at(older), at(newer), path); err != nil {
				t.Fatal(err)
			}
			if older == 0 || (newer+older)%7 != 0 {
				continue
			}
			forged.Size = older
			errOlder := verify.VerifyConsistency(forged, at(newer), path)
			forged.Size = newer
			errNewer := verify.VerifyConsistency(at(older), forged, path)
			errSwapped := error(verify.ErrProof)
			if older != newer {
				errSwapped = verify.VerifyConsistency(at(newer), at(older), path)
			}
			for _, err := range []error{errOlder, errNewer, errSwapped} {
				if !errors.Is(err, verify.ErrProof) {
					t.Fatalf("%d to %d: got error %v", older, newer, err)
				}
			}
		}
	}
}

// TestTamperedConsistency changes each part of proofs.
func TestTamperedConsistency(t *testing.T) {
	tree, _ := plainTree(100)
	at := func(size uint64) *verify.Checkpoint { return &verify.Checkpoint{Size: size, Root: tree.Root(size)} }
	for _, c := range []struct{ older, newer uint64 }{{1, 2}, {2, 3}, {3, 7}, {4, 8}, {63, 100}, {64, 100}, {99, 100}} {
		path := tree.Consistency(c.older, c.newer)
		check := func(name string, older, newer *verify.Checkpoint, path [][]byte) {
			t.Helper()
			if err := verify.VerifyConsistency(older, newer, path); !errors.Is(err, verify.ErrProof) {
				t.Errorf("%d to %d with %s: got error %v", c.older, c.newer, name, err)
			}
		}
		for i := range path {
			check("a path cut off", at(c.older), at(c.newer), path[:i])
			for b := range path[i] {
				check("a flipped byte", at(c.older), at(c.newer), withHash(path, i, flipped(path[i], b)))
			}
			check("a short hash", at(c.older), at(c.newer), withHash(path, i, path[i][1:]))
		}
		check("a longer path", at(c.older), at(c.newer), append(path, path[0]))
		check("another older size", at(c.older+1), at(c.newer), path)
		check("a larger newer size", at(c.older), &verify.Checkpoint{Size: minusOne, Root: tree.Root(c.newer)}, path)
	}
	if err := verify.VerifyConsistency(at(0), at(5), [][]byte{make([]byte, 32)}); !errors.Is(err, verify.ErrProof) {
		t.Errorf("a path from size 0: got error %v", err)
	}
}
