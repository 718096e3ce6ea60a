// Package tesseratest reads and drives what is served here with Tessera, which
// knows C2SP and nothing of this ledger. It is a module of its own, so that what
// Tessera needs is none of the ledger's.
package tesseratest

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger/ledgertest"
	"github.com/magnet-ledger/magnet-ledger/ledger/tlog"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// sizes are where tiles are partial, full, and of a second level.
var sizes = []uint64{1, 255, 256, 257, 65_536, 70_000}

// leaves are the leaf hashes of an entry bundle.
func leaves(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	var hashes [][]byte
	for _, e := range b.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return hashes, nil
}

// check has Tessera fetch the whole log, rebuild its tiles and its root, and
// compare.
func check(ctx context.Context, l *ledgertest.Ledger, f fsck.Fetcher) error {
	verifier, err := note.NewVerifier(l.Made.Log.CheckpointVKey())
	if err != nil {
		return err
	}
	cp, _, _, err := client.FetchCheckpoint(ctx, f.ReadCheckpoint, verifier, l.Made.Log.Origin())
	if err != nil {
		return err
	}
	if cp.Size != l.Size() {
		return fmt.Errorf("a checkpoint of size %d, want %d", cp.Size, l.Size())
	}
	return fsck.New(l.Made.Log.Origin(), verifier, f, leaves, fsck.Opts{N: 2}).Check(ctx)
}

// TestFsck: a client that knows only tlog-tiles finds the log sound over HTTPS.
func TestFsck(t *testing.T) {
	l := ledgertest.New(t, verifytest.NewLedger(t))
	h, err := tlog.NewHandler(l.Ledger, tlog.HandlerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(h)
	defer s.Close()
	for _, size := range sizes {
		l.Grow(size)
		root, err := url.Parse(s.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		fetcher, err := client.NewHTTPFetcher(root, s.Client())
		if err != nil {
			t.Fatal(err)
		}
		if err := check(t.Context(), l, fetcher); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

// TestFsckFolder: the same of a folder that is published step by step.
func TestFsckFolder(t *testing.T) {
	l, dir := ledgertest.New(t, verifytest.NewLedger(t)), t.TempDir()
	h, err := tlog.NewHandler(l.Ledger, tlog.HandlerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(h)
	defer s.Close()
	for _, size := range sizes {
		l.Grow(size)
		f, err := tlog.OpenFolder(dir, l.Made.Log)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Update(t.Context(), &tlog.Site{URL: s.URL, Client: s.Client()}); err != nil {
			t.Fatal(err)
		}
		if err := check(t.Context(), l, client.FileFetcher{Root: dir}); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
}
