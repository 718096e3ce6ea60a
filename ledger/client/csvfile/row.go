package csvfile

import (
	"fmt"
	"strings"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// converter turns the values of a row into messages. What cannot be converted
// is left out and put down as a problem; what the values mean is for the judge.
type converter struct {
	cells    *cells
	problems []problem
	warnings []problem
}

// fail puts down a problem.
func (c *converter) fail(id columnID, format string, args ...any) {
	c.problems = append(c.problems, problem{id, fmt.Sprintf(format, args...)})
}

// transaction converts the columns of the transaction. It has no lines yet.
func (c *converter) transaction() *tracev1.Transaction {
	return &tracev1.Transaction{
		Kind:                     tracev1.TransactionKind(c.word(transactionKind, kinds)),
		Customer:                 c.customer(),
		TransactionDate:          c.text(transactionDate),
		TransactionNumber:        c.text(transactionNumber),
		ContractNumber:           c.text(contractNumber),
		InvoiceNumber:            c.text(invoiceNumber),
		EndUse:                   tracev1.EndUse(c.word(endUse, endUses)),
		EndUserName:              c.text(endUserName),
		DestinationCountry:       c.text(destinationCountry),
		ExportLicenceNumber:      c.text(exportLicenceNumber),
		CustomsDeclarationNumber: c.text(customsDeclarationNumber),
	}
}

// customer converts the columns of the customer.
func (c *converter) customer() *tracev1.Party {
	p := &tracev1.Party{
		ParticipantId: c.text(customerParticipantID),
		OwnCode:       c.text(customerCode),
		Country:       c.text(customerCountry),
	}
	for _, column := range identifierColumns {
		value := c.text(column.id)
		if value == "" {
			continue
		}
		identifier := &tracev1.Identifier{Scheme: column.scheme, Value: value}
		if doubt := custody.IdentifierWarning(identifier); doubt != "" {
			c.warnings = append(c.warnings, problem{column.id, doubt})
		}
		p.Identifiers = append(p.Identifiers, identifier)
	}
	native, latin := c.text(customerName), c.text(customerNameLatin)
	if native != "" || latin != "" {
		p.Name = &tracev1.LegalName{Native: native, Latin: latin}
	}
	return p
}

// identifierColumns are the columns of a customer's identifiers, in the order
// in which a message has them.
var identifierColumns = []struct {
	id     columnID
	scheme tracev1.IdentifierScheme
}{
	{customerLEI, tracev1.IdentifierScheme_IDENTIFIER_SCHEME_LEI},
	{customerUSCC, tracev1.IdentifierScheme_IDENTIFIER_SCHEME_USCC},
	{customerEORI, tracev1.IdentifierScheme_IDENTIFIER_SCHEME_EORI},
	{customerGLN, tracev1.IdentifierScheme_IDENTIFIER_SCHEME_GLN},
	{customerVAT, tracev1.IdentifierScheme_IDENTIFIER_SCHEME_VAT},
}

// identifierScheme returns the scheme of the identifiers in a column. It reports
// whether it is such a column.
func identifierScheme(id columnID) (tracev1.IdentifierScheme, bool) {
	for _, column := range identifierColumns {
		if column.id == id {
			return column.scheme, true
		}
	}
	return 0, false
}

// identifierColumn returns the column of the identifiers of a scheme, noColumn
// if there is none.
func identifierColumn(scheme tracev1.IdentifierScheme) columnID {
	for _, column := range identifierColumns {
		if column.scheme == scheme {
			return column.id
		}
	}
	return noColumn
}

// line converts the columns of the line.
func (c *converter) line() *tracev1.TransactionLine {
	return &tracev1.TransactionLine{
		ProductFamily: tracev1.ProductFamily(c.word(productFamily, families)),
		Grade:         c.text(grade),
		ProductForm:   tracev1.ProductForm(c.word(productForm, forms)),
		HsCode:        c.text(hsCode),
		Coating:       tracev1.Coating(c.word(coating, coatings)),
		CoatingOther:  c.text(coatingOther),
		Composition:   c.composition(),
		LotNumber:     c.text(lotNumber),
		NetMassGrams:  c.grams(),
		PieceCount:    c.whole(pieceCount),
		Value:         c.money(),
	}
}

// place returns the line_number, 0 if there is none.
func (c *converter) place() uint64 {
	if c.cells[lineNumber] == "" {
		return 0
	}
	n, fault := decimal(c.cells[lineNumber], 0)
	if fault == "" && n == 0 {
		fault = "lines are numbered from 1"
	}
	if fault != "" {
		c.fail(lineNumber, "%s", fault)
	}
	return n
}

// text returns a value as it stands.
func (c *converter) text(id columnID) string {
	v := c.cells[id]
	if fault := damage(specs[id].content, v); fault != "" {
		c.fail(id, "%s", fault)
		return ""
	}
	if doubt := suspicion(specs[id].content, v); doubt != "" {
		c.warnings = append(c.warnings, problem{id, doubt})
	}
	return v
}

// word returns the number of a word.
func (c *converter) word(id columnID, v *vocabulary) int32 {
	n, ok := v.number(c.cells[id])
	if !ok {
		c.fail(id, "must be one of %s", v.allowed)
	}
	return n
}

// whole returns a whole number, 0 if there is none.
func (c *converter) whole(id columnID) uint64 {
	if c.cells[id] == "" {
		return 0
	}
	n, fault := decimal(c.cells[id], 0)
	if fault != "" {
		c.fail(id, "%s", fault)
	}
	return n
}

// grams returns the net mass.
func (c *converter) grams() uint64 {
	v, unit := c.cells[netMass], strings.ToUpper(c.cells[netMassUnit])
	places, ok := massPlaces[unit]
	switch {
	case unit == "" && v != "":
		c.fail(netMassUnit, "the unit of net_mass is missing: GRM (gram), KGM (kilogram) or TNE (tonne)")
	case !ok && unit != "":
		c.fail(netMassUnit, "must be GRM (gram), KGM (kilogram) or TNE (tonne)")
	}
	if v == "" {
		return 0
	}
	n, fault := decimal(v, places)
	if fault == tooManyDecimals(places) {
		if !ok {
			return 0 // without a unit it cannot be told
		}
		fault = fmt.Sprintf("is no whole number of grams; %s takes at most %d decimals", unit, places)
	}
	if fault != "" {
		c.fail(netMass, "%s", fault)
	}
	return n
}

// composition returns the mass fractions.
func (c *converter) composition() []*tracev1.ElementFraction {
	if c.cells[composition] == "" {
		return nil
	}
	elements, fault := fractions(c.cells[composition])
	if fault != "" {
		c.fail(composition, "%s", fault)
	}
	return elements
}

// money returns the value of the line, nil if it has none.
func (c *converter) money() *tracev1.Money {
	v, currency := c.cells[valueAmount], c.text(valueCurrency)
	switch {
	case v == "" && c.cells[valueCurrency] == "":
		return nil
	case v == "":
		c.fail(valueAmount, "there is a value_currency but no value_amount")
		return nil
	case c.cells[valueCurrency] == "":
		c.fail(valueCurrency, "there is a value_amount but no value_currency")
	}
	units, nanos, fault := amount(v)
	if fault != "" {
		c.fail(valueAmount, "%s", fault)
	}
	return &tracev1.Money{Currency: currency, Units: units, Nanos: nanos}
}
