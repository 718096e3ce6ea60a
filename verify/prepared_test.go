package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// preparedCase is a key and its prepared form, which must not differ.
type preparedCase struct {
	plain, prepared *verify.PublicKey
	public          ed25519.PublicKey
}

func newPreparedCase(t testing.TB, seed []byte) *preparedCase {
	t.Helper()
	private := ed25519.NewKeyFromSeed(seed)
	key := signerOf(t, private).Public()
	return &preparedCase{key, key.Prepared(), private.Public().(ed25519.PublicKey)}
}

// same compares what the forms and crypto/ed25519 say of a signature.
func (c *preparedCase) same(t testing.TB, message, signature []byte) (ok bool) {
	t.Helper()
	ok = verify.VerifyMessage(c.prepared, message, signature)
	if plain := verify.VerifyMessage(c.plain, message, signature); ok != plain {
		t.Fatalf("signature %x over %x by %x: prepared %t, plain %t", signature, message, c.public, ok, plain)
	}
	identity := append([]byte{1}, make([]byte, 31)...)
	if std := ed25519.Verify(c.public, message, signature); ok != std && !bytes.Equal(signature[:32], identity) {
		t.Fatalf("signature %x over %x by %x: prepared %t, crypto/ed25519 %t", signature, message, c.public, ok, std)
	}
	return ok
}

// TestPrepared verifies with prepared keys what is sound, altered in each bit, or
// what no honest tool makes.
func TestPrepared(t *testing.T) {
	r := rand.NewChaCha8([32]byte{7})
	for range 2 {
		seed, message := make([]byte, 32), make([]byte, 100)
		r.Read(seed)
		r.Read(message)
		c := newPreparedCase(t, seed)
		sound := ed25519.Sign(ed25519.NewKeyFromSeed(seed), message)
		if !c.same(t, message, sound) {
			t.Fatal("a sound signature is refused")
		}
		for i := range len(sound) {
			for bit := range 8 {
				altered := bytes.Clone(sound)
				altered[i] ^= 1 << bit
				if c.same(t, message, altered) {
					t.Fatalf("bit %d of byte %d is altered, and it verifies", bit, i)
				}
			}
		}
		if c.same(t, message[1:], sound) || c.same(t, message, plusOrder(sound)) {
			t.Error("a wrong signature verifies")
		}
		for k, nonce := range edgeScalars(t) {
			for _, added := range smallOrderPoints(t) {
				forged := forgeEd25519(t, seed, nonce, added, message)
				honest := added.Equal(edwards25519.NewIdentityPoint()) == 1 && nonce.Equal(edwards25519.NewScalar()) == 0
				if c.same(t, message, forged) != honest {
					t.Errorf("nonce %d, %x added to R: it is %t that it verifies", k, added.Bytes(), !honest)
				}
			}
		}
		for _, encoding := range [][]byte{nonCanonicalY(t), offCurveY(t), bytes.Repeat([]byte{0xff}, 32), make([]byte, 32)} {
			c.same(t, message, append(bytes.Clone(encoding), sound[32:]...))
			c.same(t, message, append(bytes.Clone(sound[:32]), encoding...))
		}
	}
}

// edgeScalars returns scalars whose digits are the lowest, the highest, carry, or
// are any.
func edgeScalars(t testing.TB) []*edwards25519.Scalar {
	t.Helper()
	var out []*edwards25519.Scalar
	for _, fill := range []byte{0, 0x01, 0x07, 0x08, 0x77, 0x78, 0x7f, 0x80, 0x87, 0x88, 0x8f, 0xf7, 0xf8, 0xff} {
		b := bytes.Repeat([]byte{fill}, 32)
		b[31] &= 0x0f
		if s, err := edwards25519.NewScalar().SetCanonicalBytes(b); err == nil {
			out = append(out, s, edwards25519.NewScalar().Negate(s))
		}
		one := make([]byte, 32)
		one[0] = fill
		s, err := edwards25519.NewScalar().SetCanonicalBytes(one)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s, edwards25519.NewScalar().Negate(s))
	}
	for i := range byte(64) {
		h := sha512.Sum512([]byte{i})
		s, err := edwards25519.NewScalar().SetUniformBytes(h[:])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// TestMultiples compares sums of looked-up multiples with multiplication.
func TestMultiples(t *testing.T) {
	p := new(edwards25519.Point).ScalarBaseMult(edgeScalars(t)[60])
	for _, shape := range [][2]int{{4, 1}, {4, 4}, {4, 16}, {8, 1}, {8, 2}} {
		for _, s := range edgeScalars(t) {
			want := new(edwards25519.Point).ScalarMult(s, p)
			if got := verify.Multiple(p, shape[0], shape[1], s); got.Equal(want) != 1 {
				t.Fatalf("width %d, every %d: multiple %x is %x, not %x", shape[0], shape[1], s.Bytes(), got.Bytes(), want.Bytes())
			}
		}
	}
}

// TestPreparedOfOthers prepares what needs no preparation.
func TestPreparedOfOthers(t *testing.T) {
	for _, s := range bothSigners() {
		key := s.Public().Prepared()
		if key.Prepared() != key || key.ID() != s.Public().ID() || !bytes.Equal(key.SPKI(), s.Public().SPKI()) {
			t.Errorf("%v: another key", key.Algorithm())
		}
		p := oneLinePayload(t)
		env, err := s.Sign(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.VerifySignature(p, key, env.GetSignatureBlock(), nil); err != nil {
			t.Error(err)
		}
	}
}

// FuzzPrepared compares prepared keys with crypto/ed25519 for any signature.
func FuzzPrepared(f *testing.F) {
	seed := make([]byte, 32)
	c := newPreparedCase(f, seed)
	f.Add([]byte("abc"), ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte("abc")))
	f.Fuzz(func(t *testing.T, message, signature []byte) {
		if len(signature) == verify.SignatureSize {
			c.same(t, message, signature)
		}
	})
}
