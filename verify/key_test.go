package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"testing"

	"filippo.io/edwards25519"

	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func TestNewPublicKeyRefuses(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.PublicKey{
		"nothing":                nil,
		"RSA":                    rsaKey.Public(),
		"P-384":                  p384.Public(),
		"a short Ed25519 key":    ed25519.PublicKey(make([]byte, 31)),
		"Ed25519 of small order": ed25519.PublicKey(append([]byte{1}, make([]byte, 31)...)),
	} {
		if _, err := verify.NewPublicKey(key); !errors.Is(err, verify.ErrKeyForm) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if _, err := verify.NewSigner(rsaKey); !errors.Is(err, verify.ErrKeyForm) {
		t.Errorf("a signer with an RSA key: got error %v", err)
	}
}

// TestSPKI holds the fixed prefixes against the encoder of the standard
// library.
func TestSPKI(t *testing.T) {
	for _, private := range []crypto.Signer{verifytest.PrivateKey("acme"), verifytest.P256PrivateKey("acme")} {
		want, err := x509.MarshalPKIXPublicKey(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		key := signerOf(t, private).Public()
		if got := key.SPKI(); !bytes.Equal(got, want) {
			t.Errorf("%v: got %x, want %x", key.Algorithm(), got, want)
		}
		if got, want := key.ID(), verify.Hash(sha256.Sum256(want)); got != want {
			t.Errorf("%v: key id %s, want %s", key.Algorithm(), got, want)
		}
	}
}

// TestParsedKeyIsOwn checks that a key does not change with the bytes that it
// was read from.
func TestParsedKeyIsOwn(t *testing.T) {
	for _, s := range []*verify.Signer{verifytest.Key("acme"), verifytest.P256Key("acme")} {
		b := bytes.Clone(s.Public().SPKI())
		key, err := verify.ParsePublicKey(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		if !bytes.Equal(key.SPKI(), s.Public().SPKI()) {
			t.Errorf("%v: SPKI %x", key.Algorithm(), key.SPKI())
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

// TestForgeries checks that what is refused beyond crypto/ed25519 is what the
// vectors say it is.
func TestForgeries(t *testing.T) {
	public := verifytest.PrivateKey("acme").Public().(ed25519.PublicKey)
	for _, v := range loadVectors[[]signatureVector](t, "signatures.json") {
		message := verify.PAE(verify.StatementType, v.Payload)
		switch v.Name {
		case "Ed25519, sound, with another nonce", "Ed25519, R the identity":
			if !ed25519.Verify(public, message, v.Signature) {
				t.Errorf("%s: crypto/ed25519 refuses it", v.Name)
			}
		case "Ed25519, R of mixed order, which cofactored verification accepts":
			if !verifyCofactored(t, public, message, v.Signature) {
				t.Errorf("%s: it does not", v.Name)
			}
		}
	}
}

// verifyCofactored checks [8][S]B = [8]R + [8][k]A.
func verifyCofactored(t *testing.T, public ed25519.PublicKey, message, signature []byte) bool {
	t.Helper()
	bigA, errA := new(edwards25519.Point).SetBytes(public)
	bigR, errR := new(edwards25519.Point).SetBytes(signature[:32])
	s, errS := edwards25519.NewScalar().SetCanonicalBytes(signature[32:])
	challenge := sha512.Sum512(cat(signature[:32], public, message))
	k, errK := edwards25519.NewScalar().SetUniformBytes(challenge[:])
	if err := errors.Join(errA, errR, errS, errK); err != nil {
		t.Fatal(err)
	}
	minusA := new(edwards25519.Point).Negate(bigA)
	left := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(k, minusA, s)
	difference := left.Subtract(left, bigR)
	return difference.MultByCofactor(difference).Equal(edwards25519.NewIdentityPoint()) == 1
}

func TestPossession(t *testing.T) {
	ledger := verify.Hash{1}
	for _, s := range []*verify.Signer{verifytest.Key("acme"), verifytest.P256Key("acme")} {
		proof, err := s.ProvePossession(ledger, "acme")
		if err != nil {
			t.Fatal(err)
		}
		k := s.Public()
		if err := k.VerifyPossession(ledger, "acme", proof); err != nil {
			t.Error(err)
		}
		for name, err := range map[string]error{
			"another ledger":      k.VerifyPossession(verify.Hash{2}, "acme", proof),
			"the genesis":         k.VerifyPossession(verify.Hash{}, "acme", proof),
			"another participant": k.VerifyPossession(ledger, "acm", proof),
			"another Ed25519 key": verifytest.Key("bolt").Public().VerifyPossession(ledger, "acme", proof),
			"another P-256 key":   verifytest.P256Key("bolt").Public().VerifyPossession(ledger, "acme", proof),
			"nothing":             k.VerifyPossession(ledger, "acme", nil),
		} {
			if !errors.Is(err, verify.ErrSignature) {
				t.Errorf("%v for %s: got error %v", k.Algorithm(), name, err)
			}
		}
		for i := range proof {
			if err := k.VerifyPossession(ledger, "acme", flipped(proof, i)); !errors.Is(err, verify.ErrSignature) {
				t.Errorf("%v with byte %d flipped: got error %v", k.Algorithm(), i, err)
			}
		}
	}
}

// device is a signing device that answers with whatever it is told to.
type device struct {
	crypto.Signer
	answer []byte
	err    error
}

func (d device) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return d.answer, d.err }

// TestFaultyDevice checks that no answer of a device makes an envelope that
// nobody could verify, or a panic.
func TestFaultyDevice(t *testing.T) {
	der := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, wide := big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 300)
	ed, ec := verifytest.PrivateKey("acme"), verifytest.P256PrivateKey("acme")
	for name, d := range map[string]device{
		"Ed25519, an error":       {ed, nil, errors.New("no card in the reader")},
		"Ed25519, 63 bytes":       {ed, make([]byte, 63), nil},
		"Ed25519, nothing":        {ed, nil, nil},
		"P-256, an error":         {ec, nil, errors.New("no card in the reader")},
		"P-256, r || s":           {ec, make([]byte, 64), nil},
		"P-256, trailing byte":    {ec, append(der(one, one), 0), nil},
		"P-256, r of 300 bits":    {ec, der(wide, one), nil},
		"P-256, s of 300 bits":    {ec, der(one, wide), nil},
		"P-256, r = 0":            {ec, der(new(big.Int), one), nil},
		"P-256, s = 0":            {ec, der(one, new(big.Int)), nil},
		"P-256, s = n":            {ec, der(one, p256Order), nil},
		"P-256, s below 0":        {ec, der(one, big.NewInt(-1)), nil},
		"P-256, r = n":            {ec, der(p256Order, one), nil},
		"P-256, r below 0":        {ec, der(big.NewInt(-1), one), nil},
		"P-256, nothing":          {ec, nil, nil},
		"P-256, s n above a half": {ec, der(one, new(big.Int).Lsh(p256Order, 1)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := signerOf(t, d)
			if _, err := s.Sign(oneLinePayload(t)); err == nil {
				t.Error("a statement is signed")
			}
			if _, err := s.SignBatch([]*verify.Payload{oneLinePayload(t)}); err == nil {
				t.Error("a batch is signed")
			}
			if _, err := s.ProvePossession(verify.Hash{}, "acme"); err == nil {
				t.Error("possession is proved")
			}
		})
	}
}

// TestDeviceWithHighS checks that a device may answer with the larger s.
func TestDeviceWithHighS(t *testing.T) {
	private := verifytest.P256PrivateKey("acme")
	p := oneLinePayload(t)
	env, err := signerOf(t, private).Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	r, s := halves(env.GetSignatureBlock()[4:])
	answer, err := asn1.Marshal(struct{ R, S *big.Int }{r, new(big.Int).Sub(p256Order, s)})
	if err != nil {
		t.Fatal(err)
	}
	again, err := signerOf(t, device{Signer: private, answer: answer}).Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.GetSignatureBlock(), env.GetSignatureBlock()) {
		t.Errorf("got %x, want %x", again.GetSignatureBlock(), env.GetSignatureBlock())
	}
}
