package tlog

import (
	"slices"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// edge is the end of a log: what is needed to go on with its tiles.
type edge struct {
	chain  *verify.Chain
	tiles  [8][]byte // by level, the hashes of the last tile, if it is not full
	bundle []byte    // the entries of the last bundle, if it is not full
}

func newEdge(c *verify.Chain) *edge { return &edge{chain: c} }

func (e *edge) clone() (*edge, error) {
	chain, err := verify.RestoreChain(e.chain.Size(), e.chain.Last(), e.chain.LastTime(), e.chain.Edge())
	if err != nil {
		return nil, err
	}
	c := &edge{chain: chain, bundle: slices.Clone(e.bundle)}
	for level, b := range e.tiles {
		c.tiles[level] = slices.Clone(b)
	}
	return c, nil
}

// append adds an entry, and writes the tiles that it completes. The error is a
// *verify.Finding or that of the writer.
func (e *edge) append(entry verify.Entry, w *writer) (err error) {
	number := entry.Index / Width
	bad := e.chain.Append(entry, func(level uint, index uint64, hash verify.Hash) {
		if level%8 != 0 || err != nil || level/8 >= uint(len(e.tiles)) {
			return
		}
		b := &e.tiles[level/8]
		if *b = append(*b, hash[:]...); len(*b) == Width*verify.HashSize {
			err = w.put(Tile{Level: int(level / 8), Number: index / Width, Width: Width}, *b)
			*b = nil
		}
	})
	if bad != nil || err != nil {
		if bad != nil {
			return bad
		}
		return err
	}
	if e.bundle = appendEntry(e.bundle, entry.Bytes()); (entry.Index+1)%Width == 0 {
		err = w.put(Tile{Entries: true, Number: number, Width: Width}, e.bundle)
		e.bundle = nil
	}
	return err
}

// flush writes the tiles that are not full.
func (e *edge) flush(w *writer) error {
	size := e.chain.Size()
	for level, b := range e.tiles {
		t := Tile{Level: level, Number: size >> (8 * level) / Width, Width: len(b) / verify.HashSize}
		if t.Width > 0 {
			if err := w.put(t, b); err != nil {
				return err
			}
		}
	}
	if len(e.bundle) == 0 {
		return nil
	}
	return w.put(Tile{Entries: true, Number: size / Width, Width: int(size % Width)}, e.bundle)
}
