package custody

import (
	"fmt"
	"strings"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Bounds of the numbers of a line.
const (
	maxMassGrams = 1_000_000_000_000
	maxPieces    = 1_000_000_000_000
	maxPPM       = 1_000_000
	maxNanos     = 999_999_999
	maxLot       = 20
)

// lotMarks are the characters that a lot number may hold beside letters and
// digits: with them they are the 82 of GS1 AI encodable character set 82 (GS1
// General Specifications, section 7.11).
const lotMarks = `!"%&'()*+,-./:;<=>?_`

// Last values of the enumerations that rules version 1 knows.
const (
	lastKind    = int32(tracev1.TransactionKind_TRANSACTION_KIND_TRANSFER)
	lastEndUse  = int32(tracev1.EndUse_END_USE_OTHER)
	lastFamily  = int32(tracev1.ProductFamily_PRODUCT_FAMILY_SCRAP)
	lastForm    = int32(tracev1.ProductForm_PRODUCT_FORM_OTHER)
	lastCoating = int32(tracev1.Coating_COATING_OTHER)
)

// CheckTransaction judges the values of one transaction as CheckStatement does,
// with paths that start at the transaction: "lines[2].hs_code". It returns the
// first 20 violations, none if all is well. It is for those who prepare
// statements.
func CheckTransaction(tx *tracev1.Transaction, p *tracev1.RuleParameters) []Violation {
	var c valueChecker
	c.transaction(nil, tx, p)
	return c.violations
}

// CheckDateBounds judges the date of a transaction against the time at which its
// statement is sequenced: at most p.max_days_ahead days after the reporting date
// of that time. How far back a date may lie has no bound: late is found, not
// refused. Paths start at the transaction, as in CheckTransaction.
func CheckDateBounds(tx *tracev1.Transaction, sequencedAtMicros int64, utcOffsetSeconds int32,
	p *tracev1.RuleParameters) []Violation {
	var c valueChecker
	day, ok := ParseDay(tx.GetTransactionDate())
	today := ReportingDay(sequencedAtMicros, utcOffsetSeconds)
	if !ok {
		c.date(nil, "transaction_date", tx.GetTransactionDate())
	} else if int64(day) > int64(today)+int64(p.GetMaxDaysAhead()) {
		c.fail(dateOutOfBounds, nil, "transaction_date",
			fmt.Sprintf("must be at most %d days after the reporting date %v", p.GetMaxDaysAhead(), today))
	}
	return c.violations
}

func (c *valueChecker) transaction(at *fieldPath, tx *tracev1.Transaction, p *tracev1.RuleParameters) {
	c.requiredEnum(at, "kind", int32(tx.GetKind()), lastKind)
	if tx.GetCustomer() == nil {
		c.missing(at, "customer")
	} else {
		c.party(at.field("customer"), tx.GetCustomer())
	}
	c.date(at, "transaction_date", tx.GetTransactionDate())
	c.text(at, "transaction_number", tx.GetTransactionNumber(), maxNumber)
	c.text(at, "contract_number", tx.GetContractNumber(), maxNumber)
	c.text(at, "invoice_number", tx.GetInvoiceNumber(), maxNumber)
	c.enum(at, "end_use", int32(tx.GetEndUse()), lastEndUse)
	c.text(at, "end_user_name", tx.GetEndUserName(), maxName)
	if tx.GetDestinationCountry() != "" || tx.GetKind() == tracev1.TransactionKind_TRANSACTION_KIND_EXPORT {
		c.country(at, "destination_country", tx.GetDestinationCountry(), true)
	}
	c.text(at, "export_licence_number", tx.GetExportLicenceNumber(), maxNumber)
	c.text(at, "customs_declaration_number", tx.GetCustomsDeclarationNumber(), maxNumber)
	c.lines(at, tx.GetLines(), p)
}

// party checks the other side of a transaction, which something must identify: a
// name alone is no key to add volumes up under.
func (c *valueChecker) party(at *fieldPath, m *tracev1.Party) {
	if m.GetParticipantId() == "" && len(m.GetIdentifiers()) == 0 && m.GetOwnCode() == "" {
		c.fail(valueMissing, at, "", "needs a participant_id, identifiers or an own_code")
	}
	if m.GetParticipantId() != "" {
		c.participantID(at, "participant_id", m.GetParticipantId())
	}
	c.identifiers(at, m.GetIdentifiers())
	c.text(at, "own_code", m.GetOwnCode(), maxNumber)
	c.legalName(at.field("name"), m.GetName())
	c.country(at, "country", m.GetCountry(), true)
}

// date checks the form of a required date.
func (c *valueChecker) date(at *fieldPath, name, value string) {
	if value == "" {
		c.missing(at, name)
	} else if _, ok := ParseDay(value); !ok {
		c.fail(dateMalformed, at, name, "must be a date YYYY-MM-DD from 1900-01-01 to 2199-12-31")
	}
}

// lines checks the lines, unless there are too many to be looked at.
func (c *valueChecker) lines(at *fieldPath, lines []*tracev1.TransactionLine, p *tracev1.RuleParameters) {
	if len(lines) == 0 {
		c.missing(at, "lines")
	}
	if most := uint64(p.GetMaxTransactionLines()); uint64(len(lines)) > most {
		c.exceeds(at, "lines", len(lines), "max_transaction_lines", most)
		return
	}
	for i, line := range lines {
		if c.full() {
			return
		}
		c.line(at.item("lines", i), line)
	}
}

func (c *valueChecker) line(at *fieldPath, m *tracev1.TransactionLine) {
	c.requiredEnum(at, "product_family", int32(m.GetProductFamily()), lastFamily)
	c.text(at, "grade", m.GetGrade(), maxGrade)
	c.enum(at, "product_form", int32(m.GetProductForm()), lastForm)
	c.hsCode(at, m.GetHsCode())
	c.coating(at, m)
	c.composition(at, m.GetComposition())
	if len(m.GetLotNumber()) > maxLot || !isLotNumber(m.GetLotNumber()) {
		c.fail(valueMalformed, at, "lot_number", "must be at most 20 characters of GS1 AI (10)")
	}
	checkRange(c, at, "net_mass_grams", m.GetNetMassGrams(), 1, maxMassGrams)
	checkRange(c, at, "piece_count", m.GetPieceCount(), 0, maxPieces)
	if m.GetValue() != nil {
		c.money(at.field("value"), m.GetValue())
	}
}

// hsCode checks the form only: whether the code exists and fits the product is a
// matter of findings.
func (c *valueChecker) hsCode(at *fieldPath, code string) {
	switch len(code) {
	case 0:
		c.missing(at, "hs_code")
		return
	case 6, 8, 10:
		if _, digits := parseDigits(code); digits {
			return
		}
	}
	c.fail(valueMalformed, at, "hs_code", "must be 6, 8 or 10 digits")
}

// coating checks that another coating is named if and only if there is one.
func (c *valueChecker) coating(at *fieldPath, m *tracev1.TransactionLine) {
	c.enum(at, "coating", int32(m.GetCoating()), lastCoating)
	switch {
	case m.GetCoating() == tracev1.Coating_COATING_OTHER:
		c.requiredText(at, "coating_other", m.GetCoatingOther(), maxCoating)
	case m.GetCoatingOther() != "":
		c.fail(valueMalformed, at, "coating_other", "must be absent unless coating is COATING_OTHER")
	}
}

// composition checks mass fractions: of elements, each once, together no more
// than the whole.
func (c *valueChecker) composition(at *fieldPath, parts []*tracev1.ElementFraction) {
	var seen [len(elementSymbols) + 1]bool
	sum := uint64(0)
	for i, part := range parts {
		if c.full() {
			return
		}
		item := at.item("composition", i)
		number, ok := ElementNumber(part.GetSymbol())
		switch {
		case part.GetSymbol() == "":
			c.missing(item, "symbol")
		case !ok:
			c.fail(valueMalformed, item, "symbol", "must be the symbol of a chemical element")
		case seen[number]:
			c.fail(valueRepeated, item, "symbol", "is named before")
		}
		seen[number] = true
		checkRange(c, item, "ppm", part.GetPpm(), 1, maxPPM)
		sum += uint64(part.GetPpm())
	}
	if sum > maxPPM {
		c.fail(valueOutOfRange, at, "composition", fmt.Sprintf("must add up to at most %d ppm, is %d", maxPPM, sum))
	}
}

func (c *valueChecker) money(at *fieldPath, m *tracev1.Money) {
	if currency := m.GetCurrency(); currency == "" {
		c.missing(at, "currency")
	} else if len(currency) != 3 || !isUpper(currency[0]) || !isUpper(currency[1]) || !isUpper(currency[2]) {
		c.fail(valueMalformed, at, "currency", "must be three capital letters (ISO 4217)")
	}
	if m.GetUnits() < 0 {
		c.fail(valueOutOfRange, at, "units", "must not be negative")
	}
	checkRange(c, at, "nanos", m.GetNanos(), 0, maxNanos)
}

func (c *valueChecker) amendment(at *fieldPath, m *tracev1.Amendment, p *tracev1.RuleParameters) {
	c.length(at, "target", m.GetTarget(), hashBytes)
	if m.GetReplacement() == nil {
		c.missing(at, "replacement")
	} else {
		c.transaction(at.field("replacement"), m.GetReplacement(), p)
	}
	c.requiredText(at, "reason", m.GetReason(), maxReason)
}

func (c *valueChecker) void(at *fieldPath, m *tracev1.Void) {
	c.length(at, "target", m.GetTarget(), hashBytes)
	c.requiredText(at, "reason", m.GetReason(), maxReason)
}

// isLotNumber reports whether every character of s may stand in a lot number.
func isLotNumber(s string) bool {
	for i := range len(s) {
		if b := s[i]; !isUpper(b) && !isLower(b) && !isDigit(b) && strings.IndexByte(lotMarks, b) < 0 {
			return false
		}
	}
	return true
}
