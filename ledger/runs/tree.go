package runs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Options say how a tree keeps its rows. They are the same each time it is opened.
type Options struct {
	// Prefix is the first byte of every key that it stores pages under.
	Prefix byte
	// Fanout is how many runs of like size are merged into one: 2 or more. More
	// makes writing cheaper and reading dearer.
	Fanout int
	// MemoryFanout is Fanout for runs in memory.
	MemoryFanout int
	// Sum adds the values of one key, appends the sum to dst and returns it. It
	// must not matter which is added to which. Nil: the newest value counts.
	Sum func(dst, a, b []byte) ([]byte, error)
	// Unfiltered trees keep no filters, for keys that are not looked up one by
	// one.
	Unfiltered bool
	// Cache keeps pages; nil keeps none.
	Cache *Cache
}

// Tree is a map of keys to values in sorted runs. It is immutable and safe for
// concurrent use; Add and Replace return others.
type Tree struct {
	opts *Options
	runs []*run // the oldest first
}

// NewTree returns an empty tree.
func NewTree(o *Options) *Tree { return &Tree{opts: o} }

// AppendBinary appends the list of the runs that are stored: their number (4),
// then id (8) and parts of the summary (4) of each.
func (t *Tree) AppendBinary(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(t.stored()))
	for _, r := range t.runs[:t.stored()] {
		b = binary.BigEndian.AppendUint64(b, r.id)
		b = binary.BigEndian.AppendUint32(b, r.parts)
	}
	return b
}

// Open reads the summaries of the runs that AppendBinary listed, and returns what
// follows the list.
func Open(o *Options, source Source, list []byte) (t *Tree, rest []byte, err error) {
	damaged := fmt.Errorf("list of runs: %w", ErrDamaged)
	if len(list) < 4 {
		return nil, nil, damaged
	}
	n, list := uint64(binary.BigEndian.Uint32(list)), list[4:]
	if n*12 > uint64(len(list)) {
		return nil, nil, damaged
	}
	t = NewTree(o)
	reader := t.reader(source, nil)
	for range n {
		r, err := reader.load(binary.BigEndian.Uint64(list), binary.BigEndian.Uint32(list[8:]))
		if err != nil {
			return nil, nil, err
		}
		t.runs, list = append(t.runs, r), list[12:]
	}
	return t, list, nil
}

func (t *Tree) reader(source Source, cache *Cache) *reader {
	return &reader{source: source, prefix: t.opts.Prefix, cache: cache}
}

// stored returns how many of the runs are stored. Those in memory come after.
func (t *Tree) stored() int {
	n := len(t.runs)
	for n > 0 && t.runs[n-1].memory != nil {
		n--
	}
	return n
}

// InMemory returns how many rows are in runs that are not stored.
func (t *Tree) InMemory() (rows uint64) {
	for _, r := range t.runs[t.stored():] {
		rows += r.rows
	}
	return rows
}

// Add returns the tree with one more run, in memory, made of rows in ascending
// order of their keys. Without rows it returns the tree itself.
func (t *Tree) Add(rows []Row) *Tree {
	if len(rows) == 0 {
		return t
	}
	b := newBuilder(t.opts, 0, uint64(len(rows)), nil)
	for _, r := range rows {
		b.add(r.Key, r.Value)
	}
	return &Tree{opts: t.opts, runs: append(slices.Clip(t.runs), b.finish())}
}

// Get returns the value of a key, or nil. It must not be changed.
func (t *Tree) Get(source Source, key []byte) ([]byte, error) {
	reader := t.reader(source, t.opts.Cache)
	hash := xxhash.Sum64(key)
	var sum []byte
	for _, r := range slices.Backward(t.runs) {
		value, err := reader.get(r, hash, key)
		if err != nil {
			return nil, err
		}
		if value == nil {
			continue
		}
		if t.opts.Sum == nil {
			return value, nil
		}
		if sum == nil {
			sum = value
		} else if sum, err = t.opts.Sum(nil, sum, value); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// Range is the keys from From up to, not including, To. A nil To is the end.
type Range = struct{ From, To []byte }

// Scan calls visit for each key in ranges, which ascend and do not overlap, until
// it returns false. Key and value are valid only during the call.
func (t *Tree) Scan(source Source, ranges []Range, visit func(key, value []byte) bool) error {
	m := t.merger(source, t.opts.Cache, t.runs)
	for _, r := range ranges {
		if err := m.seek(r.From); err != nil {
			return err
		}
		for {
			key, value, err := m.next(r.To)
			if err != nil {
				return err
			}
			if key == nil {
				break
			}
			if !visit(key, value) {
				return nil
			}
		}
	}
	return nil
}

func (t *Tree) merger(source Source, cache *Cache, runs []*run) *merger {
	m := &merger{sum: t.opts.Sum}
	for age, r := range runs {
		m.idle = append(m.idle, &cursor{reader: t.reader(source, cache), run: r, age: age})
	}
	return m
}

// merger walks through runs side by side, in the order of keys.
type merger struct {
	heap []*cursor // of rows that come; the least key, and of these the newest, is first
	idle []*cursor // before the first seek, and at their end
	sum  func(dst, a, b []byte) ([]byte, error)
	key  []byte
	sums [2][]byte
}

// seek moves on to the first row whose key is at least key.
func (m *merger) seek(key []byte) error {
	all := append(m.heap, m.idle...)
	m.heap, m.idle = all[:0:0], nil
	for _, c := range all {
		if c.behind(key) {
			if err := c.seek(key); err != nil {
				return err
			}
		}
		if c.done {
			m.idle = append(m.idle, c)
		} else {
			m.heap = append(m.heap, c)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return nil
}

// behind reports whether a cursor must move to reach key.
func (c *cursor) behind(key []byte) bool {
	return c.rows.key == nil || !c.done && bytes.Compare(c.rows.key, key) < 0
}

func (a *cursor) before(b *cursor) bool {
	order := bytes.Compare(a.rows.key, b.rows.key)
	return order < 0 || order == 0 && a.age > b.age
}

func (m *merger) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(m.heap) {
			return
		}
		if right := least + 1; right < len(m.heap) && m.heap[right].before(m.heap[least]) {
			least = right
		}
		if !m.heap[least].before(m.heap[i]) {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

// step moves the first cursor on.
func (m *merger) step() error {
	c := m.heap[0]
	if err := c.next(); err != nil {
		return err
	}
	if c.done {
		last := len(m.heap) - 1
		m.heap[0] = m.heap[last]
		m.heap, m.idle = m.heap[:last], append(m.idle, c)
	}
	m.down(0)
	return nil
}

// next returns the next key before to, with its value over all runs, or nil. Both
// are valid until the call after.
func (m *merger) next(to []byte) (key, value []byte, err error) {
	if len(m.heap) == 0 || to != nil && bytes.Compare(m.heap[0].rows.key, to) >= 0 {
		return nil, nil, nil
	}
	m.key, value = append(m.key[:0], m.heap[0].rows.key...), m.heap[0].rows.value
	for n := 0; ; n++ {
		if err := m.step(); err != nil {
			return nil, nil, err
		}
		if len(m.heap) == 0 || !bytes.Equal(m.heap[0].rows.key, m.key) {
			return m.key, value, nil
		}
		if m.sum != nil {
			sum, err := m.sum(m.sums[n%2][:0], value, m.heap[0].rows.value)
			if err != nil {
				return nil, nil, err
			}
			m.sums[n%2], value = sum, sum
		}
	}
}
