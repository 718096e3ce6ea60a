package csvfile_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
)

// rejected returns what WriteRejected writes.
func rejected(t *testing.T, f *csvfile.File, extra map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.WriteRejected(&b, extra); err != nil {
		t.Fatalf("WriteRejected: %v", err)
	}
	return strings.TrimPrefix(b.String(), "\ufeff")
}

const rejectHeader = "Transaction_Number,transaction_kind,transaction_date,customer_code,customer_name,customer_country,product_family,hs_code,net_mass,net_mass_unit,grade"

func TestWriteRejected(t *testing.T) {
	const text = rejectHeader + `
A,sale,2025-06-03,C,"Example, Inc",DE,ferrite,850519,1,KGM,
B,sale,2025-06-03,C,Example,DE,ferrite,850519,1,KGM,"a ""b"""
A,sale,2025-06-03,C,"Example, Inc",DE,ferrite,85051,"1,5",KGM
C,sale,2025-06-03,C,Example,DE,ferrite,850519,1,KGM,
D,sale,2025-06-03,C,Example,DE,ferrite,850519,1,KGM,
B,sale,2025-06-03,C,Example,DE,ferrite,850519,2,KGM,
,sale,2025-06-03,C,Example,DE,ferrite,850519,2,KGM,
E,sale,2025-06-03,C,Example,DE,ferrite,850519,1,234,KGM,x
`
	f := read(t, text)
	if got := numbers(f); got != "C D" {
		t.Fatalf("transactions: got %s, want C D", got)
	}
	const want = rejectHeader + `,error
A,sale,2025-06-03,C,"Example, Inc",DE,ferrite,850519,1,KGM,,"rejected with another row of its transaction, row 4 of the original file"
B,sale,2025-06-03,C,Example,DE,ferrite,850519,1,KGM,"a ""b""","rejected with another row of its transaction, row 7 of the original file"
A,sale,2025-06-03,C,"Example, Inc",DE,ferrite,85051,"1,5",KGM,,"net_mass ""1,5"": there is a decimal comma; write 1.5; hs_code ""85051"": must be 6, 8 or 10 digits; Excel drops zeros at the beginning: is it 085051? If so, format the column as Text in Excel and enter the value again"
C,sale,2025-06-03,C,Example,DE,ferrite,850519,1,KGM,,refused by the ledger: lot unknown
B,sale,2025-06-03,C,Example,DE,ferrite,850519,2,KGM,,"row 8, next to this one, does not tell its transaction and may belong to the same"
,sale,2025-06-03,C,Example,DE,ferrite,850519,2,KGM,,transaction_number: is required in every row; repeat it if the row belongs to the transaction above
E,sale,2025-06-03,C,Example,DE,ferrite,850519,1,234,KGM,x,"there are more values than columns; put a value that holds a comma into quotation marks, and write numbers without thousands separators; row 8, next to this one, does not tell its transaction and may belong to the same"
`
	got := rejected(t, f, map[string]string{"C": "lot unknown"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("WriteRejected (-want +got):\n%s", diff)
	}
	again := rejected(t, read(t, got), map[string]string{"C": "lot unknown"})
	if got, want := columnsBut(t, again, "error"), columnsBut(t, got, "error"); got != want {
		t.Errorf("rejected again: got %s, want %s", got, want)
	}
}

// columnsBut returns a file without its last column, whose name is given.
func columnsBut(t *testing.T, text, last string) string {
	t.Helper()
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	records, err := r.ReadAll()
	if err != nil || records[0][len(records[0])-1] != last {
		t.Fatalf("got %v and the columns %v, want %s at the end", err, records[0], last)
	}
	var b strings.Builder
	for _, record := range records {
		b.WriteString(strings.Join(record[:len(record)-1], "|") + "\n")
	}
	return b.String()
}

func TestMendedFileIsRead(t *testing.T) {
	text := table(sale, sale.but(values{"net_mass": "1,5", "lot_number": "L"}), sale.but(values{"transaction_number": "2"}))
	out := rejected(t, read(t, text), nil)
	tx := readOne(t, strings.Replace(out, `,"1,5",`, ",1.5,", 1))
	if tx.Number != "INV-001" || len(tx.Message.GetLines()) != 2 || tx.Message.GetLines()[1].GetNetMassGrams() != 1500 {
		t.Errorf("got %v", tx.Message)
	}
}

func TestRefusedTransactionOfManyRows(t *testing.T) {
	numbered := func(n string) values { return sale.but(values{"line_number": n}) }
	f := read(t, table(numbered("2"), numbered("1")))
	out := rejected(t, f, map[string]string{"INV-001": "=quota"})
	lines := strings.Split(out, "\n")
	if !strings.HasSuffix(lines[1], ",refused by the ledger: =quota") || !strings.HasSuffix(lines[2], `row 2 of the original file"`) {
		t.Errorf("got %s", out)
	}
}

func TestWriteRejectedOfUnknownNumber(t *testing.T) {
	var b bytes.Buffer
	err := read(t, table(sale)).WriteRejected(&b, map[string]string{"INV-001": "x", "INV-9": "y"})
	if err == nil || !strings.Contains(err.Error(), `"INV-9"`) || !strings.Contains(b.String(), "INV-001") {
		t.Errorf("got %v and %s, want an error that names INV-9 and the row of INV-001", err, b.String())
	}
}

func TestErrorColumnIsBounded(t *testing.T) {
	long := strings.Repeat("x", 40)
	row := sale.but(values{"hs_code": long, "net_mass": long, "piece_count": long, "composition": long, "customer_country": long,
		"transaction_kind": long, "product_family": long, "product_form": long, "coating": long, "end_use": long, "transaction_date": long,
		"customer_lei": long, "customer_uscc": long, "customer_eori": long, "customer_gln": long, "customer_vat": long, "destination_country": long})
	out := rejected(t, read(t, table(row)), nil)
	records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if text := records[1][len(records[1])-1]; len(text) > 2100 || !strings.HasSuffix(text, " (and more)") {
		t.Errorf("got %d bytes: %s", len(text), text)
	}
}
