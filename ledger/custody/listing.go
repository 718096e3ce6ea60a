package custody

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Fate is what became of a version of a transaction.
type Fate int

// Fates.
const (
	Live Fate = iota + 1
	Amended
	Voided
)

// Version is a transaction or an amendment of one.
type Version struct {
	// Index is where it stands.
	Index uint64
	// Seller and Customer are who deals, the customer by its key.
	Seller, Customer string
	// Fate is what became of it.
	Fate Fate
	// Latest is the index of the latest version, or of the void; Index itself
	// while it is live.
	Latest uint64
}

// VersionAt returns the version that an entry states, as of a size of the log,
// or nil if it states none.
func VersionAt(r Lookup, index, size uint64) (*Version, error) {
	p, err := versionAt(r, index)
	if err != nil || p == nil {
		return nil, err
	}
	next, err := p.supersededBy(r)
	if err != nil {
		return nil, err
	}
	return p.version(r, next, size)
}

func (p *posting) version(r Lookup, next successor, size uint64) (*Version, error) {
	v := &Version{Index: p.index, Seller: p.seller, Customer: p.customer, Fate: next.fate(size), Latest: p.index}
	if v.Fate == Live {
		return v, nil
	}
	latest, err := p.latest(r, size)
	v.Latest = latest.index
	return v, err
}

func (s successor) fate(size uint64) Fate {
	switch {
	case s.how == 0 || s.index >= size:
		return Live
	case s.how == byVoid:
		return Voided
	}
	return Amended
}

// Cursor is a place in a listing; the zero Cursor is its beginning.
type Cursor []byte

// ListVersions calls visit for the versions within a scope that stand below
// size, by seller, customer, date and index, beginning after a cursor, until it
// returns false. fates narrows by what became of them by that size; empty does
// not.
func ListVersions(r Reader, scope Scope, f Filter, fates []Fate, size uint64, from Cursor, visit func(*Version, Cursor) bool) error {
	ps, err := pairs(r, scope, &f, nil)
	if err != nil {
		return err
	}
	for _, p := range ps {
		if from != nil && bytes.Compare(after(key(listingKeys, p.seller, p.customer)), from) <= 0 {
			continue
		}
		if more, err := listPair(r, p, &f, fates, size, from, visit); err != nil || !more {
			return err
		}
	}
	return nil
}

// listPair reads the rows of a pair some at a time, so that a page of many does
// not cost them all.
func listPair(r Reader, p pair, f *Filter, fates []Fate, size uint64, from Cursor, visit func(*Version, Cursor) bool) (more bool, err error) {
	const atOnce = 256
	for {
		var rows []listed
		err := scanListing(r, p, f.FirstDay, f.LastDay, from, func(row listed) bool {
			if row.index < size && in(fates, row.next.fate(size)) && in(f.Kinds, row.kind) {
				rows = append(rows, row)
			}
			return len(rows) < atOnce
		})
		if err != nil {
			return false, err
		}
		for _, row := range rows {
			if more, err := visitListed(r, row, f, size, visit); err != nil || !more {
				return false, err
			}
		}
		if len(rows) < atOnce {
			return true, nil
		}
		from = rows[len(rows)-1].key
	}
}

func visitListed(r Lookup, row listed, f *Filter, size uint64, visit func(*Version, Cursor) bool) (more bool, err error) {
	p, err := versionAt(r, row.index)
	if err != nil {
		return false, err
	}
	if p == nil {
		return false, fmt.Errorf("%w: listing of statement %d", ErrState, row.index)
	}
	if !f.matchesTransaction(p.tx) || f.narrowsLines() && !slices.ContainsFunc(p.tx.GetLines(), f.matchesLine) {
		return true, nil
	}
	v, err := p.version(r, row.next, size)
	if err != nil {
		return false, err
	}
	return visit(v, p.listingKey()), nil
}

// listed is a row of the listing.
type listed struct {
	index uint64
	kind  tracev1.TransactionKind
	next  successor
	key   Cursor
}

// scanListing calls visit for the rows of a pair within some days, after a
// cursor.
func scanListing(r Reader, p pair, first, last Day, from Cursor, visit func(listed) bool) error {
	prefix := key(listingKeys, p.seller, p.customer)
	start := binary.BigEndian.AppendUint32(slices.Clone(prefix), uint32(first)^signBit)
	end := binary.BigEndian.AppendUint32(slices.Clone(prefix), uint32(last+1)^signBit)
	if bytes.Compare(from, start) >= 0 {
		start = append(slices.Clone(from), 0)
	}
	var bad error
	err := r.Scan(start, end, func(k, value []byte) bool {
		kind, next, ok := parseListing(value)
		if !ok || len(k) != len(prefix)+12 {
			bad = fmt.Errorf("%w: a listing row", ErrState)
			return false
		}
		return visit(listed{index: binary.BigEndian.Uint64(k[len(prefix)+4:]), kind: kind, next: next, key: slices.Clone(k)})
	})
	if err != nil {
		return err
	}
	return bad
}
