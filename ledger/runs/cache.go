package runs

import "sync"

type pageID struct {
	run    uint64
	number uint32
}

// Cache holds pages that were read and found sound. Pages never change. It may
// be shared by trees whose prefixes differ only if they take their run ids from
// one counter. It is safe for concurrent use; a nil Cache holds nothing.
type Cache struct {
	mu         sync.Mutex
	young, old map[pageID][]byte // those used lately, and those used before
	pages      int               // of each, at most
}

// NewCache returns a cache of roughly some number of bytes.
func NewCache(bytes int64) *Cache {
	return &Cache{young: make(map[pageID][]byte), pages: max(1, int(bytes/2/pageSize))}
}

func (c *Cache) get(id pageID) []byte {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.young[id]; p != nil {
		return p
	}
	p := c.old[id]
	if p != nil {
		c.add(id, p)
	}
	return p
}

func (c *Cache) put(id pageID, page []byte) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(id, page)
}

func (c *Cache) add(id pageID, page []byte) {
	if len(c.young) >= c.pages {
		c.old, c.young = c.young, make(map[pageID][]byte)
	}
	c.young[id] = page
}
