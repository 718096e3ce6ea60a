package custody_test

import (
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// TestCustomerKey takes the best identifier of a customer, in every order in
// which the identifiers may be stated.
func TestCustomerKey(t *testing.T) {
	all := []*tracev1.Identifier{
		identifier(lei, issuedLEIs[0]), identifier(uscc, issuedUSCCs[0]), identifier(eori, "DE1"),
		identifier(gln, "4012345000009"), identifier(vat, "DE123456"),
	}
	want := []string{"lei:" + issuedLEIs[0], "uscc:" + issuedUSCCs[0], "eori:DE1", "gln:4012345000009", "vat:DE123456"}
	j := newJournal(t, "acme")
	for best := range all {
		var reversed []*tracev1.Identifier
		for n := len(all) - 1; n >= best; n-- {
			reversed = append(reversed, all[n])
		}
		for _, ids := range [][]*tracev1.Identifier{all[best:], reversed, all[best : best+1]} {
			for _, code := range []string{"C-1", ""} {
				party := &tracev1.Party{Identifiers: ids, OwnCode: code}
				if got, err := custody.CustomerKey(j, "acme", party, 100); got != want[best] || err != nil {
					t.Errorf("%v: %q, %v, want %q", ids, got, err, want[best])
				}
			}
		}
	}
	for party, want := range map[*tracev1.Party]string{
		{ParticipantId: "buyer", Identifiers: all, OwnCode: "C-1"}: "participant:buyer",
		{OwnCode: "C-1"}: "own:acme/C-1",
		{OwnCode: "/ä"}:  "own:acme//ä",
	} {
		if got, err := custody.CustomerKey(j, "acme", party, 100); got != want || err != nil {
			t.Errorf("%v: %q, %v, want %q", party, got, err, want)
		}
	}
}

// TestCustomerKeyByThen binds identifiers to participants: it counts for what
// comes after, and for nothing that stands before.
func TestCustomerKeyByThen(t *testing.T) {
	j := newJournal(t, "acme")
	ids := []*tracev1.Identifier{identifier(vat, "DE123456"), identifier(lei, issuedLEIs[0])}
	sale := func(ids ...*tracev1.Identifier) *tracev1.Envelope {
		return j.sale("acme", func(tx *tracev1.Transaction) { tx.Customer.Identifiers = ids })
	}
	j.record(sale(ids...), j.admission("holder-of-vat", ids[0]), sale(ids...), sale(ids[0]),
		j.admission("holder-of-lei", ids[1]), sale(ids...), sale(ids[0]))
	key, byVAT, byLEI := "lei:"+issuedLEIs[0], "participant:holder-of-vat", "participant:holder-of-lei"
	for index, want := range map[uint64]string{3: key, 5: key, 6: byVAT, 8: byLEI, 9: byVAT} {
		v, err := custody.VersionAt(j, index, j.size())
		if err != nil || v.Customer != want || v.Seller != "acme" || v.Index != index {
			t.Errorf("statement %d: %+v, %v, want customer %q", index, v, err, want)
		}
	}
	for _, index := range []uint64{7, 8} { // at the admission itself it is not bound yet
		want := map[uint64]string{7: key, 8: byLEI}[index]
		if got, err := custody.CustomerKey(j, "acme", &tracev1.Party{Identifiers: ids}, index); got != want || err != nil {
			t.Errorf("at %d: %q, %v, want %q", index, got, err, want)
		}
	}
	wantVolumes(t, j, read(t, j), everyone, custody.NewFilter(), custody.ByCustomer)

	// An amendment is counted under what is known when it is made, its target
	// taken away where it was.
	j.record(j.amendment("acme", j.hashes[3][:], func(tx *tracev1.Transaction) { tx.Customer.Identifiers = ids }))
	if v, err := custody.VersionAt(j, 10, 11); err != nil || v.Customer != byLEI {
		t.Errorf("amendment: %+v, %v", v, err)
	}
	wantVolumes(t, j, read(t, j), everyone, custody.NewFilter(), custody.ByCustomer)
	wantVolumes(t, j, read(t, j), custody.Scope{Customer: byLEI}, custody.NewFilter(), custody.ByCustomer)
	wantVolumes(t, j, read(t, j), custody.Scope{Customer: key}, custody.NewFilter(), custody.ByCustomer)
}

// TestCustomersApart records customers and sellers whose names begin alike: they
// are not mixed up.
func TestCustomersApart(t *testing.T) {
	j := newJournal(t, "a", "a-", "a.b", "ab")
	codes := []string{"1", "1 1", "11", "1/1", "a/1", strings.Repeat("x", 64), "ä"}
	for _, seller := range []string{"a", "a-", "a.b", "ab"} {
		for n, code := range codes {
			j.record(j.sale(seller, func(tx *tracev1.Transaction) {
				tx.Customer.OwnCode, tx.Lines[0].NetMassGrams = code, uint64(1+n)
			}))
		}
	}
	r := read(t, j)
	for _, seller := range []string{"a", "a-", "a.b", "ab", "b", ""} {
		wantVolumes(t, j, r, custody.Scope{Sellers: []string{seller}}, custody.NewFilter(), custody.BySeller, custody.ByCustomer)
		for _, code := range codes {
			wantVolumes(t, j, r, custody.Scope{Customer: "own:" + seller + "/" + code}, custody.NewFilter(), custody.BySeller)
			f := custody.NewFilter()
			f.Customers = []string{"own:" + seller + "/" + code}
			wantVolumes(t, j, r, everyone, f, custody.BySeller)
		}
	}
}
