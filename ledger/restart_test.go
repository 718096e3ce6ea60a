package ledger_test

import (
	"context"
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

// state is what a site had at some time: a store that was closed, and the point
// of its anchor.
type state struct {
	disk  *storetest.Memory
	point ledger.AnchorPoint
}

// history records envelopes one by one, and returns the state after founding and
// after each of them.
func history(s *site, envs ...*tracev1.Envelope) []state {
	s.t.Helper()
	var states []state
	for n := range len(envs) + 1 {
		i := s.start()
		if n > 0 {
			i.record(envs[n-1])
		}
		i.close()
		if err := s.store.Close(); err != nil {
			s.t.Fatal(err)
		}
		states = append(states, state{s.memory(), s.anchor.(*memoryAnchor).point})
		s.store = s.memory().Crash()
	}
	return states
}

// restore puts the site back to a store, and to an anchor, or none.
func (s *site) restore(disk *storetest.Memory, point *ledger.AnchorPoint) {
	s.store, s.anchor = disk.Crash(), new(memoryAnchor)
	if point != nil {
		s.anchor = &memoryAnchor{point: *point, any: true}
	}
}

// wantAnchored tests that a ledger opens with a size, and that the anchor has it.
func (s *site) wantAnchored(size uint64) {
	s.t.Helper()
	l := s.mustOpen()
	defer l.Close()
	s.wantSize(l, size)
	if point, ok := s.anchor.Last(); !ok || point.Size != size {
		s.t.Errorf("anchor at %d, %t; want %d", point.Size, ok, size)
	}
}

// TestAnchorAndStore opens every store of a history with every anchor of it, and
// of another history of the same ledger.
func TestAnchorAndStore(t *testing.T) {
	s, fork := newSite(t, "acme"), newSite(t, "acme")
	envs := transactions(s.made, "acme", 8)
	states, others := history(s, envs[:4]...), history(fork, append(envs[4:6:6], envs[2:4]...)...)
	for n := range states {
		for a := range states {
			s.restore(states[n].disk, &states[a].point)
			if a > n {
				s.refused(ledger.ErrBehindAnchor)
			} else {
				s.wantAnchored(s.founded() + uint64(n))
			}
		}
		for a := range others[1:] {
			s.restore(states[n].disk, &others[a+1].point)
			s.refused(ledger.ErrBehindAnchor)
			fork.restore(others[a+1].disk, &states[n].point)
			if n > 0 {
				fork.refused(ledger.ErrBehindAnchor)
			} else {
				fork.wantAnchored(s.founded() + uint64(a+1))
			}
		}
		s.restore(states[n].disk, nil)
		if n > 0 {
			s.refused(ledger.ErrBehindAnchor)
		} else {
			s.wantAnchored(s.founded())
		}
		s.restore(storetest.NewMemory(), &states[n].point)
		s.refused(ledger.ErrBehindAnchor)
	}
}

// TestAnchorFields changes each field of an anchor point.
func TestAnchorFields(t *testing.T) {
	s := newSite(t, "acme")
	states := history(s, transactions(s.made, "acme", 2)...)
	last := states[2]
	for name, change := range map[string]func(*ledger.AnchorPoint){
		"root":    func(p *ledger.AnchorPoint) { p.Root[0] ^= 1 },
		"last":    func(p *ledger.AnchorPoint) { p.Last[31] ^= 1 },
		"larger":  func(p *ledger.AnchorPoint) { p.Size++ },
		"smaller": func(p *ledger.AnchorPoint) { p.Size-- },
	} {
		t.Run(name, func(t *testing.T) {
			point := last.point
			change(&point)
			s := *s
			s.t = t
			s.restore(last.disk, &point)
			s.refused(ledger.ErrBehindAnchor)
		})
	}
}

// TestHeadIsGone opens a store that holds entries and no head. Without its
// anchor, too, it looks like one that was never founded.
func TestHeadIsGone(t *testing.T) {
	s := newSite(t)
	states := history(s, s.made.Register("acme", tracev1.Role_ROLE_PRODUCER)...)
	for _, point := range []*ledger.AnchorPoint{&states[1].point, nil} {
		s.restore(states[1].disk, point)
		s.memory().Corrupt(ledger.HeadKey, func([]byte) []byte { return nil })
		want := ledger.ErrDamaged
		if point != nil {
			want = ledger.ErrBehindAnchor
		}
		s.refused(want)
	}
}

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

// TestFormatVersion opens a store of another version.
func TestFormatVersion(t *testing.T) {
	s := newSite(t, "acme")
	states := history(s)
	s.restore(states[0].disk, &states[0].point)
	s.memory().Corrupt(ledger.HeadKey, func(head []byte) []byte {
		head[0] = 2
		return head
	})
	if _, err := s.open(); err == nil || !strings.Contains(err.Error(), "format version 2") || errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// TestOpenReads counts what opening a ledger reads, and what going on from there
// reads: it must not grow with the log.
func TestOpenReads(t *testing.T) {
	reads := make(map[int]int)
	for _, size := range []int{1000, 20_000} {
		s := newSite(t, "acme")
		l := s.mustOpen()
		if err := l.Grow(size); err != nil {
			t.Fatal(err)
		}
		l.Close()
		s.memory().OnRead(func(n int) error {
			reads[size] = n
			return nil
		})
		i := s.start()
		i.record(s.made.Transaction("acme", 1))
		i.close()
	}
	if got, most := reads[20_000], reads[1000]+20; got > most {
		t.Errorf("%d reads at 20,000 entries, more than %d; %d at 1,000", got, most, reads[1000])
	}
}

// TestRunsOn opens a ledger again and again, with a few statements each time, of
// sizes around which tiles begin.
func TestRunsOn(t *testing.T) {
	onStores(t, func(t *testing.T, place func(*site) *site) {
		s := place(newSite(t, "acme"))
		envs := transactions(s.made, "acme", 600)
		size := int(s.founded())
		for _, next := range []int{4, 255, 256, 257, 258, 511, 512, 513} {
			i := s.start()
			i.record(envs[size-int(s.founded()) : next-int(s.founded())]...)
			size = next
			s.wantSize(i.Ledger, uint64(size))
			i.close()
		}
		i := s.start()
		defer i.close()
		for n, r := range i.record(envs[:size-int(s.founded())]...) {
			if !r.Already || r.Index != s.founded()+uint64(n) {
				t.Fatalf("statement %d: %+v", n, r)
			}
		}
	})
}

// TestView looks at a view while the log grows, and after the ledger was closed.
func TestView(t *testing.T) {
	s := newSite(t, "acme")
	envs := transactions(s.made, "acme", 3)
	i := s.start()
	i.record(envs[0])
	v := i.View()
	want := string(v.Checkpoint().Note)
	i.record(envs[1:]...)
	i.close()
	if v.Size() != s.founded()+1 || string(v.Checkpoint().Note) != want {
		t.Errorf("size %d", v.Size())
	}
	if _, err := v.Record(s.founded()); err != nil {
		t.Error(err)
	}
	for _, read := range map[string]func(uint64) error{
		"record":  func(index uint64) error { _, err := v.Record(index); return err },
		"payload": func(index uint64) error { _, err := v.Payload(index); return err },
		"hash":    func(index uint64) error { _, err := v.StatementHash(index); return err },
	} {
		for _, index := range []uint64{s.founded() + 1, 1 << 40, 1<<64 - 1} {
			if err := read(index); !errors.Is(err, ledger.ErrOutOfRange) {
				t.Errorf("entry %d: %v", index, err)
			}
		}
	}
	if err := s.store.Close(); err == nil {
		t.Error("the store was closed under a view")
	}
	v.Close()
	if err := s.store.Close(); err != nil {
		t.Error(err)
	}
}

// TestRecordsStops reads records until the visitor, or the context, has enough.
func TestRecordsStops(t *testing.T) {
	s := newSite(t, "acme")
	l := s.mustOpen()
	defer l.Close()
	if err := l.Grow(600); err != nil {
		t.Fatal(err)
	}
	v := l.View()
	defer v.Close()
	for _, span := range [][2]uint64{{0, 0}, {0, 1}, {0, 256}, {255, 257}, {256, 512}, {100, 600}, {s.founded() + 599, s.founded() + 600}} {
		next := span[0]
		err := v.Records(t.Context(), span[0], span[1], func(r ledger.Record) error {
			if r.Entry.Index != next {
				return fmt.Errorf("entry %d, want %d", r.Entry.Index, next)
			}
			next++
			return nil
		})
		if err != nil || next != span[1] {
			t.Errorf("entries %v: up to %d, %v", span, next, err)
		}
	}
	count := 0
	err := v.Records(t.Context(), 0, 600, func(ledger.Record) error {
		if count++; count == 300 {
			return errBroken
		}
		return nil
	})
	if !errors.Is(err, errBroken) || count != 300 {
		t.Errorf("%d records, %v", count, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Records(ctx, 0, 600, func(ledger.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
	for _, span := range [][2]uint64{{0, v.Size() + 1}, {2, 1}, {1 << 63, 1<<63 + 1}} {
		if err := v.Records(t.Context(), span[0], span[1], nil); !errors.Is(err, ledger.ErrOutOfRange) {
			t.Errorf("entries %v: %v", span, err)
		}
	}
}
