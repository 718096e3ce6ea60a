package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"math/big"
	"testing"

	"filippo.io/edwards25519"

	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func makeKeys(t testing.TB) keyVectors {
	var v keyVectors
	seed, number := sha256.Sum256([]byte("a seed")), sha256.Sum256([]byte("a number"))
	for _, k := range []struct {
		name      string
		algorithm verify.Algorithm
		private   []byte
	}{
		{"Ed25519 of the worked example", verify.Ed25519, exampleSeed},
		{"Ed25519", verify.Ed25519, seed[:]},
		{"P-256", verify.ECDSAP256, number[:]},
	} {
		s := signerOf(t, privateKey(t, k.algorithm, k.private))
		id := s.Public().ID()
		v.Accepted = append(v.Accepted, keyVector{k.name, s.Public().Algorithm().String(), k.private, s.Public().SPKI(), id[:]})
		ledgerID := sha256.Sum256([]byte("a ledger"))
		for _, p := range []struct {
			ledger      verify.Hash
			participant string
		}{{verify.Hash{}, verify.RootID}, {ledgerID, "acme"}} {
			sig, err := s.ProvePossession(p.ledger, p.participant)
			if err != nil {
				t.Fatal(err)
			}
			message := verify.PAE(verify.KeyPossessionType, cat(p.ledger[:], id[:], []byte(p.participant)))
			v.Possession = append(v.Possession, possessionVector{s.Public().SPKI(), p.ledger[:], p.participant, message, sig})
		}
	}
	for _, k := range refusedKeys(t) {
		v.Refused = append(v.Refused, refusalVector{k.name, k.bytes, "key-form"})
	}
	return v
}

type keyCase struct {
	name  string
	bytes []byte
}

func refusedKeys(t testing.TB) []keyCase {
	a := verifytest.Key("acme").Public().SPKI()[len(ed25519SPKI):]
	cases := []keyCase{
		{"nothing", nil},
		{"Ed25519, y not below p", spki(ed25519SPKI, nonCanonicalY(t)...)},
		{"Ed25519, y = p", spki(ed25519SPKI, append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)...)},
		{"Ed25519, y = p + 1", spki(ed25519SPKI, append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)...)},
		{"Ed25519, x = 0 with its sign set", spki(ed25519SPKI, append(append([]byte{0x01}, make([]byte, 30)...), 0x80)...)},
		{"Ed25519, no point", spki(ed25519SPKI, offCurveY(t)...)},
		{"Ed25519, 31 bytes", spki(ed25519SPKI, a[:31]...)},
		{"Ed25519, trailing byte", spki(ed25519SPKI, append(bytes.Clone(a), 0)...)},
		{"Ed25519, parameters NULL", cat(unhex(t, "302c300706032b65700500032100"), a)},
		{"Ed25519, length in long form", cat(unhex(t, "30812a300506032b6570032100"), a)},
		{"Ed25519, the bare key", a},
		{"X25519", cat(unhex(t, "302a300506032b656e032100"), a)},
		{"Ed448 prefix", cat(unhex(t, "302a300506032b6571032100"), a)},
	}
	point, err := new(edwards25519.Point).SetBytes(a)
	if err != nil {
		t.Fatal(err)
	}
	for i, torsion := range smallOrderPoints(t) {
		cases = append(cases, keyCase{fmt.Sprintf("Ed25519, small order, %d of 8", i+1), spki(ed25519SPKI, torsion.Bytes()...)})
		if i > 0 {
			mixed := new(edwards25519.Point).Add(point, torsion)
			cases = append(cases, keyCase{fmt.Sprintf("Ed25519, mixed order, %d of 7", i), spki(ed25519SPKI, mixed.Bytes()...)})
		}
	}
	return append(cases, refusedP256Keys(t)...)
}

func refusedP256Keys(t testing.TB) []keyCase {
	point := verifytest.P256Key("acme").Public().SPKI()[len(p256SPKI):]
	compressed := cat([]byte{2 + point[64]&1}, point[1:33])
	hybrid := cat([]byte{6 + point[64]&1}, point[1:])
	off := bytes.Clone(point)
	off[64] ^= 1
	// The point with x = 5, written with x + p.
	p := elliptic.P256().Params().P
	_, y := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, big.NewInt(5).FillBytes(make([]byte, 32))...))
	above := cat([]byte{4}, new(big.Int).Add(p, big.NewInt(5)).FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32)))
	return []keyCase{
		{"P-256, off the curve", spki(p256SPKI, off...)},
		{"P-256, compressed", spki(p256SPKI, compressed...)},
		{"P-256, compressed, lengths to match", cat(unhex(t, "3039301306072a8648ce3d020106082a8648ce3d030107032200"), compressed)},
		{"P-256, hybrid", spki(p256SPKI, hybrid...)},
		{"P-256, point at infinity", cat(unhex(t, "3019301306072a8648ce3d020106082a8648ce3d030107030200"), []byte{0})},
		{"P-256, zeros", spki(p256SPKI, append([]byte{4}, make([]byte, 64)...)...)},
		{"P-256, x not below p", spki(p256SPKI, above...)},
		{"P-256, trailing byte", spki(p256SPKI, append(bytes.Clone(point), 0)...)},
		{"P-256, cut", spki(p256SPKI, point[:64]...)},
		{"P-256, wrong prefix: id-ecDH", cat(bytes.Replace(p256SPKI, unhex(t, "06072a8648ce3d0201"), unhex(t, "06052b8104010c"), 1), point)},
		{"P-256, wrong prefix: secp256k1", cat(unhex(t, "3056301006072a8648ce3d020106052b8104000a034200"), point)},
		{"P-256, wrong prefix: unused bits", cat(p256SPKI[:25], []byte{1}, point)},
		{"P-256, wrong prefix: no parameters", cat(unhex(t, "304f300906072a8648ce3d0201034200"), point)},
		{"P-256, the bare point", point},
		{"Ed25519 prefix, P-256 point", spki(ed25519SPKI, point...)},
		{"P-256 prefix, Ed25519 key", spki(p256SPKI, verifytest.Key("acme").Public().SPKI()[len(ed25519SPKI):]...)},
	}
}

func makeSignatures(t testing.TB) []signatureVector {
	p := oneLinePayload(t)
	message := verify.PAE(verify.StatementType, p.Bytes)
	var out []signatureVector
	add := func(key *verify.PublicKey, name string, signature []byte, class string) {
		out = append(out, signatureVector{key.Algorithm().String() + ", " + name, key.SPKI(), p.Bytes, signature, class})
	}

	acme := verifytest.Key("acme")
	seed := verifytest.PrivateKey("acme").Seed()
	sound := signatureOf(t, acme, p)
	zero, torsion := edwards25519.NewScalar(), smallOrderPoints(t)
	nonce, err := edwards25519.NewScalar().SetUniformBytes(bytes.Repeat([]byte{0x5a}, 64))
	if err != nil {
		t.Fatal(err)
	}
	ed := acme.Public()
	add(ed, "sound", sound, "")
	add(ed, "sound, with another nonce", forgeEd25519(t, seed, nonce, torsion[0], message), "")
	add(ed, "S + l", plusOrder(sound), "signature")
	add(ed, "R the identity", forgeEd25519(t, seed, zero, torsion[0], message), "signature")
	add(ed, "R of small order", forgeEd25519(t, seed, zero, torsion[1], message), "signature")
	add(ed, "R of mixed order, which cofactored verification accepts", forgeEd25519(t, seed, nonce, torsion[3], message), "signature")
	add(ed, "R changed", flipped(sound, 3), "signature")
	add(ed, "S changed", flipped(sound, 40), "signature")
	add(ed, "zeros", make([]byte, 64), "signature")
	add(ed, "by another key", signatureOf(t, verifytest.Key("bolt"), p), "signature")
	add(ed, "of the bare payload", ed25519.Sign(verifytest.PrivateKey("acme"), p.Bytes), "signature")
	add(ed, "nothing", nil, "signature")
	add(ed, "63 bytes", sound[:63], "signature")
	add(ed, "65 bytes", append(bytes.Clone(sound), 0), "signature")

	bolt := verifytest.P256Key("bolt")
	sound = signatureOf(t, bolt, p)
	r, s := halves(sound)
	half := new(big.Int).Rsh(p256Order, 1)
	ec := bolt.Public()
	add(ec, "sound", sound, "")
	add(ec, "high s", rs(r, new(big.Int).Sub(p256Order, s)), "signature")
	add(ec, "r = 0", rs(new(big.Int), s), "signature")
	add(ec, "s = 0", rs(r, new(big.Int)), "signature")
	add(ec, "r = n", rs(p256Order, s), "signature")
	add(ec, "s = n", rs(r, p256Order), "signature")
	add(ec, "all ones", bytes.Repeat([]byte{0xff}, 64), "signature")
	add(ec, "zeros", make([]byte, 64), "signature")
	add(ec, "r changed", flipped(sound, 3), "signature")
	add(ec, "s changed", flipped(sound, 40), "signature")
	add(ec, "by another key", signatureOf(t, verifytest.P256Key("acme"), p), "signature")
	add(ec, "63 bytes", sound[1:], "signature")
	add(ec, "65 bytes", append([]byte{0}, sound...), "signature")
	boundary, r := keyForS(t, half, message)
	add(boundary, "s = (n-1)/2", rs(r, half), "")
	add(boundary, "s = (n+1)/2", rs(r, new(big.Int).Sub(p256Order, half)), "signature")
	return out
}

func signatureOf(t testing.TB, s *verify.Signer, p *verify.Payload) []byte {
	t.Helper()
	env, err := s.Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	return env.GetSignatureBlock()[4:]
}
