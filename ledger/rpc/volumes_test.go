package rpc_test

import (
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

type dimension = ledgerv1.VolumeDimension

// sum adds up lines with no care for speed.
type sum struct {
	mass, pieces, composed *big.Int
	lines                  uint64
	transactions           map[*version]bool
	elements               map[string]*big.Int
}

func newSum() *sum {
	return &sum{mass: new(big.Int), pieces: new(big.Int), composed: new(big.Int), transactions: make(map[*version]bool), elements: make(map[string]*big.Int)}
}

func (s *sum) add(v *version, l *tracev1.TransactionLine) {
	mass := new(big.Int).SetUint64(l.GetNetMassGrams())
	s.mass.Add(s.mass, mass)
	s.pieces.Add(s.pieces, new(big.Int).SetUint64(l.GetPieceCount()))
	s.lines++
	s.transactions[v] = true
	if len(l.GetComposition()) > 0 {
		s.composed.Add(s.composed, mass)
	}
	for _, e := range l.GetComposition() {
		if s.elements[e.GetSymbol()] == nil {
			s.elements[e.GetSymbol()] = new(big.Int)
		}
		part := new(big.Int).Mul(mass, big.NewInt(int64(e.GetPpm())))
		s.elements[e.GetSymbol()].Add(s.elements[e.GetSymbol()], part)
	}
}

// totals are in the form of an answer. Elements come by atomic number; of those
// in these tests, Nd is before Dy.
func (s *sum) totals(transactions, elements bool) *ledgerv1.VolumeTotals {
	t := &ledgerv1.VolumeTotals{
		NetMassGrams: s.mass.String(), PieceCount: s.pieces.String(), LineCount: s.lines, MassWithCompositionGrams: s.composed.String(),
	}
	if transactions {
		n := uint64(len(s.transactions))
		t.TransactionCount = &n
	}
	for _, symbol := range []string{"Nd", "Dy"} {
		if elements && s.elements[symbol] != nil {
			t.Elements = append(t.Elements, &ledgerv1.ElementMass{Symbol: symbol, MassMicrograms: s.elements[symbol].String()})
		}
	}
	return t
}

// keyOf is the value of a dimension for a line.
func keyOf(d dimension, v *version, l *tracev1.TransactionLine) string {
	return map[dimension]string{
		1: v.seller, 2: v.customer, 3: v.tx.GetKind().String(),
		4: v.tx.GetTransactionDate(), 5: v.tx.GetTransactionDate()[:7], 6: v.tx.GetTransactionDate()[:4],
		7: l.GetProductFamily().String(), 8: l.GetHsCode(), 9: v.tx.GetDestinationCountry(), 10: v.tx.GetEndUse().String(),
	}[d]
}

// answer is what a question for volumes should be answered with, row by row.
type answer struct {
	keys [][]string
	rows []*sum
	all  *sum
}

// volumes answers a question by looking at every line of every live version.
func (h *history) volumes(id string, req *ledgerv1.QueryVolumesRequest) answer {
	f := clone(req.GetFilter())
	if len(f.GetKinds()) == 0 {
		f.Kinds = []tracev1.TransactionKind{1, 2, 5}
	}
	groups, all := make(map[string]*sum), newSum()
	for _, v := range h.versions {
		if v.next != nil || v.void != nil || !sees(id, v) || !matches(v, f, req.GetPeriod()) {
			continue
		}
		for _, l := range v.tx.GetLines() {
			if !lineMatches(l, f) {
				continue
			}
			var key []string
			for _, d := range req.GetGroupBy() {
				key = append(key, keyOf(d, v, l))
			}
			name := strings.Join(key, "\x00")
			if groups[name] == nil {
				groups[name] = newSum()
			}
			groups[name].add(v, l)
			all.add(v, l)
		}
	}
	a := answer{all: all}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		a.keys, a.rows = append(a.keys, strings.Split(name, "\x00")), append(a.rows, groups[name])
	}
	if req.GetOrderBy() == ledgerv1.VolumeOrder_VOLUME_ORDER_NET_MASS_DESCENDING {
		a.byMass()
	}
	return a
}

// byMass orders rows by mass; among equals the order stays.
func (a *answer) byMass() {
	order := make([]int, len(a.rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return a.rows[j].mass.Cmp(a.rows[i].mass) })
	keys, rows := a.keys, a.rows
	a.keys, a.rows = nil, nil
	for _, i := range order {
		a.keys, a.rows = append(a.keys, keys[i]), append(a.rows, rows[i])
	}
}

// randomQuestion asks for up to four dimensions, of which one is of time.
func randomQuestion(rng *rand.Rand) *ledgerv1.QueryVolumesRequest {
	req := &ledgerv1.QueryVolumesRequest{
		Filter: randomFilter(rng), Period: randomPeriod(rng), IncludeElements: rng.IntN(2) == 0,
		OrderBy: pick(rng, 0, ledgerv1.VolumeOrder_VOLUME_ORDER_KEYS, ledgerv1.VolumeOrder_VOLUME_ORDER_NET_MASS_DESCENDING),
		Limit:   pick(rng, 0, 0, uint32(1+rng.IntN(5))), Columns: rng.IntN(2) == 0,
	}
	timed := false
	for _, n := range rng.Perm(10)[:rng.IntN(5)] {
		d := dimension(n + 1)
		isTime := d >= ledgerv1.VolumeDimension_VOLUME_DIMENSION_DAY && d <= ledgerv1.VolumeDimension_VOLUME_DIMENSION_YEAR
		if !isTime || !timed {
			req.GroupBy = append(req.GroupBy, d)
		}
		timed = timed || isTime
	}
	return req
}

func TestQueryVolumes(t *testing.T) {
	w := newWorld(t)
	h := newHistory(w, 6, 80)
	note := w.checkpoint().Note
	for d := range dimension(11) {
		req := &ledgerv1.QueryVolumesRequest{Filter: new(ledgerv1.TransactionFilter), IncludeElements: true}
		if d > 0 {
			req.GroupBy = []dimension{d}
		}
		sameVolumes(t, h, w.peer("regulator"), req, note)
	}
	for range 80 {
		sameVolumes(t, h, w.peer(pick(h.rng, "regulator", "regulator", "acme", "bolt", "shop", "auditor")), randomQuestion(h.rng), note)
	}
}

// sameVolumes compares an answer with the naive one.
func sameVolumes(t *testing.T, h *history, p *peer, req *ledgerv1.QueryVolumesRequest, note []byte) {
	t.Helper()
	want := h.volumes(p.id, req)
	header, rows := p.volumes(req)
	filter := clone(req.GetFilter())
	if len(filter.GetKinds()) == 0 {
		filter.Kinds = []tracev1.TransactionKind{1, 2, 5}
	}
	counted := len(filter.GetProductFamilies()) == 0 && len(filter.GetHsCodes()) == 0 &&
		!slices.Contains(req.GetGroupBy(), ledgerv1.VolumeDimension_VOLUME_DIMENSION_PRODUCT_FAMILY) &&
		!slices.Contains(req.GetGroupBy(), ledgerv1.VolumeDimension_VOLUME_DIMENSION_HS_CODE)
	wantHeader := &ledgerv1.VolumeHeader{
		Checkpoint: note, Filter: filter, Period: req.GetPeriod(), ReportingUtcOffsetSeconds: 28_800,
		RowCount: uint64(len(want.rows)), Totals: want.all.totals(counted, req.GetIncludeElements()),
	}
	if diff := cmp.Diff(wantHeader, header, protocmp.Transform()); diff != "" {
		t.Fatalf("%s asks %v: header (-want +got):\n%s", p.id, req, diff)
	}
	if n := int(req.GetLimit()); n > 0 && n < len(want.rows) {
		want.rows = want.rows[:n]
	}
	var wantRows []*ledgerv1.VolumeRow
	for i, s := range want.rows {
		row := &ledgerv1.VolumeRow{Totals: s.totals(counted, req.GetIncludeElements())}
		for j := range req.GetGroupBy() {
			row.Keys = append(row.Keys, &ledgerv1.VolumeKey{Value: want.keys[i][j]})
		}
		wantRows = append(wantRows, row)
	}
	if diff := cmp.Diff(wantRows, rows, protocmp.Transform(), protocmp.IgnoreFields(&ledgerv1.VolumeKey{}, "display_name")); diff != "" {
		t.Fatalf("%s asks %v: rows (-want +got):\n%s", p.id, req, diff)
	}
}

// TestVolumesBeyond64Bits: totals do not overflow, and a void takes them all
// away again.
func TestVolumesBeyond64Bits(t *testing.T) {
	w := newWorld(t)
	large := w.signed(w.sale("acme", func(tx *tracev1.Transaction) {
		tx.Lines[0].NetMassGrams, tx.Lines[0].Composition = 1e12, []*tracev1.ElementFraction{{Symbol: "Nd", Ppm: 1e6}}
		tx.Lines = slices.Repeat(tx.GetLines(), 500)
	}))
	w.record(large, w.signed(w.sale("acme", on("2026-05-31"))))
	for _, period := range []*ledgerv1.Period{nil, {FirstDay: "2026-05-31", LastDay: "2026-06-01"}} {
		header, _ := w.peer("acme").volumes(&ledgerv1.QueryVolumesRequest{Period: period, IncludeElements: true})
		// 500 lines of 10^18 µg, and 295,000 ppm of the other sale.
		if got := header.GetTotals().GetElements()[0]; got.GetSymbol() != "Nd" || got.GetMassMicrograms() != "500000014240034975000" {
			t.Errorf("got %v", got)
		}
	}
	w.record(w.signed(w.void("acme", hashOf(large))))
	header, _ := w.peer("acme").volumes(&ledgerv1.QueryVolumesRequest{IncludeElements: true})
	if got := header.GetTotals(); got.GetElements()[0].GetMassMicrograms() != "14240034975000" || got.GetLineCount() != 1 || got.GetTransactionCount() != 1 {
		t.Errorf("after the void: %v", got)
	}
}

// TestNamesInVolumes: names are those that the caller may know.
func TestNamesInVolumes(t *testing.T) {
	w := newWorld(t)
	called := func(name string) func(*tracev1.Transaction) {
		return func(tx *tracev1.Transaction) { tx.Customer.Name.Latin = name }
	}
	w.record(
		w.signed(w.sale("acme", toIdentifier, called("as acme says"))), w.signed(w.sale("bolt", toIdentifier, called("as bolt says"))),
		w.signed(w.sale("acme", to("shop"), called("a nickname"))), w.signed(w.sale("acme")),
	)
	for peer, want := range map[string]map[string]string{
		"acme": {"gln:" + gln: "as acme says", "participant:shop": "shop", "own:acme/C-1": buyer},
		"bolt": {"gln:" + gln: "as bolt says"},
		"shop": {"participant:shop": "shop"},
	} {
		got := make(map[string]string)
		_, rows := w.peer(peer).volumes(&ledgerv1.QueryVolumesRequest{GroupBy: []dimension{2}})
		for _, row := range rows {
			got[row.GetKeys()[0].GetValue()] = row.GetKeys()[0].GetDisplayName()
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", peer, got, want)
		}
	}
}

func TestImpossibleQuestions(t *testing.T) {
	w := newWorld(t)
	p := w.peer("regulator")
	period := func(first, last string) *ledgerv1.QueryVolumesRequest {
		return &ledgerv1.QueryVolumesRequest{Period: &ledgerv1.Period{FirstDay: first, LastDay: last}}
	}
	for name, req := range map[string]*ledgerv1.QueryVolumesRequest{
		"day and month":       {GroupBy: []dimension{4, 5}},
		"month and year":      {GroupBy: []dimension{1, 5, 2, 6}},
		"a dimension twice":   {GroupBy: []dimension{1, 1}},
		"five dimensions":     {GroupBy: []dimension{1, 2, 3, 4, 7}},
		"no such dimension":   {GroupBy: []dimension{11}},
		"dimension 0":         {GroupBy: []dimension{0}},
		"no such order":       {OrderBy: 9},
		"kind 0":              {Filter: &ledgerv1.TransactionFilter{Kinds: []tracev1.TransactionKind{0}}},
		"hs code":             {Filter: &ledgerv1.TransactionFilter{HsCodes: []string{"8505"}}},
		"period backwards":    period("2026-02-01", "2026-01-31"),
		"no such day":         period("2026-02-29", "2026-03-01"),
		"a month as a period": period("2026-02", "2026-03"),
		"half a period":       period("2026-02-01", ""),
		"before all years":    period("1899-12-31", "2026-03-01"),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := p.QueryVolumes(p.ctx, req)
			codeIs(t, receiving(s, err, func(m *ledgerv1.QueryVolumesResponse) { t.Errorf("got %v", m) }), codes.InvalidArgument)
			if req.GetPeriod() != nil {
				_, err = p.ListStatements(p.ctx, &ledgerv1.ListStatementsRequest{Period: req.GetPeriod()})
				codeIs(t, err, codes.InvalidArgument)
			}
		})
	}
}

// TestManyRows: an answer goes over many messages, however large its rows are,
// and loses nothing.
func TestManyRows(t *testing.T) {
	w := newWorld(t)
	var everything []*tracev1.ElementFraction
	for n := 1; n <= 118; n++ {
		everything = append(everything, &tracev1.ElementFraction{Symbol: custody.ElementSymbol(n), Ppm: 8000})
	}
	var sts []*tracev1.Statement
	for n := range 420 {
		sts = append(sts, w.sale("acme", on(day(-n)), func(tx *tracev1.Transaction) {
			tx.Lines[0].NetMassGrams, tx.Lines[0].Composition = 1e12, everything
		}))
	}
	w.recordAll("acme", sts)
	_, rows := w.peer("acme").volumes(&ledgerv1.QueryVolumesRequest{GroupBy: []dimension{4}, IncludeElements: true})
	if len(rows) != 420 || rows[0].GetKeys()[0].GetValue() != day(-419) || rows[419].GetKeys()[0].GetValue() != day(0) {
		t.Fatalf("%d rows", len(rows))
	}
}
