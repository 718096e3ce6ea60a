package ledger_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
)

var errBroken = errors.New("broken")

// noSnapshots is a store that takes no snapshots while it is broken.
type noSnapshots struct {
	*storetest.Memory
	broken atomic.Bool
}

func (n *noSnapshots) Snapshot() (ledger.Snapshot, error) {
	if n.broken.Load() {
		return nil, errBroken
	}
	return n.Memory.Snapshot()
}

// brokenSigner signs no checkpoints while it is broken.
type brokenSigner struct {
	note.Signer
	broken atomic.Bool
}

func (b *brokenSigner) Sign(msg []byte) ([]byte, error) {
	if b.broken.Load() {
		return nil, errBroken
	}
	return b.Signer.Sign(msg)
}

// faultySite is a site on which everything can fail.
type faultySite struct {
	*site
	disk   *storetest.Memory
	store  *noSnapshots
	anchor *memoryAnchor
	signer *brokenSigner
}

func newFaultySite(t testing.TB, sellers ...string) *faultySite {
	s := newSite(t, sellers...)
	f := &faultySite{site: s, disk: s.memory(), anchor: s.anchor.(*memoryAnchor), signer: &brokenSigner{Signer: s.signer}}
	f.store = &noSnapshots{Memory: f.disk}
	s.store, s.signer = f.store, f.signer
	return f
}

// crash ends the store and everything that is broken, and leaves what is
// durable.
func (f *faultySite) crash() {
	f.disk = f.disk.Crash()
	f.store = &noSnapshots{Memory: f.disk}
	f.site.store = f.store
	f.anchor.onAppend = nil
	f.signer.broken.Store(false)
}

// failure is a way in which a commit fails.
type failure struct {
	name  string
	fault storetest.Fault
	// plant makes what comes after the commit fail.
	plant func(f *faultySite)
	// want is what Run returns.
	want error
	// durable tells whether the statements are there after a crash.
	durable bool
}

func failAnchor(keep bool) func(*faultySite) {
	return func(f *faultySite) {
		f.anchor.onAppend = func(ledger.AnchorPoint) (bool, error) { return keep, errBroken }
	}
}

var failures = []failure{
	{name: "lost", fault: storetest.Lost, want: storetest.ErrFault},
	{name: "applied", fault: storetest.Applied, want: storetest.ErrFault, durable: true},
	{name: "hidden", fault: storetest.Hidden, want: storetest.ErrFault, durable: true},
	{name: "phantom", fault: storetest.Phantom, want: storetest.ErrFault},
	{name: "too large", fault: storetest.TooLarge, want: ledger.ErrTooLarge},
	{name: "anchor not written", plant: failAnchor(false), want: errBroken, durable: true},
	{name: "anchor written", plant: failAnchor(true), want: errBroken, durable: true},
	{name: "no snapshot", plant: func(f *faultySite) { f.store.broken.Store(true) }, want: errBroken, durable: true},
	{name: "no signature", plant: func(f *faultySite) { f.signer.broken.Store(true) }, want: errBroken, durable: true},
}
