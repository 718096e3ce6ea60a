package ledger

import (
	"errors"
	"fmt"
	"sync"

	"github.com/transparency-dev/merkle/compact"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// treeTile is a tile with all its inner nodes: rows[0] are its hashes, each row
// above pairs those of the one below, as far as they are complete.
type treeTile struct{ rows [tileHeight + 1][]verify.Hash }

// newTreeTile builds a tile from the first width hashes of stored bytes.
func newTreeTile(b []byte, width uint64) *treeTile {
	t := new(treeTile)
	row := make([]verify.Hash, width)
	for i := range row {
		row[i] = verify.Hash(b[i*verify.HashSize:])
	}
	for k := 0; ; k++ {
		t.rows[k] = row
		if len(row) < 2 {
			return t
		}
		up := make([]verify.Hash, len(row)/2)
		for i := range up {
			up[i] = verify.NodeHash(row[2*i], row[2*i+1])
		}
		row = up
	}
}

// tileID names a tile.
type tileID struct {
	level  int
	number uint64
}

// tileCache holds full tiles that were found in the tree of a checkpoint. They
// never change: the log only grows. It is safe for concurrent use.
type tileCache struct {
	mu         sync.Mutex
	young, old map[tileID]*treeTile
}

// cachedTiles is how many tiles each of the two generations of a cache holds,
// about 16 KiB each.
const cachedTiles = 512

func (c *tileCache) get(id tileID) *treeTile {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.young[id]; t != nil {
		return t
	}
	t := c.old[id]
	if t != nil {
		c.add(id, t)
	}
	return t
}

func (c *tileCache) put(id tileID, t *treeTile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(id, t)
}

func (c *tileCache) add(id tileID, t *treeTile) {
	if c.young == nil || len(c.young) >= cachedTiles {
		c.old, c.young = c.young, make(map[tileID]*treeTile)
	}
	c.young[id] = t
}

// treeReader reads nodes of the tree of a head. Every tile is hashed and found in
// the tile above, up to the edge of the head, before a node of it is used.
type treeReader struct {
	snapshot Snapshot
	head     *head
	cache    *tileCache

	mu   sync.Mutex
	edge map[int]*treeTile // incomplete tiles by level
}

func newTreeReader(s Snapshot, h *head, cache *tileCache) *treeReader {
	return &treeReader{snapshot: s, head: h, cache: cache, edge: make(map[int]*treeTile)}
}

// node returns a node of the tree, whose leaves must all be there.
func (r *treeReader) node(id compact.NodeID) (verify.Hash, error) {
	level, k := int(id.Level/tileHeight), id.Level%tileHeight
	t, err := r.tile(tileID{level, id.Index >> (tileHeight - k)})
	if err != nil {
		return verify.Hash{}, err
	}
	row, at := t.rows[k], id.Index&(1<<(tileHeight-k)-1)
	if at >= uint64(len(row)) {
		return verify.Hash{}, fmt.Errorf("node %v: %w", id, ErrOutOfRange)
	}
	return row[at], nil
}

// tile returns a tile that was found in the tree.
func (r *treeReader) tile(id tileID) (*treeTile, error) {
	count := r.head.size >> (tileHeight * id.level)
	switch {
	case id.number < count/tileWidth:
		return r.fullTile(id)
	case id.number == count/tileWidth && count%tileWidth > 0:
		return r.edgeTile(id, count%tileWidth)
	}
	return nil, fmt.Errorf("tile %d of level %d: %w", id.number, id.level, ErrOutOfRange)
}

func (r *treeReader) fullTile(id tileID) (*treeTile, error) {
	if t := r.cache.get(id); t != nil {
		return t, nil
	}
	t, err := r.read(id, tileWidth)
	if err != nil {
		return nil, err
	}
	root, err := r.node(compact.NewNodeID(uint(id.level+1)*tileHeight, id.number))
	if err != nil {
		return nil, err
	}
	if t.rows[tileHeight][0] != root {
		return nil, damagedTile(id)
	}
	r.cache.put(id, t)
	return t, nil
}

// edgeTile returns the incomplete tile of a level. The perfect subtrees that it
// is made of stand in the edge of the head.
func (r *treeReader) edgeTile(id tileID, width uint64) (*treeTile, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.edge[id.level]; t != nil {
		return t, nil
	}
	t, err := r.read(id, width)
	if err != nil {
		return nil, err
	}
	for i, node := range compact.RangeNodes(0, r.head.size, nil) {
		k := int(node.Level) - id.level*tileHeight
		if k < 0 || k >= tileHeight {
			continue
		}
		if t.rows[k][node.Index&(1<<(tileHeight-k)-1)] != r.head.edge[i] {
			return nil, damagedTile(id)
		}
	}
	r.edge[id.level] = t
	return t, nil
}

func (r *treeReader) read(id tileID, width uint64) (*treeTile, error) {
	b, err := r.snapshot.Get(tileKey(id.level, id.number))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if uint64(len(b)) < width*verify.HashSize {
		return nil, damagedTile(id)
	}
	return newTreeTile(b, width), nil
}

func damagedTile(id tileID) error {
	return fmt.Errorf("tile %d of level %d: %w", id.number, id.level, ErrDamaged)
}
