package csvfile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExcelDamage(t *testing.T) {
	f := read(t, testdata(t, "excel_damage.csv"))
	if got := numbers(f); got != "7" {
		t.Errorf("transactions: got %s, want 7 only", got)
	}
	const date = `must be a date YYYY-MM-DD from 1900-01-01 to 2199-12-31; `
	const scientific = `Excel turned this number into scientific notation and its last digits are lost; format the column as Text in Excel and enter the value again`
	want := `row 2, transaction_date "2025/6/3": ` + date + `write 2025-06-03; in Excel use the custom format yyyy-mm-dd
row 3, transaction_date "45811": ` + date + `Excel wrote its number of the day, most likely for 2025-06-03; in Excel use the custom format yyyy-mm-dd
row 4, transaction_date "3.6.2025": ` + date + `write 2025-06-03; in Excel use the custom format yyyy-mm-dd
row 5, hs_code "8.5E+09": ` + scientific + `
row 5, net_mass "1,234.5": there are thousands separators; write 1234.5
row 6, customer_code "6.9E+12": ` + scientific + `
row 6, net_mass "1.234,5": there is a decimal comma; write 1234.5
row 7, customer_name "#NAME?": Excel shows this instead of a value; widen the column or mend the formula, and save again
row 7, net_mass "########": Excel shows this instead of a value; widen the column or mend the formula, and save again
row 7, hs_code "50519": must be 6, 8 or 10 digits; Excel drops zeros at the beginning: is it 050519? If so, format the column as Text in Excel and enter the value again
row 9, transaction_number "2.5312E+19": ` + scientific + `
`
	if diff := cmp.Diff(want, sentences(f.Rejected)); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
}

func TestDateForms(t *testing.T) {
	for v, want := range map[string]string{
		"2025/06/03":          "write 2025-06-03;",
		"2025-6-3":            "write 2025-06-03;",
		"2025.6.3":            "write 2025-06-03;",
		"20250603":            "write 2025-06-03;",
		"2025年6月3日":           "write 2025-06-03;",
		"2025-06-03 00:00:00": "write 2025-06-03;",
		"2025-06-03T00:00:00": "write 2025-06-03;",
		"03.06.2025":          "write 2025-06-03;",
		"13/6/2025":           "write 2025-06-13;",
		"6/13/2025":           "write 2025-06-13;",
		"13-06-2025":          "write 2025-06-13;",
		"3/6/2025":            "12-31; in Excel use",
		"30.2.2025":           "12-31; in Excel use",
		"2025-02-30":          "12-31; in Excel use",
		"3 June":              "12-31; in Excel use",
	} {
		t.Run(v, func(t *testing.T) {
			f := read(t, table(sale.but(values{"transaction_date": v})))
			if got := sentences(f.Rejected); !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestNumberForms(t *testing.T) {
	const form = "write digits with a decimal point and nothing else, for instance 1234.5"
	for v, want := range map[string]string{
		"1,234,567":     "there are thousands separators; write 1234567",
		"1,234,567.5":   "there are thousands separators; write 1234567.5",
		"1.234.567":     "there are thousands separators; write 1234567",
		"1.234.567,5":   "there is a decimal comma; write 1234567.5",
		"12,5":          "there is a decimal comma; write 12.5",
		"1,234":         "the comma may separate thousands or decimals; write 1234 or 1.234",
		"1 234":         "there are thousands separators; write 1234",
		"1\u202f234":    "there are thousands separators; write 1234",
		"1’234":         "there are thousands separators; write 1234",
		"１２":            "there are digits of another script; write ASCII digits, 0 to 9",
		"1.2E-05":       "Excel turned this number into scientific notation",
		"6,9E+12":       "Excel turned this number into scientific notation",
		"-5":            "a number must not be negative",
		"5%":            "write the number without the percent sign",
		"1e3":           form,
		"0x10":          form,
		".5":            form,
		"5.":            form,
		"12 kg":         form,
		"NaN":           form,
		"1 234,5":       "there are thousands separators; write 1234.5",
		"=A1":           "this is a formula; write the plain value",
		`="12"`:         "this is a formula; write the plain value",
		"1,234.5,6":     form,
		"1.2,3.4,5":     form,
		"12345678901,5": "there is a decimal comma; write 12345678901.5",
	} {
		t.Run(v, func(t *testing.T) {
			f := read(t, table(sale.but(values{"net_mass": v})))
			if got := sentences(f.Rejected); !strings.Contains(got, "net_mass") || !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestOrdinaryCodes has codes that look a little like what Excel writes.
func TestOrdinaryCodes(t *testing.T) {
	for _, v := range []string{"1E5", "12E+05", "1.5E+5", "E+10", "NA", "N/A", "NULL", "-", "#12", "1-2-3", "007"} {
		t.Run(v, func(t *testing.T) {
			tx := readOne(t, table(sale.but(values{"contract_number": v})))
			if got := tx.Message.GetContractNumber(); got != v {
				t.Errorf("got %q, want %q", got, v)
			}
		})
	}
}
