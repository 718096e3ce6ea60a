package storetest

import (
	"errors"
	"fmt"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// Snapshot is that of ledger.Store.
func (m *Memory) Snapshot() (ledger.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended != nil {
		return nil, m.ended
	}
	m.snapshots++
	return &memorySnapshot{memory: m, content: m.visible}, nil
}

type memorySnapshot struct {
	memory  *Memory
	content *node
	closed  bool // guarded by memory.mu
}

// read counts a read, and returns its error.
func (s *memorySnapshot) read() error {
	m := s.memory
	m.mu.Lock()
	m.reads++
	n, hook, err := m.reads, m.onRead, m.ended
	if s.closed {
		err = errors.New("snapshot is closed")
	}
	m.mu.Unlock()
	if err != nil || hook == nil {
		return err
	}
	return hook(n)
}

func (s *memorySnapshot) Get(key []byte) ([]byte, error) {
	if err := s.read(); err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	n := s.content.find(string(key))
	if n == nil {
		return nil, ledger.ErrNotFound
	}
	return clone(n.value), nil
}

func (s *memorySnapshot) Scan(from, to []byte, visit func(key, value []byte) bool) error {
	var err error
	s.content.scan(string(from), func(n *node) bool {
		if to != nil && n.key >= string(to) {
			return false
		}
		if err = s.read(); err != nil {
			return false
		}
		key, value := []byte(n.key), clone(n.value)
		defer spoil(key, value)
		return visit(key, value)
	})
	if err != nil {
		return fmt.Errorf("scanning: %w", err)
	}
	return nil
}

// spoil overwrites what is no longer valid, so that whoever kept it finds out.
func spoil(slices ...[]byte) {
	for _, s := range slices {
		for i := range s {
			s[i] = 0xdb
		}
	}
}

func (s *memorySnapshot) Close() {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.memory.snapshots--
	}
}
