package csvfile_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// roundTrip writes transactions and reads them back.
func roundTrip(t *testing.T, txs []*tracev1.Transaction) {
	t.Helper()
	var b bytes.Buffer
	if err := csvfile.Write(&b, txs); err != nil {
		t.Fatalf("Write: %v", err)
	}
	f := read(t, b.String())
	if len(f.Rejected) > 0 || len(f.Transactions) != len(txs) {
		t.Fatalf("read back %d of %d transactions, rejected %v", len(f.Transactions), len(txs), f.Rejected)
	}
	for i, tx := range f.Transactions {
		if diff := cmp.Diff(txs[i], tx.Message, protocmp.Transform()); diff != "" {
			t.Fatalf("transaction %d (-written +read):\n%s", i, diff)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	for range 200 {
		txs := make([]*tracev1.Transaction, 1+g.IntN(5))
		for i := range txs {
			txs[i] = g.transaction(fmt.Sprintf("%d%s", i, g.code()))
			if v := custody.CheckTransaction(txs[i], custody.DefaultRuleParameters()); len(v) > 0 {
				t.Fatalf("the generator made what custody refuses: %v", v)
			}
		}
		roundTrip(t, txs)
	}
}

// generator makes transactions that custody admits and the format holds.
type generator struct{ *rand.Rand }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// code returns what people use as numbers of documents, or nothing.
func (g generator) code() string {
	return pick(g, "", "INV-1", "2025/06/0001", "-", "'-5", "''=1", "@x", "+49", "＝1", "00012", "3月5日", "a,b", `2"`, "N/A", "NULL", "1E5", "ÄÖ-7", "#7", "7#")
}

// name returns what legal persons are called.
func (g generator) name() string {
	return pick(g, "Example Motors GmbH", "某某磁材有限公司", `"Q", Ltd`, "=HYPERLINK(1)", "O'Neill; Sons", "x", "'", "'=", "a  b", "Ω", "1,5", "#REF", "𠮷野家")
}

func (g generator) country() string { return pick(g, "NA", "DE", "CN", "ZZ", "GB") }

func (g generator) transaction(number string) *tracev1.Transaction {
	tx := &tracev1.Transaction{
		Kind:                     tracev1.TransactionKind(1 + g.IntN(5)),
		Customer:                 g.party(),
		TransactionDate:          fmt.Sprintf("%04d-%02d-%02d", 1900+g.IntN(300), 1+g.IntN(12), 1+g.IntN(28)),
		TransactionNumber:        number,
		ContractNumber:           g.code(),
		InvoiceNumber:            g.code(),
		EndUse:                   tracev1.EndUse(g.IntN(15)),
		DestinationCountry:       g.country(),
		ExportLicenceNumber:      g.code(),
		CustomsDeclarationNumber: g.code(),
	}
	if g.IntN(2) == 0 {
		tx.EndUserName = g.name()
	}
	for range 1 + g.IntN(4) {
		tx.Lines = append(tx.Lines, g.line())
	}
	return tx
}

func (g generator) party() *tracev1.Party {
	p := &tracev1.Party{OwnCode: g.code(), Name: &tracev1.LegalName{Native: g.name()}, Country: g.country()}
	for i, value := range []string{"HWUPKR0MPOU8FGXBT394", "91350100M000100Y43", "DE123456", "4006381333931", "NL123+*"} {
		if g.IntN(3) == 0 {
			p.Identifiers = append(p.Identifiers, &tracev1.Identifier{Scheme: tracev1.IdentifierScheme(i + 1), Value: value})
		}
	}
	if g.IntN(2) == 0 {
		p.Name.Latin = g.name()
	}
	if len(p.Identifiers) == 0 && p.OwnCode == "" {
		p.ParticipantId = "acme"
	}
	return p
}

func (g generator) line() *tracev1.TransactionLine {
	line := &tracev1.TransactionLine{
		ProductFamily: tracev1.ProductFamily(1 + g.IntN(15)),
		Grade:         pick(g, "", "N42SH", "42/20", "REFeB 360/135"),
		ProductForm:   tracev1.ProductForm(g.IntN(9)),
		HsCode:        pick(g, "850511", "00000000", "8505111000"),
		Coating:       tracev1.Coating(g.IntN(9)),
		LotNumber:     pick(g, "", "LOT-1", "=1", "'x", `"`, ",;"),
		NetMassGrams:  1 + g.Uint64N(pick[uint64](g, 9, 1e6, 1e12)),
		PieceCount:    g.Uint64N(pick[uint64](g, 1, 9, 1e12+1)),
	}
	if line.Coating == tracev1.Coating_COATING_OTHER {
		line.CoatingOther = g.name()
	}
	for _, symbol := range []string{"Nd", "Dy", "B"} {
		if g.IntN(2) == 0 {
			line.Composition = append(line.Composition, &tracev1.ElementFraction{Symbol: symbol, Ppm: 1 + g.Uint32N(pick[uint32](g, 9, 333_333))})
		}
	}
	if g.IntN(2) == 0 {
		line.Value = &tracev1.Money{Currency: "CNY", Units: g.Int64N(pick[int64](g, 1, 1000, 1<<62)), Nanos: g.Int32N(pick[int32](g, 1, 1e9))}
	}
	return line
}

// plain returns a transaction that the format holds.
func plain() *tracev1.Transaction {
	return &tracev1.Transaction{
		Kind: tracev1.TransactionKind_TRANSACTION_KIND_SALE, TransactionNumber: "1", TransactionDate: "2025-06-03",
		Customer: &tracev1.Party{OwnCode: "C", Name: &tracev1.LegalName{Native: "Example"}, Country: "DE"},
		Lines:    []*tracev1.TransactionLine{{ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_FERRITE, HsCode: "850519", NetMassGrams: 1}},
	}
}

func TestWriteRefusesWhatItCannotHold(t *testing.T) {
	identifiers := func(schemes ...tracev1.IdentifierScheme) (all []*tracev1.Identifier) {
		for _, s := range schemes {
			all = append(all, &tracev1.Identifier{Scheme: s, Value: "X"})
		}
		return all
	}
	for name, c := range map[string]struct {
		change func(*tracev1.Transaction)
		want   string
	}{
		"no number":           {func(tx *tracev1.Transaction) { tx.TransactionNumber = "" }, "it has no transaction_number"},
		"no lines":            {func(tx *tracev1.Transaction) { tx.Lines = nil }, "it has no lines"},
		"no customer":         {func(tx *tracev1.Transaction) { tx.Customer = nil }, "cannot hold its customer"},
		"empty name":          {func(tx *tracev1.Transaction) { tx.Customer.Name = &tracev1.LegalName{} }, "cannot hold its customer.name"},
		"space at the end":    {func(tx *tracev1.Transaction) { tx.Customer.Name.Native = "Example " }, "cannot hold its customer.name.native"},
		"carriage return":     {func(tx *tracev1.Transaction) { tx.EndUserName = "a\rb" }, "end_user_name: the CSV format cannot hold NUL"},
		"not UTF-8":           {func(tx *tracev1.Transaction) { tx.ContractNumber = "\xff" }, "contract_number: the CSV format cannot hold NUL"},
		"line break in code":  {func(tx *tracev1.Transaction) { tx.ContractNumber = "a\nb" }, "contract_number"},
		"formula as text":     {func(tx *tracev1.Transaction) { tx.InvoiceNumber = `="1"` }, "this is a formula"},
		"scientific":          {func(tx *tracev1.Transaction) { tx.InvoiceNumber = "6.9E+12" }, `invoice_number "6.9E+12": Excel turned`},
		"unknown kind":        {func(tx *tracev1.Transaction) { tx.Kind = 77 }, `transaction_kind "77": must be one of`},
		"order of schemes":    {func(tx *tracev1.Transaction) { tx.Customer.Identifiers = identifiers(2, 1) }, "cannot hold its customer.identifiers[0].scheme"},
		"scheme twice":        {func(tx *tracev1.Transaction) { tx.Customer.Identifiers = identifiers(1, 1) }, "cannot hold its customer.identifiers"},
		"unknown scheme":      {func(tx *tracev1.Transaction) { tx.Customer.Identifiers = identifiers(9) }, "cannot hold its customer.identifiers"},
		"empty identifier":    {func(tx *tracev1.Transaction) { tx.Customer.Identifiers = []*tracev1.Identifier{{Scheme: 1}} }, "cannot hold its customer.identifiers"},
		"empty money":         {func(tx *tracev1.Transaction) { tx.Lines[0].Value = &tracev1.Money{} }, "value_currency: there is a value_amount"},
		"negative money":      {func(tx *tracev1.Transaction) { tx.Lines[0].Value = &tracev1.Money{Currency: "EUR", Units: -1} }, `value_amount "-1": a number must not be negative`},
		"negative nanos":      {func(tx *tracev1.Transaction) { tx.Lines[0].Value = &tracev1.Money{Currency: "EUR", Nanos: -1} }, `value_amount "0.-00000001"`},
		"too many nanos":      {func(tx *tracev1.Transaction) { tx.Lines[0].Value = &tracev1.Money{Currency: "EUR", Nanos: 2e9 + 1} }, "value_amount"},
		"round nanos":         {func(tx *tracev1.Transaction) { tx.Lines[0].Value = &tracev1.Money{Currency: "EUR", Nanos: 2e9} }, "cannot hold its lines[0].value.nanos"},
		"empty element":       {func(tx *tracev1.Transaction) { tx.Lines[0].Composition = []*tracev1.ElementFraction{{Ppm: 1}} }, "composition"},
		"element with spaces": {func(tx *tracev1.Transaction) { tx.Lines[0].Composition = []*tracev1.ElementFraction{{Symbol: "a b"}} }, "composition"},
		"huge line":           {func(tx *tracev1.Transaction) { tx.Lines[0].Grade = strings.Repeat(`"`, 200_000) }, "a line takes more than"},
		"unknown field": {func(tx *tracev1.Transaction) {
			tx.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
		}, "cannot hold its unknown fields"},
		"unknown field below": {func(tx *tracev1.Transaction) {
			tx.Lines[0].ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
		}, "cannot hold its lines[0].unknown fields"},
	} {
		t.Run(name, func(t *testing.T) {
			tx := plain()
			c.change(tx)
			err := csvfile.Write(&bytes.Buffer{}, []*tracev1.Transaction{tx})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	t.Run("one number twice", func(t *testing.T) {
		err := csvfile.Write(&bytes.Buffer{}, []*tracev1.Transaction{plain(), plain()})
		if want := `writing transaction 1 ("1"): another transaction has the same transaction_number`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

// TestNoFormulas checks that no cell of what is written is run by a spreadsheet
// program.
func TestNoFormulas(t *testing.T) {
	tx := plain()
	tx.Customer.Name.Native, tx.Lines[0].LotNumber, tx.TransactionNumber = "=cmd|' /C calc'!A0", "-1+1", "@SUM"
	roundTrip(t, []*tracev1.Transaction{tx})
	var b bytes.Buffer
	if err := csvfile.Write(&b, []*tracev1.Transaction{tx}); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, cell := range records[1] {
		if strings.HasPrefix(cell, "=") || strings.HasPrefix(cell, "-") || strings.HasPrefix(cell, "@") {
			t.Errorf("%q would be run as a formula", cell)
		}
	}
}

func TestTemplate(t *testing.T) {
	var b bytes.Buffer
	if err := csvfile.WriteTemplate(&b); err != nil {
		t.Fatal(err)
	}
	f := read(t, b.String())
	if got := numbers(f); got != "INV-001 INV-002" || f.Rows != 3 || len(f.Rejected)+len(f.Warnings) > 0 {
		t.Errorf("got %s in %d rows, %v, %v", got, f.Rows, f.Rejected, f.Warnings)
	}
	txs := []*tracev1.Transaction{f.Transactions[0].Message, f.Transactions[1].Message}
	if !proto.Equal(txs[0].GetLines()[0].GetValue(), &tracev1.Money{Currency: "EUR", Units: 1100}) {
		t.Errorf("value: got %v", txs[0].GetLines()[0].GetValue())
	}
	roundTrip(t, txs)
}
