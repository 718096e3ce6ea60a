package custody_test

import (
	"bytes"
	"cmp"
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// randomTotal returns a total of any magnitude.
func randomTotal(random *rand.Rand) custody.Total {
	bits := func() uint64 { return random.Uint64() >> random.IntN(64) }
	total := custody.Total{}.Add(bits())
	for range random.IntN(2) * random.IntN(100) { // into the high half
		total = total.Plus(total).Add(bits() & 1)
	}
	return total
}

func bigOf(t testing.TB, total custody.Total) *big.Int {
	t.Helper()
	n, ok := new(big.Int).SetString(total.String(), 10)
	if !ok {
		t.Fatalf("%q is no number", total)
	}
	return n
}

// TestTotals compares totals with math/big.
func TestTotals(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	limit := new(big.Int).Lsh(big.NewInt(1), 128)
	for range 2000 {
		a, b, v := randomTotal(random), randomTotal(random), random.Uint64()
		x, y := bigOf(t, a), bigOf(t, b)
		if got, want := a.Cmp(b), x.Cmp(y); got != want {
			t.Errorf("%v compared with %v: %d, want %d", a, b, got, want)
		}
		if got, want := a.IsZero(), x.Sign() == 0; got != want {
			t.Errorf("%v is zero: %t", a, got)
		}
		check := func(what string, got custody.Total, want *big.Int) {
			t.Helper()
			if want = want.Mod(want, limit); bigOf(t, got).Cmp(want) != 0 {
				t.Errorf("%v %s: %v, want %v", a, what, got, want)
			}
		}
		check("plus "+b.String(), a.Plus(b), new(big.Int).Add(x, y))
		check("plus a number", a.Add(v), new(big.Int).Add(x, new(big.Int).SetUint64(v)))
		check("there and back", a.Plus(b).Minus(b), new(big.Int).Set(x))
	}
	if got := (custody.Total{}).String(); got != "0" {
		t.Errorf("zero is %q", got)
	}
}

func randomFigures(random *rand.Rand) custody.Figures {
	f := custody.Figures{
		NetMassGrams: randomTotal(random), PieceCount: randomTotal(random), LineCount: random.Uint64() >> random.IntN(64),
		TransactionCount: random.Uint64() >> random.IntN(64), MassWithCompositionGrams: randomTotal(random),
	}
	for n := 1 + random.IntN(30); n <= 118; n += 1 + random.IntN(90) {
		f.Elements = append(f.Elements, custody.ElementMass{Number: n, Micrograms: randomTotal(random)})
	}
	return f
}

// sameFigures compares figures, in which an element without mass may be absent.
func sameFigures(t testing.TB, what string, got, want custody.Figures) {
	t.Helper()
	if diff := gocmp.Diff(flatFigures(want), flatFigures(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

type flat struct {
	Mass, Pieces, WithComposition string
	Lines, Transactions           uint64
	Elements                      map[int]string
}

func flatFigures(f custody.Figures) flat {
	out := flat{
		f.NetMassGrams.String(), f.PieceCount.String(), f.MassWithCompositionGrams.String(), f.LineCount, f.TransactionCount,
		make(map[int]string),
	}
	for _, e := range f.Elements {
		if !e.Micrograms.IsZero() {
			out.Elements[e.Number] = e.Micrograms.String()
		}
	}
	return out
}

// TestFigures adds figures up and takes them away again, in any order.
func TestFigures(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var parts []custody.Figures
		var sum custody.Figures
		mass, elements := new(big.Int), make(map[int]*big.Int)
		for range random.IntN(8) {
			f := randomFigures(random)
			parts = append(parts, f)
			before := flatFigures(f)
			sum.Add(f)
			mass.Add(mass, bigOf(t, f.NetMassGrams))
			for _, e := range f.Elements {
				if elements[e.Number] == nil {
					elements[e.Number] = new(big.Int)
				}
				elements[e.Number].Add(elements[e.Number], bigOf(t, e.Micrograms))
			}
			if diff := gocmp.Diff(before, flatFigures(f)); diff != "" {
				t.Fatalf("adding changed what was added (-before +after):\n%s", diff)
			}
		}
		limit := new(big.Int).Lsh(big.NewInt(1), 128)
		if bigOf(t, sum.NetMassGrams).Cmp(mass.Mod(mass, limit)) != 0 {
			t.Errorf("mass %v, want %v", sum.NetMassGrams, mass)
		}
		for _, e := range sum.Elements {
			if m := elements[e.Number]; bigOf(t, e.Micrograms).Cmp(m.Mod(m, limit)) != 0 {
				t.Errorf("element %d: %v, want %v", e.Number, e.Micrograms, m)
			}
		}
		if len(sum.Elements) != len(elements) || !slices.IsSortedFunc(sum.Elements, byNumber) {
			t.Errorf("elements %v", sum.Elements)
		}
		checkSumOfValues(t, parts, sum)
		parsed, err := custody.ParseFigures(sum.Binary())
		if err != nil {
			t.Fatal(err)
		}
		sameFigures(t, "written and read", parsed, sum)
	}
}

func byNumber(a, b custody.ElementMass) int { return cmp.Compare(a.Number, b.Number) }

// checkSumOfValues adds figures up as they are stored.
func checkSumOfValues(t *testing.T, parts []custody.Figures, want custody.Figures) {
	t.Helper()
	var none custody.Figures
	sum := none.Binary()
	for _, f := range parts {
		var err error
		if sum, err = custody.AddValues(nil, sum, f.Binary()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := custody.ParseFigures(sum); err != nil {
		t.Error(err)
	} else {
		sameFigures(t, "added up as stored", got, want)
	}
}

// TestLines adds lines up and takes them away again, in any order, also before
// they were added: as stored, nothing remains.
func TestLines(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	symbols := []string{"Nd", "Dy", "Pr", "Fe", "B", "Tb"}
	for range 300 {
		var lines []*tracev1.TransactionLine
		for range random.IntN(8) {
			line := &tracev1.TransactionLine{NetMassGrams: random.Uint64N(1e12), PieceCount: random.Uint64N(1e12)}
			for _, n := range random.Perm(len(symbols))[:random.IntN(4)] {
				line.Composition = append(line.Composition, &tracev1.ElementFraction{Symbol: symbols[n], Ppm: random.Uint32N(1e6)})
			}
			lines = append(lines, line)
		}
		var none, added, taken custody.Figures
		for i, n := range random.Perm(len(lines)) {
			added.AddLine(lines[n], n == 0)
			taken.SubtractLine(lines[i], i == 0)
		}
		if int(added.LineCount) != len(lines) {
			t.Errorf("%d lines, want %d", added.LineCount, len(lines))
		}
		got, err := custody.AddValues(nil, taken.Binary(), added.Binary())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, none.Binary()) {
			t.Errorf("there and back: %x", got)
		}
	}
}

// TestFiguresCutOff cuts figures off at every byte. What remains is read only if
// it ends with an element.
func TestFiguresCutOff(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	f := randomFigures(random)
	f.Elements = []custody.ElementMass{{60, randomTotal(random)}, {66, custody.Total{}.Add(300)}}
	whole := f.Binary()
	for n := range whole {
		got, err := custody.ParseFigures(whole[:n])
		if err == nil {
			if !bytes.Equal(got.Binary(), whole[:n]) {
				t.Errorf("%d of %d bytes were read as %+v", n, len(whole), got)
			}
		} else if !errors.Is(err, custody.ErrState) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}

// FuzzParseFigures writes what it could read, and reads the same again.
func FuzzParseFigures(f *testing.F) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 5 {
		figures := randomFigures(random)
		f.Add(figures.Binary())
	}
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		figures, err := custody.ParseFigures(b)
		if err != nil {
			if !errors.Is(err, custody.ErrState) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := custody.ParseFigures(figures.Binary())
		if err != nil {
			t.Fatal(err)
		}
		sameFigures(t, "written and read", again, figures)
	})
}
