package csvfile

import "io"

// WriteTemplate writes a file to begin with: all columns, and two transactions
// as examples, which Read admits.
func WriteTemplate(w io.Writer) error {
	table, err := newTable(w, columnNames())
	if err != nil {
		return err
	}
	first := cells{
		transactionNumber: "INV-001", transactionKind: "sale", transactionDate: "2025-06-03",
		contractNumber: "CONTRACT-1", invoiceNumber: "INV-001", customerCode: "CUSTOMER-1",
		customerName: "Example Motors GmbH (replace)", customerCountry: "DE", endUse: "traction",
	}
	second := first
	first.set(cells{
		lineNumber: "1", productFamily: "ndfeb_sintered", grade: "N42SH", productForm: "arc", hsCode: "850511",
		coating: "nicuni", lotNumber: "LOT-1", netMass: "12.5", netMassUnit: "KGM", pieceCount: "2500",
		composition: "Nd 29.5; Dy 1.2; B 1.0", valueAmount: "1100.00", valueCurrency: "EUR",
	})
	second.set(cells{
		lineNumber: "2", productFamily: "smco5", grade: "YX-18", productForm: "disc", hsCode: "850511",
		lotNumber: "LOT-2", netMass: "800", netMassUnit: "GRM",
	})
	third := cells{
		transactionNumber: "INV-002", transactionKind: "export", transactionDate: "2025-06-04",
		customerCode: "CUSTOMER-2", customerName: "示例有限公司 (replace)", customerNameLatin: "Example Company Limited (replace)",
		customerCountry: "CN", endUse: "wind", destinationCountry: "CN", lineNumber: "1",
		productFamily: "ferrite", productForm: "block", hsCode: "850519", netMass: "1.2", netMassUnit: "TNE",
	}
	return table.WriteAll([][]string{first.record(), second.record(), third.record()})
}

// set fills in the values that other has.
func (c *cells) set(other cells) {
	for i, v := range other {
		if v != "" {
			c[i] = v
		}
	}
}
