package rpc_test

import (
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
)

// TestOnDisk: with a store on disk the answers are the same, before and after a
// restart.
func TestOnDisk(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(w *world) {
		w.open = func() ledger.Store {
			s, err := badgerstore.Open(dir, badgerstore.Options{MinFreeBytes: 1})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
	h := newHistory(w, 7, 40)
	for range 2 {
		size, note := w.checkpoint().Size, w.checkpoint().Note
		for _, peer := range []string{"regulator", "acme", "shop"} {
			for range 8 {
				req := randomListing(h.rng)
				got, _ := w.peer(peer).pages(req, func() {})
				sameList(t, got, h.list(peer, req, size), size, req.GetView())
				sameVolumes(t, h, w.peer(peer), randomQuestion(h.rng), note)
			}
		}
		w.restart()
	}
	again(t, w, h.versions[0].env, h.versions[0].env, h.versions[0].entry)
}
