package custody_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReplay judges the statements of a market again, and arrives at the same
// state, key by key: once as they stand, and once with what is refused, or
// submitted again, in between.
func TestReplay(t *testing.T) {
	m := newMarket(t, 21)
	for range 250 {
		m.step()
	}
	for _, disturbed := range []bool{false, true} {
		j := newJournal(t)
		for n, env := range m.j.statements[1:] {
			j.record(env)
			if disturbed && n%3 == 0 && n > 20 {
				if err := j.admit(m.j.statements[n/2]); err == nil {
					t.Fatal("recorded twice")
				}
				j.refused(j.sale("nobody", nil), keyUnknown)
				j.refused(j.by("acme", m.j.made.TransactionStatement("acme", 0)), outOfRange)
			}
		}
		if diff := cmp.Diff(m.j.values, j.values); diff != "" {
			t.Errorf("replay, disturbed %t (-first +second):\n%s", disturbed, diff)
		}
	}
}
