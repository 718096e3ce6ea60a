package badgerstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore/badgertest"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
)

var small = badgerstore.Options{MemTableSize: 8 << 20, MinFreeBytes: 1}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) ledger.Store {
		return open(t, dir, small)
	})
}

func open(t testing.TB, dir string, opts badgerstore.Options) *badgerstore.Store {
	t.Helper()
	s, err := badgerstore.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t testing.TB, s *badgerstore.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}

// commit sets the head, and a key for each further value, on any head before.
func commit(t testing.TB, s *badgerstore.Store, head string, values ...string) error {
	t.Helper()
	writes := []ledger.Write{{Key: ledger.HeadKey, Value: []byte(head)}}
	for i, value := range values {
		writes = append(writes, ledger.Write{Key: fmt.Appendf(nil, "key %d", i), Value: []byte(value)})
	}
	var expected []byte
	if got := contents(t, s); len(got) > 0 {
		expected = []byte(got[0])
	}
	return s.Commit(context.Background(), expected, writes)
}

func mustCommit(t testing.TB, s *badgerstore.Store, head string, values ...string) {
	t.Helper()
	if err := commit(t, s, head, values...); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// contents returns all values, that of the head first.
func contents(t testing.TB, s *badgerstore.Store) []string {
	t.Helper()
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	defer snapshot.Close()
	var got []string
	err = snapshot.Scan(nil, nil, func(_, value []byte) bool {
		got = append(got, string(value))
		return true
	})
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return got
}

func wantContents(t testing.TB, s *badgerstore.Store, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, contents(t, s)); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, small)
	if _, err := badgerstore.Open(dir, small); !errors.Is(err, badgerstore.ErrLocked) {
		t.Errorf("second open: %v, want ErrLocked", err)
	}
	mustCommit(t, s, "1")
	closeStore(t, s)
	wantContents(t, open(t, dir, small), "1")
}

func TestNoSpace(t *testing.T) {
	const most = 1 << 62
	dir := t.TempDir()
	_, err := badgerstore.Open(dir, badgerstore.Options{MinFreeBytes: most})
	if !errors.Is(err, badgerstore.ErrNoSpace) {
		t.Errorf("open: %v, want ErrNoSpace", err)
	}
	s := open(t, dir, small)
	mustCommit(t, s, "1")
	badgerstore.SetFree(s, 0)
	for range 2 {
		if err := commit(t, s, "2"); !errors.Is(err, badgerstore.ErrNoSpace) || !errors.Is(err, ledger.ErrTryAgain) {
			t.Errorf("commit: %v, want ErrNoSpace, which is ErrTryAgain", err)
		}
		wantContents(t, s, "1")
	}
	badgerstore.SetFree(s, most)
	mustCommit(t, s, "2")
	wantContents(t, s, "2")
}

// TestCommitBytes: what the store says it takes at once, it takes.
func TestCommitBytes(t *testing.T) {
	s := open(t, t.TempDir(), small)
	parts := slices.Repeat([]string{strings.Repeat("v", 8<<10)}, int(s.CommitBytes()/(8<<10))+1)
	mustCommit(t, s, "1", parts[:len(parts)*3/4]...)
	if err := commit(t, s, "2", parts...); !errors.Is(err, ledger.ErrTooLarge) {
		t.Errorf("more than it says: %v, want ErrTooLarge", err)
	}
}

func TestLimits(t *testing.T) {
	s := open(t, t.TempDir(), small)
	most := strings.Repeat("v", 1<<20-1)
	mustCommit(t, s, "1", most)
	if err := commit(t, s, "2", most+"v"); !errors.Is(err, ledger.ErrTooLarge) {
		t.Errorf("commit of a large value: %v, want ErrTooLarge", err)
	}
	// Those from 12 KiB on go to the value log and do not count.
	if err := commit(t, s, "2", slices.Repeat([]string{most[:11<<10]}, 200)...); !errors.Is(err, ledger.ErrTooLarge) {
		t.Errorf("commit of large values: %v, want ErrTooLarge", err)
	}
	if err := commit(t, s, "2", make([]string, 20_000)...); !errors.Is(err, ledger.ErrTooLarge) {
		t.Errorf("commit of many values: %v, want ErrTooLarge", err)
	}
	wantContents(t, s, "1", most)
}

func TestInvalidWrites(t *testing.T) {
	s := open(t, t.TempDir(), small)
	head := ledger.Write{Key: ledger.HeadKey}
	for _, key := range []string{"", strings.Repeat("k", 1025), "!badger!key"} {
		err := s.Commit(context.Background(), nil, []ledger.Write{head, {Key: []byte(key)}})
		if err == nil {
			t.Errorf("commit of key %.20q: nil", key)
		}
	}
	if err := s.Commit(context.Background(), nil, []ledger.Write{{Key: []byte("k")}}); err == nil {
		t.Error("commit without a head: nil")
	}
	wantContents(t, s)
	mustCommit(t, s, "1")
}

func TestUnknownOutcome(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, small)
	mustCommit(t, s, "1", "old")
	badgerstore.SetFailing(s)
	err := commit(t, s, "2", "new")
	if err == nil || errors.Is(err, ledger.ErrConflict) || errors.Is(err, ledger.ErrTooLarge) {
		t.Fatalf("commit: %v, want unknown outcome", err)
	}
	wantContents(t, s, "1", "old")
	if again := commit(t, s, "3"); again != err {
		t.Errorf("next commit: %v, want %v", again, err)
	}
	if err := s.Close(); err == nil {
		t.Error("closing: nil")
	}
	wantContents(t, open(t, dir, small), "2", "new")
}

// TestLoggedError: what Badger only logs while it commits, as of a sync of its value
// log that failed, leaves the outcome unknown. An error before it is of no commit.
func TestLoggedError(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, small)
	mustCommit(t, s, "1", strings.Repeat("v", 20<<10))
	badgerstore.LogError(s)
	mustCommit(t, s, "2")

	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			default:
				badgerstore.LogError(s)
			}
		}
	}()
	err := commit(t, s, "3", strings.Repeat("w", 20<<10))
	close(over)
	<-ended
	if err == nil || errors.Is(err, ledger.ErrConflict) || errors.Is(err, ledger.ErrTooLarge) || errors.Is(err, ledger.ErrTryAgain) {
		t.Fatalf("commit: %v, want unknown outcome", err)
	}
	if again := commit(t, s, "4"); again != err {
		t.Errorf("next commit: %v, want %v", again, err)
	}
}

// TestDamagedValueLog flips bits of a value in the value log, which Badger then reads
// as an empty one, and cuts it off: it is an error, and no other value is.
func TestDamagedValueLog(t *testing.T) {
	live := t.TempDir()
	s := open(t, live, small)
	first, second := strings.Repeat("1", 20<<10), strings.Repeat("2", 20<<10)
	mustCommit(t, s, "1", first, second)
	closeStore(t, s)
	name := "000001.vlog"
	whole, err := os.ReadFile(filepath.Join(live, name))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(whole, []byte(second[:100]))
	for damage, change := range map[string]func(b []byte) []byte{
		"flipped": func(b []byte) []byte { b[at+10_000] ^= 4; return b },
		"zeros":   func(b []byte) []byte { clear(b[at : at+4096]); return b },
		"cut":     func(b []byte) []byte { return b[:at+10_000] },
	} {
		t.Run(damage, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(dir, os.DirFS(live)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), change(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir, small)
			snapshot, err := s.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			defer snapshot.Close()
			if got, err := snapshot.Get([]byte("key 0")); string(got) != first || err != nil {
				t.Errorf("the value before: %d bytes, %v", len(got), err)
			}
			if got, err := snapshot.Get([]byte("key 1")); err == nil || errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("the damaged value: %d bytes, %v", len(got), err)
			}
			if err := snapshot.Scan(nil, nil, func(_, _ []byte) bool { return true }); err == nil {
				t.Error("a scan over the damaged value: nil")
			}
		})
	}
}

func TestCloseWithSnapshots(t *testing.T) {
	s := open(t, t.TempDir(), small)
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err == nil {
		t.Error("close with a snapshot: nil")
	}
	if _, err := snapshot.Get([]byte("key")); err != ledger.ErrNotFound {
		t.Errorf("get: %v", err)
	}
	snapshot.Close()
	snapshot.Close()
	closeStore(t, s)
	if _, err := s.Snapshot(); err == nil {
		t.Error("snapshot of a closed store: nil")
	}
	if err := s.Commit(context.Background(), nil, []ledger.Write{{Key: ledger.HeadKey}}); err == nil {
		t.Error("commit to a closed store: nil")
	}
}

// TestFlushes commits until there are tables in several levels, with a snapshot
// open from before.
func TestFlushes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, small)
	mustCommit(t, s, "0", "first")
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("v", 500_000)
	for i := range 100 {
		mustCommit(t, s, fmt.Sprint(i), value+fmt.Sprint(i), value)
	}
	if got, err := snapshot.Get([]byte("key 0")); string(got) != "first" || err != nil {
		t.Errorf("get from the first snapshot: %.9q, %v", got, err)
	}
	snapshot.Close()

	// When Badger has no more files to make, commits find out that all names
	// are durable.
	for wait := 0; ; wait++ {
		time.Sleep(50 * time.Millisecond)
		mustCommit(t, s, "100", value)
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if badgerstore.Synced(s).Equal(info.ModTime()) {
			break
		}
		if wait == 200 {
			t.Fatalf("directory synced as of %v, changed at %v", badgerstore.Synced(s), info.ModTime())
		}
	}
	closeStore(t, s)
	wantContents(t, open(t, dir, small), "100", value, value)
}

func TestLogger(t *testing.T) {
	var log bytes.Buffer
	opts := small
	opts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := open(t, t.TempDir(), opts)
	mustCommit(t, s, "1", "secret")
	closeStore(t, s)
	if want := "level=DEBUG msg=\"badger: "; !strings.Contains(log.String(), want) {
		t.Errorf("no line with %s in the log:\n%s", want, log.String())
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("a value in the log:\n%s", log.String())
	}
}

func TestEdit(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, small)
	mustCommit(t, s, "1", "a", "b", "c")
	closeStore(t, s)
	badgertest.Edit(t, dir, func(x *badgertest.Txn) {
		keys := x.Keys([]byte("key"))
		if len(keys) != 3 {
			t.Fatalf("keys %q, want 3", keys)
		}
		value := x.Get(keys[0])
		value[0]++
		x.Set(keys[0], value)
		x.Delete(keys[1])
		if got := x.Get(keys[1]); got != nil {
			t.Errorf("deleted key has value %q", got)
		}
	})
	wantContents(t, open(t, dir, small), "1", "b", "c")
}
