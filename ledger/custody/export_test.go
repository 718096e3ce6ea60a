package custody

import tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"

// ParseFigures reads the figures of a cell.
func ParseFigures(b []byte) (Figures, error) { return parseFigures(b) }

// Binary returns the figures as a cell holds them.
func (f *Figures) Binary() []byte { return f.AppendBinary(nil) }

// AddLine adds a line, SubtractLine takes it away.
func (f *Figures) AddLine(line *tracev1.TransactionLine, first bool) { f.addLine(line, first) }
func (f *Figures) SubtractLine(line *tracev1.TransactionLine, first bool) {
	f.subtractLine(line, first)
}

// Minus takes away what was added before.
func (t Total) Minus(u Total) Total { return t.minus(u) }
