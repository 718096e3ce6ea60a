package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// longest is a participant id that cannot be longer.
var longest = strings.Repeat("s", 64)

// newSiteWith is newSite for a ledger with other rule parameters.
func newSiteWith(t testing.TB, p *tracev1.RuleParameters, sellers ...string) *site {
	t.Helper()
	s := newSite(t)
	st := s.made.GenesisStatement()
	st.GetGenesis().RuleParameters = p
	s.made.Genesis = s.made.Sign(s.made.Root, st)
	g, err := verify.OpenGenesis(s.made.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	s.made.Log = g.Log
	for _, id := range sellers {
		s.boot = append(s.boot, s.made.Register(id, tracev1.Role_ROLE_PRODUCER)...)
	}
	return s
}

// costly returns a statement from which as much follows as can, by the longest
// seller: the key of the customer cannot be longer, each line has an HS code and
// so a cell of its own, and elements fill the payload.
func costly(s *site, p *tracev1.RuleParameters, customer int) *tracev1.Statement {
	st := s.made.TransactionStatement(longest, 1)
	tx := st.GetTransaction()
	tx.Customer.OwnCode = fmt.Sprintf("%064d", customer)
	tx.Customer.Name.Native = strings.Repeat("n", 256)
	tx.Lines = nil
	const around, line, element = 2 << 10, 40, 10 // bytes
	lines := int(p.GetMaxTransactionLines())
	var composition []*tracev1.ElementFraction
	for n := range (int(p.GetMaxPayloadBytes())-around)/lines/element - line/element {
		composition = append(composition, &tracev1.ElementFraction{Symbol: custody.ElementSymbol(n + 3), Ppm: 1000})
	}
	for n := range lines {
		tx.Lines = append(tx.Lines, &tracev1.TransactionLine{
			ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_SCRAP,
			HsCode:        fmt.Sprintf("%010d", n),
			Composition:   composition,
			NetMassGrams:  1_000_000_000_000,
			PieceCount:    1_000_000_000_000,
		})
	}
	return st
}

// costlier returns two sales in the same cells, and an amendment of the first to
// another customer: it leaves something in the old cells and makes as many new
// ones, which is the most that one statement can change.
func costlier(s *site, p *tracev1.RuleParameters) []*tracev1.Envelope {
	key := verifytest.Key(longest)
	sold := s.made.SignBatch(key, costly(s, p, 1), costly(s, p, 1))
	hash := verifytest.StatementHash(sold[0])
	st := costly(s, p, 2)
	st.Stated = &tracev1.Statement_Amendment{Amendment: &tracev1.Amendment{
		Target: hash[:], Replacement: st.GetTransaction(), Reason: strings.Repeat("r", 1000),
	}}
	return append(sold, s.made.Sign(key, st))
}

// badgerCommit is what one commit of a badgerstore holds, in keys and values
// with 12 bytes for each.
const badgerCommit = 2_516_582

// TestLargestCommits records the statements from which most follows, under the
// largest parameters that a genesis may name. A commit takes no more from
// CommitBytes on, so it may hold the default of 1.5 MiB and any one of them: a
// store on disk has to hold that.
func TestLargestCommits(t *testing.T) {
	p := custody.DefaultRuleParameters()
	p.MaxPayloadBytes, p.MaxTransactionLines = 512<<10, 2000
	s := newSiteWith(t, p, longest).onDisk()
	store := &watched{Store: s.store}
	s.store, s.limits = store, ledger.Limits{CommitBytes: 1}
	i := s.start()
	defer i.close()
	i.record(costlier(s, p)...)
	most := ledger.Limits{}.MostBytes()
	if most >= badgerCommit {
		t.Errorf("a commit may have %d bytes", most)
	}
	for n, c := range store.commits[1:] {
		if int64(3<<19+c.bytes+12*c.writes) > most {
			t.Errorf("commit %d: more than %d bytes are possible", n, most)
		}
		if c.entries != 1 || 3<<19+c.bytes+12*c.writes > badgerCommit {
			t.Errorf("commit %d of %d statements: %d bytes in %d values", n, c.entries, c.bytes, c.writes)
		}
	}
	s.wantSize(i.Ledger, s.founded()+3)
}
