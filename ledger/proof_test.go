package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// samePath compares paths, of which an empty one may be nil.
func samePath(t testing.TB, what string, got, want [][]byte) {
	t.Helper()
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("%s: %x, want %x", what, got, want)
	}
}

// around returns the numbers within [low, high] that are next to where subtrees
// and tiles begin and end.
func around(low, high uint64) []uint64 {
	var some []uint64
	for _, n := range []uint64{0, 1, 2, 3, 127, 128, 255, 256, 257, 258, 511, 512, 513, 1000, 32_768, 65_279, 65_280, 65_281,
		65_534, 65_535, 65_536, 65_537} {
		if n >= low && n <= high {
			some = append(some, n)
		}
	}
	return some
}

// TestProofs lets a log grow to sizes around which tiles, and tiles of tiles,
// begin, and compares every sort of proof with a naive tree.
func TestProofs(t *testing.T) {
	s := newSite(t)
	l := s.mustOpen()
	defer func() { l.Close() }()
	tree := verifytest.NewTree()
	var views []*ledger.View
	for _, size := range []uint64{1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537} {
		if size == 257 || size == 65_536 { // goes on from what is stored
			l.Close()
			l = s.mustOpen()
		}
		if more := size - tree.Size(); size > 1 {
			if err := l.Grow(int(more)); err != nil {
				t.Fatal(err)
			}
		}
		v := l.View()
		defer v.Close()
		err := v.Records(t.Context(), tree.Size(), size, func(r ledger.Record) error {
			tree.Append(r.Entry.LeafHash())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if v.Size() != size || v.Checkpoint().Size != size || v.Checkpoint().Root != tree.Root(size) {
			t.Fatalf("size %d, checkpoint %+v", v.Size(), v.Checkpoint())
		}
		if views = append(views, v); size < 60_000 || size%2 == 1 {
			checkProofs(t, v, tree)
		}
	}
	for _, v := range views[:9] { // as of when they were taken
		checkProofs(t, v, tree)
	}
}

// checkProofs compares the proofs of a view, in its own and in earlier trees.
func checkProofs(t *testing.T, v *ledger.View, tree *verifytest.Tree) {
	t.Helper()
	for _, size := range around(1, v.Size()) {
		for _, index := range around(0, size-1) {
			path, err := v.InclusionPath(index, size)
			if err != nil {
				t.Fatal(err)
			}
			samePath(t, fmt.Sprintf("inclusion of %d in %d", index, size), path, tree.Inclusion(index, size))
		}
		path, err := v.ConsistencyPath(size, v.Size())
		if err != nil {
			t.Fatal(err)
		}
		samePath(t, fmt.Sprintf("consistency of %d and %d", size, v.Size()), path, tree.Consistency(size, v.Size()))
	}
}

// TestProofsOutOfRange asks for proofs that there are not.
func TestProofsOutOfRange(t *testing.T) {
	s := newSite(t, "acme")
	l := s.mustOpen()
	defer l.Close()
	v := l.View()
	defer v.Close()
	for _, ask := range [][2]uint64{{3, 3}, {0, 0}, {2, 1}, {0, 4}, {3, 4}, {0, 1 << 63}, {1<<64 - 1, 1<<64 - 1}} {
		if _, err := v.InclusionPath(ask[0], ask[1]); !errors.Is(err, ledger.ErrOutOfRange) {
			t.Errorf("inclusion %v: %v", ask, err)
		}
	}
	for _, ask := range [][2]uint64{{0, 0}, {0, 3}, {2, 1}, {1, 4}, {4, 4}, {1, 1 << 63}} {
		if _, err := v.ConsistencyPath(ask[0], ask[1]); !errors.Is(err, ledger.ErrOutOfRange) {
			t.Errorf("consistency %v: %v", ask, err)
		}
	}
}

// TestFreshReceipts compares the receipts of results, which come from what a
// batch added to the tree, with a naive tree; and those that a view gives later.
func TestFreshReceipts(t *testing.T) {
	s := newSite(t, "acme")
	i := s.start()
	defer i.close()
	envs := transactions(s.made, "acme", 1+2+255+256+1000+3)
	tree := verifytest.NewTree()
	for _, r := range s.audit(i.Ledger) {
		tree.Append(r.Entry.LeafHash())
	}
	for _, n := range []int{1, 2, 255, 256, 1000, 3} {
		results := i.record(envs[:n]...)
		v := i.View()
		cp := v.Checkpoint()
		err := v.Records(t.Context(), tree.Size(), v.Size(), func(r ledger.Record) error {
			tree.Append(r.Entry.LeafHash())
			return nil
		})
		if err != nil || cp.Root != tree.Root(v.Size()) {
			t.Fatalf("batch of %d: %v, checkpoint %+v", n, err, cp)
		}
		for k := range results {
			receipt, err := i.Receipt(&results[k])
			if err != nil {
				t.Fatal(err)
			}
			e, err := verify.VerifyRecorded(envs[k], receipt, cp)
			if err != nil || e.Index != results[k].Index || string(receipt.GetCheckpoint()) != string(cp.Note) {
				t.Fatalf("batch of %d, statement %d: %v, %+v", n, k, err, e)
			}
			samePath(t, fmt.Sprint("fresh ", e.Index), receipt.GetInclusionPath(), tree.Inclusion(e.Index, cp.Size))
			if k > 2 && k < n-2 {
				continue
			}
			record, err := v.Record(e.Index)
			if err != nil {
				t.Fatal(err)
			}
			later, err := v.Receipt(record)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(receipt, later) {
				t.Fatalf("receipt of %d: fresh %v, from a view %v", e.Index, receipt, later)
			}
		}
		s.checkReceipt(i.Ledger, envs[n-1], &results[n-1], v.Size()-1)
		v.Close()
		envs = envs[n:]
	}
}

// TestOldReceipts asks for receipts of results again after the log has grown:
// they stand under the checkpoint of their commit.
func TestOldReceipts(t *testing.T) {
	s := newSite(t, "acme")
	i := s.start()
	defer i.close()
	envs := transactions(s.made, "acme", 300)
	first := i.record(envs[:5]...)
	i.record(envs[5:]...)
	again := i.record(envs[:5]...)
	for n := range first {
		s.checkReceipt(i.Ledger, envs[n], &first[n], s.founded()+uint64(n))
		s.checkReceipt(i.Ledger, envs[n], &again[n], s.founded()+uint64(n))
	}
}
