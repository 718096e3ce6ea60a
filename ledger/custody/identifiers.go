package custody

import (
	"strings"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// maxParticipantID is the length of the longest participant id in bytes.
const maxParticipantID = 64

// ValidParticipantID reports whether s has the form of a participant id,
// [a-z0-9][a-z0-9._-]{0,63}. The reserved ids have it too.
func ValidParticipantID(s string) bool {
	return len(s) <= maxParticipantID && madeOf(s, "._-") && isLowerOrDigit(s[0])
}

// ReservedParticipantID reports whether s is an id that signs and is never
// admitted: root, authority or ledger.
func ReservedParticipantID(s string) bool {
	return s == "root" || s == "authority" || s == "ledger"
}

// CheckIdentifier says what is wrong with the form of an identifier, "" if
// nothing. The forms are, in capitals and without separators:
//
//   - LEI (ISO 17442): 18 letters or digits and two check digits, which hold
//     (ISO 7064, mod 97-10).
//   - USCC (GB 32100-2015): 18 of the digits and letters without I, O, S, V, Z.
//     The check character is not judged here: see IdentifierWarning.
//   - EORI: the ISO 3166-1 code of a country, or XI (Northern Ireland), and 1 to
//     15 letters or digits.
//   - GLN: 13 digits, the last of which is the GS1 mod 10 check digit.
//   - VAT: the ISO 3166-1 code of a country, or EL (Greece) or XI, and 2 to 18
//     letters or digits; in numbers of IE and NL also + and *, as the European
//     Commission's VIES describes them.
//
// Whether the identifier was ever issued is not judged.
func CheckIdentifier(id *tracev1.Identifier) (problem string) {
	value := id.GetValue()
	switch id.GetScheme() {
	case tracev1.IdentifierScheme_IDENTIFIER_SCHEME_UNSPECIFIED:
		return "has no scheme"
	case tracev1.IdentifierScheme_IDENTIFIER_SCHEME_LEI:
		return leiProblem(value)
	case tracev1.IdentifierScheme_IDENTIFIER_SCHEME_USCC:
		return usccProblem(value)
	case tracev1.IdentifierScheme_IDENTIFIER_SCHEME_EORI:
		return eoriProblem(value)
	case tracev1.IdentifierScheme_IDENTIFIER_SCHEME_GLN:
		return glnProblem(value)
	case tracev1.IdentifierScheme_IDENTIFIER_SCHEME_VAT:
		return vatProblem(value)
	default:
		return "is of an unknown scheme"
	}
}

// IdentifierWarning says what is suspicious about an identifier whose form is
// right, "" if nothing. A USCC whose check character is wrong is reported and
// not refused: codes given out in pilot areas before the standard took effect
// are lawful and do not hold.
func IdentifierWarning(id *tracev1.Identifier) string {
	value := id.GetValue()
	if id.GetScheme() != tracev1.IdentifierScheme_IDENTIFIER_SCHEME_USCC || usccProblem(value) != "" {
		return ""
	}
	if usccCheck(value) != value[len(value)-1] {
		return "has a check character that does not hold (GB 32100-2015)"
	}
	return ""
}

func leiProblem(s string) string {
	if len(s) != 20 || !isCapitalOrDigits(s) || !isDigit(s[18]) || !isDigit(s[19]) {
		return "must be 18 capital letters or digits and two check digits"
	}
	remainder := 0
	for i := range len(s) {
		if isDigit(s[i]) {
			remainder = (remainder*10 + int(s[i]-'0')) % 97
		} else {
			remainder = (remainder*100 + int(s[i]-'A') + 10) % 97
		}
	}
	if remainder != 1 {
		return "has check digits that do not hold (ISO 7064, mod 97-10)"
	}
	return ""
}

// usccAlphabet are the characters of a USCC in the order of their values.
const usccAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

func usccProblem(s string) string {
	if len(s) != 18 {
		return "must be 18 characters"
	}
	for i := range len(s) {
		if strings.IndexByte(usccAlphabet, s[i]) < 0 {
			return "must be digits and capital letters without I, O, S, V and Z"
		}
	}
	return ""
}

// usccCheck returns the check character that belongs to a USCC of right form:
// character i weighs 3^i, modulo 31.
func usccCheck(s string) byte {
	sum, weight := 0, 1
	for i := range len(s) - 1 {
		sum += strings.IndexByte(usccAlphabet, s[i]) * weight
		weight = weight * 3 % 31
	}
	return usccAlphabet[(31-sum%31)%31]
}

func eoriProblem(s string) string {
	if len(s) < 2 || !KnownCountry(s[:2]) && s[:2] != "XI" {
		return "must begin with the code of a country"
	}
	if number := s[2:]; number == "" || len(number) > 15 || !isCapitalOrDigits(number) {
		return "must have 1 to 15 capital letters or digits after the country"
	}
	return ""
}

func glnProblem(s string) string {
	if len(s) != 13 {
		return "must be 13 digits"
	}
	sum := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return "must be 13 digits"
		}
		sum += int(s[i]-'0') * (1 + i%2*2) // weights 1, 3, 1, ... 1
	}
	if sum%10 != 0 {
		return "has a check digit that does not hold (GS1, mod 10)"
	}
	return ""
}

func vatProblem(s string) string {
	if len(s) < 2 || !KnownCountry(s[:2]) && s[:2] != "EL" && s[:2] != "XI" {
		return "must begin with the code of a country"
	}
	signs := s[:2] == "IE" || s[:2] == "NL"
	number := s[2:]
	if len(number) < 2 || len(number) > 18 {
		return "must have 2 to 18 characters after the country"
	}
	for i := range len(number) {
		if b := number[i]; !isUpper(b) && !isDigit(b) && !(signs && (b == '+' || b == '*')) {
			return "must be capital letters and digits after the country"
		}
	}
	return ""
}

// validOrigin reports whether s has the form of the origin of a checkpoint:
// [a-z0-9.-]+(/[a-z0-9._-]+)*, at most 200 bytes.
func validOrigin(s string) bool {
	if len(s) > 200 {
		return false
	}
	part, rest, more := strings.Cut(s, "/")
	if !madeOf(part, ".-") {
		return false
	}
	for more {
		part, rest, more = strings.Cut(rest, "/")
		if !madeOf(part, "._-") {
			return false
		}
	}
	return true
}

// madeOf reports whether s is one or more of a-z, 0-9 and the ASCII characters
// in marks.
func madeOf(s, marks string) bool {
	for i := range len(s) {
		if !isLowerOrDigit(s[i]) && strings.IndexByte(marks, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func isCapitalOrDigits(s string) bool {
	for i := range len(s) {
		if !isUpper(s[i]) && !isDigit(s[i]) {
			return false
		}
	}
	return true
}

func isLowerOrDigit(b byte) bool { return isLower(b) || isDigit(b) }
