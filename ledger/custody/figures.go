package custody

import (
	"encoding/binary"
	"fmt"
	"slices"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Figures are sums over lines of transactions.
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
	// Elements are the masses of elements in micrograms, by atomic number,
	// over those lines: grams times parts per million, exactly.
	Elements map[int]Total
}

// figuresOf returns the figures of one line; first tells whether it is the first
// of its transaction.
func figuresOf(line *tracev1.TransactionLine, first bool) Figures {
	f := Figures{
		NetMassGrams: Total{lo: line.GetNetMassGrams()}, PieceCount: Total{lo: line.GetPieceCount()}, LineCount: 1,
	}
	if first {
		f.TransactionCount = 1
	}
	if len(line.GetComposition()) > 0 {
		f.MassWithCompositionGrams = f.NetMassGrams
		f.Elements = make(map[int]Total, len(line.GetComposition()))
		for _, e := range line.GetComposition() {
			n, _ := ElementNumber(e.GetSymbol()) // the line was checked
			// At most 10^12 g and 10^6 ppm: 10^18 micrograms.
			f.Elements[n] = Total{lo: line.GetNetMassGrams() * uint64(e.GetPpm())}
		}
	}
	return f
}

// Add adds g to f.
func (f *Figures) Add(g Figures) {
	f.combine(g, Total.Plus)
	f.LineCount += g.LineCount
	f.TransactionCount += g.TransactionCount
}

// subtract takes g, which was added before, from f.
func (f *Figures) subtract(g Figures) {
	f.combine(g, Total.minus)
	f.LineCount -= g.LineCount
	f.TransactionCount -= g.TransactionCount
}

func (f *Figures) combine(g Figures, op func(Total, Total) Total) {
	f.NetMassGrams = op(f.NetMassGrams, g.NetMassGrams)
	f.PieceCount = op(f.PieceCount, g.PieceCount)
	f.MassWithCompositionGrams = op(f.MassWithCompositionGrams, g.MassWithCompositionGrams)
	if f.Elements == nil && len(g.Elements) > 0 {
		f.Elements = make(map[int]Total, len(g.Elements))
	}
	for n, mass := range g.Elements {
		f.Elements[n] = op(f.Elements[n], mass)
	}
}

// appendBinary writes the figures as varints: mass, pieces, lines,
// transactions, mass with composition, then atomic number and mass of each
// element in ascending order.
func (f *Figures) appendBinary(b []byte) []byte {
	b = f.PieceCount.append(f.NetMassGrams.append(b))
	b = binary.AppendUvarint(binary.AppendUvarint(b, f.LineCount), f.TransactionCount)
	b = f.MassWithCompositionGrams.append(b)
	for _, n := range f.ElementNumbers() {
		b = f.Elements[n].append(binary.AppendUvarint(b, uint64(n)))
	}
	return b
}

// ElementNumbers returns the atomic numbers of the elements whose mass is not
// zero, in ascending order.
func (f *Figures) ElementNumbers() []int {
	var numbers []int
	for n, mass := range f.Elements {
		if !mass.IsZero() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func parseFigures(b []byte) (Figures, error) {
	r := varints{b: b}
	f := Figures{NetMassGrams: r.total(), PieceCount: r.total(), LineCount: r.uint64(), TransactionCount: r.uint64()}
	f.MassWithCompositionGrams = r.total()
	for len(r.b) > 0 {
		if f.Elements == nil {
			f.Elements = make(map[int]Total)
		}
		n := int(r.uint64())
		f.Elements[n] = r.total()
	}
	if r.bad {
		return f, fmt.Errorf("%w: figures are cut off", ErrState)
	}
	return f, nil
}
