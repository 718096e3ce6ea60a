package ledger_test

import (
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
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
		size, auditor := int(s.founded()), verify.NewAuditor(s.made.Log, true)
		for _, next := range []int{4, 255, 256, 257, 258, 511, 512, 513} {
			i := s.start()
			i.record(envs[size-int(s.founded()) : next-int(s.founded())]...)
			size = next
			if got := len(s.auditOn(i.Ledger, auditor)); got != size {
				t.Fatalf("%d entries, want %d", got, size)
			}
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
