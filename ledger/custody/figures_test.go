package custody_test

import (
	"bytes"
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
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
	for range random.IntN(6) {
		if f.Elements == nil {
			f.Elements = make(map[int]custody.Total)
		}
		f.Elements[1+random.IntN(118)] = randomTotal(random)
	}
	return f
}

// sameFigures compares figures, in which an element without mass may be absent.
func sameFigures(t testing.TB, what string, got, want custody.Figures) {
	t.Helper()
	if diff := cmp.Diff(flatFigures(want), flatFigures(got)); diff != "" {
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
	for _, n := range f.ElementNumbers() {
		out.Elements[n] = f.Elements[n].String()
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
			for n, m := range f.Elements {
				if elements[n] == nil {
					elements[n] = new(big.Int)
				}
				elements[n].Add(elements[n], bigOf(t, m))
			}
			if diff := cmp.Diff(before, flatFigures(f)); diff != "" {
				t.Fatalf("adding changed what was added (-before +after):\n%s", diff)
			}
		}
		limit := new(big.Int).Lsh(big.NewInt(1), 128)
		if bigOf(t, sum.NetMassGrams).Cmp(mass.Mod(mass, limit)) != 0 {
			t.Errorf("mass %v, want %v", sum.NetMassGrams, mass)
		}
		for n, m := range elements {
			if bigOf(t, sum.Elements[n]).Cmp(m.Mod(m, limit)) != 0 {
				t.Errorf("element %d: %v, want %v", n, sum.Elements[n], m)
			}
		}
		if got := sum.ElementNumbers(); !slices.IsSorted(got) {
			t.Errorf("elements %v", got)
		}
		parsed, err := custody.ParseFigures(sum.Binary())
		if err != nil {
			t.Fatal(err)
		}
		sameFigures(t, "written and read", parsed, sum)
		for _, n := range random.Perm(len(parts)) {
			sum.Subtract(parts[n])
		}
		sameFigures(t, "there and back", sum, custody.Figures{})
		if got := sum.Binary(); !bytes.Equal(got, make([]byte, 8)) {
			t.Errorf("nothing is written as %x", got)
		}
	}
}

// TestFiguresCutOff cuts figures off at every byte. What remains is read only if
// it ends with an element.
func TestFiguresCutOff(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	f := randomFigures(random)
	f.Elements = map[int]custody.Total{60: randomTotal(random), 66: custody.Total{}.Add(300)}
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
		again.Subtract(figures)
		sameFigures(t, "there and back", again, custody.Figures{})
	})
}
