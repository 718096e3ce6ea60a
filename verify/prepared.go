package verify

import (
	"bytes"
	"crypto/sha512"
	"sync"

	"filippo.io/edwards25519"
)

// Prepared returns the key, ready to verify many signatures: of Ed25519 each
// costs half as much. That takes the time of two verifications and 20 KiB. What
// is accepted stays the same, bit for bit.
//
// crypto/ed25519 finds out anew for each signature where the multiples of the
// key and of the base point lie, by doublings. Here they are looked up. All of it
// is public, so nothing need be hidden from who can measure time.
func (k *PublicKey) Prepared() *PublicKey {
	if k.algorithm != Ed25519 || k.minus != nil {
		return k
	}
	a, err := new(edwards25519.Point).SetBytes(k.ed25519)
	if err != nil {
		return k // no key is like that
	}
	prepared := *k
	prepared.minus = newMultiples(a.Negate(a), 4, 4)
	return &prepared
}

// baseMultiples are those of the base point, in 640 KiB.
var baseMultiples = sync.OnceValue(func() *multiples {
	return newMultiples(edwards25519.NewGeneratorPoint(), 8, 1)
})

// verifyPrepared does what RFC 8032, section 5.1.7, and crypto/ed25519 do: with h
// the SHA-512 of R, key and message, and S below the order of the group, the
// encoding of [S]B - [h]A must be R.
func (k *PublicKey) verifyPrepared(message, signature []byte) bool {
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(signature[32:])
	if err != nil {
		return false
	}
	hash := sha512.New()
	hash.Write(signature[:32])
	hash.Write(k.ed25519)
	hash.Write(message)
	h, err := new(edwards25519.Scalar).SetUniformBytes(hash.Sum(make([]byte, 0, sha512.Size)))
	if err != nil {
		return false
	}
	r := k.minus.addTo(edwards25519.NewIdentityPoint(), h)
	r = baseMultiples().addTo(r, s)
	return bytes.Equal(r.Bytes(), signature[:32])
}

// multiples are multiples of a point: enough that any other is a sum of few. A
// scalar is read as digits of some width, from -2^(width-1) to below
// 2^(width-1). There is a row of multiples for one digit out of every few; what
// the others stand for comes of doubling what has been added for the one after.
type multiples struct {
	width, every int
	rows         [][]edwards25519.Point // [digit/every][absolute value-1]
}

const scalarBits = 256

// newMultiples returns the multiples of a point. width is 4 or 8.
func newMultiples(p *edwards25519.Point, width, every int) *multiples {
	m := &multiples{width: width, every: every, rows: make([][]edwards25519.Point, scalarBits/width/every)}
	first := new(edwards25519.Point).Set(p)
	for i := range m.rows {
		row := make([]edwards25519.Point, 1<<(width-1))
		row[0].Set(first)
		for j := 1; j < len(row); j++ {
			row[j].Add(&row[j-1], first)
		}
		m.rows[i] = row
		double(first, width*every)
	}
	return m
}

// double doubles a point n times.
func double(p *edwards25519.Point, n int) {
	for range n {
		p.Add(p, p)
	}
}

// addTo adds a multiple to sum, which must be zero if there are digits without a
// row.
func (m *multiples) addTo(sum *edwards25519.Point, scalar *edwards25519.Scalar) *edwards25519.Point {
	var digits [scalarBits / 4]int
	m.digits(&digits, scalar)
	for pass := m.every - 1; pass >= 0; pass-- {
		for i, row := range m.rows {
			switch d := digits[i*m.every+pass]; {
			case d > 0:
				sum.Add(sum, &row[d-1])
			case d < 0:
				sum.Subtract(sum, &row[-d-1])
			}
		}
		if pass > 0 {
			double(sum, m.width)
		}
	}
	return sum
}

// digits reads a scalar, which is below 2^253: the last digit takes what is
// carried.
func (m *multiples) digits(digits *[scalarBits / 4]int, scalar *edwards25519.Scalar) {
	carry, perByte := 0, 8/m.width
	for i, b := range scalar.Bytes() {
		for j := range perByte {
			d := int(b)>>(j*m.width)&(1<<m.width-1) + carry
			carry = 0
			if d >= 1<<(m.width-1) {
				d, carry = d-1<<m.width, 1
			}
			digits[i*perByte+j] = d
		}
	}
}
