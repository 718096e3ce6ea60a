package verify_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// forked returns two histories of one ledger that differ from index 3 on.
func forked(t *testing.T) (made *verifytest.Ledger, one, other *verifytest.History) {
	made = verifytest.NewLedger(t)
	common := made.Register("acme")
	one, other = made.NewHistory(common...), made.NewHistory(common...)
	for i := range uint64(9) {
		one.Record(made.Transaction("acme", 1+i))
		other.Record(made.Transaction("acme", 100+i))
	}
	return made, one, other
}

// TestFork: of two histories, every pair of checkpoints beyond what they share is
// proved to be a fork, by a file that is read again; of one history, none is.
func TestFork(t *testing.T) {
	made, one, other := forked(t)
	for newer := uint64(1); newer <= one.Size(); newer++ {
		for older := uint64(1); older <= newer; older++ {
			root, path := other.Tree.Root(older), other.Tree.Consistency(older, newer)
			f, err := made.Log.NewFork(one.Checkpoint(older).Note, other.Checkpoint(newer).Note, root, path)
			if older <= 3 {
				if !errors.Is(err, verify.ErrNoFork) {
					t.Errorf("%d and %d: %v, want ErrNoFork", older, newer, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%d and %d: %v", older, newer, err)
			}
			b, err := made.Log.MarshalFork(f)
			if err != nil {
				t.Fatal(err)
			}
			log, again, err := verify.OpenFork(b)
			if err != nil || log.CheckpointVKey() != made.Log.CheckpointVKey() || again.Older.Size != older || again.Root != root {
				t.Errorf("%d and %d: read again: %v", older, newer, err)
			}
			if _, err := made.Log.NewFork(one.Checkpoint(older).Note, one.Checkpoint(newer).Note, root, path); !errors.Is(err, verify.ErrNoFork) {
				t.Errorf("%d and %d of one history: %v", older, newer, err)
			}
		}
	}
}

// TestForkTampered: a changed field proves nothing.
func TestForkTampered(t *testing.T) {
	made, one, other := forked(t)
	older, newer := one.Checkpoint(6).Note, other.Checkpoint(11).Note
	root, path := other.Tree.Root(6), other.Tree.Consistency(6, 11)
	wrong := other.Tree.Consistency(6, 11)
	wrong[1] = bytes.Repeat([]byte{7}, 32)
	_, stranger := verifytest.CheckpointKey("other.test/2026")
	log, err := verify.NewLog(made.Log.ID(), stranger)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		log          *verify.Log
		older, newer []byte
		root         verify.Hash
		path         [][]byte
		want         error
	}{
		"path":           {made.Log, older, newer, root, wrong, verify.ErrNoFork},
		"no path":        {made.Log, older, newer, root, nil, verify.ErrNoFork},
		"root":           {made.Log, older, newer, one.Tree.Root(5), path, verify.ErrNoFork},
		"the older root": {made.Log, older, newer, one.Tree.Root(6), path, verify.ErrNoFork},
		"order":          {made.Log, newer, older, root, path, verify.ErrNoFork},
		"older forged":   {made.Log, bytes.Replace(older, []byte("\n6\n"), []byte("\n5\n"), 1), newer, root, path, verify.ErrCheckpoint},
		"newer forged":   {made.Log, older, bytes.Replace(newer, []byte("\n11\n"), []byte("\n12\n"), 1), root, path, verify.ErrCheckpoint},
		"other key":      {log, older, newer, root, path, verify.ErrCheckpoint},
	} {
		if _, err := test.log.NewFork(test.older, test.newer, test.root, test.path); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	for _, file := range []string{"", "{}", "[]", `{"format":"magnet-ledger fork v1"}`, `{"format":"magnet-ledger fork v2","root":"AAAA"}`} {
		if _, _, err := verify.OpenFork([]byte(file)); !errors.Is(err, verify.ErrNoFork) {
			t.Errorf("%q: %v", file, err)
		}
	}
}

func FuzzOpenFork(f *testing.F) {
	f.Add([]byte(`{"format":"magnet-ledger fork v1","root":"AAAA"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := verify.OpenFork(b); err == nil {
			t.Errorf("%q proves a fork", b)
		}
	})
}
