package ledger

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// tileHeight is the number of tree levels in a tile (C2SP tlog-tiles).
const tileHeight = 8

const tileWidth = 1 << tileHeight

// growth is the part of the tree that one batch added: with the edge before it,
// all that proofs of its entries need. finish completes it; after that it is
// immutable.
type growth struct {
	first uint64            // the first entry of the batch
	edge  [64]verify.Hash   // by level, the perfect subtree that ends at first, if there is one
	nodes [64][]verify.Hash // by level, perfect subtrees that the batch completed, from number first>>level on
	size  uint64            // of the tree with the batch
	last  [64]verify.Hash   // by level, the last node of that tree, which need not be perfect
}

func newGrowth(c *verify.Chain) *growth {
	g := &growth{first: c.Size()}
	edge := c.Edge()
	for left := g.first; left != 0; left &= left - 1 { // from the right end
		g.edge[bits.TrailingZeros64(left)], edge = edge[len(edge)-1], edge[:len(edge)-1]
	}
	return g
}

// reserve makes room for the nodes above n leaves.
func (g *growth) reserve(n int) {
	for level := 0; n > 0; level, n = level+1, n/2 {
		g.nodes[level] = make([]verify.Hash, 0, n+1)
	}
}

// add takes a node of the tree. Nodes of a level come in order.
func (g *growth) add(level uint, _ uint64, hash verify.Hash) {
	g.nodes[level] = append(g.nodes[level], hash)
}

// finish ends a batch that is not empty. It costs a hash for each level.
func (g *growth) finish() {
	g.size = g.first + uint64(len(g.nodes[0]))
	g.last[0] = g.nodes[0][len(g.nodes[0])-1]
	for level := uint(0); (g.size-1)>>level > 0; level++ {
		g.last[level+1] = g.last[level]
		if number := (g.size - 1) >> level; number%2 == 1 {
			left, _ := g.node(level, number-1)
			g.last[level+1] = verify.NodeHash(left, g.last[level])
		}
	}
}

// node returns a node of the finished tree, if it is the last of its level, one
// that the batch completed, or the one before those.
func (g *growth) node(level uint, number uint64) (verify.Hash, bool) {
	first := g.first >> level
	switch {
	case number == (g.size-1)>>level:
		return g.last[level], true
	case number < first:
		return g.edge[level], number == first-1 && first%2 == 1
	case number-first < uint64(len(g.nodes[level])):
		return g.nodes[level][number-first], true
	}
	return verify.Hash{}, false
}

// inclusionPath returns the path of an entry of the batch in the tree of a size,
// which is the one after it.
func (g *growth) inclusionPath(index, size uint64) ([][]byte, error) {
	return g.rangeProof(index, 1, size)
}

// rangeProof is inclusionPath for count entries that follow each other: what
// verify.VerifyRange takes.
func (g *growth) rangeProof(first, count, size uint64) ([][]byte, error) {
	if first < g.first || size != g.size {
		return nil, fmt.Errorf("entries %d and on in %d: the batch made %d of %d", first, size, g.size, g.first)
	}
	return verify.RangeProof(first, count, size, func(level uint, number uint64) (verify.Hash, error) {
		h, ok := g.node(level, number)
		if !ok {
			return h, fmt.Errorf("entries %d and on in %d: node %d of level %d is not at hand", first, size, number, level)
		}
		return h, nil
	})
}

// edgeTiles are the last, incomplete tiles of every level: what the writer
// needs to go on with.
type edgeTiles struct {
	levels [8]edgeTile
}

type edgeTile struct {
	number uint64
	hashes []byte
	dirty  bool
}

// add takes a node of the tree and calls full with each tile that it completes.
func (t *edgeTiles) add(level uint, index uint64, hash verify.Hash, full func(Write)) {
	if level%tileHeight != 0 || level/tileHeight >= uint(len(t.levels)) {
		return
	}
	tile := &t.levels[level/tileHeight]
	tile.hashes, tile.dirty = append(tile.hashes, hash[:]...), true
	if len(tile.hashes) == tileWidth*verify.HashSize {
		full(Write{Key: tileKey(int(level/tileHeight), tile.number), Value: tile.hashes})
		*tile = edgeTile{number: tile.number + 1}
	}
}

// flush calls write with every incomplete tile that changed.
func (t *edgeTiles) flush(write func(Write)) {
	for level := range t.levels {
		if tile := &t.levels[level]; tile.dirty {
			write(Write{Key: tileKey(level, tile.number), Value: append([]byte(nil), tile.hashes...)})
			tile.dirty = false
		}
	}
}

// loadEdgeTiles reads the incomplete tiles of a tree of some size.
func loadEdgeTiles(s Snapshot, size uint64) (*edgeTiles, error) {
	t := new(edgeTiles)
	for level := range t.levels {
		count := size >> (tileHeight * level)
		tile := &t.levels[level]
		tile.number = count / tileWidth
		width := int(count%tileWidth) * verify.HashSize
		if width == 0 {
			continue
		}
		b, err := s.Get(tileKey(level, tile.number))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		if len(b) < width {
			return nil, fmt.Errorf("tile %d of level %d: %w", tile.number, level, ErrDamaged)
		}
		tile.hashes = b[:width:width]
	}
	return t, nil
}

// path returns the hashes of a proof.
func (r *treeReader) path(nodes proof.Nodes, err error) ([][]byte, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrOutOfRange, err)
	}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		h, err := r.node(id)
		if err != nil {
			return nil, err
		}
		hashes[i] = h[:]
	}
	return nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}
