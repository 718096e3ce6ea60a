package custody

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Figures are sums over lines of transactions. Those of a change may stand for
// less than nothing: all sums are modulo a power of 2, so that it does not matter
// in which order they are added up.
type Figures struct {
	// NetMassGrams is the net mass.
	NetMassGrams Total
	// PieceCount is the number of pieces.
	PieceCount Total
	// LineCount is the number of lines.
	LineCount uint64
	// TransactionCount counts each transaction at its first line. It means
	// something only where lines of one transaction are never told apart.
	TransactionCount uint64
	// MassWithCompositionGrams is the net mass of lines that state a
	// composition.
	MassWithCompositionGrams Total
	// Elements are the masses of elements over those lines, by atomic number in
	// ascending order. One without mass may be among them.
	Elements []ElementMass
}

// ElementMass is how much of an element there is.
type ElementMass struct {
	// Number is the atomic number.
	Number int
	// Micrograms are grams times parts per million, exactly.
	Micrograms Total
}

// addLine adds a line; first tells whether it is the first of its transaction.
func (f *Figures) addLine(line *tracev1.TransactionLine, first bool) {
	f.combineLine(line, Total.Plus)
	f.LineCount++
	if first {
		f.TransactionCount++
	}
}

// subtractLine takes a line away.
func (f *Figures) subtractLine(line *tracev1.TransactionLine, first bool) {
	f.combineLine(line, Total.minus)
	f.LineCount--
	if first {
		f.TransactionCount--
	}
}

func (f *Figures) combineLine(line *tracev1.TransactionLine, op func(Total, Total) Total) {
	mass := Total{lo: line.GetNetMassGrams()}
	f.NetMassGrams = op(f.NetMassGrams, mass)
	f.PieceCount = op(f.PieceCount, Total{lo: line.GetPieceCount()})
	if len(line.GetComposition()) > 0 {
		f.MassWithCompositionGrams = op(f.MassWithCompositionGrams, mass)
	}
	if f.Elements == nil {
		f.Elements = make([]ElementMass, 0, len(line.GetComposition()))
	}
	for _, e := range line.GetComposition() {
		n, _ := ElementNumber(e.GetSymbol()) // the line was checked
		// At most 10^12 g and 10^6 ppm: 10^18 micrograms.
		of := f.element(n)
		*of = op(*of, Total{lo: line.GetNetMassGrams() * uint64(e.GetPpm())})
	}
}

// element returns where the mass of an element stands.
func (f *Figures) element(number int) *Total {
	at, ok := slices.BinarySearchFunc(f.Elements, number, func(e ElementMass, n int) int { return cmp.Compare(e.Number, n) })
	if !ok {
		f.Elements = slices.Insert(f.Elements, at, ElementMass{Number: number})
	}
	return &f.Elements[at].Micrograms
}

// add is Add for figures that may have no elements yet, whose place is then behind
// those of others.
func (f *Figures) add(g Figures, elements *[]ElementMass) {
	if f.Elements == nil && len(g.Elements) > 0 {
		from := len(*elements)
		*elements = append(*elements, g.Elements...)
		f.Elements = (*elements)[from:len(*elements):len(*elements)]
		g.Elements = nil
	}
	f.Add(g)
}

// Add adds g to f.
func (f *Figures) Add(g Figures) {
	f.NetMassGrams = f.NetMassGrams.Plus(g.NetMassGrams)
	f.PieceCount = f.PieceCount.Plus(g.PieceCount)
	f.LineCount += g.LineCount
	f.TransactionCount += g.TransactionCount
	f.MassWithCompositionGrams = f.MassWithCompositionGrams.Plus(g.MassWithCompositionGrams)
	for _, e := range g.Elements {
		of := f.element(e.Number)
		*of = of.Plus(e.Micrograms)
	}
}

// AppendBinary writes the figures as varints: mass, pieces, lines,
// transactions, mass with composition, then atomic number and mass of each
// element in ascending order.
func (f *Figures) AppendBinary(b []byte) []byte {
	b = f.PieceCount.append(f.NetMassGrams.append(b))
	b = binary.AppendUvarint(binary.AppendUvarint(b, f.LineCount), f.TransactionCount)
	b = f.MassWithCompositionGrams.append(b)
	for _, e := range f.Elements {
		if !e.Micrograms.IsZero() {
			b = e.Micrograms.append(binary.AppendUvarint(b, uint64(e.Number)))
		}
	}
	return b
}

// AddValues appends the sum of two values of one cell to dst.
func AddValues(dst, a, b []byte) ([]byte, error) {
	var roomA, roomB [8]ElementMass
	sum, add := Figures{Elements: roomA[:0]}, Figures{Elements: roomB[:0]}
	if err := sum.parse(a); err != nil {
		return nil, err
	}
	if err := add.parse(b); err != nil {
		return nil, err
	}
	sum.Add(add)
	return sum.AppendBinary(dst), nil
}

func parseFigures(b []byte) (f Figures, err error) {
	err = f.parse(b)
	return f, err
}

// parse reads figures into f, whose Elements are overwritten.
func (f *Figures) parse(b []byte) error {
	r := varints{b: b}
	*f = Figures{NetMassGrams: r.total(), PieceCount: r.total(), LineCount: r.uint64(), TransactionCount: r.uint64(),
		MassWithCompositionGrams: r.total(), Elements: f.Elements[:0]}
	last := 0
	for len(r.b) > 0 {
		e := ElementMass{Number: int(r.uint64()), Micrograms: r.total()}
		if e.Number <= last {
			return fmt.Errorf("%w: figures with elements out of order", ErrState)
		}
		f.Elements, last = append(f.Elements, e), e.Number
	}
	if r.bad {
		return fmt.Errorf("%w: figures are cut off", ErrState)
	}
	return nil
}
