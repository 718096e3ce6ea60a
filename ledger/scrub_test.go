package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// scrub makes a whole pass, and returns its steps.
func scrub(l *ledger.Ledger) (steps int, bytes int64, err error) {
	for place := (ledger.ScrubPlace{}); ; {
		next, n, done, err := l.Scrub(context.Background(), place)
		steps, bytes = steps+1, bytes+n
		if err != nil && next != place {
			return steps, bytes, fmt.Errorf("it went on from %+v to %+v after: %w", place, next, err)
		}
		if done || err != nil {
			return steps, bytes, err
		}
		place = next
	}
}

// scrubbed is a ledger of which much is stored: full tiles of two levels, runs with
// more than a page, checkpoints.
func scrubbed(t *testing.T) (*site, *ledger.Ledger) {
	s := newSite(t, "acme")
	s.limits = ledger.Limits{StateRows: 400, CommitStatements: 64}
	i := s.start()
	i.record(transactions(s.made, "acme", 1500)...)
	i.Rest()
	i.close()
	return s, s.mustOpen()
}

func TestScrubSound(t *testing.T) {
	s, l := scrubbed(t)
	steps, bytes, err := scrub(l)
	if err != nil || steps < 5 || bytes < 1<<20 {
		t.Errorf("%d steps over %d bytes: %v", steps, bytes, err)
	}
	l.Close()

	// From any place, also one of a ledger that was larger.
	i := s.start()
	defer i.close()
	for _, part := range []ledger.ScrubPart{ledger.ScrubLog, ledger.ScrubCheckpoints, ledger.ScrubValues, ledger.ScrubFigures} {
		place := ledger.ScrubPlace{Part: part, Next: 1 << 40}
		place.State.Run = 1 << 40
		if _, _, _, err := i.Scrub(t.Context(), place); err != nil {
			t.Errorf("from %+v: %v", place, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, part := range []ledger.ScrubPart{ledger.ScrubLog, ledger.ScrubValues} {
		if _, _, _, err := i.Scrub(ended, ledger.ScrubPlace{Part: part}); !errors.Is(err, context.Canceled) {
			t.Errorf("after its context ended: %v", err)
		}
	}
}

// TestScrubFindsDamage damages each value of the store, one after the other, in one
// bit and by taking it away: a pass finds it, and the ledger serves on.
func TestScrubFindsDamage(t *testing.T) {
	s, l := scrubbed(t)
	defer func() { l.Close() }()
	all := readStore(t, s.store)
	for kind, keys := range all.keys {
		for n, key := range keys {
			if step := max(1, len(keys)/12); n%step != 0 && n != len(keys)-1 {
				continue // of each kind a dozen
			}
			value := all.values[kind][n]
			for name, change := range map[string]func([]byte) []byte{"flipped": flip(len(value) / 2), "removed": remove} {
				if kind == 'c' && name == "removed" {
					continue // nothing says which checkpoints there are
				}
				s.memory().Corrupt(key, change)
				if err := l.Refresh(); err != nil {
					t.Fatal(err)
				}
				if _, _, err := scrub(l); !errors.Is(err, ledger.ErrDamaged) {
					t.Errorf("%q %x %s: %v", kind, key, name, err)
				}
				s.memory().Corrupt(key, replace(value))
			}
		}
	}
	if err := l.Refresh(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := scrub(l); err != nil {
		t.Errorf("restored: %v", err)
	}
}

// TestScrubWhileRecording goes on from step to step while the log grows and runs
// are merged: nothing that is sound is found damaged.
func TestScrubWhileRecording(t *testing.T) {
	s := newSite(t, "acme")
	s.limits = ledger.Limits{StateRows: 50, CommitStatements: 16}
	envs := transactions(s.made, "acme", 2000)
	i := s.start()
	defer i.close()
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		for n := 0; n < len(envs); n += 20 {
			i.record(envs[n : n+20]...)
		}
	}()
	place, passes := ledger.ScrubPlace{}, 0
	for running := true; running || passes < 2; {
		select {
		case <-recorded:
			running = false
		default:
		}
		next, _, done, err := i.Scrub(t.Context(), place)
		if err != nil {
			t.Fatalf("from %+v: %v", place, err)
		}
		if place = next; done {
			passes++
		}
	}
}
