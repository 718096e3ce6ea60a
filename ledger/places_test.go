package ledger_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
)

// memoryAnchor is an Anchor without a file that fails on demand. Its zero value
// is empty.
type memoryAnchor struct {
	mu    sync.Mutex
	point ledger.AnchorPoint
	any   bool
	// onAppend decides what becomes of a point: whether it is kept, and the
	// error. It may block.
	onAppend func(ledger.AnchorPoint) (keep bool, err error)
}

func (a *memoryAnchor) Last() (ledger.AnchorPoint, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.point, a.any
}

func (a *memoryAnchor) Append(p ledger.AnchorPoint) error {
	keep, err := true, error(nil)
	if a.onAppend != nil {
		keep, err = a.onAppend(p)
	}
	if keep {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.point, a.any = p, true
	}
	return err
}

func (a *memoryAnchor) Close() error { return nil }

// onDisk puts the site on disk, in a directory of the test, and returns it.
func (s *site) onDisk() *site {
	s.t.Helper()
	dir := s.t.TempDir()
	s.store = openBadger(s.t, filepath.Join(dir, "store"))
	s.anchor = openAnchor(s.t, filepath.Join(dir, "anchor"))
	return s
}

// openBadger opens a store, which the test closes at its end.
func openBadger(t testing.TB, dir string) *badgerstore.Store {
	t.Helper()
	store, err := badgerstore.Open(dir, badgerstore.Options{MinFreeBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// openAnchor opens an anchor, which the test closes at its end.
func openAnchor(t testing.TB, path string) *ledger.FileAnchor {
	t.Helper()
	anchor, err := ledger.OpenAnchor(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { anchor.Close() })
	return anchor
}

// onStores runs a test in memory and on disk.
func onStores(t *testing.T, test func(t *testing.T, place func(*site) *site)) {
	t.Run("memory", func(t *testing.T) { test(t, func(s *site) *site { return s }) })
	t.Run("badger", func(t *testing.T) { test(t, (*site).onDisk) })
}
