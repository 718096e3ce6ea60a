package custody_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
)

// readable returns the versions that lie within a scope, and those that
// superseded them: to say which is the latest, the chain is followed wherever it
// leads.
func (r *reading) readable(scope custody.Scope) map[uint64]*version {
	versions := make(map[uint64]*version)
	for _, v := range r.versions {
		versions[v.index] = v
	}
	within := make(map[uint64]*version)
	for _, v := range r.versions {
		if !scope.Includes(v.seller, v.customer) {
			continue
		}
		for at := v; at != nil; at = versions[*at.by] {
			if within[at.index] = at; at.by == nil {
				break
			}
		}
	}
	return within
}

// outside returns the reads that a question within a scope has no need of: keys
// of pairs, and statements, that lie outside it.
func outside(j *journal, r *reading, scope custody.Scope) []string {
	readable := r.readable(scope)
	var out []string
	for _, key := range j.reads {
		names := strings.SplitN(key[1:], "\x00", 3)
		within := false
		switch key[0] {
		case 'd', 't', 'v': // seller, customer
			within = slices.Contains(scope.Sellers, names[0]) || scope.Customer != "" && len(names) > 1 && names[1] == scope.Customer
		case 'c': // customer, seller
			within = scope.Customer != "" && names[0] == scope.Customer
		case 'i': // which participant holds an identifier, all participants know
			within = true
		}
		if !within && key[0] == 't' && len(key) > 8 {
			within = readable[binary.BigEndian.Uint64([]byte(key[len(key)-8:]))] != nil
		}
		if !within {
			out = append(out, key)
		}
	}
	for _, index := range j.payloads {
		if readable[index] == nil {
			out = append(out, fmt.Sprint("statement ", index))
		}
	}
	return out
}

// TestScopes asks within scopes, and looks at what is read: nothing that lies
// outside.
func TestScopes(t *testing.T) {
	m := newMarket(t, 11)
	for range 400 {
		m.step()
	}
	r := read(t, m.j)
	for _, scope := range []custody.Scope{
		{},
		{Sellers: []string{"acme"}},
		{Sellers: []string{"zeta", "acme-2"}},
		{Sellers: []string{"nobody"}},
		{Customer: "participant:buyer"},
		{Customer: "own:acme/C-1"},
		{Customer: "own:acme/C"},
		{Sellers: []string{"acme"}, Customer: "participant:buyer"},
	} {
		for range 20 {
			f, by := m.filter(), m.dimensions()
			m.j.reads, m.j.payloads = nil, nil
			wantVolumes(t, m.j, r, scope, f, by...)
			m.j.page(scope, f, nil, m.j.size(), nil, 1<<20)
			if _, err := custody.CustomerName(m.j, scope, "own:acme-2/C-1"); err != nil {
				t.Fatal(err)
			}
			m.j.reads = slices.DeleteFunc(m.j.reads, func(key string) bool {
				// The name of a customer is asked of the sellers of the scope.
				return strings.HasPrefix(key, "d") && strings.HasSuffix(key, "\x00own:acme-2/C-1\x00") &&
					slices.Contains(scope.Sellers, strings.SplitN(key[1:], "\x00", 2)[0])
			})
			if got := outside(m.j, r, scope); len(got) > 0 {
				t.Fatalf("scope %+v, filter %+v: read %q", scope, f, got)
			}
		}
	}
}

func TestIncludes(t *testing.T) {
	for _, test := range []struct {
		scope            custody.Scope
		seller, customer string
		want             bool
	}{
		{custody.Scope{}, "acme", "own:acme/1", false},
		{custody.Scope{}, "", "", false},
		{everyone, "acme", "own:acme/1", true},
		{custody.Scope{Sellers: []string{"acme"}}, "acme", "own:acme/1", true},
		{custody.Scope{Sellers: []string{"acme"}}, "acme-2", "own:acme/1", false},
		{custody.Scope{Customer: "participant:b"}, "acme", "participant:b", true},
		{custody.Scope{Customer: "participant:b"}, "acme", "participant:c", false},
	} {
		if got := test.scope.Includes(test.seller, test.customer); got != test.want {
			t.Errorf("%+v includes %s, %s: %t", test.scope, test.seller, test.customer, got)
		}
	}
}
