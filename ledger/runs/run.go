package runs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
)

// Source reads stored pages. A snapshot of a store is one.
type Source interface {
	// Get returns the value of a key, or an error, also if it has none: a run
	// lists every page that it reads, so that a missing one is damage. The error
	// is returned as it is.
	Get(key []byte) ([]byte, error)
}

// run is one sorted run. It is immutable.
type run struct {
	id     uint64
	parts  uint32 // of the summary
	rows   uint64
	fences [][]byte // first key of each page, then the last key
	filter filter
	memory [][]byte // its pages, if it is not stored
}

func (r *run) pages() int { return len(r.fences) - 1 }

// pageOf returns the number of the page that a key would stand in, or -1 for a
// key before the first or after the last one.
func (r *run) pageOf(key []byte) int {
	if bytes.Compare(key, r.fences[r.pages()]) > 0 {
		return -1
	}
	return r.pageFrom(key)
}

// pageFrom returns the number of the page where a scan from key begins, -1 if
// that is before the first page.
func (r *run) pageFrom(key []byte) int {
	return sort.Search(r.pages(), func(i int) bool { return bytes.Compare(r.fences[i], key) > 0 }) - 1
}

// summary returns rows, fences and filter in the bytes that are stored.
func (r *run) summary() []byte {
	var fences, last []byte
	for _, f := range r.fences {
		fences = appendRow(fences, last, f, nil)
		last = f
	}
	b := binary.BigEndian.AppendUint64(nil, r.rows)
	b = binary.BigEndian.AppendUint32(b, uint32(r.pages()))
	b = binary.BigEndian.AppendUint64(b, uint64(len(fences)))
	return r.filter.appendBytes(append(b, fences...))
}

func parseSummary(id uint64, b []byte) (*run, error) {
	damaged := fmt.Errorf("summary of run %d: %w", id, ErrDamaged)
	const fixed = 8 + 4 + 8
	if len(b) < fixed {
		return nil, damaged
	}
	r := &run{id: id, rows: binary.BigEndian.Uint64(b)}
	pages, length := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint64(b[12:])
	if b = b[fixed:]; length > uint64(len(b)) {
		return nil, damaged
	}
	for fences := (rows{page: b[:length]}); ; {
		ok, err := fences.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		r.fences = append(r.fences, bytes.Clone(fences.key))
	}
	var ok bool
	if r.filter, ok = parseFilter(b[length:]); !ok || uint64(len(r.fences)) != uint64(pages)+1 || pages == 0 {
		return nil, damaged
	}
	return r, nil
}

// reader reads the pages of runs.
type reader struct {
	source Source
	prefix byte
	cache  *Cache // nil: none
}

// page returns the content of a page. It must not be changed.
func (r *reader) page(run *run, number int) ([]byte, error) {
	if run.memory != nil {
		return run.memory[number], nil
	}
	id := pageID{run.id, uint32(number)}
	if p := r.cache.get(id); p != nil {
		return p, nil
	}
	p, err := r.read(run.id, uint32(number))
	if err != nil {
		return nil, err
	}
	r.cache.put(id, p)
	return p, nil
}

func (r *reader) read(run uint64, number uint32) ([]byte, error) {
	key := pageKey(r.prefix, run, number)
	stored, err := r.source.Get(key)
	if err != nil {
		return nil, fmt.Errorf("page %x: %w", key, err)
	}
	return unseal(key, stored)
}

// load reads the summary of a run.
func (r *reader) load(id uint64, parts uint32) (*run, error) {
	var summary []byte
	for i := range parts {
		part, err := r.read(id, summaryKeys+i)
		if err != nil {
			return nil, err
		}
		summary = append(summary, part...)
	}
	run, err := parseSummary(id, summary)
	if err != nil {
		return nil, err
	}
	run.parts = parts
	return run, nil
}

// get returns the value of a key in a run, or nil.
func (r *reader) get(run *run, hash uint64, key []byte) ([]byte, error) {
	if !run.filter.has(hash) {
		return nil, nil
	}
	n := run.pageOf(key)
	if n < 0 {
		return nil, nil
	}
	page, err := r.page(run, n)
	if err != nil {
		return nil, err
	}
	value, ok, err := find(page, key)
	if !ok || err != nil {
		return nil, err
	}
	return value, nil
}

// cursor walks through the rows of a run.
type cursor struct {
	reader *reader
	run    *run
	age    int // newer runs have more
	page   int // that rows reads
	rows   rows
	done   bool
}

// seek moves to the first row whose key is at least key.
func (c *cursor) seek(key []byte) error {
	c.done = false
	if bytes.Compare(key, c.run.fences[c.run.pages()]) > 0 {
		c.done = true
		return nil
	}
	if err := c.open(max(0, c.run.pageFrom(key))); err != nil {
		return err
	}
	ok, err := c.rows.seek(key)
	if ok || err != nil {
		return err
	}
	return c.next() // the first row of the next page
}

func (c *cursor) open(page int) error {
	p, err := c.reader.page(c.run, page)
	c.page, c.rows.page, c.rows.key = page, p, c.rows.key[:0]
	return err
}

func (c *cursor) next() error {
	for {
		ok, err := c.rows.next()
		if ok || err != nil {
			return err
		}
		if c.page+1 >= c.run.pages() {
			c.done = true
			return nil
		}
		if err := c.open(c.page + 1); err != nil {
			return err
		}
	}
}
