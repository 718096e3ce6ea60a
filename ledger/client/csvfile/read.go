package csvfile

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// File is what a CSV file holds. It must not be changed.
type File struct {
	// Transactions are those without fault, in the order of their first rows.
	Transactions []Transaction
	// Rejected are the problems of all others, in the order of the rows.
	Rejected []Rejection
	// Warnings are about what is doubtful, in the order of the rows.
	Warnings []Warning
	// Rows is how many rows the file has, without the first and empty ones.
	Rows int

	header *header
	groups []*group
}

// Transaction is a transaction of a file.
type Transaction struct {
	// Number is its transaction_number.
	Number string
	// Rows are the lines of the file, from 1, at which the rows begin that became
	// the lines of Message, in the same order.
	Rows []int
	// Message is the transaction.
	Message *tracev1.Transaction
}

// Read reads a file and judges its transactions by the rules that p parametrises,
// those of custody.DefaultRuleParameters if p is nil. The time is not judged: a
// date that is too far ahead passes.
//
// The error is a *FormatError if the file cannot be read as this format at all,
// otherwise what r returned. A file all of whose transactions are rejected is
// no error.
//
// Read takes r as a stream. What it returns holds the text of all rows once,
// for WriteRejected; the messages share it.
func Read(r io.Reader, p *tracev1.RuleParameters) (*File, error) {
	if p == nil {
		p = custody.DefaultRuleParameters()
	}
	rd := newReader(r)
	if err := rd.readHeader(); err != nil {
		return nil, err
	}
	for {
		record, line, err := rd.next()
		if err == io.EOF {
			return rd.finish(p)
		}
		if err != nil {
			return nil, err
		}
		rd.add(record, line)
	}
}

// reader reads one file.
type reader struct {
	in       *input
	csv      *csv.Reader
	header   *header
	file     *File
	byNumber map[string]*group

	last  *group // of the row before, nil if that is not known
	stray int    // where the row before begins, if its transaction is not known
	short int    // where it begins, if it has fewer values than there are columns

	cells   cells  // of the row at hand
	first   cells  // of the first row of firstOf
	firstOf *group // the transaction that was last added to
}

func newReader(r io.Reader) *reader {
	return &reader{in: newInput(r), file: &File{}, byNumber: make(map[string]*group)}
}

// readHeader reads the first row.
func (rd *reader) readHeader() error {
	buffered := bufio.NewReader(rd.in) // large enough for the parser to use it as its own
	start, _ := buffered.Peek(buffered.Size())
	if fault := wrongDelimiter(start); fault != nil {
		return fault
	}
	rd.csv = csv.NewReader(buffered)
	rd.csv.FieldsPerRecord = -1
	rd.csv.ReuseRecord = true
	rd.csv.TrimLeadingSpace = true
	names, line, err := rd.next()
	if err == io.EOF {
		return formatError(0, "the file is empty; its first row must name the columns")
	}
	if err != nil {
		return err
	}
	rd.header, err = readHeader(slices.Clone(names), line)
	rd.file.header = rd.header
	return err
}

// next returns the next row, valid until the next call, and where it begins.
func (rd *reader) next() (record []string, line int, err error) {
	record, err = rd.csv.Read()
	switch {
	case err == nil:
		line, _ = rd.csv.FieldPos(0)
		return record, line, nil
	case rd.in.err != nil && rd.in.err != io.EOF:
		return nil, 0, rd.in.err
	}
	return nil, 0, parseError(err)
}

// parseError says in words what the CSV parser found.
func parseError(err error) error {
	var fault *csv.ParseError
	if !errors.As(err, &fault) {
		return err
	}
	if errors.Is(fault.Err, csv.ErrBareQuote) {
		return formatError(fault.Line, "there is a quotation mark inside a value that does not begin with one; "+
			`put the value in quotation marks and double those inside: "2"" disc"`)
	}
	return formatError(fault.StartLine, "a quotation mark opens a value and is not closed before a comma or the end of a row; "+
		`quotation marks inside a value are doubled: "2"" disc"`)
}

// add takes in a row.
func (rd *reader) add(record []string, line int) {
	columns := len(rd.header.ids)
	if len(record) > columns {
		record = trimEmpty(record)
	}
	r := row{line, strings.Join(record, cellSeparator)}
	rd.header.cells(r.raw, &rd.cells)
	if rd.short = 0; len(record) < columns && r.raw != "" {
		rd.short = line
	}
	surplus := len(record) > columns
	if !surplus && rd.cells == (cells{}) {
		return
	}
	rd.file.Rows++
	number := rd.cells[transactionNumber]
	if number == "" || surplus && rd.header.ids[0] != transactionNumber {
		rd.addStray(r, surplus)
		return
	}
	g := rd.group(number)
	g.rows = append(g.rows, r)
	if surplus {
		g.rejectRow(line, surplusProblem)
	} else {
		rd.convert(g, r)
	}
	if rd.stray > 0 {
		g.rejectRow(line, fmt.Sprintf(strayProblem, rd.stray))
	}
	rd.last, rd.stray = g, 0
}

// Problems of rows that cannot be told apart by their values.
const (
	surplusProblem = "there are more values than columns; put a value that holds a comma into quotation marks, " +
		"and write numbers without thousands separators"
	strayProblem = "row %d, next to this one, does not tell its transaction and may belong to the same"
)

// addStray takes in a row whose transaction is not known.
func (rd *reader) addStray(r row, surplus bool) {
	g := &group{rows: []row{r}}
	rd.file.groups = append(rd.file.groups, g)
	if surplus {
		g.rejectRow(r.line, surplusProblem)
	} else {
		g.reject(r.line, transactionNumber, "", "is required in every row; repeat it if the row belongs to the transaction above")
	}
	if rd.last != nil {
		rd.last.rejectLast(fmt.Sprintf(strayProblem, r.line))
	}
	rd.last, rd.stray = nil, r.line
}

// group returns the transaction with a number.
func (rd *reader) group(number string) *group {
	g := rd.byNumber[number]
	if g == nil {
		g = &group{number: number}
		rd.byNumber[number] = g
		rd.file.groups = append(rd.file.groups, g)
	}
	return g
}

// convert adds the row at hand to the message of its transaction.
func (rd *reader) convert(g *group, r row) {
	c := converter{cells: &rd.cells}
	if g.message == nil {
		g.message, g.first = c.transaction(), r
		rd.first, rd.firstOf = rd.cells, g
	} else {
		rd.compare(g, &c)
	}
	g.places = append(g.places, c.place())
	g.message.Lines = append(g.message.Lines, c.line())
	for _, p := range c.problems {
		g.reject(r.line, p.column, rd.cells[p.column], p.text)
	}
	for _, p := range c.warnings {
		rd.file.warn(r.line, p.column, rd.cells[p.column], p.text)
	}
}

// compare checks that the columns of the transaction agree with its first row.
func (rd *reader) compare(g *group, c *converter) {
	if rd.firstOf != g {
		rd.header.cells(g.first.raw, &rd.first)
		rd.firstOf = g
	}
	for id := range firstLineColumn {
		if first := rd.first[id]; first != rd.cells[id] {
			c.fail(id, "differs from row %d of the same transaction, which has %q; "+
				"the columns of a transaction must agree in all of its rows", g.first.line, shorten(first))
		}
	}
}

// finish judges the transactions and returns the file. A file that was cut off
// is refused as a whole: any of its transactions may lack rows.
func (rd *reader) finish(p *tracev1.RuleParameters) (*File, error) {
	f := rd.file
	switch {
	case rd.in.ended || f.Rows == 0:
	case rd.short > 0:
		return nil, formatError(rd.short, "the file ends within this row, so it was cut off; save or copy it again "+
			"(if it is whole, end the row with a line break)")
	default:
		f.warn(rd.in.line, noColumn, "", "the file does not end with a line break; check that it was not cut off")
	}
	for _, g := range f.groups {
		g.judge(rd.header, p)
		f.settle(g)
	}
	slices.SortStableFunc(f.Rejected, func(a, b Rejection) int { return cmp.Compare(a.Row, b.Row) })
	slices.SortStableFunc(f.Warnings, func(a, b Warning) int { return cmp.Compare(a.Row, b.Row) })
	return f, nil
}

// settle takes a transaction that was judged into the file.
func (f *File) settle(g *group) {
	if len(g.rejections) > 0 {
		f.Rejected = append(f.Rejected, g.rejections...)
		g.release()
		return
	}
	g.sort()
	for _, twin := range g.twins() {
		f.warn(twin[1], noColumn, "", fmt.Sprintf("is the same as row %d; remove it if it is one line item", twin[0]))
	}
	t := Transaction{Number: g.number, Rows: make([]int, len(g.rows)), Message: g.message}
	for i, r := range g.rows {
		t.Rows[i] = r.line
	}
	f.Transactions = append(f.Transactions, t)
	g.release()
}

// warn puts down a warning.
func (f *File) warn(line int, id columnID, value, text string) {
	f.Warnings = append(f.Warnings, Warning{Row: line, Column: id.name(), Value: shorten(value), Problem: text})
}
