package csvfile

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// byteOrderMark begins every file that is written: without it Excel takes UTF-8
// for the encoding of the Windows that it runs on.
const byteOrderMark = "\uFEFF"

// newTable begins a file with a byte order mark and the names of its columns.
func newTable(w io.Writer, names []string) (*csv.Writer, error) {
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return nil, err
	}
	table := csv.NewWriter(w)
	return table, table.Write(names)
}

// columnNames are the names of Columns.
func columnNames() []string {
	names := make([]string, len(Columns))
	for i, column := range Columns {
		names[i] = column.Name
	}
	return names
}

// Write writes transactions as a file that Read reads as equal messages, if the
// rules that it is given admit them. A transaction that the format cannot hold
// is an error that names the field: one without number or lines, two of one
// number, identifiers in another order or with a scheme twice, unknown fields,
// values that begin or end with white space or that Read takes for damaged. What
// was written by then stays written.
//
// Masses are written in grams, as whole numbers: decimals a spreadsheet program
// may round without a trace, a long whole number it abbreviates so that Read
// can tell.
func Write(w io.Writer, txs []*tracev1.Transaction) error {
	table, err := newTable(w, columnNames())
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(txs))
	for i, tx := range txs {
		rows, err := rowsOf(tx)
		if err == nil && seen[tx.GetTransactionNumber()] {
			err = fmt.Errorf("another transaction has the same transaction_number")
		}
		if err != nil {
			return fmt.Errorf("writing transaction %d (%s): %w", i, strconv.Quote(shorten(tx.GetTransactionNumber())), err)
		}
		seen[tx.GetTransactionNumber()] = true
		for r := range rows {
			if err := table.Write(rows[r].record()); err != nil {
				return err
			}
		}
	}
	table.Flush()
	return table.Error()
}

// rowsOf returns the rows of a transaction, after reading them back.
func rowsOf(tx *tracev1.Transaction) ([]cells, error) {
	if len(tx.GetLines()) == 0 {
		return nil, fmt.Errorf("it has no lines")
	}
	if tx.GetTransactionNumber() == "" {
		return nil, fmt.Errorf("it has no transaction_number")
	}
	rows := make([]cells, len(tx.GetLines()))
	var back *tracev1.Transaction
	for i, line := range tx.GetLines() {
		rows[i] = *transactionCells(tx)
		rows[i].setLine(i+1, line)
		c, err := rows[i].readBack()
		if err != nil {
			return nil, err
		}
		if back == nil {
			back = c.transaction()
		}
		back.Lines = append(back.Lines, c.line())
		if len(c.problems) > 0 {
			p := c.problems[0]
			return nil, fmt.Errorf("%s: %s", strings.TrimPrefix(place(p.column.name(), rows[i].value(p.column)), ", "), p.text)
		}
	}
	if !proto.Equal(tx, back) {
		return nil, fmt.Errorf("the CSV format cannot hold its %s", difference(tx.ProtoReflect(), back.ProtoReflect()))
	}
	return rows, nil
}

// record returns the row as it is written.
func (c *cells) record() []string {
	record := make([]string, len(c))
	for i, v := range c {
		record[i] = guard(v)
	}
	return record
}

// readBack returns the converter of what Read would read.
func (c *cells) readBack() (*converter, error) {
	var back cells
	size := 0
	for i, cell := range c.record() {
		if !utf8.ValidString(cell) || strings.ContainsAny(cell, "\x00\r") {
			return nil, fmt.Errorf("%s: the CSV format cannot hold NUL, carriage returns and what is not UTF-8", columnID(i).name())
		}
		size += len(cell) + strings.Count(cell, `"`) + len(`"",`)
		back[i] = cellValue(cell)
	}
	if size > maxRowBytes {
		return nil, fmt.Errorf("a line takes more than %d bytes", maxRowBytes)
	}
	return &converter{cells: &back}, nil
}

// difference returns the path of the first field in which two messages of one
// type that are not equal differ.
func difference(a, b protoreflect.Message) string {
	fields := a.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name := string(field.Name())
		switch {
		case a.Get(field).Equal(b.Get(field)) && a.Has(field) == b.Has(field):
			continue
		case field.IsList() && field.Message() != nil:
			return name + listDifference(a.Get(field).List(), b.Get(field).List())
		case field.Message() != nil && a.Has(field) && b.Has(field):
			return name + "." + difference(a.Get(field).Message(), b.Get(field).Message())
		}
		return name
	}
	return "unknown fields"
}

// listDifference is difference for lists of messages that are not equal.
func listDifference(a, b protoreflect.List) string {
	for i := range min(a.Len(), b.Len()) {
		x, y := a.Get(i).Message(), b.Get(i).Message()
		if !proto.Equal(x.Interface(), y.Interface()) {
			return "[" + strconv.Itoa(i) + "]." + difference(x, y)
		}
	}
	return ""
}

// formulaStarts are the characters that make spreadsheet programs run a cell as
// a formula, with their full-width forms.
const formulaStarts = "=+-@＝＋－＠"

// isFormula reports whether v, without the apostrophes before it, begins like a
// formula.
func isFormula(v string) bool {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(v, "'"))
	return strings.ContainsRune(formulaStarts, first)
}

// guard puts an apostrophe before what a spreadsheet program would run, and
// before what looks as if it had one already.
func guard(v string) string {
	if v != "" && isFormula(v) {
		return "'" + v
	}
	return v
}

// unguard is the reverse of guard.
func unguard(v string) string {
	if strings.HasPrefix(v, "'") && isFormula(v) {
		return v[1:]
	}
	return v
}
