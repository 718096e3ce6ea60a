package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

func testOverwrite(s *subject) {
	for i := range 5 {
		s.commit(contents{
			"a":                   strings.Repeat("x", 1000*(i%2)),
			"b":                   fmt.Sprint(i),
			fmt.Sprintf("c%d", i): "new",
		})
		s.check()
	}
}

// testRemove takes away keys that are there and keys that are not. A snapshot from
// before still has them.
func testRemove(s *subject) {
	s.commit(contents{"a": "1", "b": "2", "c": "3"})
	before, then := s.snapshot(), maps.Clone(s.want)
	writes := append(s.next(contents{"c": "4"}), ledger.Write{Key: []byte("a"), Remove: true}, ledger.Write{Key: []byte("x"), Remove: true})
	if err := s.store.Commit(context.Background(), s.head(), writes); err != nil {
		s.Fatalf("commit: %v", err)
	}
	s.committed(writes)
	s.check()
	if err := compare(before, then); err != nil {
		s.Errorf("snapshot from before: %v", err)
	}
	before.Close()
	s.reopen()
	s.check()
	s.commit(contents{"a": "5"})
	s.check()
}

func testHeadGuard(s *subject) {
	refused := func(expected []byte) {
		s.Helper()
		err := s.store.Commit(context.Background(), expected, s.next(contents{"a": "not this", "z": "nor this"}))
		if !errors.Is(err, ledger.ErrConflict) {
			s.Errorf("commit on head %q: %v, want ErrConflict", expected, err)
		}
		s.check()
	}
	refused([]byte("head 0"))
	refused([]byte{})
	s.commit(contents{"a": "first"})
	refused(nil)
	refused([]byte{})
	refused([]byte("head 0"))
	refused(append(s.head(), 0))
	s.commit(contents{"a": "second"})
	s.reopen()
	refused(nil)
	refused([]byte("head 1"))
	s.commit(contents{"a": "third"})
	s.check()
}

// testLargeCommit makes ever larger commits, until one is too large.
func testLargeCommit(s *subject) {
	value := strings.Repeat("value ", 100)
	for _, size := range []int{1 << 20, 4 << 20, 16 << 20} {
		values := contents{}
		for i := range size / len(value) {
			values[fmt.Sprintf("record %d/%d", size, i)] = value
		}
		writes := s.next(values)
		err := s.store.Commit(context.Background(), s.head(), writes)
		if err == nil {
			s.committed(writes)
		} else if !errors.Is(err, ledger.ErrTooLarge) {
			s.Fatalf("commit of %d bytes: %v, want nil or ErrTooLarge", size, err)
		}
		s.check()
		if err != nil {
			break
		}
	}
	s.commit(contents{"a": "as if nothing had happened"})
	s.check()
	s.reopen()
	s.check()
}

// testSlicesAreTheCallers changes what was passed to Commit, which must not have
// changed it.
func testSlicesAreTheCallers(s *subject) {
	for range 3 {
		expected, writes := s.head(), s.next(contents{"a": "value", "b": fmt.Sprint(s.heads)})
		before := cloned(writes)
		if err := s.store.Commit(context.Background(), expected, writes); err != nil {
			s.Fatalf("commit: %v", err)
		}
		if diff := cmp.Diff(before, writes); diff != "" {
			s.Errorf("commit changed the writes (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(s.head(), expected); diff != "" {
			s.Errorf("commit changed the expected head (-before +after):\n%s", diff)
		}
		s.committed(before)
		clear(expected)
		for _, w := range writes {
			clear(w.Key)
			clear(w.Value)
		}
		clear(writes)
		s.check()
	}
	s.reopen()
	s.check()
}

func cloned(writes []ledger.Write) []ledger.Write {
	var clone []ledger.Write
	for _, w := range writes {
		clone = append(clone, write(string(w.Key), string(w.Value)))
	}
	return clone
}

// testEndedContext commits while, and after, the context ends. Whatever Commit
// returns then, it has written all or nothing.
func testEndedContext(s *subject) {
	for i := range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		if i%2 == 0 {
			cancel()
		} else {
			go cancel()
		}
		writes := s.next(contents{"a": fmt.Sprint(i), fmt.Sprintf("b%d", i): "value"})
		err := s.store.Commit(ctx, s.head(), writes)
		cancel()
		if err != nil {
			s.reopen()
			if !s.holds(writes[0]) {
				continue
			}
		}
		s.committed(writes)
		s.check()
	}
	s.check()
}

// holds reports whether a write is in the store.
func (s *subject) holds(w ledger.Write) bool {
	snapshot := s.snapshot()
	defer snapshot.Close()
	value, err := snapshot.Get(w.Key)
	return err == nil && string(value) == string(w.Value)
}

func testReopen(s *subject) {
	for i := range 4 {
		s.commit(contents{"a": fmt.Sprint(i), fmt.Sprintf("b%d", i): strings.Repeat("b", 5000)})
		s.commit(contents{"c": fmt.Sprint(i)})
		s.reopen()
		s.check()
	}
	s.reopen()
	s.check()
}
