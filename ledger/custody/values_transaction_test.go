package custody_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

func validTransaction() *tracev1.Transaction {
	return &tracev1.Transaction{
		Kind: tracev1.TransactionKind_TRANSACTION_KIND_EXPORT,
		Customer: &tracev1.Party{
			ParticipantId: "customer-1",
			Identifiers:   []*tracev1.Identifier{{Scheme: lei, Value: issuedLEIs[0]}},
			OwnCode:       "C/17",
			Name:          &tracev1.LegalName{Native: "某客户", Latin: "Customer One"},
			Country:       "DE",
		},
		TransactionDate:          "2025-06-01",
		TransactionNumber:        "T-1",
		ContractNumber:           "C-1",
		InvoiceNumber:            "00000001",
		EndUse:                   tracev1.EndUse_END_USE_TRACTION,
		EndUserName:              "Customer One",
		DestinationCountry:       "DE",
		ExportLicenceNumber:      "L-1",
		CustomsDeclarationNumber: "D-1",
		Lines:                    []*tracev1.TransactionLine{validLine(), validLine()},
	}
}

func validLine() *tracev1.TransactionLine {
	return &tracev1.TransactionLine{
		ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_NDFEB_SINTERED,
		Grade:         "N42SH",
		ProductForm:   tracev1.ProductForm_PRODUCT_FORM_ARC,
		HsCode:        "8505111000",
		Coating:       tracev1.Coating_COATING_EPOXY,
		Composition: []*tracev1.ElementFraction{
			{Symbol: "Nd", Ppm: 245_000},
			{Symbol: "Pr", Ppm: 50_000},
			{Symbol: "Dy", Ppm: 12_000},
			{Symbol: "Fe", Ppm: 680_000},
			{Symbol: "B", Ppm: 10_000},
		},
		LotNumber:    "L2025-06/1",
		NetMassGrams: 1_250_000,
		PieceCount:   10_000,
		Value:        &tracev1.Money{Currency: "CNY", Units: 350_000, Nanos: 500_000_000},
	}
}

func transactionStatement(m *tracev1.Transaction) *tracev1.Statement {
	return statementOf(func(st *tracev1.Statement) {
		st.Stated = &tracev1.Statement_Transaction{Transaction: m}
	})
}

// transactionCase is a valueCase with a path that starts at the transaction.
type transactionCase = valueCase[*tracev1.Transaction]

// runTransactionCases runs the cases through CheckTransaction, and through
// CheckStatement as a transaction and as the replacement of an amendment.
func runTransactionCases(t *testing.T, cases []transactionCase) {
	t.Helper()
	var stated, replaced []transactionCase
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			tx := validTransaction()
			test.change(tx)
			got := custody.CheckTransaction(tx, custody.DefaultRuleParameters())
			if test.reason != fine {
				checkViolation(t, got, test.reason, test.field)
			} else if len(got) > 0 {
				t.Errorf("violations %v", got)
			}
		})
		stated = append(stated, transactionCase{test.name, test.change, test.reason, "transaction." + test.field})
		replaced = append(replaced, transactionCase{test.name, test.change, test.reason, "amendment.replacement." + test.field})
	}
	runStatementCases(t, validTransaction, transactionStatement, stated)
	runStatementCases(t, validTransaction, func(m *tracev1.Transaction) *tracev1.Statement {
		st := validStatements()["amendment"]
		st.GetAmendment().Replacement = m
		return st
	}, replaced)
}

func TestTransaction(t *testing.T) {
	type message = tracev1.Transaction
	long := strings.Repeat("a", 65)
	runTransactionCases(t, []transactionCase{
		{"as it is", func(m *message) {}, fine, ""},
		{"no kind", func(m *message) { m.Kind = 0 }, missing, "kind"},
		{"unknown kind", func(m *message) { m.Kind = 6 }, malformed, "kind"},
		{"negative kind", func(m *message) { m.Kind = -1 }, malformed, "kind"},
		{"no customer", func(m *message) { m.Customer = nil }, missing, "customer"},
		{"no date", func(m *message) { m.TransactionDate = "" }, missing, "transaction_date"},
		{"no day", func(m *message) { m.TransactionDate = "2025-06" }, badDate, "transaction_date"},
		{"no such day", func(m *message) { m.TransactionDate = "2025-02-29" }, badDate, "transaction_date"},
		{"a year too early", func(m *message) { m.TransactionDate = "1899-12-31" }, badDate, "transaction_date"},
		{"no numbers", func(m *message) {
			m.TransactionNumber, m.ContractNumber, m.InvoiceNumber = "", "", ""
			m.ExportLicenceNumber, m.CustomsDeclarationNumber = "", ""
		}, fine, ""},
		{"numbers of 64 bytes", func(m *message) { m.TransactionNumber = long[:64] }, fine, ""},
		{"long transaction number", func(m *message) { m.TransactionNumber = long }, malformed, "transaction_number"},
		{"long contract number", func(m *message) { m.ContractNumber = long }, malformed, "contract_number"},
		{"long invoice number", func(m *message) { m.InvoiceNumber = long }, malformed, "invoice_number"},
		{"long licence number", func(m *message) { m.ExportLicenceNumber = long }, malformed, "export_licence_number"},
		{"long declaration number", func(m *message) { m.CustomsDeclarationNumber = long }, malformed, "customs_declaration_number"},
		{"long end user", func(m *message) { m.EndUserName = strings.Repeat("a", 257) }, malformed, "end_user_name"},
		{"no end use", func(m *message) { m.EndUse = 0 }, fine, ""},
		{"unknown end use", func(m *message) { m.EndUse = 15 }, malformed, "end_use"},
		{"export to no country", func(m *message) { m.DestinationCountry = "" }, missing, "destination_country"},
		{"sale to no country", func(m *message) {
			m.Kind, m.DestinationCountry = tracev1.TransactionKind_TRANSACTION_KIND_SALE, ""
		}, fine, ""},
		{"sale to no such country", func(m *message) {
			m.Kind, m.DestinationCountry = tracev1.TransactionKind_TRANSACTION_KIND_SALE, "XX"
		}, malformed, "destination_country"},
		{"export to an unknown country", func(m *message) { m.DestinationCountry = "ZZ" }, fine, ""},
		{"export to three letters", func(m *message) { m.DestinationCountry = "DEU" }, malformed, "destination_country"},
		{"no lines", func(m *message) { m.Lines = nil }, missing, "lines"},
	})
}

func TestParty(t *testing.T) {
	type message = tracev1.Transaction
	runTransactionCases(t, []transactionCase{
		{"no key", func(m *message) {
			m.Customer.ParticipantId, m.Customer.Identifiers, m.Customer.OwnCode = "", nil, ""
		}, missing, "customer"},
		{"only an id", func(m *message) { m.Customer.Identifiers, m.Customer.OwnCode = nil, "" }, fine, ""},
		{"only an identifier", func(m *message) { m.Customer.ParticipantId, m.Customer.OwnCode = "", "" }, fine, ""},
		{"only a code", func(m *message) { m.Customer.ParticipantId, m.Customer.Identifiers = "", nil }, fine, ""},
		{"id in capitals", func(m *message) { m.Customer.ParticipantId = "C" }, malformed, "customer.participant_id"},
		{"identifier without scheme", func(m *message) { m.Customer.Identifiers[0].Scheme = 0 }, missing, "customer.identifiers[0].scheme"},
		{"wrong identifier", func(m *message) { m.Customer.Identifiers[0].Value = "1" }, malformed, "customer.identifiers[0].value"},
		{"two of one scheme", func(m *message) {
			m.Customer.Identifiers = append(m.Customer.Identifiers, &tracev1.Identifier{Scheme: lei, Value: issuedLEIs[1]})
		}, repeated, "customer.identifiers[1].scheme"},
		{"code of 64", func(m *message) { m.Customer.OwnCode = strings.Repeat("c", 64) }, fine, ""},
		{"long code", func(m *message) { m.Customer.OwnCode = strings.Repeat("客", 22) }, malformed, "customer.own_code"},
		{"code with a tab", func(m *message) { m.Customer.OwnCode = "C\t17" }, malformed, "customer.own_code"},
		{"no name", func(m *message) { m.Customer.Name = nil }, missing, "customer.name.native"},
		{"only a Latin name", func(m *message) { m.Customer.Name.Native = "" }, missing, "customer.name.native"},
		{"names of 256", func(m *message) {
			m.Customer.Name.Native, m.Customer.Name.Latin = strings.Repeat("a", 256), strings.Repeat("a", 256)
		}, fine, ""},
		{"long Latin name", func(m *message) { m.Customer.Name.Latin = strings.Repeat("a", 257) }, malformed, "customer.name.latin"},
		{"no country", func(m *message) { m.Customer.Country = "" }, missing, "customer.country"},
		{"unknown country", func(m *message) { m.Customer.Country = "ZZ" }, fine, ""},
		{"no such country", func(m *message) { m.Customer.Country = "XK" }, malformed, "customer.country"},
	})
}

func TestLine(t *testing.T) {
	type message = tracev1.TransactionLine
	cases := []valueCase[*message]{
		{"bare", func(m *message) {
			*m = message{ProductFamily: m.ProductFamily, HsCode: m.HsCode, NetMassGrams: 1}
		}, fine, ""},
		{"no family", func(m *message) { m.ProductFamily = 0 }, missing, "product_family"},
		{"unknown family", func(m *message) { m.ProductFamily = 16 }, malformed, "product_family"},
		{"grade of 32", func(m *message) { m.Grade = strings.Repeat("N", 32) }, fine, ""},
		{"long grade", func(m *message) { m.Grade = strings.Repeat("N", 33) }, malformed, "grade"},
		{"unknown form", func(m *message) { m.ProductForm = 9 }, malformed, "product_form"},
		{"no code", func(m *message) { m.HsCode = "" }, missing, "hs_code"},
		{"code of 6", func(m *message) { m.HsCode = "850511" }, fine, ""},
		{"code of 7", func(m *message) { m.HsCode = "8505111" }, malformed, "hs_code"},
		{"code of 8", func(m *message) { m.HsCode = "85051110" }, fine, ""},
		{"code of 12", func(m *message) { m.HsCode = "850511100000" }, malformed, "hs_code"},
		{"code with points", func(m *message) { m.HsCode = "8505.11." }, malformed, "hs_code"},
		{"code of another product", func(m *message) { m.HsCode = "010121" }, fine, ""},
		{"unknown coating", func(m *message) { m.Coating = 9 }, malformed, "coating"},
		{"other coating, not named", func(m *message) { m.Coating = tracev1.Coating_COATING_OTHER }, missing, "coating_other"},
		{"other coating", func(m *message) { m.Coating, m.CoatingOther = tracev1.Coating_COATING_OTHER, "PTFE" }, fine, ""},
		{"two coatings", func(m *message) { m.CoatingOther = "PTFE" }, malformed, "coating_other"},
		{"coating of 64", func(m *message) {
			m.Coating, m.CoatingOther = tracev1.Coating_COATING_OTHER, strings.Repeat("a", 64)
		}, fine, ""},
		{"long coating", func(m *message) {
			m.Coating, m.CoatingOther = tracev1.Coating_COATING_OTHER, strings.Repeat("a", 65)
		}, malformed, "coating_other"},
		{"no symbol", func(m *message) { m.Composition[0].Symbol = "" }, missing, "composition[0].symbol"},
		{"no such symbol", func(m *message) { m.Composition[0].Symbol = "Nb2" }, malformed, "composition[0].symbol"},
		{"symbol twice", func(m *message) { m.Composition[3].Symbol = "Nd" }, repeated, "composition[3].symbol"},
		{"no ppm", func(m *message) { m.Composition[4].Ppm = 0 }, outOfRange, "composition[4].ppm"},
		{"the whole", func(m *message) { m.Composition[3].Ppm = 683_000 }, fine, ""},
		{"more than the whole", func(m *message) { m.Composition[3].Ppm = 683_001 }, outOfRange, "composition"},
		{"lot of 20", func(m *message) { m.LotNumber = strings.Repeat("a", 20) }, fine, ""},
		{"lot of 21", func(m *message) { m.LotNumber = strings.Repeat("a", 21) }, malformed, "lot_number"},
		{"lot of all marks", func(m *message) { m.LotNumber = `!"%&'()*+,-./:;<=>?_` }, fine, ""},
		{"lot with a space", func(m *message) { m.LotNumber = "L 1" }, malformed, "lot_number"},
		{"lot with a hash", func(m *message) { m.LotNumber = "L#1" }, malformed, "lot_number"},
		{"lot beyond ASCII", func(m *message) { m.LotNumber = "批1" }, malformed, "lot_number"},
		{"no mass", func(m *message) { m.NetMassGrams = 0 }, outOfRange, "net_mass_grams"},
		{"most mass", func(m *message) { m.NetMassGrams = 1e12 }, fine, ""},
		{"too much mass", func(m *message) { m.NetMassGrams = 1e12 + 1 }, outOfRange, "net_mass_grams"},
		{"overflowing mass", func(m *message) { m.NetMassGrams = math.MaxUint64 }, outOfRange, "net_mass_grams"},
		{"not counted", func(m *message) { m.PieceCount = 0 }, fine, ""},
		{"too many pieces", func(m *message) { m.PieceCount = 1e12 + 1 }, outOfRange, "piece_count"},
		{"no currency", func(m *message) { m.Value.Currency = "" }, missing, "value.currency"},
		{"currency in small letters", func(m *message) { m.Value.Currency = "cny" }, malformed, "value.currency"},
		{"currency of four", func(m *message) { m.Value.Currency = "CNYY" }, malformed, "value.currency"},
		{"for nothing", func(m *message) { m.Value.Units, m.Value.Nanos = 0, 0 }, fine, ""},
		{"for less than nothing", func(m *message) { m.Value.Units = -1 }, outOfRange, "value.units"},
		{"negative nanos", func(m *message) { m.Value.Nanos = -1 }, outOfRange, "value.nanos"},
		{"most nanos", func(m *message) { m.Value.Nanos = 999_999_999 }, fine, ""},
		{"a unit of nanos", func(m *message) { m.Value.Nanos = 1_000_000_000 }, outOfRange, "value.nanos"},
	}
	var second []transactionCase // each change to the second line
	for _, test := range cases {
		second = append(second, transactionCase{test.name,
			func(tx *tracev1.Transaction) { test.change(tx.Lines[1]) }, test.reason, "lines[1]." + test.field})
	}
	runTransactionCases(t, second)
}

// TestTooMuchOfOneElement has two violations: of the part, and of the whole.
func TestTooMuchOfOneElement(t *testing.T) {
	tx := validTransaction()
	tx.Lines[0].Composition = []*tracev1.ElementFraction{
		{Symbol: "Nd", Ppm: math.MaxUint32}, {Symbol: "Fe", Ppm: math.MaxUint32}}
	got := custody.CheckTransaction(tx, custody.DefaultRuleParameters())
	for i, want := range []string{"lines[0].composition[0].ppm", "lines[0].composition[1].ppm", "lines[0].composition"} {
		if len(got) != 3 || got[i].Field != want || got[i].Reason != outOfRange {
			t.Fatalf("violations %v", got)
		}
	}
}

// TestTexts puts text into a field that takes any.
func TestTexts(t *testing.T) {
	for _, test := range []struct {
		name, text string
		ok         bool
	}{
		{"Latin", "Müller & Söhne", true},
		{"Chinese", "某某磁材有限公司", true},
		{"emoji", "🧲", true},
		{"Arabic with a mark", "شركة\u200f", true},
		{"not normalised", "e\u0301", true},
		{"replacement character", "a\ufffdb", true},
		{"NUL", "a\x00b", false},
		{"newline", "a\nb", false},
		{"delete", "a\x7fb", false},
		{"next line (C1)", "a\u0085b", false},
		{"last of C1", "a\u009fb", false},
		{"line separator", "a\u2028b", false},
		{"paragraph separator", "a\u2029b", false},
		{"override", "a\u202eb", false},
		{"embedding", "a\u202ab", false},
		{"isolate", "a\u2066b", false},
		{"end of isolate", "a\u2069b", false},
		{"leading space", " a", false},
		{"trailing space", "a ", false},
		{"only a space", " ", false},
		{"no-break space before", "\u00a0a", false},
		{"ideographic space after", "a\u3000", false},
		{"en quad before", "\u2000a", false},
		{"hair space after", "a\u200a", false},
		{"zero width space after", "a\u200b", false},
		{"byte order mark before", "\ufeffa", false},
		{"spaces within", "a b\u3000c", true},
		{"not UTF-8", "a\xffb", false},
		{"the middle of a character", "a\x80b", false},
		{"half a character", "a\xe5\x8f", false},
		{"surrogate", "a\xed\xa0\x80", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			tx := validTransaction()
			tx.EndUserName = test.text
			got := custody.CheckTransaction(tx, custody.DefaultRuleParameters())
			if test.ok && len(got) > 0 {
				t.Errorf("%q: %v", test.text, got)
			} else if !test.ok {
				checkViolation(t, got, malformed, "end_user_name")
			}
		})
	}
}

// TestKnownEnums checks that every value of the enumerations is taken, so that a
// new one is not forgotten here.
func TestKnownEnums(t *testing.T) {
	for _, test := range []struct {
		values map[int32]string
		set    func(*tracev1.Transaction, int32)
	}{
		{tracev1.TransactionKind_name, func(m *tracev1.Transaction, n int32) { m.Kind = tracev1.TransactionKind(n) }},
		{tracev1.EndUse_name, func(m *tracev1.Transaction, n int32) { m.EndUse = tracev1.EndUse(n) }},
		{tracev1.ProductFamily_name, func(m *tracev1.Transaction, n int32) { m.Lines[0].ProductFamily = tracev1.ProductFamily(n) }},
		{tracev1.ProductForm_name, func(m *tracev1.Transaction, n int32) { m.Lines[0].ProductForm = tracev1.ProductForm(n) }},
		{tracev1.Coating_name, func(m *tracev1.Transaction, n int32) {
			m.Lines[0].Coating = tracev1.Coating(n)
			if m.Lines[0].Coating == tracev1.Coating_COATING_OTHER {
				m.Lines[0].CoatingOther = "other"
			}
		}},
	} {
		for value, name := range test.values {
			tx := validTransaction()
			test.set(tx, value)
			if got := custody.CheckTransaction(tx, custody.DefaultRuleParameters()); value != 0 && len(got) > 0 {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}

func TestTooManyLines(t *testing.T) {
	p := custody.DefaultRuleParameters()
	tx := validTransaction()
	for len(tx.Lines) < 1000 {
		tx.Lines = append(tx.Lines, tx.Lines[0])
	}
	if got := custody.CheckTransaction(tx, p); len(got) > 0 {
		t.Fatalf("1,000 lines: %v", got)
	}
	tx.Lines = append(tx.Lines, &tracev1.TransactionLine{})
	checkViolation(t, custody.CheckTransaction(tx, p), tooLarge, "lines")

	refusal := custody.CheckStatement(transactionStatement(tx), p)
	if refusal == nil || refusal.Reason != tooLarge || refusal.Limit != "max_transaction_lines" || refusal.LimitValue != 1000 {
		t.Fatalf("refusal %+v", refusal)
	}
	checkRefusal(t, refusal)
	p.MaxTransactionLines = 1
	checkViolation(t, custody.CheckTransaction(validTransaction(), p), tooLarge, "lines")
}

func TestAmendment(t *testing.T) {
	valid := func() *tracev1.Statement { return validStatements()["amendment"] }
	itself := func(st *tracev1.Statement) *tracev1.Statement { return st }
	type statement = tracev1.Statement
	runStatementCases(t, valid, itself, []valueCase[*statement]{
		{"of nothing", func(st *statement) { st.GetAmendment().Target = nil }, missing, "amendment.target"},
		{"of half", func(st *statement) { st.GetAmendment().Target = make([]byte, 16) }, malformed, "amendment.target"},
		{"by nothing", func(st *statement) { st.GetAmendment().Replacement = nil }, missing, "amendment.replacement"},
		{"for nothing", func(st *statement) { st.GetAmendment().Reason = "" }, missing, "amendment.reason"},
	})
}

func TestCheckDateBounds(t *testing.T) {
	// 2025-06-02, one second after midnight in China.
	sequenced := time.Date(2025, time.June, 1, 16, 0, 1, 0, time.UTC).UnixMicro()
	for _, test := range []struct {
		date   string
		offset int32
		ahead  uint32
		reason tracev1.RefusalReason
	}{
		{"2025-06-02", 28_800, 1, fine},
		{"2025-06-03", 28_800, 1, fine},
		{"2025-06-04", 28_800, 1, dateAhead},
		{"2025-06-03", 0, 1, dateAhead},
		{"2025-06-02", 28_800, 0, fine},
		{"2025-06-03", 28_800, 0, dateAhead},
		{"2025-07-03", 28_800, 31, fine},
		{"2025-07-04", 28_800, 31, dateAhead},
		{"1900-01-01", 28_800, 1, fine},
		{"2199-12-31", 28_800, 1, dateAhead},
		{"2199-12-31", 28_800, math.MaxUint32, fine},
		{"2025-02-29", 28_800, 1, badDate},
		{"", 28_800, 1, missing},
	} {
		p := custody.DefaultRuleParameters()
		p.MaxDaysAhead = test.ahead
		tx := &tracev1.Transaction{TransactionDate: test.date}
		got := custody.CheckDateBounds(tx, sequenced, test.offset, p)
		if test.reason != fine {
			checkViolation(t, got, test.reason, "transaction_date")
		} else if len(got) > 0 {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
