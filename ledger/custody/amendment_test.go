package custody_test

import (
	"bytes"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

const (
	targetUnknown = tracev1.RefusalReason_REFUSAL_REASON_TARGET_UNKNOWN
	targetStale   = tracev1.RefusalReason_REFUSAL_REASON_TARGET_STALE
	targetVoided  = tracev1.RefusalReason_REFUSAL_REASON_TARGET_VOIDED
	keyUnknown    = tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN
)

// wantVersion tests what became of a statement as of a size.
func wantVersion(t *testing.T, j *journal, index, size uint64, fate custody.Fate, latest uint64) {
	t.Helper()
	v, err := custody.VersionAt(j, index, size)
	if err != nil {
		t.Fatal(err)
	}
	if v.Index != index || v.Fate != fate || v.Latest != latest {
		t.Errorf("statement %d as of %d: %+v, want fate %d, latest %d", index, size, v, fate, latest)
	}
}

// TestAmendments follows a transaction through three amendments to its end.
func TestAmendments(t *testing.T) {
	j := newJournal(t, "acme", "zeta")
	other := func(grams uint64) func(*tracev1.Transaction) {
		return func(tx *tracev1.Transaction) { tx.Lines[0].NetMassGrams = grams }
	}
	j.record(j.sale("acme", other(1))) // 5
	for n := range uint64(3) {         // 6 to 8
		j.record(j.amendment("acme", j.last(), other(10*(n+1))))
		wantVolumes(t, j, read(t, j), everyone, custody.NewFilter(), custody.ByCustomer)
	}
	for n := uint64(5); n < 8; n++ {
		refusal := j.refused(j.amendment("acme", j.hashes[n][:], nil), targetStale)
		if !bytes.Equal(refusal.LatestHash, j.hashes[8][:]) || !bytes.Equal(refusal.Proto().GetLatestHash(), j.hashes[8][:]) {
			t.Errorf("latest of %d: %x, want %x", n, refusal.LatestHash, j.hashes[8])
		}
		j.refused(j.void("acme", j.hashes[n][:]), targetStale)
	}
	j.record(j.void("acme", j.hashes[8][:])) // 9
	wantVolumes(t, j, read(t, j), everyone, custody.NewFilter(), custody.ByCustomer)
	for n := uint64(5); n < 9; n++ {
		j.refused(j.amendment("acme", j.hashes[n][:], nil), targetVoided)
		j.refused(j.void("acme", j.hashes[n][:]), targetVoided)
	}

	for index := uint64(5); index <= 8; index++ {
		wantVersion(t, j, index, index+1, custody.Live, index)
		for size := index + 2; size <= 9; size++ {
			wantVersion(t, j, index, size, custody.Amended, size-1)
		}
	}
	wantVersion(t, j, 8, 9, custody.Live, 8)
	wantVersion(t, j, 8, 10, custody.Voided, 9)
	wantVersion(t, j, 5, 10, custody.Amended, 9)
	for _, index := range []uint64{0, 1, 2, 9} {
		if v, err := custody.VersionAt(j, index, 10); v != nil || err != nil {
			t.Errorf("statement %d is a version: %+v, %v", index, v, err)
		}
	}
}

// TestTargets names targets that may not be amended or voided.
func TestTargets(t *testing.T) {
	j := newJournal(t, "acme", "zeta")
	j.record(j.sale("acme", nil), j.sale("zeta", nil))
	mine, others := j.hashes[5][:], j.hashes[6][:]
	j.record(j.sale("acme", nil))
	j.record(j.void("acme", j.last()))
	void := j.last()
	for name, target := range map[string][]byte{
		"nothing": make([]byte, 32), "another's": others, "a void": void, "an admission": j.hashes[1][:], "the genesis": j.hashes[0][:],
	} {
		refusal := j.refused(j.amendment("acme", target, nil), targetUnknown)
		if got := j.refused(j.void("acme", target), targetUnknown); got.Message != refusal.Message {
			t.Errorf("%s: %q", name, got.Message)
		}
		if want := j.refused(j.void("acme", make([]byte, 32)), targetUnknown); refusal.Error() != want.Error() {
			t.Errorf("%s is told apart from what does not exist: %q", name, refusal)
		}
	}
	// The target is judged before what replaces it.
	wrong := func(tx *tracev1.Transaction) { tx.TransactionDate = "2027-01-01" }
	j.refused(j.amendment("acme", others, wrong), targetUnknown)
	j.refused(j.amendment("acme", mine, wrong), dateAhead)
	j.refused(j.amendment("acme", mine, func(tx *tracev1.Transaction) { tx.Customer.ParticipantId = "nobody" }),
		tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN)
	wantVersion(t, j, 5, j.size(), custody.Live, 5)
}

// TestAmendmentMoves amends everything that a transaction is counted under. The
// old place is empty then, but for what others left there, and a void of the
// amendment brings nothing back.
func TestAmendmentMoves(t *testing.T) {
	for name, change := range map[string]func(*tracev1.Transaction){
		"nothing":       func(*tracev1.Transaction) {},
		"day":           func(tx *tracev1.Transaction) { tx.TransactionDate = "2026-05-31" },
		"month":         func(tx *tracev1.Transaction) { tx.TransactionDate = "2025-06-01" },
		"customer":      func(tx *tracev1.Transaction) { tx.Customer.OwnCode = "C-2" },
		"to buyer":      func(tx *tracev1.Transaction) { tx.Customer.ParticipantId = "buyer" },
		"kind":          func(tx *tracev1.Transaction) { tx.Kind = tracev1.TransactionKind_TRANSACTION_KIND_RETURN },
		"end use":       func(tx *tracev1.Transaction) { tx.EndUse = tracev1.EndUse_END_USE_WIND },
		"destination":   func(tx *tracev1.Transaction) { tx.DestinationCountry = "DE" },
		"family":        func(tx *tracev1.Transaction) { tx.Lines[0].ProductFamily++ },
		"HS code":       func(tx *tracev1.Transaction) { tx.Lines[0].HsCode = "8505110000" },
		"mass":          func(tx *tracev1.Transaction) { tx.Lines[0].NetMassGrams = 7 },
		"pieces":        func(tx *tracev1.Transaction) { tx.Lines[0].PieceCount = 0 },
		"composition":   func(tx *tracev1.Transaction) { tx.Lines[0].Composition = nil },
		"elements":      func(tx *tracev1.Transaction) { tx.Lines[0].Composition[0].Symbol = "Pr" },
		"order":         func(tx *tracev1.Transaction) { tx.Lines[0], tx.Lines[1] = tx.Lines[1], tx.Lines[0] },
		"a line less":   func(tx *tracev1.Transaction) { tx.Lines = tx.Lines[1:] },
		"a line more":   func(tx *tracev1.Transaction) { tx.Lines = append(tx.Lines, tx.Lines[0]) },
		"the same line": func(tx *tracev1.Transaction) { tx.Lines = append(tx.Lines, tx.Lines...) },
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournal(t, "acme")
			two := func(tx *tracev1.Transaction) {
				line := *validLine()
				tx.Lines = append(tx.Lines, &line)
			}
			check := func() {
				t.Helper()
				r := read(t, j)
				wantVolumes(t, j, r, everyone, custody.NewFilter(), custody.ByCustomer, custody.ByMonth, custody.ByKind)
				wantVolumes(t, j, r, everyone, custody.NewFilter(), custody.ByDay, custody.ByHSCode, custody.ByProductFamily)
				wantVolumes(t, j, r, everyone, custody.NewFilter(), custody.ByDestinationCountry, custody.ByEndUse)
			}
			j.record(j.admission("buyer"), j.sale("acme", two), j.sale("acme", two))
			check()
			j.record(j.amendment("acme", j.last(), func(tx *tracev1.Transaction) { two(tx); change(tx) }))
			check()
			amended := j.last()
			j.record(j.sale("acme", func(tx *tracev1.Transaction) { two(tx); change(tx) }))
			check()
			j.record(j.void("acme", amended))
			check()
		})
	}
}
