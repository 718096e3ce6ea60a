package custody_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// listing returns what ListVersions ought to visit.
func (r *reading) listing(scope custody.Scope, f *custody.Filter, fates []custody.Fate, size uint64) []custody.Version {
	var list []*version
	for _, v := range r.versions {
		fate, _ := r.fate(v, size)
		lines := slices.ContainsFunc(v.tx.GetLines(), func(line *tracev1.TransactionLine) bool { return lineWithin(f, line) })
		if v.index < size && v.within(scope, f) && lines && among(fates, fate) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b *version) int {
		return cmp.Or(cmp.Compare(a.seller, b.seller), cmp.Compare(a.customer, b.customer), cmp.Compare(a.day(), b.day()),
			cmp.Compare(a.index, b.index))
	})
	var out []custody.Version
	for _, v := range list {
		fate, latest := r.fate(v, size)
		out = append(out, custody.Version{Index: v.index, Seller: v.seller, Customer: v.customer, Fate: fate, Latest: latest})
	}
	return out
}

// page returns at most n versions after a cursor, and the cursor of the last.
func (j *journal) page(scope custody.Scope, f custody.Filter, fates []custody.Fate, size uint64, from custody.Cursor, n int) ([]custody.Version, custody.Cursor) {
	j.t.Helper()
	var got []custody.Version
	err := custody.ListVersions(j, scope, f, fates, size, from, func(v *custody.Version, cursor custody.Cursor) bool {
		if len(got) == n {
			return false
		}
		got, from = append(got, *v), cursor
		return true
	})
	if err != nil {
		j.t.Fatal(err)
	}
	return got, from
}

// TestListVersions lists random markets with random filters, as of older sizes,
// at once and page by page.
func TestListVersions(t *testing.T) {
	for seed := range uint64(2) {
		m := newMarket(t, 100+seed)
		for range 300 {
			m.step()
		}
		r := read(t, m.j)
		for n := range 60 {
			scope, f, size := m.scope(), m.filter(), 3+m.random.Uint64N(m.j.size()-2)
			if n%4 == 0 {
				f, size = custody.NewFilter(), m.j.size()
			}
			var fates []custody.Fate
			narrow(m.random, &fates, custody.Live, custody.Amended, custody.Voided)
			want := r.listing(scope, &f, fates, size)
			what := fmt.Sprintf("scope %+v, filter %+v, fates %v, size %d", scope, f, fates, size)
			all, _ := m.j.page(scope, f, fates, size, nil, 1<<20)
			if diff := gocmp.Diff(want, all); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", what, diff)
			}
			var paged []custody.Version
			for at := (custody.Cursor)(nil); ; {
				var got []custody.Version
				if got, at = m.j.page(scope, f, fates, size, at, 1+m.random.IntN(90)); len(got) == 0 {
					break
				}
				paged = append(paged, got...)
			}
			if diff := gocmp.Diff(want, paged); diff != "" {
				t.Fatalf("pages of %s (-want +got):\n%s", what, diff)
			}
		}
	}
}

// TestListManyVersions lists more versions of one customer than are read at
// once, of which few are asked for.
func TestListManyVersions(t *testing.T) {
	j := newJournal(t, "acme")
	for n := range 600 {
		j.record(j.sale("acme", func(tx *tracev1.Transaction) {
			tx.TransactionDate = fmt.Sprintf("2026-05-%02d", 1+n%3)
			tx.EndUse = tracev1.EndUse(1 + n%2)
		}))
	}
	r := read(t, j)
	for _, change := range []func(*custody.Filter){
		func(*custody.Filter) {},
		func(f *custody.Filter) { f.EndUses = []tracev1.EndUse{2} },
		func(f *custody.Filter) { f.EndUses = []tracev1.EndUse{3} },
		func(f *custody.Filter) { f.FirstDay, _ = custody.ParseDay("2026-05-03") },
	} {
		f := custody.NewFilter()
		change(&f)
		want := r.listing(everyone, &f, nil, j.size())
		got, _ := j.page(everyone, f, nil, j.size(), nil, 1<<20)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("filter %+v (-want +got):\n%s", f, diff)
		}
	}
}

// TestListReadsAPage counts the statements that a page costs.
func TestListReadsAPage(t *testing.T) {
	j := newJournal(t, "acme", "zeta")
	for range 400 {
		j.record(j.sale("acme", nil))
		j.record(j.sale("zeta", nil))
	}
	j.payloads = nil
	if got, _ := j.page(everyone, custody.NewFilter(), nil, j.size(), nil, 10); len(got) != 10 {
		t.Errorf("%d versions", len(got))
	}
	if len(j.payloads) > 11 {
		t.Errorf("%d statements were read for a page of 10", len(j.payloads))
	}
}
