package verify

import "sync"

// BatchMemory remembers batches whose signature was verified, so that the
// statements of one batch cost one signature check and then only hashes. It
// forgets the oldest when it is full. It is safe for concurrent use; a nil
// BatchMemory remembers nothing.
type BatchMemory struct {
	mu    sync.Mutex
	known map[batchIdentity]struct{}
	order []batchIdentity // ring, oldest at next
	next  int
}

// batchIdentity is all that decides whether the signature of a batch verifies.
type batchIdentity struct {
	keyID     Hash
	size      uint64
	root      Hash
	signature [SignatureSize]byte
}

// NewBatchMemory returns a memory of up to capacity batches, about 300 bytes
// each. capacity must be positive.
func NewBatchMemory(capacity int) *BatchMemory {
	return &BatchMemory{known: make(map[batchIdentity]struct{}, capacity), order: make([]batchIdentity, 0, capacity)}
}

func (m *BatchMemory) holds(id batchIdentity) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.known[id]
	return ok
}

func (m *BatchMemory) add(id batchIdentity) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.known[id]; ok {
		return
	}
	m.known[id] = struct{}{}
	if len(m.order) < cap(m.order) {
		m.order = append(m.order, id)
		return
	}
	delete(m.known, m.order[m.next])
	m.order[m.next] = id
	m.next = (m.next + 1) % len(m.order)
}
