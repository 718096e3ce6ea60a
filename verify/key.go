package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"filippo.io/edwards25519"
)

// Algorithm is a signature algorithm, as the signature block numbers them.
type Algorithm uint8

// Algorithms. 3 (SM2 with SM3) and 4 (ML-DSA-44) are reserved.
const (
	Ed25519 Algorithm = 1
	// ECDSAP256 is ECDSA over P-256 with SHA-256.
	ECDSAP256 Algorithm = 2
)

func (a Algorithm) String() string {
	switch a {
	case Ed25519:
		return "Ed25519"
	case ECDSAP256:
		return "ECDSA-P256"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// SignatureSize is the length in bytes of a signature, in either algorithm.
const SignatureSize = 64

// The only forms of a SubjectPublicKeyInfo (RFC 8410, RFC 5480): a fixed
// prefix, then the key.
var (
	ed25519Prefix = []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}
	p256Prefix    = []byte{
		0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
	}
	p256HalfOrder = new(big.Int).Rsh(elliptic.P256().Params().N, 1)
)

// Errors of keys and signatures.
var (
	// ErrKeyForm says that bytes are no public key that may be registered.
	ErrKeyForm = errors.New("not an acceptable public key")
	// ErrSignature says that a signature does not verify.
	ErrSignature = errors.New("signature does not verify")
)

// PublicKey is a key that signs statements. It is safe for concurrent use.
type PublicKey struct {
	algorithm Algorithm
	spki      []byte
	id        Hash
	ed25519   ed25519.PublicKey
	ecdsa     *ecdsa.PublicKey
	minus     *multiples // of the negative of the point; nil unless prepared
}

// ParsePublicKey reads a DER SubjectPublicKeyInfo. It fails with ErrKeyForm
// unless the bytes have exactly one of the two forms, and the point is
// canonical, on the curve and, for Ed25519, in the prime-order subgroup: no
// such key can be made to accept a signature that its holder can disown.
func ParsePublicKey(spki []byte) (*PublicKey, error) {
	k := &PublicKey{spki: bytes.Clone(spki), id: keyIDOf(spki)}
	if a, ok := bytes.CutPrefix(spki, ed25519Prefix); ok && len(a) == ed25519.PublicKeySize {
		if !inPrimeOrderSubgroup(a) {
			return nil, fmt.Errorf("%w: the Ed25519 point is not canonical or of small or mixed order", ErrKeyForm)
		}
		k.algorithm, k.ed25519 = Ed25519, bytes.Clone(a)
		return k, nil
	}
	if point, ok := bytes.CutPrefix(spki, p256Prefix); ok && len(point) == 65 {
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return nil, fmt.Errorf("%w: the point is not on P-256", ErrKeyForm)
		}
		k.algorithm, k.ecdsa = ECDSAP256, pub
		return k, nil
	}
	return nil, fmt.Errorf("%w: neither the Ed25519 nor the P-256 SubjectPublicKeyInfo form", ErrKeyForm)
}

// inPrimeOrderSubgroup reports whether a is the canonical encoding of a point
// of order l (RFC 8032, section 5.1), which excludes the identity.
func inPrimeOrderSubgroup(a []byte) bool {
	p, err := new(edwards25519.Point).SetBytes(a)
	if err != nil || !bytes.Equal(p.Bytes(), a) {
		return false
	}
	identity := edwards25519.NewIdentityPoint()
	// [l-1]P = -P says that the order of P divides l, which is prime.
	minusOne := new(edwards25519.Scalar).Negate(scalarOne())
	q := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(minusOne, p, edwards25519.NewScalar())
	return q.Add(q, p).Equal(identity) == 1 && p.Equal(identity) == 0
}

func scalarOne() *edwards25519.Scalar {
	one := [32]byte{1}
	s, err := edwards25519.NewScalar().SetCanonicalBytes(one[:])
	if err != nil {
		panic(err) // 1 is below l
	}
	return s
}

// NewPublicKey returns the key in the form of this package. It fails with
// ErrKeyForm unless pub is an ed25519.PublicKey or an *ecdsa.PublicKey on P-256
// that ParsePublicKey accepts.
func NewPublicKey(pub crypto.PublicKey) (*PublicKey, error) {
	switch pub := pub.(type) {
	case ed25519.PublicKey:
		return ParsePublicKey(append(bytes.Clone(ed25519Prefix), pub...))
	case *ecdsa.PublicKey:
		point, err := pub.Bytes()
		if err != nil || pub.Curve != elliptic.P256() {
			return nil, fmt.Errorf("%w: not on P-256", ErrKeyForm)
		}
		return ParsePublicKey(append(bytes.Clone(p256Prefix), point...))
	}
	return nil, fmt.Errorf("%w: %T", ErrKeyForm, pub)
}

// ID returns the key id: SHA-256 of the SubjectPublicKeyInfo.
func (k *PublicKey) ID() Hash { return k.id }

// SPKI returns the DER SubjectPublicKeyInfo. It must not be changed.
func (k *PublicKey) SPKI() []byte { return k.spki }

// Algorithm returns the algorithm that the key signs with.
func (k *PublicKey) Algorithm() Algorithm { return k.algorithm }

// verify checks a signature of SignatureSize bytes over message: what
// crypto/ed25519 accepts, with R not the identity; or r || s with 1 <= r < n
// and 1 <= s <= (n-1)/2.
func (k *PublicKey) verify(message, signature []byte) bool {
	if len(signature) != SignatureSize {
		return false
	}
	if k.algorithm == Ed25519 {
		identity := [32]byte{1}
		switch {
		case bytes.Equal(signature[:32], identity[:]):
			return false
		case k.minus != nil:
			return k.verifyPrepared(message, signature)
		}
		return ed25519.Verify(k.ed25519, message, signature)
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	digest := sha256.Sum256(message)
	return s.Cmp(p256HalfOrder) <= 0 && ecdsa.Verify(k.ecdsa, digest[:], r, s)
}

// VerifyPossession checks the proof that the holder of the key registers it for
// a participant of a ledger; for a key named in a genesis the ledger id is all
// zeros. The error is ErrSignature.
func (k *PublicKey) VerifyPossession(ledgerID Hash, participantID string, signature []byte) error {
	if !k.verify(PAE(KeyPossessionType, possessionBody(ledgerID, k.id, participantID)), signature) {
		return fmt.Errorf("proof of possession: %w", ErrSignature)
	}
	return nil
}

// Signer signs statements with a private key, which may be in a device.
type Signer struct {
	key     *PublicKey
	private crypto.Signer
}

// NewSigner returns a signer for an Ed25519 or P-256 key. It fails with
// ErrKeyForm for any other.
func NewSigner(private crypto.Signer) (*Signer, error) {
	key, err := NewPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, private: private}, nil
}

// Public returns the public key.
func (s *Signer) Public() *PublicKey { return s.key }

// ProvePossession makes the proof that VerifyPossession checks.
func (s *Signer) ProvePossession(ledgerID Hash, participantID string) ([]byte, error) {
	return s.sign(PAE(KeyPossessionType, possessionBody(ledgerID, s.key.id, participantID)))
}

func (s *Signer) sign(message []byte) ([]byte, error) {
	if s.key.algorithm == Ed25519 {
		sig, err := s.private.Sign(rand.Reader, message, crypto.Hash(0))
		if err == nil && len(sig) != SignatureSize {
			err = fmt.Errorf("the signer's Ed25519 signature has %d bytes, not %d", len(sig), SignatureSize)
		}
		return sig, err
	}
	digest := sha256.Sum256(message)
	der, err := s.private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return lowS(der)
}

// lowS turns a DER signature into r || s with s at most (n-1)/2.
func lowS(der []byte) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &rs); err != nil || len(rest) != 0 {
		return nil, errors.New("the signer's ECDSA signature is not DER")
	}
	n := elliptic.P256().Params().N
	if rs.R.Sign() <= 0 || rs.R.Cmp(n) >= 0 || rs.S.Sign() <= 0 || rs.S.Cmp(n) >= 0 {
		return nil, errors.New("the signer's ECDSA signature is not within 1 and n-1")
	}
	if rs.S.Cmp(p256HalfOrder) > 0 {
		rs.S.Sub(n, rs.S)
	}
	out := make([]byte, SignatureSize)
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out, nil
}
