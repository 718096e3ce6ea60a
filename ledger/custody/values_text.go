package custody

import "unicode/utf8"

// textProblem says what keeps a text off the log, "" if nothing does: bytes that
// are not UTF-8, characters that control how text is laid out, which can make it
// read as something else, and white space at its ends, which makes two of what
// looks like one.
//
// Nothing is asked of the version of Unicode that the program was built with:
// the characters are named here, and no others are judged.
func textProblem(s string) string {
	for i := 0; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			if b < ' ' || b == 0x7F {
				return "must not hold control characters"
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if problem := runeProblem(r, size); problem != "" {
			return problem
		}
		i += size
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if isBlank(first) || isBlank(last) {
		return "must not begin or end with white space"
	}
	return ""
}

// runeProblem says what is wrong with a character beyond ASCII that takes size
// bytes.
func runeProblem(r rune, size int) string {
	switch {
	case r == utf8.RuneError && size == 1:
		return "must be UTF-8"
	case r <= 0x9F: // C1
		return "must not hold control characters"
	case r == 0x2028, r == 0x2029:
		return "must not hold line or paragraph separators"
	case 0x202A <= r && r <= 0x202E, 0x2066 <= r && r <= 0x2069:
		return "must not hold characters that override the direction of text"
	}
	return ""
}

// isBlank reports whether r is White_Space in the Unicode character database, as
// far as textProblem has not refused it before, or one of the two that show as
// nothing at all, U+200B and U+FEFF (a byte order mark).
func isBlank(r rune) bool {
	switch r {
	case ' ', 0x00A0, 0x1680, 0x202F, 0x205F, 0x3000, 0x200B, 0xFEFF:
		return true
	}
	return 0x2000 <= r && r <= 0x200A
}
