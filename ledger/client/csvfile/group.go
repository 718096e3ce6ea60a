package csvfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// group is the rows with one transaction_number.
type group struct {
	number string
	rows   []row
	first  row // the first that was converted
	// message has a line, and places a line_number (0 for none), for each row, if
	// all rows were converted.
	message    *tracev1.Transaction
	places     []uint64
	rejections []Rejection
	faulty     map[spot]bool // where a problem was put down
}

// spot is a column of a row.
type spot struct {
	line   int
	column columnID
}

// row is a row as it stands in the file.
type row struct {
	line int    // where it begins
	raw  string // the cells, joined by cellSeparator
}

// reject puts down a problem, the first of a column of a row only: what follows
// is mostly a consequence.
func (g *group) reject(line int, id columnID, value, text string) {
	at := spot{line, id}
	if g.faulty[at] && id != noColumn {
		return
	}
	if g.faulty == nil {
		g.faulty = make(map[spot]bool)
	}
	g.faulty[at] = true
	g.rejections = append(g.rejections, Rejection{Number: g.number, Row: line, Column: id.name(), Value: shorten(value), Problem: text})
}

// rejectRow puts down a problem of a row as a whole.
func (g *group) rejectRow(line int, text string) {
	g.reject(line, noColumn, "", text)
}

// rejectLast puts down a problem of the last row.
func (g *group) rejectLast(text string) {
	g.rejectRow(g.rows[len(g.rows)-1].line, text)
}

// release drops what is not needed once the transaction is settled.
func (g *group) release() {
	g.message, g.places, g.faulty = nil, nil, nil
}

// judge puts down what is wrong with the transaction as a whole and with the
// values of its message. What was not converted is not judged, nor is a
// transaction of which a row was not.
func (g *group) judge(h *header, p *tracev1.RuleParameters) {
	if len(g.places) != len(g.rows) || g.message == nil {
		return
	}
	g.checkPlaces()
	violations := custody.CheckTransaction(g.message, p)
	if len(violations) == 0 {
		return
	}
	var c cells
	for _, v := range g.allViolations(violations, p) {
		if v.Field == "customer" && g.customerFaulty() {
			continue
		}
		line, id := locate(g.message, v.Field)
		r := g.first
		if line >= 0 {
			r = g.rows[line]
		}
		h.cells(r.raw, &c)
		g.reject(r.line, id, c.value(id), describe(v, id, c.value(id)))
	}
}

// customerFaulty reports whether a code of the customer was given but not
// converted.
func (g *group) customerFaulty() bool {
	for id := customerParticipantID; id <= customerCode; id++ {
		if g.faulty[spot{g.first.line, id}] {
			return true
		}
	}
	return false
}

// checkPlaces checks the line numbers.
func (g *group) checkPlaces() {
	if len(g.places) == 1 {
		return
	}
	rows := make(map[uint64]int, len(g.places))
	for i, place := range g.places {
		line := g.rows[i].line
		switch first, seen := rows[place]; {
		case (place == 0) != (g.places[0] == 0):
			g.reject(line, lineNumber, "", fmt.Sprintf("either all rows of a transaction have a line_number or none; row %d differs", g.first.line))
		case seen && place != 0:
			g.reject(line, lineNumber, strconv.FormatUint(place, 10), fmt.Sprintf("row %d of the same transaction has this line_number too", first))
		default:
			rows[place] = line
		}
	}
}

// allViolations returns violations with those of all lines: of one message
// custody lists the first few.
func (g *group) allViolations(violations []custody.Violation, p *tracev1.RuleParameters) []custody.Violation {
	if len(g.message.Lines) == 1 {
		return violations
	}
	all := slices.DeleteFunc(violations, func(v custody.Violation) bool { return strings.HasPrefix(v.Field, "lines[") })
	for i, line := range g.message.Lines {
		alone := &tracev1.Transaction{Lines: []*tracev1.TransactionLine{line}}
		for _, v := range custody.CheckTransaction(alone, p) {
			if rest, ok := strings.CutPrefix(v.Field, "lines[0]"); ok {
				v.Field = fmt.Sprintf("lines[%d]%s", i, rest)
				all = append(all, v)
			}
		}
	}
	return all
}

// describe says of a violation, in the words of the file, what is wrong and what
// would be right.
func describe(v custody.Violation, id columnID, value string) string {
	switch {
	case v.Field == "customer":
		return oneCustomerCode
	case id == noColumn:
		return v.Field + " " + v.Description
	case value == "" && specs[id].Required:
		return "is required"
	}
	if hint := advice(id, value); hint != "" {
		return v.Description + "; " + hint
	}
	return v.Description
}

// sort puts the lines of the message, and the rows, in the order of their line
// numbers.
func (g *group) sort() {
	if slices.IsSorted(g.places) {
		return
	}
	order := make([]int, len(g.rows))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(g.places[a], g.places[b]) })
	rows, lines := g.rows, g.message.Lines
	g.rows, g.message.Lines = make([]row, len(rows)), make([]*tracev1.TransactionLine, len(rows))
	for to, from := range order {
		g.rows[to], g.message.Lines[to] = rows[from], lines[from]
	}
}

// twins returns the rows that are the same to the letter as one above, and
// which.
func (g *group) twins() (twins [][2]int) {
	if len(g.rows) == 1 {
		return nil
	}
	seen := make(map[string]int, len(g.rows))
	for _, r := range g.rows {
		if first, ok := seen[r.raw]; ok {
			twins = append(twins, [2]int{first, r.line})
		} else {
			seen[r.raw] = r.line
		}
	}
	return twins
}

// Locate returns the row, as in Rows, and the name of the column that became the
// field of Message with the given path, for instance "lines[2].hs_code". The
// path may begin with "transaction.", as those of a ledger's refusals do. For
// fields of no row in particular it returns the first row, for fields of no
// column in particular the column "".
func (t *Transaction) Locate(field string) (row int, column string) {
	line, id := locate(t.Message, strings.TrimPrefix(field, "transaction."))
	if line < 0 {
		return slices.Min(t.Rows), id.name()
	}
	return t.Rows[line], id.name()
}

// locate returns the index of the line that a path leads into, -1 if it leads
// into none, and the column.
func locate(tx *tracev1.Transaction, path string) (line int, id columnID) {
	line = -1
	if i, rest, ok := cutIndex(path, "lines["); ok && i < len(tx.GetLines()) {
		line, path = i, "lines"+rest
	}
	if i, _, ok := cutIndex(path, "customer.identifiers["); ok && i < len(tx.GetCustomer().GetIdentifiers()) {
		return line, identifierColumn(tx.Customer.Identifiers[i].GetScheme())
	}
	for path != "" {
		step, _, _ := strings.Cut(path[strings.LastIndex(path, ".")+1:], "[")
		parent := path[:max(strings.LastIndex(path, "."), 0)]
		if id, ok := fieldColumns[strings.TrimPrefix(parent+"."+step, ".")]; ok {
			return line, id
		}
		path = parent
	}
	return line, noColumn
}

// cutIndex splits a path that begins with a repeated field after the index.
func cutIndex(path, field string) (index int, rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, field)
	if !ok {
		return 0, "", false
	}
	digits, rest, ok := strings.Cut(rest, "]")
	index, err := strconv.Atoi(digits)
	return index, rest, ok && err == nil && index >= 0
}

// fieldColumns are the columns by the paths of their fields.
var fieldColumns = func() map[string]columnID {
	columns := make(map[string]columnID)
	for id := range specs {
		if specs[id].field != "" {
			columns[specs[id].field] = columnID(id)
		}
	}
	return columns
}()
