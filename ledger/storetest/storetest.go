// Package storetest tests stores. It has the suite that every [ledger.Store]
// passes, [Run], and [Memory], a store without a disk that fails on demand.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// Run tests that a store keeps the contract of [ledger.Store].
//
// Open opens the store that is kept in dir, an empty directory at first. It is
// called again with the same dir after the store was closed, and has to open
// what was written then. Open fails the test on errors.
func Run(t *testing.T, open func(t *testing.T, dir string) ledger.Store) {
	for _, test := range []struct {
		name string
		run  func(*subject)
	}{
		{"Empty", testEmpty},
		{"Get", testGet},
		{"ScanBounds", testScanBounds},
		{"ScanStops", testScanStops},
		{"EmptyValue", testEmptyValue},
		{"Overwrite", testOverwrite},
		{"Remove", testRemove},
		{"HeadGuard", testHeadGuard},
		{"LargeCommit", testLargeCommit},
		{"SlicesAreTheCallers", testSlicesAreTheCallers},
		{"ValuesAreTheCallers", testValuesAreTheCallers},
		{"EndedContext", testEndedContext},
		{"SnapshotStays", testSnapshotStays},
		{"SharedSnapshot", testSharedSnapshot},
		{"ReadersDuringCommits", testReadersDuringCommits},
		{"Reopen", testReopen},
		{"Model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &subject{T: t, dir: t.TempDir(), open: open, want: contents{}}
			s.store = open(t, s.dir)
			t.Cleanup(func() {
				if err := s.store.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
			test.run(s)
		})
	}
}

// contents are keys and values, those of the head among them.
type contents map[string]string

// subject is a store under test, and what should be in it.
type subject struct {
	*testing.T
	open  func(t *testing.T, dir string) ledger.Store
	dir   string
	store ledger.Store
	want  contents
	heads int
}

// head returns what is expected at HeadKey, or nil.
func (s *subject) head() []byte {
	if head, ok := s.want[string(ledger.HeadKey)]; ok {
		return []byte(head)
	}
	return nil
}

// next returns the writes of some values and of a new head.
func (s *subject) next(values contents) []ledger.Write {
	s.heads++
	writes := []ledger.Write{write(string(ledger.HeadKey), fmt.Sprintf("head %d", s.heads))}
	for key, value := range values {
		writes = append(writes, write(key, value))
	}
	return writes
}

// commit commits values and a new head.
func (s *subject) commit(values contents) {
	s.Helper()
	writes := s.next(values)
	if err := s.store.Commit(context.Background(), s.head(), writes); err != nil {
		s.Fatalf("commit: %v", err)
	}
	s.committed(writes)
}

// committed says that the store has taken the writes.
func (s *subject) committed(writes []ledger.Write) {
	for _, w := range writes {
		if w.Remove {
			delete(s.want, string(w.Key))
		} else {
			s.want[string(w.Key)] = string(w.Value)
		}
	}
}

// reopen closes the store and opens it again.
func (s *subject) reopen() {
	s.Helper()
	if err := s.store.Close(); err != nil {
		s.Fatalf("closing: %v", err)
	}
	s.store = s.open(s.T, s.dir)
}

// snapshot returns a snapshot, which the caller closes.
func (s *subject) snapshot() ledger.Snapshot {
	s.Helper()
	snapshot, err := s.store.Snapshot()
	if err != nil {
		s.Fatalf("snapshot: %v", err)
	}
	return snapshot
}

// check compares the store with what should be in it.
func (s *subject) check() {
	s.Helper()
	snapshot := s.snapshot()
	defer snapshot.Close()
	if err := compare(snapshot, s.want); err != nil {
		s.Fatal(err)
	}
}

// compare returns an error if a snapshot has not exactly the contents that are
// wanted.
func compare(snapshot ledger.Snapshot, want contents) error {
	if err := compareRange(snapshot, want, nil, nil); err != nil {
		return err
	}
	for key, value := range want {
		got, err := snapshot.Get([]byte(key))
		if err != nil {
			return fmt.Errorf("get %q: %w", key, err)
		}
		if string(got) != value {
			return fmt.Errorf("get %q = %q, want %q", key, abridged(got), abridged([]byte(value)))
		}
	}
	return nil
}

// compareRange is compare for the keys in [from, to), by a scan.
func compareRange(snapshot ledger.Snapshot, want contents, from, to []byte) error {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if key >= string(from) && (to == nil || key < string(to)) {
			keys = append(keys, key)
		}
	}
	var wrong error
	err := snapshot.Scan(from, to, func(key, value []byte) bool {
		switch {
		case len(keys) == 0:
			wrong = fmt.Errorf("scan from %q to %q: %q after the last key", from, to, key)
		case string(key) != keys[0]:
			wrong = fmt.Errorf("scan from %q to %q: %q, want %q", from, to, key, keys[0])
		case string(value) != want[keys[0]]:
			wrong = fmt.Errorf("scan from %q to %q: at %q %q, want %q",
				from, to, key, abridged(value), abridged([]byte(want[keys[0]])))
		default:
			keys = keys[1:]
		}
		return wrong == nil
	})
	if err != nil {
		return fmt.Errorf("scan from %q to %q: %w", from, to, err)
	}
	if wrong == nil && len(keys) > 0 {
		return fmt.Errorf("scan from %q to %q: ended before %q", from, to, keys[0])
	}
	return wrong
}

func abridged(value []byte) []byte {
	return value[:min(len(value), 80)]
}

func write(key, value string) ledger.Write {
	return ledger.Write{Key: []byte(key), Value: []byte(value)}
}

// wantMissing tests that a key has no value.
func (s *subject) wantMissing(snapshot ledger.Snapshot, key string) {
	s.Helper()
	value, err := snapshot.Get([]byte(key))
	if !errors.Is(err, ledger.ErrNotFound) {
		s.Errorf("get %q = %q, %v, want ErrNotFound", key, value, err)
	}
}

// longKey returns the longest key there is.
func longKey(b byte) string {
	return string(bytes.Repeat([]byte{b}, 1024))
}
