package custody

// ParseFigures reads the figures of a cell.
func ParseFigures(b []byte) (Figures, error) { return parseFigures(b) }

// Binary returns the figures as a cell holds them.
func (f *Figures) Binary() []byte { return f.appendBinary(nil) }

// Subtract takes away what was added before.
func (f *Figures) Subtract(g Figures) { f.subtract(g) }

// Minus takes away what was added before.
func (t Total) Minus(u Total) Total { return t.minus(u) }
