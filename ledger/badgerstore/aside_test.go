package badgerstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
)

// crash returns a directory as it would be if the process died now.
func crash(t *testing.T, dir string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return copied
}

// files returns the files below a folder with their sizes.
func files(t *testing.T, folder string) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		sizes[name] = info.Size()
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return sizes
}

func wantAside(t *testing.T, dir string, want ...string) {
	t.Helper()
	got := files(t, filepath.Join(dir, "set-aside"))
	names := map[string]bool{}
	for _, name := range want {
		names[name] = true
		if _, ok := got[name]; !ok {
			t.Errorf("%s is not set aside", name)
		}
	}
	for name := range got {
		if !names[name] {
			t.Errorf("%s is set aside", name)
		}
	}
}

func TestCrash(t *testing.T) {
	live := t.TempDir()
	s := open(t, live, small)
	mustCommit(t, s, "1", "a")
	dir := crash(t, live)
	before, err := os.ReadFile(filepath.Join(dir, "00001.mem"))
	if err != nil {
		t.Fatal(err)
	}

	var log bytes.Buffer
	opts := small
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	reopened := open(t, dir, opts)
	wantContents(t, reopened, "1", "a")
	wantAside(t, dir, "000001/MANIFEST", "000001/00001.mem", "000001/000001.vlog")
	if !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("no warning in the log:\n%s", log.String())
	}
	after, err := os.ReadFile(filepath.Join(dir, "set-aside/000001/00001.mem"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("the log that was set aside is not the one before")
	}
	mustCommit(t, reopened, "2", "b")
	closeStore(t, reopened)
	wantContents(t, open(t, dir, small), "2", "b")
	wantAside(t, dir, "000001/MANIFEST", "000001/00001.mem", "000001/000001.vlog") // nothing more
}

// TestEmptyFiles has the files that a process leaves when it is killed between
// making a log and giving it its size, or emptying a log and removing it.
func TestEmptyFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, small)
	mustCommit(t, s, "1", "a")
	closeStore(t, s)
	for _, name := range []string{"00002.mem", "00007.mem", "000002.vlog", "000009.vlog"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir, small)
	wantContents(t, s, "1", "a")
	mustCommit(t, s, "2", "b")
	wantAside(t, dir, "000001/MANIFEST", "000001/00002.mem", "000001/00007.mem",
		"000001/000002.vlog", "000001/000009.vlog")
}

// TestEmptyFileOfAnother has a running store with an empty log, as it is for an
// instant when the log is made. The second opener must leave it alone.
func TestEmptyFileOfAnother(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, small)
	name := filepath.Join(dir, "00009.mem")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := badgerstore.Open(dir, small); !errors.Is(err, badgerstore.ErrLocked) {
		t.Errorf("second open: %v, want ErrLocked", err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func TestCutManifest(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		s := open(t, dir, small)
		mustCommit(t, s, fmt.Sprint(i), "a")
		closeStore(t, s)
	}
	manifest := filepath.Join(dir, "MANIFEST")
	info, err := os.Stat(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(manifest, info.Size()-1); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	s := open(t, dir, small) // Badger drops the second table
	wantContents(t, s, "0", "a")
	wantAside(t, dir, "000001/MANIFEST", "000001/000002.sst")
	aside := files(t, filepath.Join(dir, "set-aside/000001"))
	for name, size := range aside {
		if diff := cmp.Diff(before[name], size); diff != "" {
			t.Errorf("size of %s (-before +set aside):\n%s", name, diff)
		}
	}
}

func TestNoManifest(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, small)
	mustCommit(t, s, "1", "a")
	closeStore(t, s)
	manifest := filepath.Join(dir, "MANIFEST")
	if err := os.Rename(manifest, manifest+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := badgerstore.Open(dir, small); err == nil {
		t.Fatal("open without a MANIFEST: nil")
	}
	if err := os.Rename(manifest+".away", manifest); err != nil {
		t.Fatal(err)
	}
	wantContents(t, open(t, dir, small), "1", "a")
}

// TestFailedOpening has openings that fail, and lose a log, too. What was there
// before the first one is kept.
func TestFailedOpening(t *testing.T) {
	live := t.TempDir()
	s := open(t, live, small)
	mustCommit(t, s, "1", "a")
	dir := crash(t, live)
	log, broken := filepath.Join(dir, "00001.mem"), filepath.Join(dir, "000009.vlog")
	if err := os.Mkdir(broken, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := badgerstore.Open(dir, small); err == nil {
			t.Fatal("open with a directory for a log: nil")
		}
		if err := os.WriteFile(log, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(dir, "set-aside/pending/00001.mem")
	if err := os.Rename(restored, log); err != nil {
		t.Fatal(err)
	}
	wantContents(t, open(t, dir, small), "1", "a")
}

func TestAsideKept(t *testing.T) {
	dir := t.TempDir()
	for i := range 7 {
		if err := os.WriteFile(filepath.Join(dir, "00001.mem"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, small)
		mustCommit(t, s, fmt.Sprint(i))
		closeStore(t, s)
	}
	var want []string
	for i := 3; i <= 7; i++ {
		want = append(want, fmt.Sprintf("%06d/00001.mem", i), fmt.Sprintf("%06d/MANIFEST", i))
	}
	wantAside(t, dir, want...)
}

// TestSmallerMemTable opens a log that was made with a larger MemTableSize.
func TestSmallerMemTable(t *testing.T) {
	live, large := t.TempDir(), small
	large.MemTableSize = 32 << 20
	s := open(t, live, large)
	value := strings.Repeat("v", 1<<20-1)
	for i := range 7 { // 28 MiB in the log
		mustCommit(t, s, fmt.Sprint(i), value, value, value, value)
	}
	dir := crash(t, live)
	wantContents(t, open(t, dir, small), "6", value, value, value, value)
}
