package storetest

// node is a binary search tree, and a heap by priority. A tree never changes: set
// and remove return another one, which shares most of its nodes. So a snapshot is
// a pointer. The nil node is the empty tree.
type node struct {
	key         string
	value       []byte
	priority    uint64
	left, right *node
}

// find returns the node of a key, or nil.
func (n *node) find(key string) *node {
	for n != nil && n.key != key {
		if key < n.key {
			n = n.left
		} else {
			n = n.right
		}
	}
	return n
}

// set returns a tree in which the key has the value. The priority is for a new
// node; if random, the tree is balanced.
func (n *node) set(key string, value []byte, priority uint64) *node {
	if n == nil {
		return &node{key: key, value: value, priority: priority}
	}
	m := *n
	switch {
	case key == m.key:
		m.value = value
	case key < m.key:
		m.left = m.left.set(key, value, priority)
		if child := m.left; child.priority > m.priority {
			m.left, child.right = child.right, &m
			return child
		}
	default:
		m.right = m.right.set(key, value, priority)
		if child := m.right; child.priority > m.priority {
			m.right, child.left = child.left, &m
			return child
		}
	}
	return &m
}

// remove returns a tree without the key.
func (n *node) remove(key string) *node {
	if n == nil {
		return nil
	}
	m := *n
	switch {
	case key == m.key:
		return join(m.left, m.right)
	case key < m.key:
		m.left = m.left.remove(key)
	default:
		m.right = m.right.remove(key)
	}
	return &m
}

// join returns a tree of two, of which one has the lower keys.
func join(low, high *node) *node {
	switch {
	case low == nil:
		return high
	case high == nil:
		return low
	case low.priority > high.priority:
		m := *low
		m.right = join(m.right, high)
		return &m
	default:
		m := *high
		m.left = join(low, m.left)
		return &m
	}
}

// scan visits the nodes whose keys are from and above, in order, until visit
// returns false, and reports whether it never did.
func (n *node) scan(from string, visit func(*node) bool) bool {
	if n == nil {
		return true
	}
	if from <= n.key {
		if !n.left.scan(from, visit) || !visit(n) {
			return false
		}
	}
	return n.right.scan(from, visit)
}
