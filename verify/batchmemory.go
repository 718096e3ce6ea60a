package verify

import "sync"

// BatchMemory remembers batches whose signature was verified, so that the
// statements of one batch cost one signature check and then only hashes: about
// one each while the tree of the batch is remembered, too, and a path full later.
// It forgets the oldest when it is full. It is safe for concurrent use; a nil
// BatchMemory remembers nothing.
type BatchMemory struct {
	mu    sync.Mutex
	known map[batchIdentity]*knownBatch
	order []batchIdentity // ring, oldest at next
	next  int

	trees []*knownBatch // with a tree, oldest first
	nodes int           // in trees
}

// treeNodes bounds the trees of a memory, to 16 MiB: those of the last 64 batches
// of 4,096 statements, or of 256 of 1,024.
const treeNodes = 16 << 20 / HashSize

// batchIdentity is all that a signature of a batch and its verification consist
// of, but for the root.
type batchIdentity struct {
	keyID     Hash
	size      uint64
	signature [SignatureSize]byte
}

// knownBatch is a batch whose signature was verified.
type knownBatch struct {
	root Hash

	mu   sync.Mutex
	tree *knownTree // nil once it is forgotten
}

// NewBatchMemory returns a memory of up to capacity batches, about 300 bytes
// each, and of the trees of the last of them, in up to 16 MiB. capacity must be
// positive.
func NewBatchMemory(capacity int) *BatchMemory {
	return &BatchMemory{known: make(map[batchIdentity]*knownBatch, capacity), order: make([]batchIdentity, 0, capacity)}
}

// find returns what is known of a batch, or nil.
func (m *BatchMemory) find(id batchIdentity) *knownBatch {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[id]
}

// add remembers that a signature verifies over a root. Of two roots under one
// signature, which an ECDSA key can be made for, it keeps the later one.
func (m *BatchMemory) add(id batchIdentity, root Hash) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.known[id]
	if b != nil && b.root == root {
		return
	}
	if b == nil {
		m.place(id)
	}
	b = &knownBatch{root: root, tree: newKnownTree(id.size, root)}
	m.known[id] = b
	m.trees, m.nodes = append(m.trees, b), m.nodes+len(b.tree.nodes)
	for m.nodes > treeNodes || len(m.trees) > cap(m.order) {
		m.nodes -= m.trees[0].forgetTree()
		m.trees = m.trees[1:]
	}
}

// place makes room for a batch.
func (m *BatchMemory) place(id batchIdentity) {
	if len(m.order) < cap(m.order) {
		m.order = append(m.order, id)
		return
	}
	delete(m.known, m.order[m.next])
	m.order[m.next] = id
	m.next = (m.next + 1) % len(m.order)
}

// forgetTree returns how many nodes there were.
func (b *knownBatch) forgetTree() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.tree.nodes)
	b.tree = nil
	return n
}

// holds reports whether a parsed block, which bears the signature and size of
// the batch, leads from a leaf to its root.
func (b *knownBatch) holds(s *SignatureBlock, leaf Hash) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tree == nil {
		return s.root(leaf) == b.root
	}
	return b.tree.holds(s, leaf)
}

// knownTree are the nodes of a batch's tree that are known to lead to its root.
// Of a node that is known the sibling was met, too, and so were the nodes above
// them: all that the rest of a path must consist of.
type knownTree struct {
	size  uint64
	nodes []Hash // level by level from the leaves; zeros are not known
}

// newKnownTree returns a tree of which the root is known.
func newKnownTree(size uint64, root Hash) *knownTree {
	at := treePlace{count: size}
	for at.count > 1 {
		at.up()
	}
	t := &knownTree{size, make([]Hash, at.offset+1)}
	t.nodes[at.offset] = root
	return t
}

// holds hashes from the leaf up to the first node that is known, and compares it
// and what is left of the path. What it learned on the way it keeps.
func (t *knownTree) holds(s *SignatureBlock, leaf Hash) bool {
	start := treePlace{number: s.Position, count: t.size}
	at, node, path := start, leaf, s.Path
	var below [maxBatchLevels]Hash
	n := 0
	for ; t.nodes[at.node()].IsZero(); at.up() {
		below[n] = node
		n++
		if _, ok := at.sibling(); ok {
			if at.number%2 == 0 {
				node = NodeHash(node, path[0])
			} else {
				node = NodeHash(path[0], node)
			}
			path = path[1:]
		}
	}
	if node != t.nodes[at.node()] {
		return false
	}
	for ; at.count > 1; at.up() {
		if sibling, ok := at.sibling(); ok {
			if path[0] != t.nodes[sibling] {
				return false
			}
			path = path[1:]
		}
	}
	at, path = start, s.Path
	for _, node := range below[:n] {
		t.nodes[at.node()] = node
		if sibling, ok := at.sibling(); ok {
			t.nodes[sibling], path = path[0], path[1:]
		}
		at.up()
	}
	return true
}

// treePlace is a node of a tree whose levels are kept one after the other: the
// last node of a level goes up as it is when it has no sibling.
type treePlace struct{ offset, number, count uint64 }

func (p treePlace) node() uint64 { return p.offset + p.number }

func (p treePlace) sibling() (node uint64, ok bool) {
	number := p.number ^ 1
	return p.offset + number, number < p.count
}

func (p *treePlace) up() {
	p.offset, p.number, p.count = p.offset+p.count, p.number/2, (p.count+1)/2
}
