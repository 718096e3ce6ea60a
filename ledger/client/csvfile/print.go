package csvfile

import (
	"strconv"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// transactionCells are the values of the columns of a transaction.
func transactionCells(tx *tracev1.Transaction) *cells {
	party := tx.GetCustomer()
	c := &cells{
		transactionNumber:        tx.GetTransactionNumber(),
		transactionKind:          printWord(kinds, int32(tx.GetKind())),
		transactionDate:          tx.GetTransactionDate(),
		contractNumber:           tx.GetContractNumber(),
		invoiceNumber:            tx.GetInvoiceNumber(),
		customerParticipantID:    party.GetParticipantId(),
		customerCode:             party.GetOwnCode(),
		customerName:             party.GetName().GetNative(),
		customerNameLatin:        party.GetName().GetLatin(),
		customerCountry:          party.GetCountry(),
		endUse:                   printWord(endUses, int32(tx.GetEndUse())),
		endUserName:              tx.GetEndUserName(),
		destinationCountry:       tx.GetDestinationCountry(),
		exportLicenceNumber:      tx.GetExportLicenceNumber(),
		customsDeclarationNumber: tx.GetCustomsDeclarationNumber(),
	}
	for _, identifier := range party.GetIdentifiers() {
		if id := identifierColumn(identifier.GetScheme()); id != noColumn {
			c[id] = identifier.GetValue()
		}
	}
	return c
}

// setLine fills in the columns of a line, whose place counts from 1.
func (c *cells) setLine(place int, line *tracev1.TransactionLine) {
	c[lineNumber] = strconv.Itoa(place)
	c[productFamily] = printWord(families, int32(line.GetProductFamily()))
	c[grade] = line.GetGrade()
	c[productForm] = printWord(forms, int32(line.GetProductForm()))
	c[hsCode] = line.GetHsCode()
	c[coating] = printWord(coatings, int32(line.GetCoating()))
	c[coatingOther] = line.GetCoatingOther()
	c[lotNumber] = line.GetLotNumber()
	c[netMass] = strconv.FormatUint(line.GetNetMassGrams(), 10)
	c[netMassUnit] = "GRM"
	c[pieceCount], c[valueAmount], c[valueCurrency] = "", "", ""
	if n := line.GetPieceCount(); n > 0 {
		c[pieceCount] = strconv.FormatUint(n, 10)
	}
	c[composition] = printFractions(line.GetComposition())
	if line.GetValue() != nil {
		c[valueAmount] = printAmount(line.GetValue())
		c[valueCurrency] = line.GetValue().GetCurrency()
	}
}

// printWord returns the word for a number; a number without one becomes what
// no list of words holds.
func printWord(v *vocabulary, n int32) string {
	if n == 0 {
		return ""
	}
	if w, ok := v.words[n]; ok {
		return w
	}
	return strconv.Itoa(int(n))
}
