package csvfile

import "strings"

// ErrorColumn is the name of the column that WriteRejected adds and Read
// ignores.
const ErrorColumn = "error"

// Column is a column of the format.
type Column struct {
	// Name is what the first row of a file calls it.
	Name string
	// Required says whether a file must have the column. Whether a value is
	// required may depend on other values.
	Required bool
	// Line says whether the column describes the line item of the row, not the
	// transaction.
	Line bool
	// Help says in one line what goes into it.
	Help string
}

// Columns are the columns of the format in the order in which Write writes
// them. Do not change them.
var Columns = func() []Column {
	all := make([]Column, columnCount)
	for id := range specs {
		all[id] = specs[id].Column
		all[id].Line = columnID(id) >= firstLineColumn
	}
	return all
}()

// columnID is the position of a column in Columns.
type columnID int

const (
	transactionNumber columnID = iota
	transactionKind
	transactionDate
	contractNumber
	invoiceNumber
	customerParticipantID
	customerLEI
	customerUSCC
	customerEORI
	customerGLN
	customerVAT
	customerCode
	customerName
	customerNameLatin
	customerCountry
	endUse
	endUserName
	destinationCountry
	exportLicenceNumber
	customsDeclarationNumber
	lineNumber
	productFamily
	grade
	productForm
	hsCode
	coating
	coatingOther
	lotNumber
	netMass
	netMassUnit
	pieceCount
	composition
	valueAmount
	valueCurrency

	columnCount
	firstLineColumn = lineNumber

	noColumn columnID = -1
)

// content is what sort of value a column holds.
type content int

const (
	text content = iota // names: any words
	code                // letters and digits that somebody assigned
	date
	number
	word // one of a list
)

// spec is what the package knows of a column.
type spec struct {
	Column
	content content
	// field is the path within a Transaction, without indices, of the field
	// that the column becomes.
	field string
}

var specs = [columnCount]spec{
	transactionNumber: {Column{Name: "transaction_number", Required: true,
		Help: "your own number of the transaction, for instance of the delivery note; rows with the same number are one transaction"},
		code, "transaction_number"},
	transactionKind: {Column{Name: "transaction_kind", Required: true,
		Help: "what sort of dealing it is: " + kinds.allowed},
		word, "kind"},
	transactionDate: {Column{Name: "transaction_date", Required: true,
		Help: "date of the transaction, YYYY-MM-DD"},
		date, "transaction_date"},
	contractNumber: {Column{Name: "contract_number",
		Help: "number of the contract"},
		code, "contract_number"},
	invoiceNumber: {Column{Name: "invoice_number",
		Help: "number of the invoice; in China of the special VAT invoice"},
		code, "invoice_number"},
	customerParticipantID: {Column{Name: "customer_participant_id",
		Help: "id of the customer in this ledger, if it takes part; " + oneCustomerCode},
		code, "customer.participant_id"},
	customerLEI: {Column{Name: "customer_lei",
		Help: "Legal Entity Identifier of the customer, 20 characters"},
		code, ""},
	customerUSCC: {Column{Name: "customer_uscc",
		Help: "Unified Social Credit Code of the customer, 18 characters"},
		code, ""},
	customerEORI: {Column{Name: "customer_eori",
		Help: "EORI number of the customer, with its country prefix"},
		code, ""},
	customerGLN: {Column{Name: "customer_gln",
		Help: "Global Location Number of the customer, 13 digits"},
		code, ""},
	customerVAT: {Column{Name: "customer_vat",
		Help: "VAT number of the customer, with its country prefix"},
		code, ""},
	customerCode: {Column{Name: "customer_code",
		Help: "your own code of the customer; always the same for the same customer"},
		code, "customer.own_code"},
	customerName: {Column{Name: "customer_name", Required: true,
		Help: "legal name of the customer in its own script"},
		text, "customer.name"},
	customerNameLatin: {Column{Name: "customer_name_latin",
		Help: "legal name of the customer in Latin letters"},
		text, "customer.name.latin"},
	customerCountry: {Column{Name: "customer_country", Required: true,
		Help: "country of the customer, two letters of ISO 3166-1 (NA is Namibia), or ZZ if unknown"},
		code, "customer.country"},
	endUse: {Column{Name: "end_use",
		Help: "what the goods are for: " + endUses.allowed},
		word, "end_use"},
	endUserName: {Column{Name: "end_user_name",
		Help: "legal name of the end user"},
		text, "end_user_name"},
	destinationCountry: {Column{Name: "destination_country",
		Help: "country of destination, two letters, or ZZ if unknown; needed for an export"},
		code, "destination_country"},
	exportLicenceNumber: {Column{Name: "export_licence_number",
		Help: "number of the export licence"},
		code, "export_licence_number"},
	customsDeclarationNumber: {Column{Name: "customs_declaration_number",
		Help: "number of the customs declaration"},
		code, "customs_declaration_number"},
	lineNumber: {Column{Name: "line_number",
		Help: "place of the line within its transaction: 1, 2, 3; without it the rows count as they stand"},
		number, ""},
	productFamily: {Column{Name: "product_family", Required: true,
		Help: "what the product is made of: " + families.allowed},
		word, "lines.product_family"},
	grade: {Column{Name: "grade",
		Help: "grade as the maker states it, for instance N42SH"},
		code, "lines.grade"},
	productForm: {Column{Name: "product_form",
		Help: "shape of the product: " + forms.allowed},
		word, "lines.product_form"},
	hsCode: {Column{Name: "hs_code", Required: true,
		Help: "Harmonized System code: 6, 8 or 10 digits, without points"},
		code, "lines.hs_code"},
	coating: {Column{Name: "coating",
		Help: "surface of the magnet: " + coatings.allowed},
		word, "lines.coating"},
	coatingOther: {Column{Name: "coating_other",
		Help: "which coating, if coating is other"},
		text, "lines.coating_other"},
	lotNumber: {Column{Name: "lot_number",
		Help: "your lot number, at most 20 characters"},
		code, "lines.lot_number"},
	netMass: {Column{Name: "net_mass", Required: true,
		Help: "net mass in the unit of net_mass_unit, without packing; whole grams"},
		number, "lines.net_mass_grams"},
	netMassUnit: {Column{Name: "net_mass_unit", Required: true,
		Help: "unit of net_mass: GRM (gram), KGM (kilogram) or TNE (tonne)"},
		word, ""},
	pieceCount: {Column{Name: "piece_count",
		Help: "number of pieces, if counted"},
		number, "lines.piece_count"},
	composition: {Column{Name: "composition",
		Help: `percent by weight of elements: "Nd 29.5; Dy 1.2; B 1.0", at most 4 decimals`},
		number, "lines.composition"},
	valueAmount: {Column{Name: "value_amount",
		Help: "value of the line in value_currency, at most 9 decimals"},
		number, "lines.value"},
	valueCurrency: {Column{Name: "value_currency",
		Help: "currency of value_amount, three letters of ISO 4217"},
		code, "lines.value.currency"},
}

// oneCustomerCode says what identifies a customer.
const oneCustomerCode = "at least one of customer_participant_id, customer_lei, customer_uscc, " +
	"customer_eori, customer_gln, customer_vat and customer_code is needed"

// columnIDs are the columns by their names.
var columnIDs = func() map[string]columnID {
	ids := make(map[string]columnID, columnCount)
	for id := range specs {
		ids[specs[id].Name] = columnID(id)
	}
	return ids
}()

// cells are the values of a row by column, without the white space around
// them; a column that a file does not have is empty.
type cells [columnCount]string

// columnNamed returns the column that a cell of the first row names. It reports
// whether there is one; the error column is noColumn.
func columnNamed(cell string) (columnID, bool) {
	name := strings.ToLower(strings.TrimSpace(cell))
	if name == ErrorColumn {
		return noColumn, true
	}
	id, ok := columnIDs[name]
	return id, ok
}

// nearestColumn returns the name of the column that differs least from name, ""
// if none is anything like it.
func nearestColumn(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if len(name) > 64 {
		return ""
	}
	nearest, least := "", len(name)*2/3+1
	for _, column := range Columns {
		if d := editDistance(name, column.Name); d < least {
			nearest, least = column.Name, d
		}
	}
	return nearest
}

// editDistance returns how many bytes must be inserted, removed or replaced to
// turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
