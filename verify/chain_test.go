package verify_test

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// TestChain compares root and nodes at each size with the definitions of RFC
// 9162, and takes the chain apart and together again.
func TestChain(t *testing.T) {
	tree, chain := verifytest.NewTree(), verify.NewChain()
	nodes := 0
	for i, e := range plainEntries(300) {
		size := uint64(i + 1)
		tree.Append(e.LeafHash())
		err := chain.Append(e, func(level uint, index uint64, hash verify.Hash) {
			nodes++
			if want := subtree(tree, level, index); hash != want {
				t.Fatalf("size %d: node %d of level %d is %s, want %s", size, index, level, hash, want)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		checkChain(t, chain, size, e, tree)
		edge := chain.Edge()
		restored, err := verify.RestoreChain(size, chain.Last(), chain.LastTime(), edge)
		if err != nil {
			t.Fatal(err)
		}
		clear(edge)
		checkChain(t, restored, size, e, tree)
		chain = restored
	}
	// A tree of n leaves has n leaves and n - popcount(n) nodes of pairs.
	if want := 300 + 300 - bits.OnesCount(300); nodes != want {
		t.Errorf("%d nodes were reported, want %d", nodes, want)
	}
}

func checkChain(t *testing.T, c *verify.Chain, size uint64, last verify.Entry, tree *verifytest.Tree) {
	t.Helper()
	if c.Size() != size || c.Last() != last.LeafHash() || c.LastTime() != last.SequencedAtMicros {
		t.Fatalf("size %d, last %s, time %d", c.Size(), c.Last(), c.LastTime())
	}
	if got, want := c.Root(), tree.Root(size); got != want {
		t.Fatalf("size %d: root %s, want %s", size, got, want)
	}
	if got, want := len(c.Edge()), bits.OnesCount64(size); got != want {
		t.Fatalf("size %d: edge of %d, want %d", size, got, want)
	}
}

// subtree returns the root of the perfect subtree at a level.
func subtree(tree *verifytest.Tree, level uint, index uint64) verify.Hash {
	leaves := make([]verify.Hash, 1<<level)
	for i := range leaves {
		leaves[i] = tree.Leaf(index<<level + uint64(i))
	}
	return verifytest.NewTree(leaves...).Root(1 << level)
}

func TestEmptyChain(t *testing.T) {
	c := verify.NewChain()
	if got, want := c.Root(), verify.Hash(sha256.Sum256(nil)); got != want {
		t.Errorf("root %s, want %s", got, want)
	}
	if c.Size() != 0 || !c.Last().IsZero() || c.LastTime() != 0 || len(c.Edge()) != 0 {
		t.Errorf("size %d, last %s, time %d, edge of %d", c.Size(), c.Last(), c.LastTime(), len(c.Edge()))
	}
	if _, err := verify.RestoreChain(0, verify.Hash{}, 0, nil); err != nil {
		t.Error(err)
	}
}

func TestNext(t *testing.T) {
	c := verify.NewChain()
	first := c.Next(verify.Hash{1}, 100)
	if want := (verify.Entry{SequencedAtMicros: 100, StatementHash: verify.Hash{1}}); first != want {
		t.Errorf("got %+v, want %+v", first, want)
	}
	if err := c.Append(first, nil); err != nil {
		t.Fatal(err)
	}
	// A clock that was set back does not set the log back.
	want := verify.Entry{Index: 1, SequencedAtMicros: 100, Previous: first.LeafHash(), StatementHash: verify.Hash{2}}
	if got := c.Next(verify.Hash{2}, 99); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if c.Size() != 1 {
		t.Errorf("Next extended the chain to %d", c.Size())
	}
}

func TestChainRefuses(t *testing.T) {
	entries := plainEntries(6)
	for _, c := range []struct {
		name   string
		size   int // of the chain
		entry  verify.Entry
		change func(*verify.Entry)
		want   verify.FindingKind
	}{
		{"a repeated entry", 4, entries[3], nil, verify.WrongIndex},
		{"an entry left out", 4, entries[5], nil, verify.WrongIndex},
		{"an index of 2^64-1", 4, entries[4], func(e *verify.Entry) { e.Index = minusOne }, verify.WrongIndex},
		{"a first entry with index 1", 0, entries[1], nil, verify.WrongIndex},
		{"a first entry that has one before", 0, entries[0], func(e *verify.Entry) { e.Previous[31] = 1 }, verify.BrokenChain},
		{"a previous changed", 4, entries[4], func(e *verify.Entry) { e.Previous[0] ^= 1 }, verify.BrokenChain},
		{"a previous of zeros", 4, entries[4], func(e *verify.Entry) { e.Previous = verify.Hash{} }, verify.BrokenChain},
		{"the previous of the entry before", 4, entries[4], func(e *verify.Entry) { e.Previous = entries[3].Previous }, verify.BrokenChain},
		{"a time before", 5, entries[5], func(e *verify.Entry) { e.SequencedAtMicros = entries[4].SequencedAtMicros - 1 }, verify.TimeReversed},
		{"a negative first time", 0, entries[0], func(e *verify.Entry) { e.SequencedAtMicros = -1 }, verify.TimeReversed},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := verify.NewChain()
			for _, e := range entries[:c.size] {
				if err := chain.Append(e, nil); err != nil {
					t.Fatal(err)
				}
			}
			root, last := chain.Root(), chain.Last()
			if c.change != nil {
				c.change(&c.entry)
			}
			err := chain.Append(c.entry, func(uint, uint64, verify.Hash) { t.Error("a node was reported") })
			f := verify.AsFinding(err)
			if f == nil || f.Kind != c.want || f.Index != uint64(c.size) || f.OfStatement() {
				t.Errorf("got error %v, want %s at %d", err, c.want, c.size)
			}
			if chain.Size() != uint64(c.size) || chain.Root() != root || chain.Last() != last {
				t.Error("the chain changed")
			}
			if c.size < len(entries) {
				if err := chain.Append(entries[c.size], nil); err != nil {
					t.Errorf("the right entry is refused after it: %v", err)
				}
			}
		})
	}
}

func TestRestoreChainRefuses(t *testing.T) {
	for _, c := range []struct {
		size uint64
		edge int
	}{{0, 1}, {1, 0}, {1, 2}, {3, 1}, {1 << 63, 0}} {
		if _, err := verify.RestoreChain(c.size, verify.Hash{}, 0, make([]verify.Hash, c.edge)); err == nil {
			t.Errorf("size %d with an edge of %d is restored", c.size, c.edge)
		}
	}
}

func TestAsFinding(t *testing.T) {
	f := &verify.Finding{Index: 7, Kind: verify.BrokenChain, Detail: "why"}
	if got := verify.AsFinding(fmt.Errorf("reading: %w", f)); got != f {
		t.Errorf("got %v", got)
	}
	if got := verify.AsFinding(verify.ErrReceipt); got != nil {
		t.Errorf("got %v", got)
	}
	if got, want := f.Error(), "index 7: broken-chain: why"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
