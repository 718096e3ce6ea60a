package ledger

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// overlay is the state as of the last admitted statement: what the batch under
// way and the one being committed put, over the last published state. It
// implements custody.State and belongs to the goroutine that admits.
type overlay struct {
	base    *published
	cache   *stateCache // of base; nil for none
	before  *batch      // being committed, or nil
	current *batch
}

// Get implements custody.Reader.
func (o *overlay) Get(key []byte) ([]byte, error) {
	hash := hashOf(key)
	if v := o.current.values.get(hash, key); v != nil {
		return *v, nil
	}
	if o.before != nil {
		if v := o.before.values.get(hash, key); v != nil {
			return *v, nil
		}
	}
	if o.cache == nil {
		return o.base.get(key)
	}
	if v := o.cache.get(hash, key); v != nil {
		return v, nil
	}
	v, err := o.base.get(key)
	if v != nil {
		o.cache.put(hash, bytes.Clone(key), v)
	}
	return v, err
}

// next returns the overlay after current was handed over to be committed and
// before is part of base.
func (o *overlay) next(base *published, current *batch) *overlay {
	if o.before != nil {
		o.cache.update(&o.before.values)
	}
	return &overlay{base: base, cache: o.cache, before: o.current, current: current}
}

// Put implements custody.State.
func (o *overlay) Put(key, value []byte) {
	o.current.put(key, value)
}

// Change implements custody.State.
func (o *overlay) Change(key []byte) *custody.Figures {
	return o.current.change(key)
}

// Payload implements custody.Reader.
func (o *overlay) Payload(index uint64) ([]byte, error) {
	r, err := o.record(index)
	return r.Envelope.GetPayload(), err
}

// StatementHash implements custody.Reader.
func (o *overlay) StatementHash(index uint64) ([]byte, error) {
	r, err := o.record(index)
	return r.Entry.StatementHash[:], err
}

func (o *overlay) record(index uint64) (Record, error) {
	for _, b := range []*batch{o.current, o.before} {
		if b != nil && index >= b.first {
			if i := index - b.first; i < uint64(len(b.records)) {
				return b.records[i], nil
			}
			return Record{}, fmt.Errorf("entry %d: %w", index, ErrOutOfRange)
		}
	}
	return (&View{o.base}).Record(index)
}

// batch is what one commit writes.
type batch struct {
	first      uint64 // index of the first record
	records    []Record
	growth     *growth
	values     table[[]byte]
	figures    table[custody.Figures]
	tiles      []Write // full tiles, and those at the edge after it
	bytes      int     // roughly what its records take, before they are compressed
	stateBytes int     // roughly what values and figures take in memory
	waiting    []waiter
	head       head // after it; set when it is handed to the committer
}

// waiter is an item whose fate the batch decides.
type waiter struct {
	group *group
	item  int
}

// newBatch returns an empty batch with room for as much as the one before had; nil
// stands for little.
func newBatch(c *verify.Chain, before *batch) *batch {
	b := &batch{first: c.Size(), growth: newGrowth(c)}
	if before != nil && len(before.records) > 0 {
		n := len(before.records)
		b.records, b.waiting = make([]Record, 0, n), make([]waiter, 0, n)
		b.growth.reserve(n)
		b.values = newTable[[]byte](len(before.values.rows))
		b.figures = newTable[custody.Figures](len(before.figures.rows))
	}
	return b
}

func (b *batch) put(key, value []byte) {
	*b.values.at(hashOf(key), key) = value
	b.stateBytes += len(key) + len(value) + 48
}

func (b *batch) change(key []byte) *custody.Figures {
	b.stateBytes += len(key) + 128
	return b.figures.at(hashOf(key), key)
}

// writes returns the records and tiles of the batch.
func (b *batch) writes() []Write { return appendChunks(slices.Clone(b.tiles), b.records) }
