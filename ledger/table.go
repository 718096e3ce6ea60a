package ledger

import (
	"bytes"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// table is a map from byte strings that keeps its rows in the order in which they
// were put. It does not copy keys, which must not change. The zero table is empty.
type table[V any] struct {
	rows  []tableRow[V]
	slots []uint32 // by hash: 1 + index in rows, or 0; at most half are used
}

type tableRow[V any] struct {
	hash  uint64
	key   []byte
	value V
}

// newTable returns an empty table with room for n rows.
func newTable[V any](n int) table[V] {
	t := table[V]{rows: make([]tableRow[V], 0, n)}
	if n > 0 {
		t.slots = make([]uint32, 1<<bits.Len(uint(2*n)))
	}
	return t
}

// hashOf returns the hash that keys are looked up by.
func hashOf(key []byte) uint64 { return xxhash.Sum64(key) }

// get returns where the value of a key is, until the next put, or nil.
func (t *table[V]) get(hash uint64, key []byte) *V {
	if len(t.rows) == 0 {
		return nil
	}
	if _, row := t.find(hash, key); row != nil {
		return &row.value
	}
	return nil
}

// find returns the row of a key, or the slot where it would be.
func (t *table[V]) find(hash uint64, key []byte) (slot uint64, row *tableRow[V]) {
	mask := uint64(len(t.slots) - 1)
	for slot = hash & mask; t.slots[slot] != 0; slot = (slot + 1) & mask {
		row := &t.rows[t.slots[slot]-1]
		if row.hash == hash && bytes.Equal(row.key, key) {
			return slot, row
		}
	}
	return slot, nil
}

// at returns where the value of a key is, until the next put; it is the zero value
// if there was none.
func (t *table[V]) at(hash uint64, key []byte) *V {
	if 2*len(t.rows) >= len(t.slots) {
		t.grow()
	}
	slot, row := t.find(hash, key)
	if row == nil {
		t.rows = append(t.rows, tableRow[V]{hash: hash, key: key})
		t.slots[slot] = uint32(len(t.rows))
		row = &t.rows[len(t.rows)-1]
	}
	return &row.value
}

func (t *table[V]) grow() {
	t.slots = make([]uint32, max(64, 2*len(t.slots)))
	mask := uint64(len(t.slots) - 1)
	for i := range t.rows {
		slot := t.rows[i].hash & mask
		for t.slots[slot] != 0 {
			slot = (slot + 1) & mask
		}
		t.slots[slot] = uint32(i + 1)
	}
}
