//go:build linux

package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
)

// TestFullDisk fills a file system that a ledger is on: submissions are refused
// cleanly, nothing is lost, and the ledger goes on by itself when there is space. It
// needs to mount one, which root may; TestNoSpaceAtRandom needs no disk.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=160m"); errors.Is(err, unix.EPERM) {
		t.Skip("only root may mount a file system to fill")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := newSite(t, "acme")
	s.limits = ledger.Limits{CommitStatements: 100}
	open := func() {
		t.Helper()
		var err error
		s.store, err = badgerstore.Open(filepath.Join(dir, "store"), badgerstore.Options{MemTableSize: 8 << 20, MinFreeBytes: 40 << 20})
		if err != nil {
			t.Fatal(err)
		}
	}
	closeStore := func() {
		t.Helper()
		if err := s.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	anchor, err := ledger.OpenAnchor(filepath.Join(dir, "anchor"))
	if err != nil {
		t.Fatal(err)
	}
	defer anchor.Close()
	s.anchor = anchor
	open()
	i := s.start()
	envs := transactions(s.made, "acme", 3000)
	before := i.record(envs[:500]...)

	ballast := filepath.Join(dir, "ballast")
	if err := fill(ballast); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // the store looks once a second
	refused := 0
	results, err := i.Submit(t.Context(), i.check(envs[500:2500]...))
	for _, r := range results {
		if r.Err != nil {
			wantRefused(t, r.Err, ledger.NoSpace)
			refused++
		}
	}
	if err != nil || refused == 0 {
		t.Fatalf("%d of %d refused, %v", refused, len(results), err)
	}
	wantReadOnly(t, i.Ledger, ledger.NoSpace)
	s.checkReceipt(i.Ledger, envs[499], &before[499], s.founded()+499)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); i.ReadOnly() != nil && time.Since(start) < 10*time.Second; {
		time.Sleep(10 * time.Millisecond)
	}
	wantReadOnly(t, i.Ledger, "")
	for n, r := range i.record(envs...) {
		if r.Index != s.founded()+uint64(n) || n < 500 && !r.Already {
			t.Errorf("statement %d: %+v", n, r)
		}
	}
	i.close()
	closeStore()
	open()
	i = s.start()
	s.wantSize(i.Ledger, s.founded()+3000)
	s.wantReplayed(i.Ledger)
	i.close()
	closeStore()
}

// fill writes a file until the file system is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for zeros := make([]byte, 1<<20); ; {
		if _, err := f.Write(zeros); errors.Is(err, unix.ENOSPC) {
			break
		} else if err != nil {
			return err
		}
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// What a store needs to go on being read, beside its own files.
	return f.Truncate(info.Size() - 16<<20)
}
