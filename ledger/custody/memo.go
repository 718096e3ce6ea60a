package custody

import (
	"sync"

	"google.golang.org/protobuf/proto"
)

// memo remembers what the records that admission reads again and again parse to.
// It depends on their bytes alone, never on when they were read. What it returns
// is shared and must not be changed.
type memo[T any, M interface {
	*T
	proto.Message
}] struct {
	mu     sync.RWMutex
	parsed map[string]M // by the bytes of the record
}

// memoLimit bounds a memo; a full one begins anew.
const memoLimit = 4096

// read returns the record under a key, or nil.
func (m *memo[T, M]) read(r Lookup, key []byte) (M, error) {
	b, err := r.Get(key)
	if err != nil || b == nil {
		return nil, err
	}
	m.mu.RLock()
	known := m.parsed[string(b)]
	m.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	parsed, err := parseMessage(key, b, M(new(T)))
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parsed == nil || len(m.parsed) >= memoLimit {
		m.parsed = make(map[string]M)
	}
	m.parsed[string(b)] = parsed
	return parsed, nil
}
