package ledger

import (
	"bytes"
	"fmt"
	"slices"

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
	if v, ok := o.current.state[string(key)]; ok {
		return v, nil
	}
	if o.before != nil {
		if v, ok := o.before.state[string(key)]; ok {
			return v, nil
		}
	}
	if o.cache == nil {
		return getState(o.base.snapshot, key)
	}
	if v, ok := o.cache.get(key); ok {
		return v, nil
	}
	v, err := getState(o.base.snapshot, key)
	if v != nil {
		o.cache.put(string(key), v)
	}
	return v, err
}

// next returns the overlay after current was handed over to be committed and
// before is part of base.
func (o *overlay) next(base *published, current *batch) *overlay {
	if o.before != nil {
		o.cache.update(o.before.state)
	}
	return &overlay{base: base, cache: o.cache, before: o.current, current: current}
}

// Put implements custody.State.
func (o *overlay) Put(key, value []byte) {
	o.current.put(key, value)
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
	state      map[string][]byte
	tiles      []Write // full tiles, and those at the edge after it
	bytes      int     // roughly what it will write
	stateBytes int     // at most what its state takes
	waiting    []waiter
	head       head // after it; set when it is handed to the committer
}

// waiter is an item whose fate the batch decides.
type waiter struct {
	group *group
	item  int
}

func newBatch(c *verify.Chain) *batch {
	return &batch{first: c.Size(), growth: newGrowth(c), state: make(map[string][]byte)}
}

func (b *batch) put(key, value []byte) {
	b.state[string(key)] = value
	b.bytes += len(key) + len(value) + 32
	b.stateBytes += 1 + len(key) + len(value) + sealSize
}

// Records of a chunk: few enough that reading one is cheap, many enough that
// the store has few keys. A chunk stays far below the 1 MiB of a value.
const (
	chunkRecords = 256
	chunkBytes   = 128 << 10
)

// writes returns what the batch writes, except the head, in the order of keys,
// which spares the store some searching.
func (b *batch) writes() []Write {
	writes := make([]Write, 0, len(b.tiles)+len(b.state)+len(b.records)/chunkRecords+8)
	writes = append(writes, b.tiles...)
	chunk := make([]byte, 0, min(b.bytes, chunkBytes+chunkBytes/4))
	n := 0
	for i, r := range b.records {
		chunk = appendRecord(chunk, r.Entry, r.Envelope)
		if n++; n == chunkRecords || len(chunk) >= chunkBytes || i == len(b.records)-1 {
			writes = append(writes, Write{Key: recordKey(r.Entry.Index), Value: packChunk(chunk)})
			chunk, n = chunk[:0], 0
		}
	}
	writes = b.appendState(writes)
	slices.SortFunc(writes, func(a, b Write) int { return bytes.Compare(a.Key, b.Key) })
	return writes
}

// appendState appends the state, all of it in one piece of memory.
func (b *batch) appendState(writes []Write) []Write {
	memory := make([]byte, 0, b.stateBytes)
	for k, v := range b.state {
		start := len(memory)
		memory = append(append(memory, stateKeys), k...)
		end := len(memory)
		memory = appendSealed(memory, memory[start+1:end], v)
		writes = append(writes, Write{Key: memory[start:end:end], Value: memory[end:len(memory):len(memory)]})
	}
	return writes
}
