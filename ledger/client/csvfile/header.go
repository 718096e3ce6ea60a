package csvfile

import (
	"bytes"
	"fmt"
	"strings"
)

// header is the first row of a file.
type header struct {
	names []string   // as they stand in the file
	ids   []columnID // noColumn for the error column
}

// readHeader reads the first row. It names all that is wrong with it at once.
func readHeader(names []string, row int) (*header, error) {
	h := &header{names: trimEmpty(names)}
	var faults []string
	positions := make(map[columnID]int)
	for i, name := range h.names {
		id, ok := columnNamed(name)
		if !ok {
			faults = append(faults, unknownColumn(name, i+1))
		} else if first, seen := positions[id]; seen {
			faults = append(faults, fmt.Sprintf("columns %d and %d are both named %s", first, i+1, strings.TrimSpace(name)))
		} else {
			positions[id] = i + 1
		}
		h.ids = append(h.ids, id)
	}
	delete(positions, noColumn)
	if len(positions) == 0 {
		return nil, formatError(row, "none of the columns is known; the first row must name the columns, beginning for instance with %s,%s,%s",
			Columns[0].Name, Columns[1].Name, Columns[2].Name)
	}
	if faults = append(faults, missingColumns(positions)...); len(faults) > 0 {
		return nil, formatError(row, "%s", strings.Join(faults, "; "))
	}
	return h, nil
}

// unknownColumn says what is wrong with a name that is no column's.
func unknownColumn(name string, position int) string {
	if strings.TrimSpace(name) == "" {
		return fmt.Sprintf("column %d has no name; remove it", position)
	}
	fault := fmt.Sprintf("column %d, %q, is unknown", position, shorten(name))
	if nearest := nearestColumn(name); nearest != "" {
		fault += fmt.Sprintf(" (did you mean %s?)", nearest)
	}
	return fault
}

// missingColumns says which columns a file lacks.
func missingColumns(positions map[columnID]int) (faults []string) {
	var missing []string
	for id := range specs {
		if _, ok := positions[columnID(id)]; !ok && specs[id].Required {
			missing = append(missing, specs[id].Name)
		}
	}
	switch len(missing) {
	case 0:
	case 1:
		faults = append(faults, "the column "+missing[0]+" is missing")
	default:
		faults = append(faults, "the columns "+list(missing)+" are missing")
	}
	for id := customerParticipantID; id <= customerCode; id++ {
		if _, ok := positions[id]; ok {
			return faults
		}
	}
	return append(faults, "no column identifies the customer: "+oneCustomerCode)
}

// cells splits a row into its values by column. Cells that a row lacks are
// empty. raw is as joined by row.
func (h *header) cells(raw string, c *cells) {
	*c = cells{}
	for _, id := range h.ids {
		cell, rest, more := strings.Cut(raw, cellSeparator)
		if id != noColumn {
			c[id] = cellValue(cell)
		}
		if !more {
			return
		}
		raw = rest
	}
}

// cellSeparator joins the cells of a row. No file holds it.
const cellSeparator = "\x00"

// cellValue returns the value that a cell stands for.
func cellValue(cell string) string {
	return unguard(strings.TrimSpace(cell))
}

// trimEmpty drops the empty cells at the end of a row.
func trimEmpty(record []string) []string {
	n := len(record)
	for n > 0 && strings.TrimSpace(record[n-1]) == "" {
		n--
	}
	return record[:n]
}

// wrongDelimiter says, from the first bytes of a file, that its columns are not
// separated by commas, or returns nil.
func wrongDelimiter(start []byte) *FormatError {
	start = bytes.TrimLeft(start, "\n")
	first, _, _ := bytes.Cut(start, []byte("\n"))
	line := strings.ReplaceAll(string(first), `"`, "")
	if strings.HasPrefix(strings.ToLower(line), "sep=") {
		return formatError(1, `the first row is %q, an instruction to Excel; remove it, the first row must name the columns`, shorten(line))
	}
	switch {
	case knownColumns(line, ",") > 1:
		return nil
	case knownColumns(line, ";") > 1:
		return formatError(1, "the columns are separated by semicolons, as Excel does where the decimal sign is a comma, "+
			"and then 1.234 may be one thousand or one; set the decimal symbol to a point and the list separator to a comma "+
			"(Windows: Region, Additional settings) and save the file again")
	case knownColumns(line, "\t") > 1:
		return formatError(1, `the columns are separated by tabs, which Excel calls "Text"; %s`, saveAsUTF8)
	}
	return nil
}

// knownColumns counts the columns that a line names when it is split.
func knownColumns(line, delimiter string) (n int) {
	for name := range strings.SplitSeq(line, delimiter) {
		if _, ok := columnNamed(name); ok {
			n++
		}
	}
	return n
}
