package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// ErrFault is what a commit returns that was made to fail.
var ErrFault = errors.New("injected fault")

var (
	errClosed  = errors.New("store is closed")
	errCrashed = errors.New("store has crashed")
)

// Fault is what happens to a commit.
type Fault int

const (
	// None lets the commit succeed.
	None Fault = iota
	// TooLarge refuses the commit with ledger.ErrTooLarge.
	TooLarge
	// Lost reports an unknown outcome; the writes are nowhere.
	Lost
	// Applied reports an unknown outcome; the writes are there.
	Applied
	// Hidden reports an unknown outcome; the writes are there after a Crash, and
	// not seen before.
	Hidden
	// Phantom reports an unknown outcome; the writes are seen, and lost with a
	// Crash.
	Phantom
	// Again refuses the commit with ledger.ErrTryAgain.
	Again
)

func (f Fault) String() string {
	return [...]string{"none", "too large", "lost", "applied", "hidden", "phantom", "again"}[f]
}

// Memory is a ledger.Store that keeps everything in memory and fails on demand.
// It does the same each time.
//
// It is strict: it refuses two commits at a time, writes that no store takes, and
// to be closed while snapshots are open; and what a scan has visited, it
// overwrites.
type Memory struct {
	mu         sync.Mutex
	ended      error // errClosed or errCrashed
	failed     error // of the commit whose outcome is unknown
	committing bool
	snapshots  int // that are open

	visible, durable *node
	priorities       *rand.Rand

	onCommit       func(n int) Fault
	onRead         func(n int) error
	commits, reads int
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return newMemory(nil)
}

func newMemory(content *node) *Memory {
	return &Memory{visible: content, durable: content, priorities: rand.New(rand.NewPCG(1, 1))}
}

// OnCommit has hook decide about each commit from now on, the first of which is
// number 1. It is called before anything is compared or written, and may block;
// snapshots can be taken and read meanwhile. Nil lets all succeed.
func (m *Memory) OnCommit(hook func(n int) Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onCommit, m.commits = hook, 0
}

// OnRead has hook decide about each read from now on, the first of which is
// number 1, on whatever snapshot. Each Get is a read, and each key that a Scan
// visits. An error that is not nil is what Get or Scan returns. Nil lets all
// succeed.
func (m *Memory) OnRead(hook func(n int) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onRead, m.reads = hook, 0
}

// Corrupt replaces the value of a key, behind everybody's back, in snapshots that
// are taken from now on and after a Crash. A key without a value has the old
// value nil; the new value nil removes the key. Edit may change old and return it.
func (m *Memory) Corrupt(key []byte, edit func(old []byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var old []byte
	if n := m.visible.find(string(key)); n != nil {
		old = clone(n.value)
	}
	value := edit(old)
	if value == nil {
		m.visible, m.durable = m.visible.remove(string(key)), m.durable.remove(string(key))
		return
	}
	value, priority := clone(value), m.priorities.Uint64()
	m.visible = m.visible.set(string(key), value, priority)
	m.durable = m.durable.set(string(key), value, priority)
}

// Crash ends the store, and all its snapshots, with errors, and returns another
// one with what was durable, without hooks. A commit that is blocked in its hook
// fails and leaves nothing. After a Close, Crash opens the store again.
func (m *Memory) Crash() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == nil {
		m.ended = errCrashed
	}
	return newMemory(m.durable)
}

// Commit is that of ledger.Store.
func (m *Memory) Commit(_ context.Context, expected []byte, writes []ledger.Write) error {
	if err := checkWrites(writes); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	hook, n, err := m.begin()
	if err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	fault := None
	if hook != nil {
		fault = hook(n)
	}
	return m.finish(fault, expected, writes)
}

// begin returns the hook and the number of the commit that it begins.
func (m *Memory) begin() (hook func(n int) Fault, n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended != nil:
		return nil, 0, m.ended
	case m.failed != nil:
		return nil, 0, m.failed
	case m.committing:
		return nil, 0, errors.New("two commits at a time")
	}
	m.committing = true
	m.commits++
	return m.onCommit, m.commits, nil
}

func (m *Memory) finish(fault Fault, expected []byte, writes []ledger.Write) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.committing = false
	if m.ended != nil {
		return fmt.Errorf("committing: %w", m.ended)
	}
	switch fault {
	case TooLarge:
		return ledger.ErrTooLarge
	case Again:
		return fmt.Errorf("committing: %w", ledger.ErrTryAgain)
	}
	head := m.visible.find(string(ledger.HeadKey))
	if (head == nil) != (expected == nil) || head != nil && !bytes.Equal(head.value, expected) {
		return ledger.ErrConflict
	}
	next := m.visible
	for _, w := range writes {
		if w.Remove {
			next = next.remove(string(w.Key))
		} else {
			next = next.set(string(w.Key), clone(w.Value), m.priorities.Uint64())
		}
	}
	if fault == None || fault == Applied || fault == Phantom {
		m.visible = next
	}
	if fault == None || fault == Applied || fault == Hidden {
		m.durable = next
	}
	if fault != None {
		m.failed = fmt.Errorf("committing, with an outcome that is unknown; %w", ErrFault)
	}
	return m.failed
}

// checkWrites returns an error for writes that break the contract.
func checkWrites(writes []ledger.Write) error {
	keys := make(map[string]bool, len(writes))
	for _, w := range writes {
		if len(w.Key) == 0 || len(w.Key) > 1024 {
			return fmt.Errorf("a key of %d bytes", len(w.Key))
		}
		if keys[string(w.Key)] {
			return fmt.Errorf("two writes of %q", w.Key)
		}
		keys[string(w.Key)] = true
	}
	if !keys[string(ledger.HeadKey)] {
		return errors.New("no head among the writes")
	}
	return nil
}

// Close is that of ledger.Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended != nil:
		return nil
	case m.committing:
		return errors.New("closing store: a commit is running")
	case m.snapshots > 0:
		return fmt.Errorf("closing store: %d snapshots are open", m.snapshots)
	}
	m.ended = errClosed
	return nil
}

// clone returns a copy that is not nil.
func clone(value []byte) []byte {
	return append([]byte{}, value...)
}

var _ ledger.Store = (*Memory)(nil)
