package tlog_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/ledgertest"
	"github.com/magnet-ledger/magnet-ledger/ledger/tlog"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// contents returns the files of a folder by their paths.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func open(t *testing.T, dir string, log *verify.Log) *tlog.Folder {
	t.Helper()
	f, err := tlog.OpenFolder(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFolder: a folder that is updated now and then, by programs that start anew,
// holds what the server serves, and a partial tile only until the full one is
// there.
func TestFolder(t *testing.T) {
	s, dir := serve(t, tlog.HandlerOptions{}), t.TempDir()
	site := &tlog.Site{URL: s.URL + "/", Client: s.Client()}
	at := map[uint64]bool{}
	for _, size := range []uint64{1, 3, 3, 255, 256, 257, 600, 1024} {
		s.Grow(size)
		at[size] = true
		f := open(t, dir, s.Made.Log)
		if _, to, err := f.Update(t.Context(), site); err != nil || to != size || f.Size() != size {
			t.Fatalf("size %d: %d, %v", size, to, err)
		}
		want := naive(t, s.Ledger)
		got := contents(t, dir)
		for path, b := range got {
			if !bytes.Equal(b, want[path]) {
				t.Errorf("size %d: %s has %d bytes, want %d", size, path, len(b), len(want[path]))
			}
			if full, width, _ := strings.Cut(path, ".p/"); width != "" && got[full] != nil {
				t.Errorf("size %d: %s is there beside the full tile", size, path)
			}
		}
		for path := range want {
			tile, err := tlog.ParseTile(path)
			now := tile.Number*256+uint64(tile.Width) == size>>(8*tile.Level)
			if err == nil && (tile.Width == 256 || now) && got[path] == nil {
				t.Errorf("size %d: %s is missing", size, path)
			}
		}
	}
}

// cut is a source that ends early.
type cut struct {
	tlog.Source
	after uint64
}

var errCut = errors.New("cut")

func (c cut) Entries(ctx context.Context, start, end uint64, visit func(verify.Entry) error) error {
	return c.Source.Entries(ctx, start, end, func(e verify.Entry) error {
		if e.Index >= c.after {
			return errCut
		}
		return visit(e)
	})
}

// TestFolderInterrupted: wherever an update ends, the folder still stands for its
// old checkpoint, and the next update completes it.
func TestFolderInterrupted(t *testing.T) {
	s, dir := serve(t, tlog.HandlerOptions{}), t.TempDir()
	site := &tlog.Site{URL: s.URL, Client: s.Client()}
	s.Grow(200)
	if _, _, err := open(t, dir, s.Made.Log).Update(t.Context(), site); err != nil {
		t.Fatal(err)
	}
	s.Grow(700)
	for _, after := range []uint64{200, 256, 300, 600, 699} {
		f := open(t, dir, s.Made.Log)
		if from, to, err := f.Update(t.Context(), cut{site, after}); !errors.Is(err, errCut) || from != 200 || to != 200 {
			t.Fatalf("after %d: %d to %d, %v", after, from, to, err)
		}
		if f.Size() != 200 || open(t, dir, s.Made.Log).Size() != 200 {
			t.Fatalf("after %d: the folder is not as it was", after)
		}
	}
	f := open(t, dir, s.Made.Log)
	if _, to, err := f.Update(t.Context(), site); err != nil || to != 700 {
		t.Fatalf("%d, %v", to, err)
	}
	if _, _, err := open(t, t.TempDir(), s.Made.Log).Update(t.Context(), f); err != nil {
		t.Errorf("a folder of a folder: %v", err)
	}
}

// view is a source of a ledger in memory.
type view struct{ *ledgertest.Ledger }

func (v view) Checkpoint(context.Context) ([]byte, error) { return v.Ledger.Checkpoint().Note, nil }

func (v view) Entries(ctx context.Context, start, end uint64, visit func(verify.Entry) error) error {
	w := v.View()
	defer w.Close()
	return w.Records(ctx, start, end, func(r ledger.Record) error { return visit(r.Entry) })
}

// TestFolderFork: a log that does not extend what was published is refused, with a
// proof for others, whichever of the two is larger.
func TestFolderFork(t *testing.T) {
	made := verifytest.NewLedger(t)
	one, other := ledgertest.New(t, made), ledgertest.New(t, made)
	one.Grow(400)
	dir := t.TempDir()
	f := open(t, dir, made.Log)
	if _, _, err := f.Update(t.Context(), view{one}); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)["checkpoint"]
	for _, size := range []uint64{2, 256, 399, 400, 401, 512, 600} {
		other.Grow(size)
		_, _, err := f.Update(t.Context(), view{other})
		var fork *tlog.ForkError
		if !errors.As(err, &fork) {
			t.Fatalf("size %d: %v, want a fork", size, err)
		}
		b, err := made.Log.MarshalFork(fork.Proof)
		if err != nil {
			t.Fatal(err)
		}
		if _, again, err := verify.OpenFork(b); err != nil || again.Older.Size != min(size, 400) || again.Newer.Size != max(size, 400) {
			t.Errorf("size %d: the proof: %v", size, err)
		}
	}
	if !bytes.Equal(contents(t, dir)["checkpoint"], before) || open(t, dir, made.Log).Size() != 400 {
		t.Error("the folder is not as it was")
	}
	one.Grow(700)
	if _, to, err := f.Update(t.Context(), view{one}); err != nil || to != 700 {
		t.Errorf("the true log: %d, %v", to, err)
	}
	behind := ledgertest.New(t, made)
	if _, _, err := f.Update(t.Context(), view{behind}); !errors.Is(err, tlog.ErrBehind) {
		t.Errorf("a source of size 1: %v, want ErrBehind", err)
	}
}

// lying is a source with a changed entry.
type lying struct {
	tlog.Source
	index uint64
}

func (l lying) Entries(ctx context.Context, start, end uint64, visit func(verify.Entry) error) error {
	return l.Source.Entries(ctx, start, end, func(e verify.Entry) error {
		if e.Index == l.index {
			e.StatementHash[0] ^= 1
		}
		return visit(e)
	})
}

// TestFolderLies: entries that are not those of the checkpoint are not published.
func TestFolderLies(t *testing.T) {
	l := ledgertest.New(t, verifytest.NewLedger(t))
	l.Grow(300)
	for _, index := range []uint64{0, 100, 256, 299} {
		dir := t.TempDir()
		f := open(t, dir, l.Made.Log)
		_, _, err := f.Update(t.Context(), lying{view{l}, index})
		var wrong *tlog.NotLogError
		if !errors.As(err, &wrong) || contents(t, dir)["checkpoint"] != nil {
			t.Errorf("entry %d: %v", index, err)
		}
		if _, to, err := f.Update(t.Context(), view{l}); err != nil || to != 300 {
			t.Errorf("entry %d: the true log then: %d, %v", index, to, err)
		}
	}
}

// TestFolderDamaged: a folder that does not hold its checkpoint is not gone on
// with.
func TestFolderDamaged(t *testing.T) {
	l := ledgertest.New(t, verifytest.NewLedger(t))
	l.Grow(300)
	for _, name := range []string{"tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"} {
		for what, damage := range map[string]func([]byte) []byte{
			"flipped at the start": func(b []byte) []byte { b[20] ^= 1; return b },
			"flipped":              func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			"cut":                  func(b []byte) []byte { return b[:len(b)-1] },
			"empty":                func([]byte) []byte { return nil },
		} {
			dir := t.TempDir()
			if _, _, err := open(t, dir, l.Made.Log).Update(t.Context(), view{l}); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, filepath.FromSlash(name))
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, damage(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tlog.OpenFolder(dir, l.Made.Log); !errors.Is(err, tlog.ErrFolder) {
				t.Errorf("%s %s: %v, want ErrFolder", name, what, err)
			}
		}
	}
	stranger := verifytest.NewLedgerAt(t, "other.test/2026", verifytest.Founded)
	dir := t.TempDir()
	if _, _, err := open(t, dir, l.Made.Log).Update(t.Context(), view{l}); err != nil {
		t.Fatal(err)
	}
	if _, err := tlog.OpenFolder(dir, stranger.Log); !errors.Is(err, verify.ErrCheckpoint) {
		t.Errorf("of another log: %v", err)
	}
}
