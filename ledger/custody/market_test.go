package custody_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// market makes random statements of a few sellers and customers.
type market struct {
	j      *journal
	random *rand.Rand
	heads  []head // of transactions that may be amended or voided
}

type head struct {
	seller string
	hash   []byte
}

var (
	marketSellers = []string{"acme", "acme-2", "zeta"}
	marketDates   = []string{"2024-12-31", "2025-01-01", "2025-01-31", "2025-02-01", "2025-02-28", "2025-03-01", "2025-12-31",
		"2026-01-01", "2026-04-30", "2026-05-01", "2026-05-15", "2026-05-31", "2026-06-01", "1969-12-31", "1970-01-01"}
	marketCodes     = []string{"850511", "85051110", "8505111000", "280530"}
	marketCountries = []string{"", "DE", "DK", "ZZ"}
)

func newMarket(t testing.TB, seed uint64) *market {
	t.Helper()
	return &market{j: newJournal(t, marketSellers...), random: rand.New(rand.NewPCG(seed, seed))}
}

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// transaction changes a transaction into another.
func (m *market) transaction(tx *tracev1.Transaction) {
	r := m.random
	tx.Kind = tracev1.TransactionKind(1 + r.IntN(3))
	tx.TransactionDate = pick(r, marketDates)
	tx.EndUse = tracev1.EndUse(r.IntN(3))
	if tx.DestinationCountry = pick(r, marketCountries); tx.Kind == tracev1.TransactionKind_TRANSACTION_KIND_EXPORT {
		tx.DestinationCountry = "DE"
	}
	tx.Customer.OwnCode = fmt.Sprint("C-", r.IntN(2))
	switch r.IntN(6) {
	case 0:
		tx.Customer.Identifiers = []*tracev1.Identifier{identifier(vat, "DE123456"), identifier(lei, issuedLEIs[r.IntN(3)])}
	case 1:
		tx.Customer.Identifiers = []*tracev1.Identifier{identifier(gln, "4012345000009")}
	case 2:
		if m.j.values["pbuyer\x00"] != nil {
			tx.Customer.ParticipantId = "buyer"
		}
	}
	line := tx.Lines[0]
	tx.Lines = nil
	for range 1 + r.IntN(3) {
		tx.Lines = append(tx.Lines, m.line(line.GetGrade()))
	}
}

func (m *market) line(grade string) *tracev1.TransactionLine {
	r := m.random
	line := &tracev1.TransactionLine{
		ProductFamily: tracev1.ProductFamily(1 + r.IntN(3)), Grade: grade, HsCode: pick(r, marketCodes),
		NetMassGrams: 1 + r.Uint64N(1_000_000_000_000)>>r.IntN(40), PieceCount: r.Uint64N(1_000_000_000_000) >> r.IntN(40),
	}
	for n, symbol := range []string{"Nd", "Dy", "Fe"} {
		if r.IntN(3) > 0 {
			line.Composition = append(line.Composition, &tracev1.ElementFraction{Symbol: symbol, Ppm: 1 + r.Uint32N(300_000)/uint32(n+1)})
		}
	}
	return line
}

// step records a transaction, an amendment, a void, or who is who.
func (m *market) step() {
	j, seller := m.j, pick(m.random, marketSellers)
	switch n := m.random.IntN(20); {
	case n < 4 && len(m.heads) > 0:
		at := m.random.IntN(len(m.heads))
		h := m.heads[at]
		if n == 0 {
			j.record(j.void(h.seller, h.hash))
			m.heads = slices.Delete(m.heads, at, at+1)
			return
		}
		j.record(j.amendment(h.seller, h.hash, m.transaction))
		m.heads[at].hash = j.last()
	case n == 4 && j.values["pbuyer\x00"] == nil && j.size() > 100:
		j.record(j.admission("buyer", identifier(lei, issuedLEIs[0])))
	default:
		j.record(j.sale(seller, m.transaction))
		m.heads = append(m.heads, head{seller, j.last()})
	}
}

// filter returns a random filter.
func (m *market) filter() custody.Filter {
	f, r := custody.NewFilter(), m.random
	if r.IntN(2) == 0 {
		f.FirstDay, _ = custody.ParseDay(pick(r, marketDates))
		f.FirstDay += custody.Day(r.IntN(3) - 1)
	}
	if r.IntN(2) == 0 {
		f.LastDay, _ = custody.ParseDay(pick(r, marketDates))
		f.LastDay += custody.Day(r.IntN(3) - 1)
	}
	narrow(r, &f.Sellers, "acme", "acme-2", "zeta", "nobody")
	narrow(r, &f.Customers, "own:acme/C-0", "own:zeta/C-1", "participant:buyer", "lei:"+issuedLEIs[0], "gln:4012345000009")
	narrow(r, &f.Kinds, 1, 2, 3)
	narrow(r, &f.ProductFamilies, 1, 2, 3)
	narrow(r, &f.HSCodes, marketCodes...)
	narrow(r, &f.DestinationCountries, marketCountries...)
	narrow(r, &f.EndUses, 0, 1, 2)
	return f
}

// narrow sets a field of a filter to some of the values, now and then.
func narrow[T any](r *rand.Rand, field *[]T, values ...T) {
	if r.IntN(5) > 0 {
		return
	}
	for range 1 + r.IntN(3) {
		*field = append(*field, pick(r, values))
	}
}

// scope returns a random scope.
func (m *market) scope() custody.Scope {
	switch m.random.IntN(4) {
	case 0:
		return custody.Scope{Sellers: []string{pick(m.random, marketSellers)}}
	case 1:
		return custody.Scope{Customer: "participant:buyer"}
	case 2:
		return custody.Scope{Sellers: []string{"acme", "zeta"}, Customer: pick(m.random, []string{"participant:buyer", "own:acme-2/C-1"})}
	}
	return custody.Scope{All: true}
}

// dimensions returns some dimensions, of which one at most is of time.
func (m *market) dimensions() []custody.Dimension {
	all := []custody.Dimension{custody.BySeller, custody.ByCustomer, custody.ByKind, custody.ByProductFamily, custody.ByHSCode,
		custody.ByDestinationCountry, custody.ByEndUse, pick(m.random, []custody.Dimension{custody.ByDay, custody.ByMonth, custody.ByYear})}
	m.random.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	return all[:m.random.IntN(4)]
}
