package custody_test

import (
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
)

func TestKnownCountry(t *testing.T) {
	known := 0
	for first := 0; first < 256; first++ {
		for second := 0; second < 256; second++ {
			if custody.KnownCountry(string([]byte{byte(first), byte(second)})) {
				known++
			}
		}
	}
	if known != 249 { // as many as ISO 3166-1 assigns officially
		t.Errorf("%d countries", known)
	}
	for _, code := range []string{"CN", "NA", "AD", "ZW", "GB", "GR", "TW", "AX"} {
		if !custody.KnownCountry(code) {
			t.Errorf("%s is not known", code)
		}
	}
	for _, code := range []string{"", "C", "cn", "CHN", "ZZ", "XK", "EU", "EL", "UK", "XI", "AN", "SU", "D "} {
		if custody.KnownCountry(code) {
			t.Errorf("%q is known", code)
		}
	}
}

func TestElements(t *testing.T) {
	for number := 1; number <= 118; number++ {
		symbol := custody.ElementSymbol(number)
		if got, ok := custody.ElementNumber(symbol); !ok || got != number {
			t.Errorf("element %d, %q, has number %d, %v", number, symbol, got, ok)
		}
	}
	for symbol, want := range map[string]int{
		"H": 1, "B": 5, "Al": 13, "Sc": 21, "Fe": 26, "Co": 27, "Ni": 28, "Ga": 31, "Y": 39, "Nb": 41,
		"La": 57, "Ce": 58, "Pr": 59, "Nd": 60, "Sm": 62, "Gd": 64, "Tb": 65, "Dy": 66, "Ho": 67, "Lu": 71,
		"Th": 90, "U": 92, "Og": 118,
	} {
		if got, ok := custody.ElementNumber(symbol); !ok || got != want {
			t.Errorf("ElementNumber(%q) = %d, %v, want %d", symbol, got, ok, want)
		}
	}
	for _, symbol := range []string{"", "nd", "ND", "N d", "Ndx", "D", "T", "A", "Xx", "R", "RE", "É", "N\x00"} {
		if got, ok := custody.ElementNumber(symbol); ok {
			t.Errorf("ElementNumber(%q) = %d", symbol, got)
		}
	}
	for _, number := range []int{-1, 0, 119} {
		if got := custody.ElementSymbol(number); got != "" {
			t.Errorf("ElementSymbol(%d) = %q", number, got)
		}
	}
}
