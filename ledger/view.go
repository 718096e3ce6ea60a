package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/transparency-dev/merkle/proof"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
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
	state      *state
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
func (v *View) Get(key []byte) ([]byte, error) { return v.p.get(key) }

func (p *published) get(key []byte) ([]byte, error) { return p.state.get(p.snapshot, key) }

// Scan implements custody.Reader.
func (v *View) Scan(from, to []byte, visit func(key, value []byte) bool) error {
	return v.ScanRanges([]custody.Range{{From: from, To: to}}, visit)
}

// ScanRanges implements custody.Reader.
func (v *View) ScanRanges(ranges []custody.Range, visit func(key, value []byte) bool) error {
	return v.p.state.scan(v.p.snapshot, ranges, visit)
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

// Record returns an entry and its statement.
func (v *View) Record(index uint64) (Record, error) {
	if index >= v.Size() {
		return Record{}, fmt.Errorf("entry %d: %w", index, ErrOutOfRange)
	}
	var record Record
	err := v.chunks(index, func(c *chunk) (more bool, err error) {
		for {
			env, err := c.take()
			if err != nil {
				return false, err
			}
			if c.next > index {
				record, err = v.p.tree.record(index, c.time, env)
				return false, err
			}
		}
	})
	return record, err
}

// chunks calls visit with the chunk that a record is in, and those that follow it
// without a gap, until it returns false.
func (v *View) chunks(index uint64, visit func(*chunk) (more bool, err error)) error {
	bad := fmt.Errorf("entry %d: %w", index, ErrDamaged)
	next := index
	err := v.p.snapshot.Scan(recordKey(index), []byte{recordKeys + 1}, func(_, value []byte) bool {
		var c chunk
		if c, bad = openChunk(value); bad != nil {
			return false
		}
		if c.next > next {
			bad = fmt.Errorf("entry %d: %w", next, ErrDamaged)
			return false
		}
		var more bool
		more, bad = visit(&c)
		next = c.next
		return more && bad == nil
	})
	if err != nil {
		return err
	}
	return bad
}

// Records calls visit for the records from start up to, not including, end, in
// order and without a gap, until it returns an error, which is returned.
func (v *View) Records(ctx context.Context, start, end uint64, visit func(Record) error) error {
	if end > v.Size() || start > end {
		return fmt.Errorf("entries %d to %d: %w", start, end, ErrOutOfRange)
	}
	if start == end {
		return nil
	}
	next := start
	err := v.chunks(start, func(c *chunk) (more bool, err error) {
		for len(c.rest) > 0 && next < end {
			at := c.next
			env, err := c.take()
			if err != nil {
				return false, err
			}
			if at < next {
				continue
			}
			r, err := v.p.tree.record(next, c.time, env)
			if err != nil {
				return false, err
			}
			if err := visit(r); err != nil {
				return false, err
			}
			next++
		}
		return next < end, ctx.Err()
	})
	if err == nil && next != end {
		return fmt.Errorf("entry %d: %w", next, ErrDamaged)
	}
	return err
}

// TileHashes returns the first width hashes, 32 bytes each, of a tile of the tree:
// those of 8 levels, of which level 0 begins at the leaves (C2SP tlog-tiles). The
// error is ErrOutOfRange if the tree has not so many there.
func (v *View) TileHashes(level int, number uint64, width int) ([]byte, error) {
	t, err := v.p.tree.tile(tileID{level, number})
	if err != nil {
		return nil, err
	}
	if width > len(t.rows[0]) {
		return nil, fmt.Errorf("tile %d of level %d: %w", number, level, ErrOutOfRange)
	}
	hashes := make([]byte, 0, width*verify.HashSize)
	for _, h := range t.rows[0][:width] {
		hashes = append(hashes, h[:]...)
	}
	return hashes, nil
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
func (v *View) Receipt(r Record) (*tracev1.Receipt, error) { return v.ReceiptUnder(r, v.p.checkpoint) }

// ReceiptUnder returns the receipt of a record under a checkpoint of the log that
// covers it and is not later than the view's; one may be cosigned by witnesses. The
// error is ErrOutOfRange if it does not cover the record.
func (v *View) ReceiptUnder(r Record, cp *verify.Checkpoint) (*tracev1.Receipt, error) {
	path, err := v.InclusionPath(r.Entry.Index, cp.Size)
	if err != nil {
		return nil, err
	}
	if err := verify.VerifyInclusion(r.Entry.LeafHash(), r.Entry.Index, cp.Size, path, cp.Root); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	spki, err := v.signerSPKI(r)
	if err != nil {
		return nil, err
	}
	return &tracev1.Receipt{
		Entry: r.Entry.Bytes(), InclusionPath: path, Checkpoint: cp.Note, SignerSpki: spki,
	}, nil
}
