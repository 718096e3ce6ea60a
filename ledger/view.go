package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ErrOutOfRange says that an index or a size lies beyond the log.
var ErrOutOfRange = errors.New("beyond the end of the log")

// View is the ledger as of one checkpoint. It is safe for concurrent use. It
// implements custody.Reader. Every method returns ErrDamaged rather than bytes
// that do not lead to the root of the checkpoint.
type View struct {
	p *published
}

// published is the ledger after a batch, shared by all views of it.
type published struct {
	snapshot   Snapshot
	head       head
	tree       *treeReader
	checkpoint *verify.Checkpoint
	users      atomic.Int64 // 1 for being the latest, and 1 for each view
}

// acquire adds a user, unless the last one has gone.
func (p *published) acquire() bool {
	for {
		n := p.users.Load()
		if n == 0 {
			return false
		}
		if p.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (p *published) release() {
	if p.users.Add(-1) == 0 {
		p.snapshot.Close()
	}
}

// Close releases the view. A view that stays open makes the store keep old
// data.
func (v *View) Close() { v.p.release() }

// Size returns the number of entries.
func (v *View) Size() uint64 { return v.p.head.size }

// Checkpoint returns the checkpoint of the view.
func (v *View) Checkpoint() *verify.Checkpoint { return v.p.checkpoint }

// Get implements custody.Reader.
func (v *View) Get(key []byte) ([]byte, error) { return getState(v.p.snapshot, key) }

func getState(s Snapshot, key []byte) ([]byte, error) {
	sealed, err := s.Get(stateKey(key))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return unseal(key, sealed)
}

// Scan implements custody.Reader.
func (v *View) Scan(from, to []byte, visit func(key, value []byte) bool) error {
	end := []byte{stateKeys + 1}
	if to != nil {
		end = stateKey(to)
	}
	var bad error
	err := v.p.snapshot.Scan(stateKey(from), end, func(key, sealed []byte) bool {
		var value []byte
		if value, bad = unseal(key[1:], sealed); bad != nil {
			return false
		}
		return visit(key[1:], value)
	})
	if err != nil {
		return err
	}
	return bad
}

// Payload implements custody.Reader.
func (v *View) Payload(index uint64) ([]byte, error) {
	r, err := v.Record(index)
	if err != nil {
		return nil, err
	}
	return r.Envelope.GetPayload(), nil
}

// StatementHash implements custody.Reader.
func (v *View) StatementHash(index uint64) ([]byte, error) {
	r, err := v.Record(index)
	if err != nil {
		return nil, err
	}
	return r.Entry.StatementHash[:], nil
}

// findRecord returns a record whose statement is the entry's; that the entry is
// the log's is not checked.
func findRecord(s Snapshot, index uint64) (Record, error) {
	var found Record
	bad := fmt.Errorf("entry %d: %w", index, ErrDamaged)
	err := s.Scan(recordKey(index), []byte{recordKeys + 1}, func(_, value []byte) bool {
		rest, err := unpackChunk(value)
		if err != nil {
			bad = err
			return false
		}
		for len(rest) > 0 {
			var r Record
			if r, rest, err = takeRecord(rest); err != nil {
				bad = err
				return false
			}
			if r.Entry.Index == index {
				found, bad = r, r.check()
				return false
			}
		}
		return false
	})
	if err != nil {
		return Record{}, err
	}
	return found, bad
}

// Record returns an entry and its statement.
func (v *View) Record(index uint64) (Record, error) {
	if index >= v.Size() {
		return Record{}, fmt.Errorf("entry %d: %w", index, ErrOutOfRange)
	}
	r, err := findRecord(v.p.snapshot, index)
	if err != nil {
		return Record{}, err
	}
	leaf, err := v.p.tree.node(compact.NewNodeID(0, index))
	if err != nil {
		return Record{}, err
	}
	if leaf != r.Entry.LeafHash() {
		return Record{}, fmt.Errorf("entry %d: %w", index, ErrDamaged)
	}
	return r, nil
}

// Records calls visit for the records from start up to, not including, end, in
// order and without a gap, until it returns an error, which is returned.
func (v *View) Records(ctx context.Context, start, end uint64, visit func(Record) error) error {
	if end > v.Size() || start > end {
		return fmt.Errorf("entries %d to %d: %w", start, end, ErrOutOfRange)
	}
	for next := start; next < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		stop := min(end, (next/tileWidth+1)*tileWidth)
		if err := v.tileRecords(next, stop, visit); err != nil {
			return err
		}
		next = stop
	}
	return nil
}

// tileRecords visits records of one tile, whose hashes it checks at once.
func (v *View) tileRecords(next, stop uint64, visit func(Record) error) error {
	tile, err := v.p.tree.tile(tileID{0, next / tileWidth})
	if err != nil {
		return err
	}
	leaves := tile.rows[0]
	var bad error
	err = v.p.snapshot.Scan(recordKey(next), []byte{recordKeys + 1}, func(_, value []byte) bool {
		var rest []byte
		rest, bad = unpackChunk(value)
		for len(rest) > 0 && next < stop && bad == nil {
			var r Record
			if r, rest, bad = takeRecord(rest); bad != nil || r.Entry.Index < next {
				continue
			}
			if r.Entry.Index != next || r.Entry.LeafHash() != leaves[next%tileWidth] {
				bad = fmt.Errorf("entry %d: %w", next, ErrDamaged)
			} else if bad = r.check(); bad == nil {
				bad = visit(r)
				next++
			}
		}
		return next < stop && bad == nil
	})
	switch {
	case err != nil:
		return err
	case bad == nil && next != stop:
		return fmt.Errorf("entry %d: %w", next, ErrDamaged)
	}
	return bad
}

// InclusionPath returns the inclusion path of an entry in the tree of a size.
func (v *View) InclusionPath(index, size uint64) ([][]byte, error) {
	if size > v.Size() || index >= size {
		return nil, fmt.Errorf("inclusion of %d in %d: %w", index, size, ErrOutOfRange)
	}
	return v.p.tree.path(proof.Inclusion(index, size))
}

// ConsistencyPath returns the proof that the tree of one size extends that of
// an earlier size, which is at least 1.
func (v *View) ConsistencyPath(from, to uint64) ([][]byte, error) {
	if to > v.Size() || from > to || from == 0 {
		return nil, fmt.Errorf("consistency of %d and %d: %w", from, to, ErrOutOfRange)
	}
	return v.p.tree.path(proof.Consistency(from, to))
}

// Receipt returns the receipt of a record of the view under its checkpoint.
func (v *View) Receipt(r Record) (*tracev1.Receipt, error) {
	path, err := v.InclusionPath(r.Entry.Index, v.Size())
	if err != nil {
		return nil, err
	}
	if err := verify.VerifyInclusion(r.Entry.LeafHash(), r.Entry.Index, v.Size(), path, v.p.head.root); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	spki, err := v.signerSPKI(r)
	if err != nil {
		return nil, err
	}
	return &tracev1.Receipt{
		Entry: r.Entry.Bytes(), InclusionPath: path, Checkpoint: v.p.checkpoint.Note, SignerSpki: spki,
	}, nil
}
