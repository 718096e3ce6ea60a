package custody_test

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// version is a transaction or its amendment, as the log alone tells it.
type version struct {
	index            uint64
	seller, customer string
	tx               *tracev1.Transaction
	by               *uint64 // the statement that superseded it
}

// reading is what a log says when it is read from its beginning to its end, in
// the plainest way.
type reading struct {
	versions []*version
	voids    map[uint64]bool // indexes of voids
}

func read(t testing.TB, j *journal) *reading {
	t.Helper()
	r := &reading{voids: make(map[uint64]bool)}
	holders, byHash := make(map[string]string), make(map[string]*version)
	for n, env := range j.statements {
		p, err := verify.ParsePayload(env.GetPayload())
		if err != nil {
			t.Fatal(err)
		}
		st, index := p.Statement, uint64(n)
		tx, target := st.GetTransaction(), []byte(nil)
		switch {
		case st.GetAmendment() != nil:
			tx, target = st.GetAmendment().GetReplacement(), st.GetAmendment().GetTarget()
		case st.GetVoid() != nil:
			target = st.GetVoid().GetTarget()
			r.voids[index] = true
		}
		if target != nil {
			byHash[string(target)].by = &index
		}
		if tx != nil {
			v := &version{index: index, seller: st.GetSigner(), customer: customerOf(st.GetSigner(), tx.GetCustomer(), holders), tx: tx}
			r.versions = append(r.versions, v)
			byHash[string(j.hashes[n][:])] = v
		}
		for _, id := range st.GetParticipantAdmitted().GetIdentifiers() {
			holders[id.String()] = st.GetParticipantAdmitted().GetParticipantId()
		}
	}
	return r
}

// customerOf is the key of a customer, by who holds which identifier.
func customerOf(seller string, c *tracev1.Party, holders map[string]string) string {
	if c.GetParticipantId() != "" {
		return "participant:" + c.GetParticipantId()
	}
	ids := slices.Clone(c.GetIdentifiers())
	order := []tracev1.IdentifierScheme{lei, uscc, eori, gln, vat}
	slices.SortFunc(ids, func(a, b *tracev1.Identifier) int {
		return cmp.Compare(slices.Index(order, a.GetScheme()), slices.Index(order, b.GetScheme()))
	})
	switch {
	case len(ids) == 0:
		return fmt.Sprintf("own:%s/%s", seller, c.GetOwnCode())
	case holders[ids[0].String()] != "":
		return "participant:" + holders[ids[0].String()]
	}
	name := map[tracev1.IdentifierScheme]string{lei: "lei", uscc: "uscc", eori: "eori", gln: "gln", vat: "vat"}
	return name[ids[0].GetScheme()] + ":" + ids[0].GetValue()
}

// superseded tells by what a version is superseded as of a size, if at all.
func (v *version) superseded(size uint64) (by uint64, ok bool) {
	if v.by == nil || *v.by >= size {
		return 0, false
	}
	return *v.by, true
}

// fate tells what became of a version as of a size, and where that ends.
func (r *reading) fate(v *version, size uint64) (fate custody.Fate, latest uint64) {
	by, ok := v.superseded(size)
	if !ok {
		return custody.Live, v.index
	}
	if r.voids[by] {
		return custody.Voided, by
	}
	n := slices.IndexFunc(r.versions, func(v *version) bool { return v.index == by })
	_, latest = r.fate(r.versions[n], size)
	return custody.Amended, latest
}

// day returns the date of a version.
func (v *version) day() custody.Day {
	day, _ := custody.ParseDay(v.tx.GetTransactionDate())
	return day
}

func (v *version) within(scope custody.Scope, f *custody.Filter) bool {
	return (scope.All || slices.Contains(scope.Sellers, v.seller) || scope.Customer == v.customer) &&
		among(f.Sellers, v.seller) && among(f.Customers, v.customer) && among(f.Kinds, v.tx.GetKind()) &&
		among(f.EndUses, v.tx.GetEndUse()) && among(f.DestinationCountries, v.tx.GetDestinationCountry()) &&
		v.day() >= f.FirstDay && v.day() <= f.LastDay
}

func among[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

func lineWithin(f *custody.Filter, line *tracev1.TransactionLine) bool {
	return among(f.ProductFamilies, line.GetProductFamily()) && among(f.HSCodes, line.GetHsCode())
}

// value returns what a line of a version has in a dimension.
func (v *version) value(d custody.Dimension, line *tracev1.TransactionLine) string {
	return map[custody.Dimension]string{
		custody.BySeller:             v.seller,
		custody.ByCustomer:           v.customer,
		custody.ByKind:               v.tx.GetKind().String(),
		custody.ByDay:                v.tx.GetTransactionDate(),
		custody.ByMonth:              v.tx.GetTransactionDate()[:7],
		custody.ByYear:               v.tx.GetTransactionDate()[:4],
		custody.ByProductFamily:      line.GetProductFamily().String(),
		custody.ByHSCode:             line.GetHsCode(),
		custody.ByDestinationCountry: v.tx.GetDestinationCountry(),
		custody.ByEndUse:             v.tx.GetEndUse().String(),
	}[d]
}

// volume is a row of volumes in big numbers.
type volume struct {
	Mass, Pieces, WithComposition big.Int
	Lines, Transactions           uint64
	Elements                      map[string]*big.Int
}

// volumes adds up, line by line, the versions that are live.
func (r *reading) volumes(scope custody.Scope, f *custody.Filter, by []custody.Dimension) map[string]*volume {
	rows := make(map[string]*volume)
	for _, v := range r.versions {
		if v.by != nil || !v.within(scope, f) {
			continue
		}
		counted := make(map[string]bool)
		for _, line := range v.tx.GetLines() {
			if !lineWithin(f, line) {
				continue
			}
			var keys []string
			for _, d := range by {
				keys = append(keys, v.value(d, line))
			}
			name := strings.Join(keys, "|")
			if rows[name] == nil {
				rows[name] = &volume{Elements: make(map[string]*big.Int)}
			}
			rows[name].add(line)
			if !counted[name] {
				counted[name] = true
				rows[name].Transactions++
			}
		}
	}
	return rows
}

func (w *volume) add(line *tracev1.TransactionLine) {
	mass := new(big.Int).SetUint64(line.GetNetMassGrams())
	w.Mass.Add(&w.Mass, mass)
	w.Pieces.Add(&w.Pieces, new(big.Int).SetUint64(line.GetPieceCount()))
	w.Lines++
	if len(line.GetComposition()) > 0 {
		w.WithComposition.Add(&w.WithComposition, mass)
	}
	for _, e := range line.GetComposition() {
		if w.Elements[e.GetSymbol()] == nil {
			w.Elements[e.GetSymbol()] = new(big.Int)
		}
		micrograms := new(big.Int).Mul(mass, big.NewInt(int64(e.GetPpm())))
		w.Elements[e.GetSymbol()].Add(w.Elements[e.GetSymbol()], micrograms)
	}
}

// text returns all of a volume; the number of transactions only where it counts.
func (w *volume) text(transactions bool) string {
	var elements []string
	for symbol, mass := range w.Elements {
		elements = append(elements, symbol+"="+mass.String())
	}
	return rowText(w.Mass.String(), w.Pieces.String(), w.WithComposition.String(), w.Lines, w.Transactions, transactions, elements)
}

func figuresText(f *custody.Figures, transactions bool) string {
	var elements []string
	for _, e := range f.Elements {
		if !e.Micrograms.IsZero() {
			elements = append(elements, custody.ElementSymbol(e.Number)+"="+e.Micrograms.String())
		}
	}
	return rowText(f.NetMassGrams.String(), f.PieceCount.String(), f.MassWithCompositionGrams.String(), f.LineCount, f.TransactionCount, transactions, elements)
}

func rowText(mass, pieces, with string, lines, count uint64, transactions bool, elements []string) string {
	if !transactions {
		count = 0
	}
	slices.Sort(elements)
	return fmt.Sprintf("%s g, %s pieces, %s g with %v, %d lines, %d transactions", mass, pieces, with, elements, lines, count)
}

// wantVolumes compares an answer with what the log says.
func wantVolumes(t testing.TB, j *journal, r *reading, scope custody.Scope, f custody.Filter, by ...custody.Dimension) {
	t.Helper()
	got, err := custody.QueryVolumes(j, scope, f, by)
	if err != nil {
		t.Fatal(err)
	}
	apart := slices.Contains(by, custody.ByHSCode) || slices.Contains(by, custody.ByProductFamily) ||
		len(f.HSCodes) > 0 || len(f.ProductFamilies) > 0
	if got.CountsTransactions == apart {
		t.Errorf("counts transactions: %t, by %v, %+v", got.CountsTransactions, by, f)
	}
	rows := make(map[string]string)
	for n, row := range got.Rows {
		rows[strings.Join(row.Keys, "|")] = figuresText(&row.Figures, !apart)
		if n > 0 && slices.Compare(got.Rows[n-1].Keys, row.Keys) >= 0 {
			t.Errorf("row %v after %v", row.Keys, got.Rows[n-1].Keys)
		}
	}
	want := make(map[string]string)
	for name, w := range r.volumes(scope, &f, by) {
		want[name] = w.text(!apart)
	}
	if diff := gocmp.Diff(want, rows); diff != "" {
		t.Fatalf("volumes by %v, scope %+v, filter %+v (-want +got):\n%s", by, scope, f, diff)
	}
	total := &volume{}
	for _, w := range r.volumes(scope, &f, nil) {
		total = w
	}
	if diff := gocmp.Diff(total.text(!apart), figuresText(&got.Totals, !apart)); diff != "" {
		t.Fatalf("totals by %v, scope %+v, filter %+v (-want +got):\n%s", by, scope, f, diff)
	}
}
