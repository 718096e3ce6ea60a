package rpc_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// sales returns n transactions of a seller.
func (w *world) sales(seller string, n int, edits ...func(*tracev1.Transaction)) []*tracev1.Statement {
	var sts []*tracev1.Statement
	for range n {
		sts = append(sts, w.sale(seller, edits...))
	}
	return sts
}

// tree returns the Merkle tree over the entries that an auditor is given, by
// other code than the server's, and the entries.
func (w *world) tree() (*verifytest.Tree, []*ledgerv1.LoggedEntry) {
	w.t.Helper()
	tree := verifytest.NewTree()
	entries := w.peer("auditor").read(&ledgerv1.ReadEntriesRequest{})
	for _, e := range entries {
		entry, err := verify.ParseEntry(e.GetEntry())
		if err != nil {
			w.t.Fatal(err)
		}
		tree.Append(entry.LeafHash())
	}
	return tree, entries
}

// sampleSizes are sizes around powers of two and tile borders, up to size.
func sampleSizes(size uint64) []uint64 {
	var sizes []uint64
	for _, n := range []uint64{1, 2, 3, 4, 5, 7, 8, 9, 31, 100, 128, 255, 256, 257, 300, 511, 512, 513, size - 1, size} {
		if n > 0 && n <= size {
			sizes = append(sizes, n)
		}
	}
	return sizes
}

func TestProofs(t *testing.T) {
	w := newWorld(t)
	kept := []*verify.Checkpoint{w.checkpoint()}
	for _, n := range []int{3, 1, 240, 9, 270} {
		w.recordAll("acme", w.sales("acme", n))
		kept = append(kept, w.checkpoint())
	}
	tree, entries := w.tree()
	if latest := kept[len(kept)-1]; tree.Root(latest.Size) != latest.Root || tree.Size() != latest.Size {
		t.Fatal("the entries do not add up to the checkpoint")
	}
	sizes := sampleSizes(tree.Size())
	for _, size := range sizes {
		checkInclusion(t, w, tree, entries, size)
		for _, from := range sizes {
			if from <= size {
				checkConsistency(t, w, tree, from, size)
			}
		}
	}
	for _, older := range kept {
		resp, err := w.peer("auditor").GetConsistencyProof(t.Context(), &ledgerv1.GetConsistencyProofRequest{FromSize: older.Size})
		if err != nil || resp.GetToSize() != tree.Size() {
			t.Fatal(resp, err)
		}
		if err := verify.VerifyConsistency(older, kept[len(kept)-1], resp.GetPath()); err != nil {
			t.Error(err)
		}
	}
}

func checkInclusion(t *testing.T, w *world, tree *verifytest.Tree, entries []*ledgerv1.LoggedEntry, size uint64) {
	t.Helper()
	p := w.peer("auditor")
	for _, after := range sampleSizes(size) {
		index := after - 1
		req := &ledgerv1.GetInclusionProofRequest{Index: index, TreeSize: size}
		if size == tree.Size() {
			req.TreeSize = 0 // the latest
		}
		resp, err := p.GetInclusionProof(p.ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(resp.GetEntry(), entries[index].GetEntry()) || resp.GetTreeSize() != size || !samePath(resp.GetPath(), tree.Inclusion(index, size)) {
			t.Errorf("inclusion of %d in %d: %v", index, size, resp)
		}
		if err := verify.VerifyInclusion(tree.Leaf(index), index, size, resp.GetPath(), tree.Root(size)); err != nil {
			t.Error(err)
		}
	}
}

func checkConsistency(t *testing.T, w *world, tree *verifytest.Tree, from, to uint64) {
	t.Helper()
	p := w.peer("auditor")
	resp, err := p.GetConsistencyProof(p.ctx, &ledgerv1.GetConsistencyProofRequest{FromSize: from, ToSize: to})
	if err != nil {
		t.Fatal(err)
	}
	if resp.GetToSize() != to || !samePath(resp.GetPath(), tree.Consistency(from, to)) {
		t.Errorf("consistency of %d and %d: %v", from, to, resp)
	}
	older, newer := &verify.Checkpoint{Size: from, Root: tree.Root(from)}, &verify.Checkpoint{Size: to, Root: tree.Root(to)}
	if err := verify.VerifyConsistency(older, newer, resp.GetPath()); err != nil {
		t.Error(err)
	}
}

func samePath(a, b [][]byte) bool {
	return slices.EqualFunc(a, b, func(x, y []byte) bool { return bytes.Equal(x, y) })
}

// TestBeyondTheLog: what is not there yet is out of range, and says no more.
func TestBeyondTheLog(t *testing.T) {
	w := newWorld(t)
	p := w.peer("auditor")
	n := w.checkpoint().Size
	const far = 1 << 63
	for name, call := range map[string]func() error{
		"inclusion, index at the end": func() error {
			_, err := p.GetInclusionProof(p.ctx, &ledgerv1.GetInclusionProofRequest{Index: n})
			return err
		},
		"inclusion, index at the size": func() error {
			_, err := p.GetInclusionProof(p.ctx, &ledgerv1.GetInclusionProofRequest{Index: 3, TreeSize: 3})
			return err
		},
		"inclusion, size": func() error {
			_, err := p.GetInclusionProof(p.ctx, &ledgerv1.GetInclusionProofRequest{TreeSize: n + 1})
			return err
		},
		"inclusion, far": func() error {
			_, err := p.GetInclusionProof(p.ctx, &ledgerv1.GetInclusionProofRequest{Index: far, TreeSize: far + 1})
			return err
		},
		"consistency, backwards": func() error {
			_, err := p.GetConsistencyProof(p.ctx, &ledgerv1.GetConsistencyProofRequest{FromSize: 3, ToSize: 2})
			return err
		},
		"consistency, beyond": func() error {
			_, err := p.GetConsistencyProof(p.ctx, &ledgerv1.GetConsistencyProofRequest{FromSize: 3, ToSize: n + 1})
			return err
		},
		"consistency, far": func() error {
			_, err := p.GetConsistencyProof(p.ctx, &ledgerv1.GetConsistencyProofRequest{FromSize: far})
			return err
		},
		"entries, end": func() error { _, err := p.tryRead(&ledgerv1.ReadEntriesRequest{EndIndex: n + 1}); return err },
		"entries, start": func() error {
			_, err := p.tryRead(&ledgerv1.ReadEntriesRequest{StartIndex: n + 1})
			return err
		},
		"entries, backwards": func() error {
			_, err := p.tryRead(&ledgerv1.ReadEntriesRequest{StartIndex: 3, EndIndex: 2})
			return err
		},
		"entries, far": func() error {
			_, err := p.tryRead(&ledgerv1.ReadEntriesRequest{StartIndex: far, EndIndex: far + 1})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { codeIs(t, call(), codes.OutOfRange) })
	}
}

// TestReadEntries reads ranges around the borders of tiles and views.
func TestReadEntries(t *testing.T) {
	w := newWorld(t)
	w.recordAll("acme", w.sales("acme", 300))
	w.recordAll("bolt", w.sales("bolt", rpc.EntriesPerView-100))
	all := w.peer("regulator").read(&ledgerv1.ReadEntriesRequest{View: full})
	n := uint64(len(all))
	if n != w.checkpoint().Size || n < rpc.EntriesPerView {
		t.Fatalf("%d entries", n)
	}
	for _, r := range [][2]uint64{{0, 1}, {0, 2}, {5, 5}, {n, n}, {n - 1, n}, {255, 256}, {255, 257}, {256, 512}, {1, 700}, {rpc.EntriesPerView - 1, rpc.EntriesPerView + 1}, {3, n}} {
		if r[1] == 0 {
			continue
		}
		got := w.peer("regulator").read(&ledgerv1.ReadEntriesRequest{StartIndex: r[0], EndIndex: r[1], View: full})
		if !slices.EqualFunc(got, all[r[0]:r[1]], func(a, b *ledgerv1.LoggedEntry) bool {
			return bytes.Equal(a.GetEntry(), b.GetEntry()) && reflect.DeepEqual(a.GetEnvelope().GetPayload(), b.GetEnvelope().GetPayload())
		}) {
			t.Errorf("entries %v: %d", r, len(got))
		}
	}
	for i, e := range w.peer("bolt").read(&ledgerv1.ReadEntriesRequest{View: full}) {
		theirs := i >= len(w.boot) && i < len(w.boot)+300
		if (e.GetEnvelope() == nil) != theirs || !bytes.Equal(e.GetEntry(), all[i].GetEntry()) {
			t.Fatalf("entry %d: envelope %v", i, e.GetEnvelope())
		}
	}
}

// TestRightsWhileReading: a right that is withdrawn while an auditor reads ends
// within what the server had prepared.
func TestRightsWhileReading(t *testing.T) {
	w := newWorld(t)
	w.record(w.signed(w.right("auditor", "acme")))
	long := func(tx *tracev1.Transaction) {
		line := tx.GetLines()[0]
		line.Grade, line.Coating, line.CoatingOther = strings.Repeat("g", 32), tracev1.Coating_COATING_OTHER, strings.Repeat("c", 64)
		tx.Lines = slices.Repeat(tx.GetLines(), 400)
	}
	for range 2 { // messages stay below 4 MiB, answers above it
		w.recordAll("acme", w.sales("acme", 48, long))
	}
	p := w.peer("auditor")
	s, err := p.ReadEntries(p.ctx, &ledgerv1.ReadEntriesRequest{View: full})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	w.record(w.signed(w.right("auditor")))
	entries := first.GetEntries()
	if err := receiving(s, nil, func(m *ledgerv1.ReadEntriesResponse) { entries = append(entries, m.GetEntries()...) }); err != nil {
		t.Fatal(err)
	}
	if e := entries[len(w.boot)+1]; e.GetEnvelope() == nil {
		t.Error("the first transaction was not given")
	}
	if e := entries[len(entries)-1]; e.GetEnvelope() != nil {
		t.Error("the last transaction was given after the right was withdrawn")
	}
	// These are also more than one message holds, whatever page is asked for.
	if all, _ := w.peer("acme").pages(&ledgerv1.ListStatementsRequest{PageSize: 1000}, func() {}); len(all) != 96 {
		t.Errorf("%d statements", len(all))
	}
}
