package csvfile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// asText is what keeps Excel from changing a value.
const asText = "format the column as Text in Excel and enter the value again"

// damage says what a program did to a value so that it cannot be the one that
// was meant, or "".
func damage(kind content, v string) string {
	switch {
	case v == "":
		return ""
	case strings.ContainsRune(v, utf8.RuneError):
		return "a character was lost when the file was converted (it is � now); export the file again as UTF-8"
	case v[0] == '#' && excelFault(v):
		return "Excel shows this instead of a value; widen the column or mend the formula, and save again"
	case kind != code && kind != number:
		return ""
	case strings.HasPrefix(v, `="`), kind == number && v[0] == '=':
		return "this is a formula; write the plain value"
	case scientific(v):
		return "Excel turned this number into scientific notation and its last digits are lost; " + asText
	case kind == code:
		return invisible(v)
	}
	return ""
}

// excelFault reports whether v is what Excel shows for a value that it cannot
// compute or display.
func excelFault(v string) bool {
	switch v {
	case "#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!":
		return true
	}
	return len(v) > 1 && strings.Trim(v, "#") == ""
}

// scientific reports whether v is a number as Excel abbreviates it, such as
// 6.9E+12.
func scientific(v string) bool {
	mantissa, exponent, ok := strings.Cut(v, "E")
	if !ok || len(exponent) < 3 || exponent[0] != '+' && exponent[0] != '-' || !allDigits(exponent[1:]) {
		return false
	}
	whole, fraction, point := strings.Cut(strings.Replace(mantissa, ",", ".", 1), ".")
	return len(whole) == 1 && allDigits(whole) && (!point || allDigits(fraction))
}

// invisible names a character that nobody sees and no code holds, or returns "".
func invisible(v string) string {
	for _, r := range v {
		switch {
		case r == '\n':
			return "there is a line break within the value; remove it"
		case r > ' ' && r < 0x7F:
		case unicode.In(r, unicode.Cc, unicode.Cf):
			return fmt.Sprintf("there is an invisible character within the value, %U; type it anew", r)
		}
	}
	return ""
}

// suspicion says what a program is likely to have done to a value that may be
// right nevertheless, or "".
func suspicion(kind content, v string) string {
	switch {
	case kind != code:
		return ""
	case len(v) >= 18 && allDigits(v) && strings.Trim(v[15:], "0") == "":
		return "Excel keeps 15 digits of a number and writes zeros for the rest; check the last digits"
	case excelDate(v):
		return "Excel writes dates like this; if it is none, " + asText
	}
	return ""
}

// excelDate reports whether v is how Excel shows values like 3-5 or 12/1 that it
// took for a date: 5-Mar, Mar-25, 3月5日.
func excelDate(v string) bool {
	if month, day, ok := strings.Cut(v, "月"); ok {
		day, ok = strings.CutSuffix(day, "日")
		return ok && shortNumber(month) && shortNumber(day)
	}
	a, b, ok := strings.Cut(v, "-")
	return ok && (shortNumber(a) && monthName(b) || monthName(a) && shortNumber(b))
}

func shortNumber(s string) bool {
	return len(s) <= 2 && allDigits(s)
}

func monthName(s string) bool {
	if len(s) != len("Jan") {
		return false
	}
	_, err := time.Parse("Jan", s)
	return err == nil
}

// advice says what a value that was judged wrong was probably meant to be, or
// "".
func advice(id columnID, v string) string {
	switch {
	case v == "":
		return ""
	case specs[id].content == date:
		return dateAdvice(v)
	case lostZero(id, v):
		return fmt.Sprintf("Excel drops zeros at the beginning: is it 0%s? If so, %s", v, asText)
	}
	if plain := plainCode(v); plain != v && hasForm(id, plain) {
		return "write " + plain
	}
	return ""
}

// lostZero reports whether v is a code of digits that is one digit short.
func lostZero(id columnID, v string) bool {
	switch id {
	case hsCode:
		return allDigits(v) && (len(v) == 5 || len(v) == 7 || len(v) == 9)
	case customerGLN:
		return allDigits(v) && len(v) == 12
	}
	return false
}

// plainCode returns a code in capitals, without the separators that people put
// into it.
func plainCode(v string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "", ".", "", "/", "").Replace(v))
}

// hasForm reports whether a code in capitals has the form that its column asks
// for; false for columns whose codes are not written in capitals only.
func hasForm(id columnID, v string) bool {
	switch id {
	case hsCode:
		return allDigits(v) && (len(v) == 6 || len(v) == 8 || len(v) == 10)
	case customerCountry, destinationCountry:
		return custody.KnownCountry(v) || v == "ZZ"
	case valueCurrency:
		return len(v) == 3 && strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	}
	scheme, ok := identifierScheme(id)
	return ok && custody.CheckIdentifier(&tracev1.Identifier{Scheme: scheme, Value: v}) == ""
}

// numberFault says why s is no number, and how it would be one.
func numberFault(s string) string {
	const form = "write digits with a decimal point and nothing else, for instance 1234.5"
	if fault := damage(number, s); fault != "" {
		return fault
	}
	if fault := separatorFault(s); fault != "" {
		return fault
	}
	switch {
	case strings.HasPrefix(s, "-"), strings.HasPrefix(s, "−"):
		return "a number must not be negative; goods given back are a transaction of the kind return"
	case strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII && unicode.IsDigit(r) }):
		return "there are digits of another script; write ASCII digits, 0 to 9"
	case strings.HasSuffix(s, "%"):
		return "write the number without the percent sign"
	}
	return form
}

// spaces are what separates thousands besides points and commas.
var spaces = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", "'", "", "’", "")

// separatorFault explains a number with thousands separators or a decimal
// comma, or returns "".
func separatorFault(s string) string {
	if joined := strings.Replace(spaces.Replace(s), ",", ".", 1); spaces.Replace(s) != s && allDigits(strings.Replace(joined, ".", "", 1)) {
		return "there are thousands separators; write " + shorten(joined)
	}
	points, commas := ungroup(s, ",", "."), ungroup(s, ".", ",")
	switch {
	case points != "" && commas != "":
		return "the comma may separate thousands or decimals; write " + points + " or " + commas
	case points != "":
		return "there are thousands separators; write " + points
	case commas != "" && !strings.Contains(s, ","):
		return "there are thousands separators; write " + commas
	case commas != "":
		return "there is a decimal comma; write " + commas
	}
	return ""
}

// ungroup returns a number without thousands separators and with a decimal
// point, "" if s is no number that has them in the right places.
func ungroup(s, separator, point string) string {
	whole, fraction, decimals := strings.Cut(s, point)
	groups := strings.Split(whole, separator)
	for i, group := range groups {
		if !allDigits(group) || len(groups) > 1 && (len(group) > 3 || i > 0 && len(group) < 3) {
			return ""
		}
	}
	plain := strings.Join(groups, "")
	switch {
	case !decimals:
		return shorten(plain)
	case !allDigits(fraction):
		return ""
	}
	return shorten(plain + "." + fraction)
}

// dateAdvice says what a date in another form is most likely to be.
func dateAdvice(v string) string {
	const how = "in Excel use the custom format yyyy-mm-dd"
	if allDigits(v) && len(v) == len("45811") {
		days, _ := strconv.Atoi(v)
		day := time.Date(1899, 12, 30+days, 0, 0, 0, 0, time.UTC)
		return fmt.Sprintf("Excel wrote its number of the day, most likely for %s; %s", day.Format(time.DateOnly), how)
	}
	v, _, _ = strings.Cut(v, " ")
	v, _, _ = strings.Cut(v, "T")
	for _, form := range dateForms(v) {
		if day, err := time.Parse(form, v); err == nil {
			return fmt.Sprintf("write %s; %s", day.Format(time.DateOnly), how)
		}
	}
	return how
}

// dateForms are the forms that v may have. Of a date like 3/6/2025 nobody knows
// which is the month, unless one of the two is above 12.
func dateForms(v string) []string {
	forms := []string{"2006-1-2", "2006/1/2", "2006.1.2", "20060102", "2006年1月2日", "2.1.2006"}
	for _, form := range [][2]string{{"2/1/2006", "1/2/2006"}, {"2-1-2006", "1-2-2006"}} {
		_, dayFirst := time.Parse(form[0], v)
		_, monthFirst := time.Parse(form[1], v)
		if dayFirst == nil && monthFirst != nil {
			forms = append(forms, form[0])
		} else if monthFirst == nil && dayFirst != nil {
			forms = append(forms, form[1])
		}
	}
	return forms
}
