package ledger_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// TestFounding crashes at each step of founding a ledger, and founds it then.
func TestFounding(t *testing.T) {
	for _, failure := range failures {
		t.Run(failure.name, func(t *testing.T) {
			f := newFaultySite(t, "acme", "zeta")
			f.disk.OnCommit(func(int) storetest.Fault {
				if failure.plant != nil {
					failure.plant(f)
				}
				return failure.fault
			})
			f.refused(failure.want)
			if err := f.disk.Close(); err != nil {
				t.Errorf("after a failed open: %v", err)
			}
			f.crash()
			i := f.start()
			defer i.close()
			f.wantSize(i.Ledger, f.founded())
			i.record(f.made.Transaction("zeta", 1))
			f.wantSize(i.Ledger, f.founded()+1)
			if point, ok := f.anchor.Last(); !ok || point.Size != f.founded()+1 {
				t.Errorf("anchor %+v, %t", point, ok)
			}
		})
	}
}

// TestBootstrap opens ledgers whose bootstrap is not what it should be.
func TestBootstrap(t *testing.T) {
	s := newSite(t)
	made := s.made
	revoked := verifytest.Key("acme").Public()
	acme := made.Register("acme", tracev1.Role_ROLE_PRODUCER)
	altered := cloned(acme[1])
	altered.SignatureBlock[10] ^= 1
	elsewhere := verifytest.NewLedgerAt(t, verifytest.Origin, verifytest.Founded.Add(time.Second))
	for _, test := range []struct {
		name string
		boot []*tracev1.Envelope
		want string // "" if it opens
	}{
		{"nothing", nil, ""},
		{"registrations", acme, ""},
		{"a transaction", append(acme, made.Transaction("acme", 1)), ""},
		{"a revocation", append(acme, made.RevokeKey(revoked)), ""},
		{"of a revoked key", append(acme, made.RevokeKey(revoked), made.Transaction("acme", 1)), "was revoked at index 3"},
		{"without admission", acme[1:], "no participant"},
		{"without key", []*tracev1.Envelope{acme[0], made.Transaction("acme", 1)}, "no key"},
		{"twice", append(acme, acme[0]), "recorded at index 1"},
		{"a second genesis", []*tracev1.Envelope{made.Sign(made.Root, made.GenesisStatement())}, "index 0 only"},
		{"the genesis again", []*tracev1.Envelope{made.Genesis}, "recorded at index 0"},
		{"another ledger's", elsewhere.Register("acme"), "another ledger"},
		{"altered", []*tracev1.Envelope{acme[0], altered}, "signature does not verify"},
		{"malformed", []*tracev1.Envelope{{Payload: []byte{1}}}, "malformed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := *s
			s.t, s.boot, s.store, s.anchor = t, test.boot, storetest.NewMemory(), new(memoryAnchor)
			if test.want == "" {
				s.wantAnchored(s.founded())
				s.wantAnchored(s.founded())
				return
			}
			if _, err := s.open(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if point, ok := s.anchor.Last(); ok {
				t.Errorf("anchor %+v", point)
			}
			s.boot = nil
			s.wantAnchored(1) // nothing was left behind
		})
	}
	if _, err := ledger.Open(t.Context(), ledger.Config{Store: storetest.NewMemory(), Anchor: new(memoryAnchor)}); err == nil {
		t.Error("opened without a genesis")
	}
}

// TestOtherLedger opens a store with a genesis that is not its own.
func TestOtherLedger(t *testing.T) {
	s := newSite(t, "acme")
	states := history(s, transactions(s.made, "acme", 1)...)
	other := newSite(t)
	other.made = verifytest.NewLedgerAt(t, verifytest.Origin, verifytest.Founded.Add(time.Second))
	for _, point := range []*ledger.AnchorPoint{&states[1].point, nil} {
		other.restore(states[1].disk, point)
		other.refused(ledger.ErrOtherLedger)
	}
	s.restore(states[1].disk, &states[1].point)
	s.wantAnchored(s.founded() + 1)
}

// TestCheckpointKey opens ledgers with keys that the genesis does not name: of
// another origin, and another one of the same origin.
func TestCheckpointKey(t *testing.T) {
	other := verifytest.CheckpointSigner("other.test/2026")
	key, _, err := note.GenerateKey(rand.Reader, verifytest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := note.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, "acme")
	states := history(s, transactions(s.made, "acme", 1)...)
	right := s.signer
	for _, signer := range []note.Signer{other, forged} {
		for n, disk := range []*storetest.Memory{storetest.NewMemory(), states[1].disk} {
			s.restore(disk, nil)
			if n == 1 {
				s.restore(disk, &states[1].point)
			}
			s.signer = signer
			if _, err := s.open(); err == nil || !strings.Contains(err.Error(), "checkpoint key") {
				t.Errorf("%v", err)
			}
			if err := s.store.Close(); err != nil {
				t.Error(err)
			}
			s.signer, s.store = right, s.memory().Crash()
			s.wantAnchored(s.founded() + uint64(n))
		}
	}
}

// TestFormatVersion opens stores of other versions.
func TestFormatVersion(t *testing.T) {
	s := newSite(t, "acme")
	states := history(s)
	for _, version := range []byte{1, 3} {
		s.restore(states[0].disk, &states[0].point)
		s.memory().Corrupt(ledger.HeadKey, func(head []byte) []byte {
			head[0] = version
			return head
		})
		want := fmt.Sprint("format version ", version)
		if _, err := s.open(); err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ledger.ErrDamaged) {
			t.Errorf("%v", err)
		}
	}
}
