package ledger

// stateCache holds state values that the writer read or wrote lately: the cells,
// participants and keys that a run of statements comes back to. The writer is
// the only one who changes state, so what it holds is never stale. It belongs to
// the goroutine that admits.
//
// It is two generations of at most limit values: a value that is used moves to
// the young one; when that is full, the old one is forgotten.
type stateCache struct {
	young, old map[string][]byte
	limit      int
}

func newStateCache(limit int) *stateCache {
	return &stateCache{young: make(map[string][]byte), limit: limit}
}

func (c *stateCache) get(key []byte) ([]byte, bool) {
	if v, ok := c.young[string(key)]; ok {
		return v, true
	}
	v, ok := c.old[string(key)]
	if ok {
		c.put(string(key), v)
	}
	return v, ok
}

func (c *stateCache) put(key string, value []byte) {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[string][]byte, c.limit)
	}
	c.young[key] = value
}

// update replaces the values that it holds by those that were committed.
func (c *stateCache) update(state map[string][]byte) {
	for k, v := range state {
		if _, ok := c.young[k]; ok {
			c.young[k] = v
		} else if _, ok := c.old[k]; ok {
			c.old[k] = v
		}
	}
}
