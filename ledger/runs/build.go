package runs

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
)

// Row is a key and its value. Neither is empty.
type Row struct{ Key, Value []byte }

// Emit takes what is to be stored under a key. It owns both slices.
type Emit func(key, value []byte)

// builder makes a run.
type builder struct {
	prefix byte
	rows   uint64 // that will come, at most
	run    *run
	emit   Emit // nil: the run stays in memory
	page   []byte
	last   []byte // key of the row before
}

// newBuilder begins a run of at most some number of rows.
func newBuilder(o *Options, id, rows uint64, emit Emit) *builder {
	b := &builder{prefix: o.Prefix, rows: rows, run: &run{id: id}, emit: emit}
	if !o.Unfiltered {
		b.run.filter = newFilter(rows)
	}
	return b
}

// add appends a row. Keys come in ascending order, each once. The slices are not
// kept.
func (b *builder) add(key, value []byte) {
	if len(b.page) >= pageSize {
		b.flush()
	}
	if b.page == nil {
		b.page = make([]byte, sealSize, min(pageSize+pageSize/4, 128*(b.rows-b.run.rows)))
		b.run.fences = append(b.run.fences, bytes.Clone(key))
		b.last = b.last[:0]
	}
	b.page = appendRow(b.page, b.last, key, value)
	b.last = append(b.last[:0], key...)
	if b.run.filter != nil {
		b.run.filter.add(xxhash.Sum64(key))
	}
	b.run.rows++
}

func (b *builder) flush() {
	if b.emit != nil {
		b.write(uint32(len(b.run.fences)-1), b.page)
	} else {
		b.run.memory = append(b.run.memory, b.page[sealSize:])
	}
	b.page = nil
}

func (b *builder) write(number uint32, page []byte) {
	key := pageKey(b.prefix, b.run.id, number)
	seal(key, page)
	b.emit(key, page)
}

// finish writes the rest of the run, which has at least one row, and returns it.
func (b *builder) finish() *run {
	b.flush()
	b.run.fences = append(b.run.fences, bytes.Clone(b.last))
	if b.emit == nil {
		return b.run
	}
	for summary := b.run.summary(); len(summary) > 0; b.run.parts++ {
		part := summary[:min(partSize, len(summary))]
		summary = summary[len(part):]
		b.write(summaryKeys+b.run.parts, append(make([]byte, sealSize, sealSize+len(part)), part...))
	}
	return b.run
}

// keys calls visit with every key that the run is stored under.
func (r *run) keys(prefix byte, visit func(key []byte)) {
	for n := range uint32(r.pages()) {
		visit(pageKey(prefix, r.id, n))
	}
	for n := range r.parts {
		visit(pageKey(prefix, r.id, summaryKeys+n))
	}
}
