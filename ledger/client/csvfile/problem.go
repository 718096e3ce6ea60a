package csvfile

import (
	"fmt"
	"strconv"
	"strings"
)

// FormatError says that a file cannot be read as this format at all, and what
// to do about it.
type FormatError struct {
	// Row is the line of the file at which the fault was met, from 1; 0 for the
	// file as a whole.
	Row int
	// Problem says what is wrong and what would be right.
	Problem string
}

func (e *FormatError) Error() string {
	if e.Row == 0 {
		return e.Problem
	}
	return fmt.Sprintf("row %d: %s", e.Row, e.Problem)
}

// formatError returns a FormatError.
func formatError(row int, format string, args ...any) *FormatError {
	return &FormatError{Row: row, Problem: fmt.Sprintf(format, args...)}
}

// Rejection is one problem of a transaction that was rejected.
type Rejection struct {
	// Number is the transaction_number, "" if the row has none.
	Number string
	// Row is the line of the file at which the row at fault begins, from 1.
	Row int
	// Column is the name of the column at fault, "" if it is none in particular.
	Column string
	// Value is what stands there, shortened.
	Value string
	// Problem says what is wrong and what would be right.
	Problem string
}

// String returns the rejection as one sentence.
func (r Rejection) String() string {
	return sentence(r.Row, r.Column, r.Value, r.Problem)
}

// Warning is something doubtful in a file. It rejects nothing.
type Warning struct {
	// Row is the line of the file that it is about, from 1.
	Row int
	// Column is the name of the column, "" if it is none in particular.
	Column string
	// Value is what stands there, shortened.
	Value string
	// Problem says what is doubtful and what to check.
	Problem string
}

// String returns the warning as one sentence.
func (w Warning) String() string {
	return sentence(w.Row, w.Column, w.Value, w.Problem)
}

// sentence names where a problem is, and the problem.
func sentence(row int, column, value, problem string) string {
	return fmt.Sprintf("row %d%s: %s", row, place(column, value), problem)
}

// place names a column and what stands in it.
func place(column, value string) string {
	switch {
	case column == "":
		return ""
	case value == "":
		return ", " + column
	default:
		return ", " + column + " " + strconv.Quote(value)
	}
}

// problem is what is wrong with a cell of the row at hand.
type problem struct {
	column columnID
	text   string
}

// name returns the name of the column, "" for noColumn.
func (id columnID) name() string {
	if id == noColumn {
		return ""
	}
	return specs[id].Name
}

// value returns what stands in a column, shortened, "" for noColumn.
func (c *cells) value(id columnID) string {
	if id == noColumn {
		return ""
	}
	return shorten(c[id])
}

// shortLength is how many characters of a value a message shows.
const shortLength = 40

// shorten cuts a value for a message.
func shorten(s string) string {
	n := 0
	for i := range s {
		if n == shortLength {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// list joins names for a sentence: "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
