package csvfile

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteRejected writes the rows of the transactions that were rejected, by Read
// or, as extra says by their numbers, by the ledger later. They stand in the
// order of the file with all columns as they were, but for white space before a
// value and quotation marks around it, and the column "error" at the end. When
// they are mended, Read takes the file as it is: it ignores that column. A
// number in extra that the file does not have is an error, after all else was
// written.
func (f *File) WriteRejected(w io.Writer, extra map[string]string) error {
	table, err := newTable(w, append(f.header.original(f.header.names), ErrorColumn))
	if err != nil {
		return err
	}
	var rows []rejectedRow
	unknown := make(map[string]bool, len(extra))
	for number := range extra {
		unknown[number] = true
	}
	for _, g := range f.groups {
		rows = append(rows, g.rejectedRows(extra[g.number])...)
		delete(unknown, g.number)
	}
	slices.SortFunc(rows, func(a, b rejectedRow) int { return cmp.Compare(a.line, b.line) })
	for _, r := range rows {
		record := f.header.original(strings.Split(r.raw, cellSeparator))
		if err := table.Write(append(record, guard(r.text))); err != nil {
			return err
		}
	}
	if table.Flush(); table.Error() != nil {
		return table.Error()
	}
	for number := range unknown {
		return fmt.Errorf("the file has no transaction %q", number)
	}
	return nil
}

// maxErrorBytes bounds the text in the column "error", about.
const maxErrorBytes = 2000

// rejectedRow is a row with what is wrong with it.
type rejectedRow struct {
	row
	text string
}

// rejectedRows returns the rows of a transaction that was rejected, or nil if it
// was not. refusal is what the ledger said, "" if nothing.
func (g *group) rejectedRows(refusal string) []rejectedRow {
	if len(g.rejections) == 0 && refusal == "" {
		return nil
	}
	first := slices.MinFunc(g.rows, func(a, b row) int { return cmp.Compare(a.line, b.line) }).line
	texts := make(map[int]string) // by line
	if refusal != "" {
		texts[first] = "refused by the ledger: " + refusal
	}
	for _, r := range g.rejections {
		text := strings.TrimPrefix(place(r.Column, r.Value)+": ", ", ")
		texts[r.Row] = joinProblems(texts[r.Row], strings.TrimPrefix(text, ": ")+r.Problem)
	}
	if len(g.rejections) > 0 {
		first = g.rejections[0].Row
	}
	rows := make([]rejectedRow, len(g.rows))
	for i, r := range g.rows {
		text, ok := texts[r.line]
		if !ok {
			text = fmt.Sprintf("rejected with another row of its transaction, row %d of the original file", first)
		}
		rows[i] = rejectedRow{r, text}
	}
	return rows
}

// joinProblems adds a problem to those of the same row, up to a length.
func joinProblems(all, problem string) string {
	const more = " (and more)"
	switch {
	case all == "":
		return problem
	case strings.HasSuffix(all, more):
		return all
	case len(all)+len(problem) > maxErrorBytes:
		return all + more
	}
	return all + "; " + problem
}

// original returns the cells of a row without that of the error column, filled
// up to the other columns. Of a row with more cells than columns the last one is
// taken for the error, if the last column is that.
func (h *header) original(record []string) []string {
	columns := len(h.ids)
	kept := slices.Clone(record)
	if at := slices.Index(h.ids, noColumn); at >= 0 {
		columns--
		if at == columns && len(kept) > columns {
			at = len(kept) - 1
		}
		if at < len(kept) {
			kept = slices.Delete(kept, at, at+1)
		}
	}
	for len(kept) < columns {
		kept = append(kept, "")
	}
	return kept
}
