package csvfile_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

func TestReadAllColumns(t *testing.T) {
	got := readOne(t, table(values{
		"transaction_number": "INV-001", "transaction_kind": "EXPORT", "transaction_date": "2025-06-03",
		"contract_number": "K-1", "invoice_number": "25312000000012345678",
		"customer_participant_id": "acme", "customer_lei": "HWUPKR0MPOU8FGXBT394", "customer_uscc": "91350100M000100Y43",
		"customer_eori": "DE123456", "customer_gln": "4006381333931", "customer_vat": "DE123456789", "customer_code": "C-17",
		"customer_name": "某某磁材有限公司", "customer_name_latin": "Example Magnets", "customer_country": "NA",
		"end_use": "wind", "end_user_name": "Wind Ltd", "destination_country": "ZZ",
		"export_licence_number": "L-9", "customs_declaration_number": "D-8",
		"line_number": "1", "product_family": "Ndfeb_Sintered", "grade": "N42SH", "product_form": "arc", "hs_code": "8505111000",
		"coating": "other", "coating_other": "gold", "lot_number": "L0T/1", "net_mass": "1.234567", "net_mass_unit": "tne",
		"piece_count": "1000.00", "composition": "Nd 29.5; Dy 1.2;  B 1.0001;", "value_amount": "0.000000001", "value_currency": "CNY",
	}))
	want := csvfile.Transaction{Number: "INV-001", Rows: []int{2}, Message: &tracev1.Transaction{
		Kind: tracev1.TransactionKind_TRANSACTION_KIND_EXPORT,
		Customer: &tracev1.Party{
			ParticipantId: "acme",
			Identifiers: []*tracev1.Identifier{
				{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_LEI, Value: "HWUPKR0MPOU8FGXBT394"},
				{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_USCC, Value: "91350100M000100Y43"},
				{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_EORI, Value: "DE123456"},
				{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_GLN, Value: "4006381333931"},
				{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_VAT, Value: "DE123456789"},
			},
			OwnCode: "C-17",
			Name:    &tracev1.LegalName{Native: "某某磁材有限公司", Latin: "Example Magnets"},
			Country: "NA",
		},
		TransactionDate: "2025-06-03", TransactionNumber: "INV-001", ContractNumber: "K-1", InvoiceNumber: "25312000000012345678",
		EndUse: tracev1.EndUse_END_USE_WIND, EndUserName: "Wind Ltd", DestinationCountry: "ZZ",
		ExportLicenceNumber: "L-9", CustomsDeclarationNumber: "D-8",
		Lines: []*tracev1.TransactionLine{{
			ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_NDFEB_SINTERED, Grade: "N42SH",
			ProductForm: tracev1.ProductForm_PRODUCT_FORM_ARC, HsCode: "8505111000",
			Coating: tracev1.Coating_COATING_OTHER, CoatingOther: "gold",
			Composition: []*tracev1.ElementFraction{{Symbol: "Nd", Ppm: 295000}, {Symbol: "Dy", Ppm: 12000}, {Symbol: "B", Ppm: 10001}},
			LotNumber:   "L0T/1", NetMassGrams: 1234567, PieceCount: 1000,
			Value: &tracev1.Money{Currency: "CNY", Nanos: 1},
		}},
	}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("transaction (-want +got):\n%s", diff)
	}
}

func TestGrouping(t *testing.T) {
	a, b := sale, sale.but(values{"transaction_number": "INV-002"})
	f := read(t, table(a, b, a.but(values{"net_mass": "7"}), b.but(values{"hs_code": "1"}), sale.but(values{"transaction_number": "INV-003"})))
	if got := numbers(f); got != "INV-001 INV-003" {
		t.Errorf("transactions: got %s, want INV-001 INV-003", got)
	}
	if got := fmt.Sprint(f.Transactions[0].Rows); got != "[2 4]" {
		t.Errorf("rows: got %s, want [2 4]", got)
	}
	if len(f.Rejected) != 1 || f.Rejected[0].Number != "INV-002" || f.Rejected[0].Row != 5 || f.Rejected[0].Column != "hs_code" {
		t.Errorf("rejected: got %v, want hs_code in row 5 of INV-002", f.Rejected)
	}
	if f.Rows != 5 {
		t.Errorf("rows: got %d, want 5", f.Rows)
	}
}

func TestLineNumbers(t *testing.T) {
	numbered := func(n, mass string) values { return sale.but(values{"line_number": n, "net_mass": mass}) }
	tx := readOne(t, table(numbered("30", "3"), numbered("1", "1"), numbered("2", "2")))
	for i, line := range tx.Message.GetLines() {
		if want := uint64(i+1) * 1000; line.GetNetMassGrams() != want {
			t.Errorf("line %d: got %d grams, want %d", i, line.GetNetMassGrams(), want)
		}
	}
	if got := fmt.Sprint(tx.Rows); got != "[3 4 2]" {
		t.Errorf("rows: got %s, want [3 4 2]", got)
	}
	for name, c := range map[string]struct{ a, b, want string }{
		"twice":   {"1", "1", `row 3, line_number "1": row 2 of the same transaction`},
		"mixed":   {"1", "", "row 3, line_number: either all rows"},
		"zero":    {"0", "1", `row 2, line_number "0": lines are numbered from 1`},
		"decimal": {"1", "2.5", `row 3, line_number "2.5": must be a whole number`},
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, table(numbered(c.a, "1"), numbered(c.b, "1")))
			if got := sentences(f.Rejected); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestRejectedValues has one wrong value, or a few, in a row.
func TestRejectedValues(t *testing.T) {
	for name, c := range map[string]struct {
		changes values
		want    string
	}{
		"kind":                {values{"transaction_kind": "sold"}, `transaction_kind "sold": must be one of sale, export, import, return, transfer`},
		"no kind":             {values{"transaction_kind": ""}, "transaction_kind: is required"},
		"full enum name":      {values{"product_family": "PRODUCT_FAMILY_ORE"}, "must be one of metal_magnet, ndfeb_sintered"},
		"unspecified":         {values{"end_use": "unspecified"}, "must be one of traction"},
		"country":             {values{"customer_country": "Germany"}, `customer_country "Germany": must be an ISO 3166-1 alpha-2 code`},
		"small country":       {values{"customer_country": "de"}, "write DE"},
		"no customer":         {values{"customer_code": ""}, "row 2: at least one of customer_participant_id"},
		"no name":             {values{"customer_name": ""}, "customer_name: is required"},
		"export to nowhere":   {values{"transaction_kind": "export"}, "destination_country: is required"},
		"lei":                 {values{"customer_lei": "HWUPKR0MPOU8FGXBT395"}, `customer_lei "HWUPKR0MPOU8FGXBT395": has check digits that do not hold`},
		"lei with spaces":     {values{"customer_lei": "hwup kr0m pou8 fgxb t394"}, "write HWUPKR0MPOU8FGXBT394"},
		"vat after lei":       {values{"customer_lei": "HWUPKR0MPOU8FGXBT394", "customer_vat": "1"}, `customer_vat "1"`},
		"hs code with points": {values{"hs_code": "8505.11"}, "write 850511"},
		"hs code cut":         {values{"hs_code": "50511"}, "Excel drops zeros at the beginning: is it 050511?"},
		"no mass":             {values{"net_mass": ""}, "net_mass: is required"},
		"no mass, no unit":    {values{"net_mass": "", "net_mass_unit": ""}, "net_mass: is required"},
		"zero mass":           {values{"net_mass": "0"}, `net_mass "0": must be 1 to 1000000000000`},
		"half a gram":         {values{"net_mass": "1.2345"}, `net_mass "1.2345": is no whole number of grams; KGM takes at most 3 decimals`},
		"half a gram in GRM":  {values{"net_mass": "0.5", "net_mass_unit": "GRM"}, "is no whole number of grams; GRM takes at most 0 decimals"},
		"too many tonnes":     {values{"net_mass": "99999999999999", "net_mass_unit": "TNE"}, "the number is too large"},
		"no unit":             {values{"net_mass_unit": ""}, "net_mass_unit: the unit of net_mass is missing: GRM (gram), KGM"},
		"wrong unit":          {values{"net_mass_unit": "kg"}, `net_mass_unit "kg": must be GRM (gram), KGM (kilogram) or TNE (tonne)`},
		"negative":            {values{"net_mass": "-12"}, "goods given back are a transaction of the kind return"},
		"pieces":              {values{"piece_count": "1.5"}, `piece_count "1.5": must be a whole number`},
		"amount alone":        {values{"value_amount": "1"}, "value_currency: there is a value_amount but no value_currency"},
		"currency alone":      {values{"value_currency": "EUR"}, "value_amount: there is a value_currency but no value_amount"},
		"small currency":      {values{"value_amount": "1", "value_currency": "eur"}, "write EUR"},
		"ten decimals":        {values{"value_amount": "1.0000000001", "value_currency": "EUR"}, "has more than 9 decimals"},
		"large amount":        {values{"value_amount": "9223372036854775808", "value_currency": "EUR"}, "the number is too large"},
		"coating unnamed":     {values{"coating": "other"}, "coating_other: is required"},
		"long number":         {values{"transaction_number": strings.Repeat("x", 65)}, `"` + strings.Repeat("x", 40) + `…": must be at most 64 bytes`},
		"five decimals":       {values{"composition": "Nd 29.50001"}, "Nd: has more than 4 decimals"},
		"no element":          {values{"composition": "Xx 29.5"}, `composition "Xx 29.5": must be the symbol of a chemical element`},
		"element twice":       {values{"composition": "Nd 1; Nd 2"}, "is named before"},
		"above the whole":     {values{"composition": "Nd 60; Fe 60"}, "must add up to at most 1000000 ppm"},
		"percent sign":        {values{"composition": "Nd 29.5%"}, "Nd: write the number without the percent sign"},
		"colon":               {values{"composition": "Nd:29.5"}, `"Nd:29.5" is no element with its percentage; write for instance "Nd 29.5; Dy 1.2; B 1.0"`},
		"comma in between":    {values{"composition": "Nd 29.5, Dy 1.2"}, "Nd: "},
		"huge percentage":     {values{"composition": "Nd 99999999"}, "the number is too large"},
		"line break":          {values{"invoice_number": "1\n2"}, "there is a line break within the value"},
		"invisible":           {values{"hs_code": "8505\u200b11"}, "there is an invisible character within the value, U+200B"},
		"formula as text":     {values{"hs_code": `="850511"`}, "this is a formula; write the plain value"},
		"lost character":      {values{"customer_name": "M�ller"}, "a character was lost"},
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, table(sale.but(c.changes)))
			if len(f.Transactions) > 0 {
				t.Errorf("got %v, want none", f.Transactions[0].Message)
			}
			if got := sentences(f.Rejected); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestOneProblemPerColumn(t *testing.T) {
	f := read(t, table(sale.but(values{"transaction_kind": "x", "net_mass": "x", "hs_code": "x"})))
	want := "transaction_kind net_mass hs_code "
	got := ""
	for _, r := range f.Rejected {
		got += r.Column + " "
	}
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestColumnsOfTransactionMustAgree(t *testing.T) {
	for name, changes := range map[string]values{
		"other": {"customer_country": "FR"},
		"blank": {"customer_country": ""},
	} {
		t.Run(name, func(t *testing.T) {
			other := sale.but(values{"transaction_number": "INV-002"})
			f := read(t, table(sale, other, sale.but(changes)))
			if got := numbers(f); got != "INV-002" {
				t.Errorf("transactions: got %s, want INV-002", got)
			}
			want := `: differs from row 2 of the same transaction, which has "DE"`
			if got := sentences(f.Rejected); !strings.HasPrefix(got, "row 4, customer_country") || !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestStrayRows has rows that do not tell their transaction.
func TestStrayRows(t *testing.T) {
	numbered := func(number string) values { return sale.but(values{"transaction_number": number}) }
	f := read(t, table(numbered("1"), numbered("2"), numbered(""), numbered(""), numbered("3"), numbered("4")))
	if got := numbers(f); got != "1 4" {
		t.Errorf("transactions: got %s, want 1 4", got)
	}
	want := `row 3: row 4, next to this one, does not tell its transaction and may belong to the same
row 4, transaction_number: is required in every row; repeat it if the row belongs to the transaction above
row 5, transaction_number: is required in every row; repeat it if the row belongs to the transaction above
row 6: row 5, next to this one, does not tell its transaction and may belong to the same
`
	if diff := cmp.Diff(want, sentences(f.Rejected)); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
}

func TestRowLengths(t *testing.T) {
	const names = "transaction_number,transaction_kind,transaction_date,customer_code,customer_name,customer_country,product_family,hs_code,net_mass,net_mass_unit,grade,lot_number\n"
	const row = "1,sale,2025-06-03,C,Example,DE,ferrite,850519,1"
	for name, c := range map[string]struct{ text, accepted, want string }{
		"cells left out":    {names + row + ",KGM\n", "1", ""},
		"surplus blanks":    {names + row + ",KGM,,,,,\n", "1", ""},
		"surplus value":     {names + row + ",234,KGM,,x\n2" + row[1:] + ",KGM\n", "2", "row 2: there are more values than columns"},
		"whole at the end":  {names + row + ",KGM,,L", "1", ""},
		"number shifted":    {"grade," + strings.TrimSuffix(names, ",grade,lot_number\n") + "\n,2" + row[1:] + ",KGM\nx,y," + row + ",KGM\n,3" + row[1:] + ",KGM\n", "", "row 3: there are more values than columns"},
		"rows of blanks":    {names + ",,,\n" + row + ",KGM\n,,,,,,,,,,,,,,\n \n", "1", ""},
		"spaces and quotes": {names + ` 1 , "sale",2025-06-03 ,` + "\tC\u00a0,\u3000Example,DE,ferrite,850519,1,KGM\n", "1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, c.text)
			if got := numbers(f); got != c.accepted {
				t.Errorf("transactions: got %q, want %q (%v)", got, c.accepted, f.Rejected)
			}
			if got := sentences(f.Rejected); !strings.Contains(got, c.want) || c.want == "" && got != "" {
				t.Errorf("rejected: got %s, want %s", got, c.want)
			}
		})
	}
}

func TestTooManyLines(t *testing.T) {
	p := custody.DefaultRuleParameters()
	p.MaxTransactionLines = 2
	f, err := csvfile.Read(strings.NewReader(table(sale, sale, sale)), p)
	if err != nil {
		t.Fatal(err)
	}
	if want := "row 2: lines has 3 values, max_transaction_lines is 2\n"; sentences(f.Rejected) != want {
		t.Errorf("got %s, want %s", sentences(f.Rejected), want)
	}
}

// TestAllLinesAreJudged has more faults than custody lists for one message.
func TestAllLinesAreJudged(t *testing.T) {
	var rows []values
	for range 100 {
		rows = append(rows, sale.but(values{"hs_code": "1", "net_mass": "0"}))
	}
	f := read(t, table(rows...))
	if len(f.Rejected) != 200 || f.Rejected[199].Row != 101 {
		t.Errorf("got %d problems, want 200, the last in row 101", len(f.Rejected))
	}
}

func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
	}{
		"digits lost":   {table(sale.but(values{"invoice_number": "25312000000012300000"})), `row 2, invoice_number "25312000000012300000": Excel keeps 15 digits`},
		"date":          {table(sale.but(values{"lot_number": "5-Mar"})), `row 2, lot_number "5-Mar": Excel writes dates like this`},
		"chinese date":  {table(sale.but(values{"contract_number": "3月5日"})), "Excel writes dates like this"},
		"uscc":          {table(sale.but(values{"customer_uscc": "91350100M000100Y44"})), "has a check character that does not hold"},
		"same row":      {table(sale, sale), "row 3: is the same as row 2"},
		"no line break": {strings.TrimSuffix(table(sale), "\n"), "row 2: the file does not end with a line break"},
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, c.text)
			if len(f.Transactions) != 1 || len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0].String(), c.want) {
				t.Errorf("got %v and %v, want one transaction and %s", f.Rejected, f.Warnings, c.want)
			}
		})
	}
}

func TestReadErrorOfReader(t *testing.T) {
	want := errors.New("disk gone")
	text := table(sale, sale)
	for _, n := range []int{0, 10, len(text) / 2, len(text) - 1} {
		_, err := csvfile.Read(io.MultiReader(strings.NewReader(text[:n]), iotest.ErrReader(want)), nil)
		if !errors.Is(err, want) {
			t.Errorf("after %d bytes: got %v, want %v", n, err, want)
		}
	}
}

// TestReadInSmallPieces cuts the file at every place that a reader may.
func TestReadInSmallPieces(t *testing.T) {
	text := strings.ReplaceAll(table(sale.but(values{"customer_name": "某某\n磁材, \"有限\"公司"}), sale.but(values{"transaction_number": "2"})), "\n", "\r\n")
	f, err := csvfile.Read(iotest.OneByteReader(strings.NewReader(text)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read(t, text).Rejected, f.Rejected); diff != "" {
		t.Errorf("one byte at a time (-want +got):\n%s", diff)
	}
	if got := numbers(f); got != "2" || len(f.Rejected) != 1 {
		t.Errorf("got %s and %v, want 2 and the line break in the name refused", got, f.Rejected)
	}
}
