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
		checkRuns(t, i.Ledger, results)
		v.Close()
		envs = envs[n:]
	}
}

// checkRuns compares the receipts that runs of new results stand for with those
// of each result: runs from every tenth result on.
func checkRuns(t *testing.T, l *ledger.Ledger, results []ledger.Result) {
	t.Helper()
	for first := 0; first < len(results); first += 10 {
		var rest []*ledger.Result
		for k := range results[first:] {
			rest = append(rest, &results[first+k])
		}
		run, n, err := ledger.ProveRun(rest)
		if err != nil || n != len(rest) {
			t.Fatalf("run of %d of %d: %v", n, len(rest), err)
		}
		for k, got := range verifytest.Receipts(&run.Run, run.Checkpoint) {
			want, err := l.Receipt(rest[k])
			if err != nil || !proto.Equal(got, want) {
				t.Fatalf("receipt %d of %d: %v, %v, not %v", k, n, err, got, want)
			}
		}
	}
}

// TestRunsEnd has runs end where the next entry is not next on the log, of
// another key or of another commit.
func TestRunsEnd(t *testing.T) {
	s := newSite(t, "acme", "other")
	i := s.start()
	defer i.close()
	mine := transactions(s.made, "acme", 6)
	first := i.record(mine[0], mine[1], s.made.Transaction("other", 1), mine[2])
	second := i.record(mine[3:]...)
	for _, test := range []struct {
		name    string
		results []*ledger.Result
		want    int
	}{
		{"all", []*ledger.Result{&second[0], &second[1], &second[2]}, 3},
		{"one", []*ledger.Result{&first[3]}, 1},
		{"other key", []*ledger.Result{&first[0], &first[1], &first[2], &first[3]}, 2},
		{"a gap", []*ledger.Result{&second[0], &second[2]}, 1},
		{"backwards", []*ledger.Result{&second[1], &second[0]}, 1},
		{"other commit", []*ledger.Result{&first[3], &second[0], &second[1]}, 1},
	} {
		run, n, err := ledger.ProveRun(test.results)
		if err != nil || n != test.want || len(verifytest.Receipts(&run.Run, run.Checkpoint)) != n {
			t.Errorf("%s: %d of %d, %v", test.name, n, len(test.results), err)
		}
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
