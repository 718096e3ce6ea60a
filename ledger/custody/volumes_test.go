package custody_test

import (
	"errors"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

var everyone = custody.Scope{All: true}

// TestVolumes asks random questions about random markets, and compares the
// answers with sums line by line.
func TestVolumes(t *testing.T) {
	for seed := range uint64(2) {
		m := newMarket(t, seed)
		for range 4 {
			for range 60 {
				m.step()
			}
			r := read(t, m.j)
			for range 50 {
				wantVolumes(t, m.j, r, m.scope(), m.filter(), m.dimensions()...)
			}
			for d := custody.BySeller; d <= custody.ByEndUse; d++ {
				wantVolumes(t, m.j, r, everyone, custody.NewFilter(), d)
			}
		}
	}
}

// TestVolumesOfDays asks for every span of days around the ends of months.
func TestVolumesOfDays(t *testing.T) {
	m := newMarket(t, 7)
	for range 150 {
		m.step()
	}
	r := read(t, m.j)
	var days []custody.Day
	for _, date := range []string{"2024-12-30", "2024-12-31", "2025-01-01", "2025-01-02", "2025-01-31", "2025-02-01", "2025-02-27",
		"2025-02-28", "2025-03-01", "1969-12-31", "1970-01-01"} {
		day, ok := custody.ParseDay(date)
		if !ok {
			t.Fatal(date)
		}
		days = append(days, day)
	}
	for _, first := range days {
		for _, last := range days {
			f := custody.NewFilter()
			f.FirstDay, f.LastDay = first, last
			wantVolumes(t, m.j, r, everyone, f, custody.ByMonth)
			wantVolumes(t, m.j, r, everyone, f)
		}
	}
}

// TestVolumesAreExact adds the largest lines up, beyond 64 bits.
func TestVolumesAreExact(t *testing.T) {
	j := newJournal(t, "acme")
	for range 3 {
		j.record(j.sale("acme", func(tx *tracev1.Transaction) {
			line := tx.Lines[0]
			line.NetMassGrams, line.PieceCount = 1_000_000_000_000, 1_000_000_000_000
			line.Composition = []*tracev1.ElementFraction{{Symbol: "Nd", Ppm: 1_000_000}}
			for len(tx.Lines) < 1000 {
				tx.Lines = append(tx.Lines, line)
			}
		}))
	}
	got, err := custody.QueryVolumes(j, everyone, custody.NewFilter(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := got.Totals
	if f.NetMassGrams.String() != "3000000000000000" || f.Elements[0].Micrograms.String() != "3000000000000000000000" ||
		f.LineCount != 3000 || f.TransactionCount != 3 {
		t.Errorf("totals %+v", f)
	}
	wantVolumes(t, j, read(t, j), everyone, custody.NewFilter(), custody.ByHSCode)
	j.record(j.void("acme", j.last()))
	wantVolumes(t, j, read(t, j), everyone, custody.NewFilter(), custody.ByHSCode)
}

// TestNoVolumes asks where nothing is.
func TestNoVolumes(t *testing.T) {
	j := newJournal(t, "acme")
	empty := func() {
		t.Helper()
		for _, scope := range []custody.Scope{everyone, {Sellers: []string{"acme"}}, {Customer: "own:acme/C-1"}} {
			got, err := custody.QueryVolumes(j, scope, custody.NewFilter(), []custody.Dimension{custody.ByMonth})
			if err != nil || len(got.Rows) != 0 || got.Totals.LineCount != 0 || !got.Totals.NetMassGrams.IsZero() {
				t.Errorf("%+v, %v", got, err)
			}
		}
	}
	empty()
	j.record(j.sale("acme", nil))
	j.record(j.void("acme", j.last()))
	empty()
	j.record(j.sale("acme", nil))
	got, err := custody.QueryVolumes(j, custody.Scope{}, custody.NewFilter(), nil)
	if err != nil || len(got.Rows) != 0 {
		t.Errorf("no scope: %+v, %v", got, err)
	}
}

// TestCustomerNames asks for the names of customers within scopes.
func TestCustomerNames(t *testing.T) {
	j := newJournal(t, "acme", "zeta")
	j.record(j.admission("buyer"))
	named := func(seller, native, latin string) *tracev1.Envelope {
		return j.sale(seller, func(tx *tracev1.Transaction) {
			tx.Customer.Identifiers = []*tracev1.Identifier{identifier(lei, issuedLEIs[0])}
			tx.Customer.Name = &tracev1.LegalName{Native: native, Latin: latin}
		})
	}
	j.record(named("acme", "旧", "Old"), named("acme", "新", ""), named("zeta", "z", "Zed"))
	key := "lei:" + issuedLEIs[0]
	for _, test := range []struct {
		customer string
		scope    custody.Scope
		want     string
	}{
		{key, custody.Scope{Sellers: []string{"acme"}}, "新"},
		{key, custody.Scope{Sellers: []string{"zeta"}}, "Zed"},
		{key, everyone, "新"},
		{key, custody.Scope{Customer: key}, ""},
		{key, custody.Scope{}, ""},
		{"participant:buyer", custody.Scope{}, "BUYER"},
		{"participant:nobody", everyone, ""},
		{"own:acme/C-1", everyone, ""},
	} {
		got, err := custody.CustomerName(j, test.scope, test.customer)
		if err != nil || got != test.want {
			t.Errorf("%s within %+v: %q, %v, want %q", test.customer, test.scope, got, err, test.want)
		}
	}
}

// TestVolumesErrors asks where cells, or statements, are not what they were.
func TestVolumesErrors(t *testing.T) {
	j := newJournal(t, "acme")
	j.record(j.sale("acme", nil))
	j.Put([]byte("vacme\x00own:acme/C-1\x00\x80\x00\x5e\xf5"), []byte{0}) // a key that is cut off
	ask := func(by custody.Dimension) error {
		_, err := custody.QueryVolumes(j, everyone, custody.NewFilter(), []custody.Dimension{by})
		return err
	}
	if err := ask(custody.ByMonth); !errors.Is(err, custody.ErrState) {
		t.Errorf("by month: %v", err)
	}
	if err := ask(custody.ByDay); err != nil {
		t.Errorf("by day, which takes no cells: %v", err)
	}
	sold := j.statements[j.size()-1]
	for _, other := range []*tracev1.Envelope{j.made.Genesis, {Payload: []byte{1}}} {
		j.statements[j.size()-1] = other
		if err := ask(custody.ByDay); !errors.Is(err, custody.ErrState) {
			t.Errorf("another statement: %v", err)
		}
	}
	j.statements[j.size()-1] = sold
	j.statements = j.statements[:j.size()-1]
	if err := ask(custody.ByDay); err == nil {
		t.Error("no statement: nil")
	}
}
