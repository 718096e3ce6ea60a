package csvfile_test

import (
	"fmt"
	"testing"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

func TestLocate(t *testing.T) {
	tx := readOne(t, table(sale.but(values{"line_number": "2", "customer_gln": "4006381333931"}), sale.but(values{"line_number": "1", "customer_gln": "4006381333931"})))
	for field, want := range map[string]string{
		"lines[0].hs_code":                              "3 hs_code",
		"transaction.lines[1].composition[3].ppm":       "2 composition",
		"transaction.lines[1].net_mass_grams":           "2 net_mass",
		"transaction.lines[0].value.units":              "3 value_amount",
		"transaction.lines[0].value.currency":           "3 value_currency",
		"transaction.customer.identifiers[0].value":     "2 customer_gln",
		"transaction.customer.identifiers[7].value":     "2 ",
		"transaction.customer.name.native":              "2 customer_name",
		"transaction.customer.name.latin":               "2 customer_name_latin",
		"transaction.lines":                             "2 ",
		"transaction.lines[99].hs_code":                 "2 ",
		"transaction.kind":                              "2 transaction_kind",
		"salt":                                          "2 ",
		"":                                              "2 ",
		"transaction.export_licence_number.deeper.than": "2 export_licence_number",
	} {
		row, column := tx.Locate(field)
		if got := fmt.Sprint(row, " ", column); got != want {
			t.Errorf("%s: got %s, want %s", field, got, want)
		}
	}
}

// TestEveryFieldHasAColumn finds a field of the message that a row could not
// give.
func TestEveryFieldHasAColumn(t *testing.T) {
	tx := readOne(t, table(sale))
	fields := (&tracev1.Transaction{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		name := string(fields.Get(i).Name())
		if _, column := tx.Locate(name); column == "" && name != "lines" && name != "customer" {
			t.Errorf("%s: no column", name)
		}
	}
	fields = (&tracev1.TransactionLine{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if _, column := tx.Locate("lines[0]." + string(fields.Get(i).Name())); column == "" {
			t.Errorf("lines[0].%s: no column", fields.Get(i).Name())
		}
	}
}
