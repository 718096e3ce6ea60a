package storetest

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// testSnapshotStays takes a snapshot after each of some commits, and looks at all
// of them after each.
func testSnapshotStays(s *subject) {
	type state struct {
		snapshot ledger.Snapshot
		want     contents
	}
	states := []state{{s.snapshot(), contents{}}}
	for i := range 8 {
		s.commit(contents{"a": fmt.Sprint(i), fmt.Sprintf("b%d", i): "new", fmt.Sprintf("b%d", i/2): "changed"})
		states = append(states, state{s.snapshot(), maps.Clone(s.want)})
		for n, state := range states {
			if err := compare(state.snapshot, state.want); err != nil {
				s.Errorf("snapshot of commit %d after commit %d: %v", n, i+1, err)
			}
		}
		if i%3 == 2 { // closing one leaves the others alone
			states[0].snapshot.Close()
			states = states[1:]
		}
	}
	for _, state := range states {
		state.snapshot.Close()
	}
}

// testSharedSnapshot uses one snapshot from several goroutines, while there are
// commits.
func testSharedSnapshot(s *subject) {
	s.commit(edges)
	snapshot, want := s.snapshot(), maps.Clone(s.want)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 20 {
				if err := compare(snapshot, want); err != nil {
					s.Error(err)
				}
			}
		})
	}
	for i := range 20 {
		values := contents{fmt.Sprintf("b%d", i): "new"}
		for key := range edges {
			values[key] = fmt.Sprint(i)
		}
		s.commit(values)
	}
	readers.Wait()
	snapshot.Close()
	s.check()
}

// testReadersDuringCommits takes snapshots all the time while there are commits,
// each of which sets all keys to its number.
func testReadersDuringCommits(s *subject) {
	const commits, keys = 50, 20
	var started, returned atomic.Int64
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for returned.Load() < commits && !s.Failed() {
				least := returned.Load()
				snapshot, err := s.store.Snapshot()
				if err != nil {
					s.Errorf("snapshot: %v", err)
					return
				}
				wantOneCommit(s.T, snapshot, keys, least, started.Load())
				snapshot.Close()
			}
		})
	}
	var head []byte
	for i := int64(1); i <= commits; i++ {
		next := fmt.Appendf(nil, "%d", i)
		writes := []ledger.Write{{Key: ledger.HeadKey, Value: next}}
		for k := range keys {
			writes = append(writes, write(fmt.Sprintf("key %d", k), string(next)))
		}
		started.Store(i)
		if err := s.store.Commit(context.Background(), head, writes); err != nil {
			s.Errorf("commit: %v", err)
			break
		}
		returned.Store(i)
		head = next
	}
	returned.Store(commits)
	readers.Wait()
}

// wantOneCommit tests that a snapshot has the number of one commit, between least
// and most, at the head and at a number of keys, or nothing if that is 0.
func wantOneCommit(t *testing.T, snapshot ledger.Snapshot, keys int, least, most int64) {
	seen := map[string]int{}
	err := snapshot.Scan(nil, nil, func(_, value []byte) bool {
		seen[string(value)]++
		return true
	})
	if err != nil {
		t.Errorf("scan: %v", err)
		return
	}
	if len(seen) == 0 && least == 0 {
		return
	}
	head, err := snapshot.Get(ledger.HeadKey)
	if err != nil {
		t.Errorf("get head: %v", err)
		return
	}
	var commit int64
	fmt.Sscan(string(head), &commit)
	if commit < least || commit > most {
		t.Errorf("snapshot of commit %d, want %d to %d", commit, least, most)
	}
	if len(seen) != 1 || seen[string(head)] != keys+1 {
		t.Errorf("snapshot of commit %d has values %v, want only its own", commit, seen)
	}
}
