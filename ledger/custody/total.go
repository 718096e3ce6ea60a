package custody

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
)

// Total is an unsigned sum of 128 bits. A line adds at most 10^18 to any sum, so
// the sum of 2^68 lines is still exact: more than a log of 2^64 entries will ever
// have.
type Total struct{ hi, lo uint64 }

// Add returns t + v.
func (t Total) Add(v uint64) Total { return t.Plus(Total{lo: v}) }

// Plus returns t + u.
func (t Total) Plus(u Total) Total {
	lo, carry := bits.Add64(t.lo, u.lo, 0)
	hi, _ := bits.Add64(t.hi, u.hi, carry)
	return Total{hi, lo}
}

// minus returns t - u. u was added to t before.
func (t Total) minus(u Total) Total {
	lo, borrow := bits.Sub64(t.lo, u.lo, 0)
	hi, _ := bits.Sub64(t.hi, u.hi, borrow)
	return Total{hi, lo}
}

// IsZero reports whether t is 0.
func (t Total) IsZero() bool { return t == Total{} }

// Cmp returns -1, 0 or 1 as t is less than, equal to or greater than u.
func (t Total) Cmp(u Total) int {
	switch {
	case t == u:
		return 0
	case t.hi < u.hi || t.hi == u.hi && t.lo < u.lo:
		return -1
	}
	return 1
}

// Halves returns the upper and the lower 64 bits of t.
func (t Total) Halves() (high, low uint64) { return t.hi, t.lo }

// String returns t in decimal.
func (t Total) String() string {
	if t.hi == 0 {
		return fmt.Sprint(t.lo)
	}
	n := new(big.Int).SetUint64(t.hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(t.lo)).String()
}

// append writes low and high half as varints; the high half is nearly always 0.
func (t Total) append(b []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, t.lo), t.hi)
}

// varints reads what AppendUvarint wrote and remembers whether it was cut off.
type varints struct {
	b   []byte
	bad bool
}

func (r *varints) uint64() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *varints) total() Total {
	lo := r.uint64()
	return Total{lo: lo, hi: r.uint64()}
}
