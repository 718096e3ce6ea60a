package custody

// The lists below decide what is refused. They belong to rules version 1: to
// change one is to change the rules, and takes a new version.

// assignedCountries are the officially assigned alpha-2 codes of ISO 3166-1,
// 249 of them. Derived from datasets/country-codes (caa72d1,
// data/country-codes.csv), Open Data Commons PDDL.
const assignedCountries = "" +
	"AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI " +
	"BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN " +
	"CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK " +
	"FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM " +
	"HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN " +
	"KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK " +
	"ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP " +
	"NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW " +
	"SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF " +
	"TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI " +
	"VN VU WF WS YE YT ZA ZM ZW"

// unknownCountry is the user-assigned code that stands for a country that is
// not known.
const unknownCountry = "ZZ"

// elementSymbols are the symbols of the chemical elements in the order of their
// atomic numbers, 1 to 118, as named by IUPAC.
var elementSymbols = [...]string{
	"H", "He",
	"Li", "Be", "B", "C", "N", "O", "F", "Ne",
	"Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar",
	"K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr",
	"Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe",
	"Cs", "Ba",
	"La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu",
	"Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn",
	"Fr", "Ra",
	"Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr",
	"Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
}

// countrySet holds for each first letter of a code the set of second letters.
var countrySet = func() (set [26]uint32) {
	for i := 0; i < len(assignedCountries); i += len("AD ") {
		set[assignedCountries[i]-'A'] |= 1 << (assignedCountries[i+1] - 'A')
	}
	return set
}()

// elementNumbers holds the atomic number at the place that symbolPlace gives,
// and 0 where no symbol is.
var elementNumbers = func() (numbers [26 * 27]uint8) {
	for i, symbol := range elementSymbols {
		place, _ := symbolPlace(symbol)
		numbers[place] = uint8(i + 1)
	}
	return numbers
}()

// KnownCountry reports whether ISO 3166-1 officially assigns the alpha-2 code.
// "NA" is Namibia. Codes that the standard only reserves or leaves to its users
// are not known: neither XK, which some use for Kosovo, nor EU, nor ZZ, which
// callers that take an unknown country allow themselves.
func KnownCountry(alpha2 string) bool {
	return len(alpha2) == 2 && isUpper(alpha2[0]) && isUpper(alpha2[1]) &&
		countrySet[alpha2[0]-'A']&(1<<(alpha2[1]-'A')) != 0
}

// ElementNumber returns the atomic number, 1 to 118, of the chemical element
// with the symbol, for instance 60 for "Nd". It reports whether there is one.
func ElementNumber(symbol string) (int, bool) {
	place, ok := symbolPlace(symbol)
	if !ok || elementNumbers[place] == 0 {
		return 0, false
	}
	return int(elementNumbers[place]), true
}

// ElementSymbol returns the symbol of the chemical element with the atomic
// number, "" if there is none.
func ElementSymbol(number int) string {
	if number < 1 || number > len(elementSymbols) {
		return ""
	}
	return elementSymbols[number-1]
}

// symbolPlace maps what has the form of a symbol, a capital letter and at most
// one small one, to its place in elementNumbers.
func symbolPlace(symbol string) (int, bool) {
	switch {
	case len(symbol) == 1 && isUpper(symbol[0]):
		return int(symbol[0]-'A') * 27, true
	case len(symbol) == 2 && isUpper(symbol[0]) && isLower(symbol[1]):
		return int(symbol[0]-'A')*27 + int(symbol[1]-'a') + 1, true
	}
	return 0, false
}

func isUpper(b byte) bool { return 'A' <= b && b <= 'Z' }
func isLower(b byte) bool { return 'a' <= b && b <= 'z' }
func isDigit(b byte) bool { return '0' <= b && b <= '9' }
