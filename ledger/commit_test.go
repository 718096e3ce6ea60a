package ledger_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// watched is a store that tells how large its commits are.
type watched struct {
	ledger.Store
	commits []commitSize // of entries

	mu     sync.Mutex
	merges []commitSize // steps of merges, which come when they like
	lists  [][]byte     // of the runs of the state, in the order of the commits
}

func (w *watched) Commit(ctx context.Context, expected []byte, writes []ledger.Write) error {
	size := commitSize{writes: len(writes)}
	var before, after uint64
	if expected != nil {
		before = headSize(expected)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range writes {
		size.bytes += len(x.Key) + len(x.Value)
		if bytes.Equal(x.Key, ledger.HeadKey) {
			after = headSize(x.Value)
		}
		if x.Key[0] == listKey {
			w.lists = append(w.lists, bytes.Clone(x.Value))
		}
	}
	size.entries = int(after - before)
	if isMerge(expected, writes) {
		w.merges = append(w.merges, size)
	} else {
		w.commits = append(w.commits, size)
	}
	return w.Store.Commit(ctx, expected, writes)
}

type commitSize struct{ entries, writes, bytes int }

// isMerge reports whether a commit is a step of a merge: under the same head, and
// of nothing but runs and their list.
func isMerge(expected []byte, writes []ledger.Write) bool {
	for _, x := range writes {
		switch x.Key[0] {
		case ledger.HeadKey[0]:
			if !bytes.Equal(x.Value, expected) {
				return false
			}
		case valueKeys, figureKeys, listKey:
		default:
			return false
		}
	}
	return true
}

// TestCommitStatements splits groups over commits, and puts them together in
// one.
func TestCommitStatements(t *testing.T) {
	s := newSite(t, "acme")
	store := &watched{Store: s.store}
	s.store, s.limits = store, ledger.Limits{CommitStatements: 7}
	envs := transactions(s.made, "acme", 100)
	i := s.start()
	defer i.close()
	results := i.record(envs...)
	for n := range results {
		s.checkReceipt(i.Ledger, envs[n], &results[n], s.founded()+uint64(n))
	}
	commits := store.commits[1:] // after the founding
	if len(commits) != (100+6)/7 {
		t.Errorf("%d commits", len(commits))
	}
	for n, c := range commits {
		if c.entries > 7 {
			t.Errorf("commit %d has %d entries", n, c.entries)
		}
	}
	for n, r := range i.record(append(envs[:30:30], envs[:30]...)...) {
		if !r.Already || r.Index != s.founded()+uint64(n%30) {
			t.Errorf("retry %d: %+v", n, r)
		}
	}
	if got := len(store.commits[1:]); got != len(commits) {
		t.Errorf("retries made %d commits", got-len(commits))
	}
	s.wantSize(i.Ledger, s.founded()+100)
}

func TestCommitBytes(t *testing.T) {
	s := newSite(t, "acme")
	store := &watched{Store: s.store}
	s.store, s.limits = store, ledger.Limits{CommitBytes: 64 << 10}
	i := s.start()
	defer i.close()
	i.record(transactions(s.made, "acme", 600)...)
	commits := store.commits[1:]
	if len(commits) < 600*500/(64<<10) {
		t.Errorf("%d commits", len(commits))
	}
	for n, c := range commits {
		// Beside what is counted: the last statement, which is small, the tiles
		// at the edge, the last checkpoint and the head.
		if most := 64<<10 + 2<<10 + 2*8<<10 + 1<<10; c.bytes > most {
			t.Errorf("commit %d has %d bytes, more than %d", n, c.bytes, most)
		}
	}
	s.wantSize(i.Ledger, s.founded()+600)
}
