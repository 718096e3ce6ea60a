package csvfile_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
)

func TestEncodings(t *testing.T) {
	for name, want := range map[string]string{
		"utf16le.csv":      `the file is UTF-16, which Excel calls "Unicode Text"; save it as "CSV UTF-8 (Comma delimited)"`,
		"utf16be.csv":      "the file is UTF-16",
		"utf16_no_bom.csv": "row 1: the file holds a NUL byte, as UTF-16 and damaged files do",
		"gbk.csv":          `row 2: the file is not UTF-8 but GBK or GB18030, as Excel in China writes for plain CSV (it reads "示例磁材有限公司" there); save it as "CSV UTF-8 (Comma delimited)"`,
		"gb18030_late.csv": "row 2: the file is not UTF-8 but GBK or GB18030",
		"windows1252.csv":  `row 2: the file is not UTF-8; Excel's plain "CSV" is in the encoding of the Windows it runs on`,
		"semicolon.csv":    "row 1: the columns are separated by semicolons",
		"tabs.csv":         "row 1: the columns are separated by tabs",
		"sep_line.csv":     `row 1: the first row is "sep=,", an instruction to Excel; remove it`,
		"workbook.csv":     "the file is a workbook, not a CSV file",
	} {
		t.Run(name, func(t *testing.T) {
			if got := formatFault(t, testdata(t, name)); !strings.HasPrefix(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestLineEnds(t *testing.T) {
	for _, name := range []string{"utf8_bom.csv", "cr.csv"} {
		t.Run(name, func(t *testing.T) {
			if tx := readOne(t, testdata(t, name)); tx.Message.GetCustomer().GetName().GetNative() != "示例磁材有限公司" || tx.Rows[0] != 2 {
				t.Errorf("got %v in rows %v", tx.Message, tx.Rows)
			}
		})
	}
	t.Run("mixed, counted within quotation marks", func(t *testing.T) {
		lines := strings.Split(table(sale.but(values{"customer_name": "a\nb"}), sale.but(values{"transaction_number": "2", "hs_code": "x"})), "\n")
		f := read(t, lines[0]+"\r"+lines[1]+"\r\n"+lines[2]+"\n\r\n"+lines[3]+"\r")
		if got := sentences(f.Rejected); !strings.HasPrefix(got, "row 2, customer_name") || !strings.Contains(got, `row 5, hs_code "x"`) {
			t.Errorf("got %s", got)
		}
	})
}

func TestHeader(t *testing.T) {
	good := table(sale)
	names, rows, _ := strings.Cut(good, "\n")
	for name, c := range map[string]struct{ names, want string }{
		"blank":         {",,\n", "row 1: none of the columns is known"},
		"title":         {"销售明细表,,,\n" + names, "row 1: none of the columns is known; the first row must name the columns, beginning for instance with transaction_number,"},
		"unknown":       {strings.Replace(names, "hs_code", "HS-Code", 1), `column 25, "HS-Code", is unknown (did you mean hs_code?); the column hs_code is missing`},
		"far from any":  {names + ",qqq", `column 35, "qqq", is unknown`},
		"very long":     {names + "," + strings.Repeat("q", 100_000), `column 35, "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq…", is unknown`},
		"twice":         {names + ", Grade ", "columns 23 and 35 are both named Grade"},
		"nameless":      {strings.Replace(names, "grade", "", 1), "column 23 has no name; remove it"},
		"missing":       {strings.Replace(strings.Replace(names, "net_mass,", "", 1), "hs_code,", "", 1), "the columns hs_code and net_mass are missing"},
		"no customer":   {"transaction_number,transaction_kind,transaction_date,customer_name,customer_country,product_family,hs_code,net_mass,net_mass_unit", "no column identifies the customer: at least one of"},
		"quoted":        {`"a"b,c`, "a quotation mark opens a value and is not closed"},
		"one of a text": {"See transaction_number;below", "none of the columns is known"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := formatFault(t, c.names+"\n"+rows); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	for _, empty := range []string{"", "\n\r\n\n", "\ufeff"} {
		if got, want := formatFault(t, empty), "the file is empty; its first row must name the columns"; got != want {
			t.Errorf("%q: got %s, want %s", empty, got, want)
		}
	}
	t.Run("any case, any order, error ignored, blanks at the end", func(t *testing.T) {
		readOne(t, "Net_Mass_Unit, TRANSACTION_NUMBER ,Error,transaction_kind,transaction_date,customer_vat,customer_name,customer_country,product_family,hs_code,net_mass,,\n"+
			"KGM,1,whatever was wrong,sale,2025-06-03,DE123456789,Example,DE,ferrite,850519,1,,\n")
	})
}

func TestCutOff(t *testing.T) {
	good := table(sale, sale)
	for _, n := range []int{10, 40, 70, len(strings.Split(good, "\n")[1])} {
		if got := formatFault(t, good[:len(good)-n]); !strings.HasPrefix(got, "row 3: the file ends within this row") {
			t.Errorf("without %d bytes: got %s", n, got)
		}
	}
}

func TestQuotationMarks(t *testing.T) {
	good := table(sale)
	for name, c := range map[string]struct{ row, want string }{
		"bare":       {strings.Replace(table(sale), "Example Motors", `2" Motors`, 1), "row 2: there is a quotation mark inside a value"},
		"misplaced":  {strings.Replace(table(sale), "Example Motors", `"Example" Motors`, 1), "row 2: a quotation mark opens a value and is not closed before"},
		"not closed": {good + `"INV-002,sale` + "\n" + good, "row 3: a quotation mark opens a value"},
		"endless":    {good + `"` + strings.Repeat("INV-002,sale\n", 30_000), "row 3: the row is longer than 262144 bytes; is there a quotation mark that is not closed?"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := formatFault(t, c.row); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestColumnsAreHelp checks what the documentation of the columns is made of.
func TestColumnsAreHelp(t *testing.T) {
	seen := make(map[string]bool)
	for _, column := range csvfile.Columns {
		if seen[column.Name] || column.Name == "" || column.Help == "" || strings.Contains(column.Help, "\n") {
			t.Errorf("%+v: must have a name of its own and one line of help", column)
		}
		seen[column.Name] = true
	}
	for _, column := range csvfile.Columns {
		without := table(sale)
		without = strings.Replace(without, column.Name+",", "error,", 1)
		_, err := csvfile.Read(strings.NewReader(without), nil)
		if missing := err != nil && strings.Contains(err.Error(), column.Name); missing != column.Required && column.Name != "value_currency" {
			t.Errorf("%s: a file without it: %v, required is %v", column.Name, err, column.Required)
		}
	}
}

// TestPackageExample reads the example of the package documentation.
func TestPackageExample(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var example bytes.Buffer
	for line := range strings.Lines(string(source)) {
		if line, ok := strings.CutPrefix(line, "//\t"); ok && strings.Count(line, ",") > 5 {
			example.WriteString(line)
		}
	}
	f := read(t, example.String())
	if got := numbers(f); got != "INV-001 INV-002" || f.Rows != 3 || len(f.Warnings) > 0 {
		t.Errorf("got %s in %d rows, %v, %v", got, f.Rows, f.Rejected, f.Warnings)
	}
}
