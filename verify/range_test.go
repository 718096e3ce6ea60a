package verify_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// leavesOf returns n different leaf hashes.
func leavesOf(n int) []verify.Hash {
	leaves := make([]verify.Hash, n)
	for i := range leaves {
		binary.BigEndian.PutUint64(leaves[i][:], uint64(i))
	}
	return leaves
}

// rangeProof makes a proof over a naive tree.
func rangeProof(t testing.TB, tree *verifytest.Tree, first, count, size uint64) [][]byte {
	t.Helper()
	proof, err := verify.RangeProof(first, count, size, func(level uint, number uint64) (verify.Hash, error) {
		begin := number << level
		if begin >= size {
			return verify.Hash{}, fmt.Errorf("there is no node %d of level %d", number, level)
		}
		return verifytest.NewTree(leavesOf(int(size))[begin:min(begin+1<<level, size)]...).Root(min(1<<level, size-begin)), nil
	})
	if err != nil {
		t.Fatalf("%d from %d on in %d: %v", count, first, size, err)
	}
	return proof
}

// TestRanges proves every range of small trees and compares every path with
// that of the naive tree.
func TestRanges(t *testing.T) {
	const largest = 21
	tree := verifytest.NewTree(leavesOf(largest)...)
	for size := uint64(1); size <= largest; size++ {
		for first := range size {
			for count := uint64(1); first+count <= size; count++ {
				proof := rangeProof(t, tree, first, count, size)
				r, err := verify.VerifyRange(first, leavesOf(largest)[first:first+count], size, proof, tree.Root(size))
				if err != nil {
					t.Fatal(err)
				}
				for i := range count {
					want, got := tree.Inclusion(first+i, size), r.InclusionPath(int(i))
					if !slices.EqualFunc(want, got, bytes.Equal) {
						t.Fatalf("path of %d, of %d from %d on in %d: %x, not %x", first+i, count, first, size, got, want)
					}
				}
				if count == 1 && len(proof) != len(tree.Inclusion(first, size)) {
					t.Fatalf("the proof of one leaf, %d in %d, is not its path", first, size)
				}
			}
		}
	}
}

// TestWrongRanges changes each part of a proof.
func TestWrongRanges(t *testing.T) {
	const first, count, size = 5, 6, 19
	leaves, tree := leavesOf(size), verifytest.NewTree(leavesOf(size)...)
	proof, root := rangeProof(t, tree, first, count, size), tree.Root(size)
	check := func(name string, first uint64, leaves []verify.Hash, size uint64, proof [][]byte, root verify.Hash) {
		t.Helper()
		if _, err := verify.VerifyRange(first, leaves, size, proof, root); !errors.Is(err, verify.ErrProof) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	mine := leaves[first : first+count]
	for i := range proof {
		wrong := slices.Clone(proof)
		wrong[i] = slices.Clone(proof[i])
		wrong[i][7] ^= 1
		check("other node", first, mine, size, wrong, root)
		wrong[i] = proof[i][:31]
		check("short node", first, mine, size, wrong, root)
		check("a node less", first, mine, size, slices.Delete(slices.Clone(proof), i, i+1), root)
		check("a node more", first, mine, size, slices.Insert(slices.Clone(proof), i, proof[i]), root)
	}
	check("a node behind", first, mine, size, append(slices.Clone(proof), proof[0]), root)
	for i := range mine {
		wrong := slices.Clone(mine)
		wrong[i][31] ^= 1
		check("other leaf", first, wrong, size, proof, root)
	}
	check("a leaf less", first, mine[1:], size, proof, root)
	check("no leaf", first, nil, size, proof, root)
	check("other root", first, mine, size, proof, verify.Hash{})
	for _, at := range []uint64{0, 4, 6, 13, 14, 18, 19, 20, 1 << 63, math.MaxUint64 - 5, math.MaxUint64} {
		check(fmt.Sprint("at ", at), at, mine, size, proof, root)
	}
	// A proof does not tell 18 from 19; the checkpoint does.
	for _, size := range []uint64{0, 1, 5, 10, 11, 16, 33, 1 << 63, math.MaxUint64} {
		check(fmt.Sprint("in ", size), first, mine, size, proof, root)
	}
	for _, none := range [][3]uint64{{0, 0, 1}, {1, 1, 1}, {0, 2, 1}, {1, math.MaxUint64, 2}, {math.MaxUint64, 1, 2}} {
		if _, err := verify.RangeProof(none[0], none[1], none[2], nil); err == nil {
			t.Errorf("%v has a proof", none)
		}
	}
}

// FuzzRange compares what a range says of its leaves with VerifyInclusion, for
// proofs of any bytes.
func FuzzRange(f *testing.F) {
	tree := verifytest.NewTree(leavesOf(19)...)
	f.Add(uint64(5), uint8(6), uint64(19), slices.Concat(rangeProof(f, tree, 5, 6, 19)...))
	f.Add(uint64(math.MaxUint64-1), uint8(1), uint64(math.MaxUint64), make([]byte, 64*32))
	f.Fuzz(func(t *testing.T, first uint64, count uint8, size uint64, b []byte) {
		leaves, root := leavesOf(int(count)), verify.Hash{}
		proof := slices.Collect(slices.Chunk(b, verify.HashSize))
		// Whatever root the proof leads to is proved.
		_, err := verify.VerifyRange(first, leaves, size, proof, root)
		if got := verify.RangeRoot(first, leaves, size, proof); got != nil {
			root = *got
			var r *verify.Range
			if r, err = verify.VerifyRange(first, leaves, size, proof, root); err != nil {
				t.Fatal(err)
			}
			for i, leaf := range leaves {
				if err := verify.VerifyInclusion(leaf, first+uint64(i), size, r.InclusionPath(i), root); err != nil {
					t.Fatal(err)
				}
			}
		} else if !errors.Is(err, verify.ErrProof) {
			t.Fatal(err)
		}
	})
}

// TestRuns compares the receipts of runs with those of a history.
func TestRuns(t *testing.T) {
	l := verifytest.NewLedger(t)
	h := l.NewHistory(l.Register("acme", tracev1.Role_ROLE_PRODUCER)...)
	begin := h.Size()
	for i := range uint64(40) {
		h.Record(l.Transaction("acme", i+1))
	}
	envs := h.Envelopes[begin:]
	run := runOf(t, h, begin)
	cp := h.Checkpoint(h.Size())
	receipts, entries, err := verify.VerifyRun(envs, run, cp)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range receipts {
		if _, err := l.Log.VerifyReceipt(envs[i], r); err != nil || entries[i] != h.Entries[begin+uint64(i)] {
			t.Errorf("receipt %d: %v", i, err)
		}
	}
	for name, change := range map[string]func(){
		"other entry":    func() { run.Entries[100] ^= 1 },
		"other key":      func() { run.SignerSPKI = verifytest.Key("buyer").Public().SPKI() },
		"an entry less":  func() { run.Entries = run.Entries[verify.EntrySize:] },
		"no entry":       func() { run.Entries = nil },
		"other node":     func() { run.Proof[0][0] ^= 1 },
		"other envelope": func() { envs = slices.Clone(envs); envs[3] = envs[4] },
		"no envelopes":   func() { envs, run.Entries = nil, nil },
	} {
		run, envs = runOf(t, h, begin), h.Envelopes[begin:]
		change()
		if _, _, err := verify.VerifyRun(envs, run, cp); !errors.Is(err, verify.ErrReceipt) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// runOf returns the run from an index to the end of a history.
func runOf(t *testing.T, h *verifytest.History, begin uint64) *verify.Run {
	t.Helper()
	run := &verify.Run{SignerSPKI: verifytest.Key("acme").Public().SPKI()}
	var leaves []verify.Hash
	for i, e := range h.Entries {
		leaves = append(leaves, e.LeafHash())
		if uint64(i) >= begin {
			run.Entries = e.AppendBytes(run.Entries)
		}
	}
	var err error
	run.Proof, err = verify.RangeProof(begin, h.Size()-begin, h.Size(), func(level uint, number uint64) (verify.Hash, error) {
		part := leaves[number<<level : min((number+1)<<level, h.Size())]
		return verifytest.NewTree(part...).Root(uint64(len(part))), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// BenchmarkVerifyRange proves ranges of 256; figures are per leaf.
func BenchmarkVerifyRange(b *testing.B) {
	leaves, tree := leavesOf(1<<12), verifytest.NewTree(leavesOf(1<<12)...)
	proof := rangeProof(b, tree, 1000, 256, 1<<12)
	root := tree.Root(1 << 12)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%256 == 0 {
			r, err := verify.VerifyRange(1000, leaves[1000:1256], 1<<12, proof, root)
			if err != nil {
				b.Fatal(err)
			}
			for i := range 256 {
				r.InclusionPath(i)
			}
		}
	}
}
