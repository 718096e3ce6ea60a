package csvfile_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
)

// values are those of a row, by column.
type values map[string]string

// sale is a row without fault. Tests change some of its values.
var sale = values{
	"transaction_number": "INV-001", "transaction_kind": "sale", "transaction_date": "2025-06-03",
	"customer_code": "C-17", "customer_name": "Example Motors GmbH", "customer_country": "DE",
	"product_family": "ndfeb_sintered", "hs_code": "850511", "net_mass": "12.5", "net_mass_unit": "KGM",
}

// but returns the row with other values.
func (v values) but(changes values) values {
	changed := maps.Clone(v)
	maps.Copy(changed, changes)
	return changed
}

// table returns a file with all columns and the rows.
func table(rows ...values) string {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	var names []string
	for _, column := range csvfile.Columns {
		names = append(names, column.Name)
	}
	w.Write(names)
	for _, row := range rows {
		record := make([]string, len(names))
		for i, name := range names {
			record[i] = row[name]
		}
		w.Write(record)
	}
	w.Flush()
	return b.String()
}

// read reads a file that has the right format.
func read(t *testing.T, text string) *csvfile.File {
	t.Helper()
	f, err := csvfile.Read(strings.NewReader(text), nil)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return f
}

// readOne reads a file with one transaction without fault.
func readOne(t *testing.T, text string) csvfile.Transaction {
	t.Helper()
	f := read(t, text)
	if len(f.Rejected) > 0 || len(f.Transactions) != 1 {
		t.Fatalf("got %d transactions and rejections %v, want 1 and none", len(f.Transactions), f.Rejected)
	}
	return f.Transactions[0]
}

// formatFault reads a file that does not have the right format.
func formatFault(t *testing.T, text string) string {
	t.Helper()
	_, err := csvfile.Read(strings.NewReader(text), nil)
	var fault *csvfile.FormatError
	if !errors.As(err, &fault) {
		t.Fatalf("Read: got %v, want a FormatError", err)
	}
	return err.Error()
}

// numbers are the transaction numbers of a file's transactions, joined.
func numbers(f *csvfile.File) string {
	var all []string
	for _, tx := range f.Transactions {
		all = append(all, tx.Number)
	}
	return strings.Join(all, " ")
}

// sentences are rejections as people see them, one a line.
func sentences(rejected []csvfile.Rejection) string {
	var b strings.Builder
	for _, r := range rejected {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
