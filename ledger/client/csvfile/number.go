package csvfile

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Decimals of the columns that take them.
const (
	ppmPlaces  = 4 // of a percentage in parts per million
	nanoPlaces = 9
)

// decimal reads an unsigned number with at most places decimals and returns it
// times 10^places; zeros at the end of the decimals do not count. Otherwise it
// says what is wrong.
func decimal(s string, places int) (n uint64, fault string) {
	whole, fraction, fault := digits(s)
	if fault == "" && len(fraction) > places {
		fault = tooManyDecimals(places)
	}
	if fault != "" {
		return 0, fault
	}
	n, err := strconv.ParseUint(whole+fraction+strings.Repeat("0", places-len(fraction)), 10, 64)
	if err != nil {
		return 0, "the number is too large"
	}
	return n, ""
}

// tooManyDecimals says how many decimals are possible.
func tooManyDecimals(places int) string {
	if places == 0 {
		return "must be a whole number"
	}
	return fmt.Sprintf("has more than %d decimals", places)
}

// digits splits a number into the digits before and after the point, the latter
// without the zeros at their end, or says what is wrong.
func digits(s string) (whole, fraction, fault string) {
	whole, fraction, point := strings.Cut(s, ".")
	if !allDigits(whole) || point && !allDigits(fraction) {
		return "", "", numberFault(s)
	}
	return whole, strings.TrimRight(fraction, "0"), ""
}

// allDigits reports whether s is a number of ASCII digits, at least one.
func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// printDecimal is the reverse of decimal.
func printDecimal(n uint64, places int) string {
	s := strconv.FormatUint(n, 10)
	if len(s) <= places {
		s = strings.Repeat("0", places+1-len(s)) + s
	}
	whole, fraction := s[:len(s)-places], strings.TrimRight(s[len(s)-places:], "0")
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// amount reads a sum of money into units and nanos.
func amount(s string) (units int64, nanos int32, fault string) {
	whole, fraction, fault := digits(s)
	if fault == "" && len(fraction) > nanoPlaces {
		fault = tooManyDecimals(nanoPlaces)
	}
	if fault != "" {
		return 0, 0, fault
	}
	units, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, 0, "the number is too large"
	}
	n, _ := strconv.ParseInt(fraction+strings.Repeat("0", nanoPlaces-len(fraction)), 10, 32)
	return units, int32(n), ""
}

// printAmount is the reverse of amount. What amount cannot return becomes what
// amount refuses.
func printAmount(m *tracev1.Money) string {
	units := strconv.FormatInt(m.GetUnits(), 10)
	if m.GetNanos() == 0 {
		return units
	}
	return units + "." + strings.TrimRight(fmt.Sprintf("%09d", m.GetNanos()), "0")
}

// fractions reads a composition, or says what is wrong.
func fractions(s string) (elements []*tracev1.ElementFraction, fault string) {
	s = strings.TrimSuffix(s, ";")
	for part := range strings.SplitSeq(s, ";") {
		symbol, percent, ok := strings.Cut(strings.TrimSpace(part), " ")
		if !ok {
			return nil, fmt.Sprintf(`%q is no element with its percentage; write for instance "Nd 29.5; Dy 1.2; B 1.0"`, shorten(part))
		}
		ppm, fault := decimal(strings.TrimSpace(percent), ppmPlaces)
		if fault == "" && ppm > math.MaxUint32 {
			fault = "the number is too large"
		}
		if fault != "" {
			return nil, fmt.Sprintf("%s: %s; write percent by weight, for instance 29.5", shorten(symbol), fault)
		}
		elements = append(elements, &tracev1.ElementFraction{Symbol: symbol, Ppm: uint32(ppm)})
	}
	return elements, ""
}

// printFractions is the reverse of fractions.
func printFractions(elements []*tracev1.ElementFraction) string {
	parts := make([]string, len(elements))
	for i, e := range elements {
		parts[i] = e.GetSymbol() + " " + printDecimal(uint64(e.GetPpm()), ppmPlaces)
	}
	return strings.Join(parts, "; ")
}
