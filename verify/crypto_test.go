package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"math/big"
	"testing"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// This file makes keys and signatures that no honest tool makes.

func signerOf(t testing.TB, private crypto.Signer) *verify.Signer {
	t.Helper()
	s, err := verify.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// privateKey returns the key of an Ed25519 seed or a P-256 number.
func privateKey(t testing.TB, a verify.Algorithm, b []byte) crypto.Signer {
	t.Helper()
	if a == verify.Ed25519 {
		return ed25519.NewKeyFromSeed(b)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var (
	ed25519SPKI = []byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00")
	p256SPKI    = []byte("\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00")
)

func spki(prefix []byte, key ...byte) []byte { return append(bytes.Clone(prefix), key...) }

func be64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// smallOrderPoints returns the eight points whose order divides 8.
func smallOrderPoints(t testing.TB) []*edwards25519.Point {
	t.Helper()
	// A point of order 8, found by clearing the prime-order part of any point.
	eighth, err := new(edwards25519.Point).SetBytes(
		unhex(t, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
	if err != nil {
		t.Fatal(err)
	}
	points := []*edwards25519.Point{edwards25519.NewIdentityPoint()}
	for len(points) < 8 {
		points = append(points, new(edwards25519.Point).Add(points[len(points)-1], eighth))
	}
	return points
}

// nonCanonicalY returns an encoding whose y is p or more and which decodes to a
// point that is not of small order: only y from p to 2^255-1 can be encoded so.
func nonCanonicalY(t testing.TB) []byte {
	t.Helper()
	for k := byte(0xed) + 2; k != 0; k++ {
		b := bytes.Repeat([]byte{0xff}, 32)
		b[0], b[31] = k, 0x7f
		if p, err := new(edwards25519.Point).SetBytes(b); err == nil &&
			new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 0 {
			return b
		}
	}
	t.Fatal("there is no such encoding")
	return nil
}

// offCurveY returns the encoding of a y that no point has.
func offCurveY(t testing.TB) []byte {
	t.Helper()
	y := new(field.Element).One()
	for range 100 {
		y.Add(y, new(field.Element).One())
		if _, err := new(edwards25519.Point).SetBytes(y.Bytes()); err != nil {
			return y.Bytes()
		}
	}
	t.Fatal("there is no such point")
	return nil
}

// forgeEd25519 signs with a chosen nonce r and a point added to R, as only the
// holder of the key can: R = rB + t, S = r + H(R || A || message) a.
func forgeEd25519(t testing.TB, seed []byte, r *edwards25519.Scalar, added *edwards25519.Point, message []byte) []byte {
	t.Helper()
	expanded := sha512.Sum512(seed)
	a, err := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
	if err != nil {
		t.Fatal(err)
	}
	bigR := new(edwards25519.Point).ScalarBaseMult(r)
	encodedR := bigR.Add(bigR, added).Bytes()
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	challenge := sha512.Sum512(bytes.Join([][]byte{encodedR, public, message}, nil))
	k, err := edwards25519.NewScalar().SetUniformBytes(challenge[:])
	if err != nil {
		t.Fatal(err)
	}
	s := edwards25519.NewScalar().MultiplyAdd(k, a, r)
	return append(encodedR, s.Bytes()...)
}

// plusOrder returns an Ed25519 signature with S + l for S, which verifies
// wherever S is reduced and is refused by RFC 8032.
func plusOrder(signature []byte) []byte {
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := bytes.Clone(signature[32:])
	reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), l).FillBytes(make([]byte, 32))
	reverse(sum)
	return append(bytes.Clone(signature[:32]), sum...)
}

func reverse(b []byte) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
}

// p256Order is n.
var p256Order = elliptic.P256().Params().N

// rs returns r || s.
func rs(r, s *big.Int) []byte {
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// halves returns r and s of a signature.
func halves(signature []byte) (r, s *big.Int) {
	return new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
}

// keyForS returns a P-256 key, made for one message, and the r with which r || s
// is its signature of that message: with a nonce k, d = (s k - e) / r.
func keyForS(t testing.TB, s *big.Int, message []byte) (key *verify.PublicKey, r *big.Int) {
	t.Helper()
	k := sha256.Sum256([]byte("nonce"))
	nonce, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), k[:])
	if err != nil {
		t.Fatal(err)
	}
	point, err := nonce.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	r = new(big.Int).Mod(new(big.Int).SetBytes(point[1:33]), p256Order)
	digest := sha256.Sum256(message)
	d := new(big.Int).Mul(s, new(big.Int).SetBytes(k[:]))
	d.Sub(d, new(big.Int).SetBytes(digest[:]))
	d.Mul(d, new(big.Int).ModInverse(r, p256Order)).Mod(d, p256Order)
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, private).Public(), r
}
