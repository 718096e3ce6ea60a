package rpc_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// version is a transaction or an amendment on record, as a test remembers it.
type version struct {
	st               *tracev1.Statement
	tx               *tracev1.Transaction
	env              *tracev1.Envelope
	entry            verify.Entry
	seller, customer string // the customer by its key
	next             *version
	void             *version // holds the void only
}

// stateAt returns what became of a version by a size of the log, and the index
// of the latest version then.
func (v *version) stateAt(size uint64) (state ledgerv1.StatementState, latest *version) {
	recorded := func(x *version) bool { return x != nil && x.entry.Index < size }
	for latest = v; recorded(latest.next); latest = latest.next {
	}
	switch {
	case recorded(v.next):
		state = ledgerv1.StatementState_STATEMENT_STATE_AMENDED
	case recorded(v.void):
		state = ledgerv1.StatementState_STATEMENT_STATE_VOIDED
	default:
		state = ledgerv1.StatementState_STATEMENT_STATE_LIVE
	}
	if recorded(latest.void) {
		latest = latest.void
	}
	return state, latest
}

// history is a random past of two sellers.
type history struct {
	w        *world
	rng      *rand.Rand
	versions []*version
	bound    bool // the identifier was bound to a participant
}

// newHistory records n statements of each seller, some of which amend or
// withdraw what went before. Half-way the identifier is bound.
func newHistory(w *world, seed uint64, n int) *history {
	w.t.Helper()
	h := &history{w: w, rng: rand.New(rand.NewPCG(seed, seed))}
	const atOnce = 20
	for done := 0; done < n; done += atOnce {
		if done >= n/2 && !h.bound {
			h.bound = true
			holder := w.admission("holder", tracev1.Role_ROLE_CUSTOMER)
			holder.GetParticipantAdmitted().Identifiers = []*tracev1.Identifier{identifier()}
			w.record(w.signed(holder))
		}
		for _, seller := range []string{"acme", "bolt"} {
			h.record(seller, atOnce)
		}
	}
	return h
}

// record makes statements of a seller, signs them as one batch and sends them in
// one message.
func (h *history) record(seller string, n int) {
	h.w.t.Helper()
	var made []*version
	var sts []*tracev1.Statement
	for range n {
		v := h.next(seller, made)
		made, sts = append(made, v), append(sts, v.st)
	}
	p := h.w.peer(seller)
	s := p.stream()
	envs := h.w.SignBatch(verifytest.Key(seller), sts...)
	send(h.w.t, s, 0, envs...)
	for i, o := range outcomes(h.w.t, s, n) {
		made[i].env, made[i].entry = envs[i], h.w.prove(envs[i], o.receipt())
	}
	finish(h.w.t, s)
	for _, v := range made {
		if v.tx != nil {
			h.versions = append(h.versions, v)
		}
	}
}

// next returns a new transaction, or a change of a live version on record that
// none of made changes.
func (h *history) next(seller string, made []*version) *version {
	old := h.live(seller)
	change := h.rng.IntN(10)
	if change < 7 || old == nil {
		st := h.w.sale(seller, h.randomize)
		return &version{st: st, tx: st.GetTransaction(), seller: seller, customer: h.customerKey(seller, st.GetTransaction())}
	}
	if change == 9 {
		old.void = &version{st: h.w.void(seller, hashOf(old.env)), seller: seller}
		return old.void
	}
	st := h.w.amendment(seller, hashOf(old.env), h.randomize)
	tx := st.GetAmendment().GetReplacement()
	old.next = &version{st: st, tx: tx, seller: seller, customer: h.customerKey(seller, tx)}
	return old.next
}

// live returns a random live version of a seller, or nil.
func (h *history) live(seller string) *version {
	var live []*version
	for _, v := range h.versions {
		if v.seller == seller && v.next == nil && v.void == nil {
			live = append(live, v)
		}
	}
	if len(live) == 0 {
		return nil
	}
	return live[h.rng.IntN(len(live))]
}

// firstDay is when transactions of histories begin; they span 120 days.
var firstDay = time.Date(2025, time.November, 10, 0, 0, 0, 0, time.UTC)

func day(n int) string { return firstDay.AddDate(0, 0, n).Format(time.DateOnly) }

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// randomize changes everything that a filter or dimension looks at.
func (h *history) randomize(tx *tracev1.Transaction) {
	rng := h.rng
	tx.Kind = tracev1.TransactionKind(1 + rng.IntN(5))
	tx.TransactionDate = day(rng.IntN(120))
	tx.EndUse = pick(rng, tracev1.EndUse_END_USE_UNSPECIFIED, tracev1.EndUse_END_USE_TRACTION, tracev1.EndUse_END_USE_OTHER)
	tx.DestinationCountry = pick(rng, "DE", "ZZ")
	if tx.GetKind() != tracev1.TransactionKind_TRANSACTION_KIND_EXPORT && rng.IntN(2) == 0 {
		tx.DestinationCountry = ""
	}
	switch rng.IntN(5) {
	case 0:
		tx.Customer.OwnCode = "C-2"
	case 1:
		to("shop")(tx)
	case 2:
		to("acme")(tx)
	case 3:
		toIdentifier(tx)
	}
	tx.Lines = nil
	for range 1 + rng.IntN(3) {
		tx.Lines = append(tx.Lines, randomLine(rng))
	}
}

func randomLine(rng *rand.Rand) *tracev1.TransactionLine {
	line := &tracev1.TransactionLine{
		ProductFamily: pick(rng, tracev1.ProductFamily_PRODUCT_FAMILY_NDFEB_SINTERED, tracev1.ProductFamily_PRODUCT_FAMILY_SMCO5, tracev1.ProductFamily_PRODUCT_FAMILY_SCRAP),
		HsCode:        pick(rng, "850511", "28053010", "8505110010"),
		NetMassGrams:  pick(rng, 1, 1+rng.Uint64N(1e6), 1e12-rng.Uint64N(100), 1e12),
		PieceCount:    pick(rng, 0, rng.Uint64N(5000), 1e12),
	}
	switch rng.IntN(4) {
	case 0:
		line.Composition = []*tracev1.ElementFraction{{Symbol: "Nd", Ppm: 1_000_000}}
	case 1:
		line.Composition = []*tracev1.ElementFraction{{Symbol: "Dy", Ppm: 1 + rng.Uint32N(20_000)}, {Symbol: "Nd", Ppm: 1 + rng.Uint32N(300_000)}}
	}
	return line
}

// customerKey is the key of a customer in the words of the interface.
func (h *history) customerKey(seller string, tx *tracev1.Transaction) string {
	c := tx.GetCustomer()
	switch {
	case c.GetParticipantId() != "":
		return "participant:" + c.GetParticipantId()
	case len(c.GetIdentifiers()) > 0 && h.bound:
		return "participant:holder"
	case len(c.GetIdentifiers()) > 0:
		return "gln:" + gln
	}
	return fmt.Sprintf("own:%s/%s", seller, c.GetOwnCode())
}

// sees reports whether a peer may read a version.
func sees(id string, v *version) bool {
	return id == "regulator" || v.seller == id || v.customer == "participant:"+id
}

// within reports whether a list is empty or holds a value.
func within[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// matches reports whether a transaction as a whole passes a filter.
func matches(v *version, f *ledgerv1.TransactionFilter, p *ledgerv1.Period) bool {
	return within(f.GetSellers(), v.seller) && within(f.GetCustomers(), v.customer) && within(f.GetKinds(), v.tx.GetKind()) &&
		within(f.GetDestinationCountries(), v.tx.GetDestinationCountry()) && within(f.GetEndUses(), v.tx.GetEndUse()) &&
		(p == nil || v.tx.GetTransactionDate() >= p.GetFirstDay() && v.tx.GetTransactionDate() <= p.GetLastDay())
}

func lineMatches(l *tracev1.TransactionLine, f *ledgerv1.TransactionFilter) bool {
	return within(f.GetProductFamilies(), l.GetProductFamily()) && within(f.GetHsCodes(), l.GetHsCode())
}

// list returns the versions that a peer should be shown, in order.
func (h *history) list(id string, req *ledgerv1.ListStatementsRequest, size uint64) []*version {
	var found []*version
	for _, v := range h.versions {
		state, _ := v.stateAt(size)
		line := func(l *tracev1.TransactionLine) bool { return lineMatches(l, req.GetFilter()) }
		if v.entry.Index < size && sees(id, v) && matches(v, req.GetFilter(), req.GetPeriod()) &&
			slices.ContainsFunc(v.tx.GetLines(), line) && within(req.GetStates(), state) {
			found = append(found, v)
		}
	}
	slices.SortFunc(found, func(a, b *version) int {
		return cmp.Or(cmp.Compare(a.seller, b.seller), cmp.Compare(a.customer, b.customer),
			cmp.Compare(a.tx.GetTransactionDate(), b.tx.GetTransactionDate()), cmp.Compare(a.entry.Index, b.entry.Index))
	})
	return found
}

// randomFilter narrows by some fields.
func randomFilter(rng *rand.Rand) *ledgerv1.TransactionFilter {
	f := new(ledgerv1.TransactionFilter)
	some := func() bool { return rng.IntN(5) == 0 }
	if some() {
		f.Sellers = pick(rng, []string{"acme"}, []string{"bolt", "nobody"}, []string{"bolt", "acme"})
	}
	if some() {
		f.Customers = pick(rng, []string{"participant:shop"}, []string{"gln:" + gln, "participant:holder"}, []string{"own:acme/C-1", "own:bolt/C-2", "participant:acme"})
	}
	if some() {
		f.Kinds = pick(rng, []tracev1.TransactionKind{1}, []tracev1.TransactionKind{4}, []tracev1.TransactionKind{2, 3, 5})
	}
	if some() {
		f.ProductFamilies = pick(rng, []tracev1.ProductFamily{2}, []tracev1.ProductFamily{5, 15}, []tracev1.ProductFamily{3})
	}
	if some() {
		f.HsCodes = pick(rng, []string{"850511"}, []string{"28053010", "8505110010"})
	}
	if some() {
		f.DestinationCountries = pick(rng, []string{""}, []string{"DE"}, []string{"ZZ", ""})
	}
	if some() {
		f.EndUses = pick(rng, []tracev1.EndUse{0}, []tracev1.EndUse{1, 14})
	}
	return f
}

// randomPeriod is none, a day, or a span that cuts months or does not.
func randomPeriod(rng *rand.Rand) *ledgerv1.Period {
	first := rng.IntN(130) - 5
	return pick(rng, nil, nil,
		&ledgerv1.Period{FirstDay: day(first), LastDay: day(first)},
		&ledgerv1.Period{FirstDay: day(first), LastDay: day(first + rng.IntN(70))},
		&ledgerv1.Period{FirstDay: "2025-12-01", LastDay: "2026-01-31"},
		&ledgerv1.Period{FirstDay: "2025-12-01", LastDay: day(first + 100)},
		&ledgerv1.Period{FirstDay: "1900-01-01", LastDay: "2199-12-31"},
	)
}
