package ledger

import (
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// tileHeight is the number of tree levels in a tile (C2SP tlog-tiles).
const tileHeight = 8

const tileWidth = 1 << tileHeight

// growth is the part of the tree that one batch added: with the edge before it,
// all that inclusion proofs of its entries need. It is immutable once the batch
// is complete.
type growth struct {
	edge  map[compact.NodeID]verify.Hash
	first [64]uint64 // by level, index of the first node
	nodes [64][]verify.Hash
}

func newGrowth(c *verify.Chain) *growth {
	g := &growth{edge: make(map[compact.NodeID]verify.Hash)}
	ids := compact.RangeNodes(0, c.Size(), nil)
	for i, h := range c.Edge() {
		g.edge[ids[i]] = h
	}
	return g
}

// add takes a node of the tree. Nodes of a level come in order.
func (g *growth) add(level uint, index uint64, hash verify.Hash) {
	if len(g.nodes[level]) == 0 {
		g.first[level] = index
	}
	g.nodes[level] = append(g.nodes[level], hash)
}

func (g *growth) node(id compact.NodeID) (verify.Hash, bool) {
	if i := id.Index - g.first[id.Level]; id.Index >= g.first[id.Level] && i < uint64(len(g.nodes[id.Level])) {
		return g.nodes[id.Level][i], true
	}
	h, ok := g.edge[id]
	return h, ok
}

// inclusionPath returns the path of an entry of the batch in the tree after it.
func (g *growth) inclusionPath(index, size uint64) ([][]byte, error) {
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		h, ok := g.node(id)
		if !ok {
			return nil, fmt.Errorf("inclusion of %d in %d: node %v is not at hand", index, size, id)
		}
		hashes[i] = h[:]
	}
	return nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
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
