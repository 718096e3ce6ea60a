package ledger

// stateCache holds state values that the writer read or wrote lately: the names,
// participants and keys that a run of statements comes back to. The writer is
// the only one who changes state, so what it holds is never stale. It belongs to
// the goroutine that admits.
//
// It is two generations of at most limit values: a value that is used moves to
// the young one; when that is full, the old one is forgotten.
type stateCache struct {
	young, old table[[]byte]
	limit      int
}

func newStateCache(limit int) *stateCache { return &stateCache{limit: limit} }

func (c *stateCache) get(hash uint64, key []byte) []byte {
	if v := c.young.get(hash, key); v != nil {
		return *v
	}
	if v := c.old.get(hash, key); v != nil {
		c.put(hash, key, *v)
		return *v
	}
	return nil
}

// put keeps key and value.
func (c *stateCache) put(hash uint64, key, value []byte) {
	if len(c.young.rows) >= c.limit {
		c.old, c.young = c.young, table[[]byte]{}
	}
	*c.young.at(hash, key) = value
}

// update replaces the values that it holds by those that were committed.
func (c *stateCache) update(values *table[[]byte]) {
	for i := range values.rows {
		row := &values.rows[i]
		for _, generation := range []*table[[]byte]{&c.young, &c.old} {
			if v := generation.get(row.hash, row.key); v != nil {
				*v = row.value
			}
		}
	}
}
