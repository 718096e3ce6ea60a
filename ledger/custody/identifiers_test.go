package custody_test

import (
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

const (
	lei  = tracev1.IdentifierScheme_IDENTIFIER_SCHEME_LEI
	uscc = tracev1.IdentifierScheme_IDENTIFIER_SCHEME_USCC
	eori = tracev1.IdentifierScheme_IDENTIFIER_SCHEME_EORI
	gln  = tracev1.IdentifierScheme_IDENTIFIER_SCHEME_GLN
	vat  = tracev1.IdentifierScheme_IDENTIFIER_SCHEME_VAT
)

// Identifiers that were issued, as facts. The LEIs are in the public GLEIF
// data (CC0); the first two USCCs are the worked example of GB 32100 and another
// of the tests of dromara/hutool, the third is in public company registers.
var (
	issuedLEIs  = []string{"HWUPKR0MPOU8FGXBT394", "5493001KJTIIGC8Y1R12", "21380068P1DRHMJ8KU70"}
	issuedUSCCs = []string{"91350100M000100Y43", "92371000MA3MXH0E3W", "9144030071526726XG"}
)

func TestCheckIdentifier(t *testing.T) {
	// A part of each problem, "" if the identifier is well formed.
	for _, test := range []struct {
		scheme  tracev1.IdentifierScheme
		value   string
		problem string
	}{
		{0, "HWUPKR0MPOU8FGXBT394", "no scheme"},
		{99, "HWUPKR0MPOU8FGXBT394", "unknown scheme"},
		{-1, "HWUPKR0MPOU8FGXBT394", "unknown scheme"},

		{lei, issuedLEIs[0], ""},
		{lei, issuedLEIs[1], ""},
		{lei, issuedLEIs[2], ""},
		{lei, "HWUPKR0MPOU8FGXBT395", "do not hold"}, // one digit changed
		{lei, "HWUPKR0MPOU8FGXTB394", "do not hold"}, // two letters swapped
		{lei, "HWUPKR0MPOU8FGXBT39", "18 capital letters"},
		{lei, "HWUPKR0MPOU8FGXBT3944", "18 capital letters"},
		{lei, "hwupkr0mpou8fgxbt394", "18 capital letters"},
		{lei, "HWUPKR0MPOU8FGXBT3A4", "18 capital letters"},
		{lei, "HWUP KR0MPOU8FGXBT394", "18 capital letters"},
		{lei, "", "18 capital letters"},

		{uscc, issuedUSCCs[0], ""},
		{uscc, issuedUSCCs[1], ""},
		{uscc, issuedUSCCs[2], ""},
		{uscc, "91350100M000100Y44", ""}, // the check character only warns
		{uscc, "91350100M000100Y4", "18 characters"},
		{uscc, "91350100M000100Y433", "18 characters"},
		{uscc, "91350100I000100Y43", "without I, O, S"},
		{uscc, "91350100m000100Y43", "without I, O, S"},

		{eori, "DE1", ""},
		{eori, "GR123456789", ""},
		{eori, "XI123456789000", ""},
		{eori, "PLABCDEFGHIJKLMNO", ""},
		{eori, "DE", "1 to 15"},
		{eori, "DE1234567890123456", "1 to 15"},
		{eori, "DE12-34", "1 to 15"},
		{eori, "EL123456789", "country"},
		{eori, "ZZ123456789", "country"},
		{eori, "D", "country"},

		{gln, "4000001000005", ""},
		{gln, "9521321000018", ""},
		{gln, "4000001000006", "does not hold"},
		{gln, "0400001000005", "does not hold"},
		{gln, "400000100000", "13 digits"},
		{gln, "40000010000050", "13 digits"},
		{gln, "400000100000X", "13 digits"},

		{vat, "DE123456789", ""},
		{vat, "EL123456789", ""},
		{vat, "XI123456789", ""},
		{vat, "RO12", ""},
		{vat, "IE1+23456A", ""},
		{vat, "NL12345*789B1", ""},
		{vat, "DE1+2345678", "letters and digits"},
		{vat, "DE1*2345678", "letters and digits"},
		{vat, "IE1/23456A", "letters and digits"},
		{vat, "FRab345678901", "letters and digits"},
		{vat, "DE1234567890123", ""},
		{vat, "DE", "2 to 18"},
		{vat, "DE1", "2 to 18"},
		{vat, "DE1234567890123456789", "2 to 18"},
		{vat, "EU123456789", "country"},
		{vat, "123456789", "country"},
	} {
		id := &tracev1.Identifier{Scheme: test.scheme, Value: test.value}
		got := custody.CheckIdentifier(id)
		if (got == "") != (test.problem == "") || !strings.Contains(got, test.problem) {
			t.Errorf("CheckIdentifier(%v %q) = %q, want %q", test.scheme, test.value, got, test.problem)
		}
	}
}

// TestLEICheckDigits changes every digit of an LEI into every other, and every
// letter.
func TestLEICheckDigits(t *testing.T) {
	issued := issuedLEIs[0]
	for i := range len(issued) {
		others := "0123456789"
		if !strings.Contains(others, issued[i:i+1]) {
			others = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		}
		for _, other := range others {
			changed := issued[:i] + string(other) + issued[i+1:]
			got := custody.CheckIdentifier(&tracev1.Identifier{Scheme: lei, Value: changed})
			if (got == "") != (changed == issued) {
				t.Errorf("%s: %q", changed, got)
			}
		}
	}
}

func TestIdentifierWarning(t *testing.T) {
	for _, value := range issuedUSCCs {
		if got := custody.IdentifierWarning(&tracev1.Identifier{Scheme: uscc, Value: value}); got != "" {
			t.Errorf("%s: %s", value, got)
		}
		for _, check := range "0123456789ABCDEFGHJKLMNPQRTUWXY" {
			changed := value[:17] + string(check)
			got := custody.IdentifierWarning(&tracev1.Identifier{Scheme: uscc, Value: changed})
			if (got == "") != (changed == value) {
				t.Errorf("%s: %q", changed, got)
			}
		}
	}
	for _, id := range []*tracev1.Identifier{
		nil,
		{Scheme: uscc, Value: "not a code"},
		{Scheme: lei, Value: "HWUPKR0MPOU8FGXBT395"},
	} {
		if got := custody.IdentifierWarning(id); got != "" {
			t.Errorf("%v: %q", id, got)
		}
	}
}

func TestParticipantIDs(t *testing.T) {
	for _, id := range []string{"a", "0", "acme", "acme-2.plant_b", "root", "a..", strings.Repeat("a", 64)} {
		if !custody.ValidParticipantID(id) {
			t.Errorf("%q is not valid", id)
		}
	}
	for _, id := range []string{"", ".a", "-a", "_a", "Acme", "acme ", "ac me", "a/b", "a:b", "acmé", "a\x00", strings.Repeat("a", 65)} {
		if custody.ValidParticipantID(id) {
			t.Errorf("%q is valid", id)
		}
	}
	for _, id := range []string{"root", "authority", "ledger"} {
		if !custody.ReservedParticipantID(id) {
			t.Errorf("%q is not reserved", id)
		}
	}
	for _, id := range []string{"", "acme", "roots", "ledger2"} {
		if custody.ReservedParticipantID(id) {
			t.Errorf("%q is reserved", id)
		}
	}
}
