package client_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func openLeaves(t *testing.T, path string, kept uint64) *client.LeafFile {
	t.Helper()
	l, err := client.OpenLeafFile(path, kept)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// An audit reads on from where the last one stopped, and keeps the leaves.
func TestAudit(t *testing.T) {
	w := newWorld(t)
	c, path := w.dial("regulator", nil), filepath.Join(t.TempDir(), "leaves")
	auditor := verify.NewAuditor(w.book.Log, true)
	var kept uint64
	for round := range 3 {
		submitAll(t, w.dial("acme", nil), w.envelopes(string(rune('A'+round)), 30, 30))
		leaves := openLeaves(t, path, kept)
		var done, total uint64
		report, err := c.Audit(t.Context(), auditor, client.AuditOptions{Leaves: leaves, Progress: func(d, n uint64) { done, total = d, n }})
		if err != nil || !report.Sound() || report.From != kept || report.To != w.size() || done != total || done != report.To {
			t.Fatalf("report %+v, %v, progress %d of %d", report, err, done, total)
		}
		if leaves.Len() != report.To {
			t.Fatalf("%d leaves", leaves.Len())
		}
		if d, err := c.Locate(t.Context(), leaves); d != nil || err != nil {
			t.Errorf("located %v, %v", d, err)
		}
		// A crash after more was appended than the audit kept.
		if err := errors.Join(leaves.Append(verify.Hash{1}), leaves.Close()); err != nil {
			t.Fatal(err)
		}
		state, err := auditor.State()
		if err != nil {
			t.Fatal(err)
		}
		if auditor, err = verify.ResumeAuditor(w.book.Log, state); err != nil {
			t.Fatal(err)
		}
		kept = auditor.Size()
	}
}

func TestLeafFileMustFit(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "leaves")
	if _, err := client.OpenLeafFile(path, 5); !errors.Is(err, client.ErrLeafFile) {
		t.Errorf("too short: %v", err)
	}
	leaves := openLeaves(t, path, 0)
	if err := leaves.Append(verify.Hash{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.OpenLeafFile(path, 0); !errors.Is(err, client.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if _, err := leaves.At(1); err == nil {
		t.Error("a leaf beyond the end")
	}
	_, err := w.dial("regulator", nil).Audit(t.Context(), verify.NewAuditor(w.book.Log, false), client.AuditOptions{Leaves: leaves})
	if !errors.Is(err, client.ErrLeafFile) {
		t.Errorf("too long: %v", err)
	}
}

// An audit without the right to read is full of withheld statements, and ends.
func TestAuditWithoutRights(t *testing.T) {
	w := newWorld(t)
	submitAll(t, w.dial("acme", nil), w.envelopes("INV", 40, 40))
	report, err := w.dial("buyer", nil).Audit(t.Context(), verify.NewAuditor(w.book.Log, true), client.AuditOptions{})
	if err != nil || report.Found != 40 || report.Findings[0].Kind != verify.Withheld || report.To != report.Checkpoint.Size {
		t.Errorf("report %+v, %v", report, err)
	}
}

// entryLiar changes entries as they are read.
func entryLiar(change func(index uint64, e *ledgerv1.LoggedEntry) bool) func(*client.Config) {
	return lies(liar(func(reply any) {
		m, ok := reply.(*ledgerv1.ReadEntriesResponse)
		if !ok {
			return
		}
		var kept []*ledgerv1.LoggedEntry
		for _, logged := range m.GetEntries() {
			e, err := verify.ParseEntry(logged.GetEntry())
			if err == nil && change(e.Index, logged) {
				kept = append(kept, logged)
			}
		}
		m.Entries = kept
	})...)
}

// What is changed, left out or swapped on the way is found, and where.
func TestAuditFindsLies(t *testing.T) {
	w := newWorld(t)
	submitAll(t, w.dial("acme", nil), w.envelopes("INV", 20, 20))
	end := w.size()
	for _, test := range []struct {
		name     string
		lie      func(index uint64, e *ledgerv1.LoggedEntry) bool
		kind     verify.FindingKind
		index    uint64
		unproved []uint64
	}{
		{"hash changed", func(i uint64, e *ledgerv1.LoggedEntry) bool {
			if i == 12 {
				e.Entry[60]++
			}
			return true
		}, verify.BrokenChain, 13, []uint64{12}},
		{"link changed", func(i uint64, e *ledgerv1.LoggedEntry) bool {
			if i == 12 {
				e.Entry[20]++
			}
			return true
		}, verify.BrokenChain, 12, []uint64{12}},
		{"left out", func(i uint64, _ *ledgerv1.LoggedEntry) bool { return i != 12 }, verify.WrongIndex, 12, nil},
		{"end left out", func(i uint64, _ *ledgerv1.LoggedEntry) bool { return i < 20 }, verify.MissingEntry, 20, nil},
		{"last changed", func(i uint64, e *ledgerv1.LoggedEntry) bool {
			if i == end-1 {
				e.Entry[60]++
			}
			return true
		}, verify.WrongRoot, end, nil},
		{"statement changed", func(i uint64, e *ledgerv1.LoggedEntry) bool {
			if i == 12 {
				e.Envelope.Payload[20]++
			}
			return true
		}, verify.ChangedStatement, 12, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			full := test.kind == verify.ChangedStatement
			report, err := w.dial("regulator", entryLiar(test.lie)).Audit(t.Context(), verify.NewAuditor(w.book.Log, full), client.AuditOptions{})
			if err != nil || len(report.Findings) != 1 {
				t.Fatalf("report %+v, %v", report, err)
			}
			f := report.Findings[0]
			if f.Kind != test.kind || f.Index != test.index || !slices.Equal(report.Unproved, test.unproved) {
				t.Errorf("got %v, unproved %v, want %v at %d, %v", f, report.Unproved, test.kind, test.index, test.unproved)
			}
		})
	}
}

// A break that was there when the checkpoint was signed is told from a change
// afterwards: both entries are proved.
func TestSignedBreak(t *testing.T) {
	w := newWorld(t)
	var leaves []verify.Hash
	v := w.ledger.View()
	defer v.Close()
	const at = 4
	var broken verify.Entry
	err := v.Records(t.Context(), 0, v.Size(), func(r ledger.Record) error {
		if r.Entry.Index == at {
			r.Entry.Previous[0] ^= 1
			broken = r.Entry
		}
		leaves = append(leaves, r.Entry.LeafHash())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tree := verifytest.NewTree(leaves...)
	c := w.dial("regulator", lies(liar(func(reply any) {
		switch m := reply.(type) {
		case *ledgerv1.GetCheckpointResponse:
			m.Checkpoint = w.checkpoint(v.Size(), tree.Root(v.Size())).Note
		case *ledgerv1.GetInclusionProofResponse:
			e, err := verify.ParseEntry(m.GetEntry())
			if err != nil {
				t.Error(err)
			}
			m.Path = tree.Inclusion(e.Index, v.Size())
		case *ledgerv1.ReadEntriesResponse:
			m.Entries[at].Entry = broken.Bytes()
		}
	})...))
	report, err := c.Audit(t.Context(), verify.NewAuditor(w.book.Log, false), client.AuditOptions{})
	if err != nil || len(report.Findings) != 1 || report.Findings[0].Kind != verify.BrokenChain || report.Unproved != nil {
		t.Errorf("report %+v, %v", report, err)
	}
}

// After a rewrite or a cut, the leaf file tells where it begins.
func TestLocate(t *testing.T) {
	w := newWorld(t)
	submitAll(t, w.dial("acme", nil), w.envelopes("INV", 20, 20))
	leaves := openLeaves(t, filepath.Join(t.TempDir(), "leaves"), 0)
	auditor := verify.NewAuditor(w.book.Log, false)
	honest := w.dial("regulator", nil)
	if report, err := honest.Audit(t.Context(), auditor, client.AuditOptions{Leaves: leaves}); err != nil || !report.Sound() {
		t.Fatal(report, err)
	}
	submitAll(t, w.dial("acme", nil), w.envelopes("MORE", 5, 5))

	rewritten := w.dial("regulator", entryLiar(func(i uint64, e *ledgerv1.LoggedEntry) bool {
		if i >= 9 {
			e.Entry[20]++
		}
		return true
	}))
	report, err := rewritten.Audit(t.Context(), auditor, client.AuditOptions{Leaves: leaves})
	if err != nil || len(report.Findings) != 1 || report.Findings[0].Kind != verify.Rewritten {
		t.Fatalf("report %+v, %v", report, err)
	}
	d, err := rewritten.Locate(t.Context(), leaves)
	if err != nil || d == nil || d.Index != 9 || len(d.Shown) != verify.EntrySize {
		t.Errorf("located %+v, %v", d, err)
	}

	short := w.checkpoint(15, verify.Hash{1})
	cut := w.dial("regulator", lies(liar(func(reply any) {
		if m, ok := reply.(*ledgerv1.GetCheckpointResponse); ok {
			m.Checkpoint = short.Note
		}
	})...))
	report, err = cut.Audit(t.Context(), auditor, client.AuditOptions{Leaves: leaves})
	if err != nil || len(report.Findings) != 1 || report.Findings[0].Kind != verify.CutBack || !bytes.Equal(report.Checkpoint.Note, short.Note) {
		t.Fatalf("report %+v, %v", report, err)
	}
	if d, err := cut.Locate(t.Context(), leaves); err != nil || d == nil || d.Index != 15 || d.Shown != nil {
		t.Errorf("located %+v, %v", d, err)
	}
}

// breakingStream fails after some messages.
type breakingStream struct {
	grpc.ClientStream
	left int
}

func (s *breakingStream) RecvMsg(m any) error {
	if s.left--; s.left < 0 {
		return status.Error(codes.Unavailable, "broken")
	}
	err := s.ClientStream.RecvMsg(m)
	if r, ok := m.(*ledgerv1.ReadEntriesResponse); ok && len(r.GetEntries()) > 7 {
		r.Entries = r.GetEntries()[:7]
	}
	return err
}

// An audit goes on when its stream breaks.
func TestAuditResumes(t *testing.T) {
	w := newWorld(t)
	submitAll(t, w.dial("acme", nil), w.envelopes("INV", 30, 30))
	c := w.dial("regulator", lies(grpc.WithChainStreamInterceptor(
		func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := next(ctx, desc, cc, method, opts...)
			return &breakingStream{s, 1}, err
		})))
	report, err := c.Audit(t.Context(), verify.NewAuditor(w.book.Log, true), client.AuditOptions{})
	if err != nil || !report.Sound() || report.To != w.size() {
		t.Errorf("report %+v, %v", report, err)
	}
}
