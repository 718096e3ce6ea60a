package verifytest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// PrivateKey returns the Ed25519 key of a name. Its seed is
// SHA-256("verifytest Ed25519 " + name).
func PrivateKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("verifytest Ed25519 " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// P256PrivateKey returns the P-256 key of a name. Its number is
// SHA-256("verifytest P-256 " + name). Its signatures differ from one run to
// the next.
func P256PrivateKey(name string) *ecdsa.PrivateKey {
	d := sha256.Sum256([]byte("verifytest P-256 " + name))
	return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:]))
}

// Key returns a signer with the PrivateKey of a name.
func Key(name string) *verify.Signer { return must(verify.NewSigner(PrivateKey(name))) }

// P256Key returns a signer with the P256PrivateKey of a name.
func P256Key(name string) *verify.Signer { return must(verify.NewSigner(P256PrivateKey(name))) }

// CheckpointKey returns the C2SP signed-note signer and verifier keys of an
// origin, made of its PrivateKey.
func CheckpointKey(origin string) (skey, vkey string) {
	private := PrivateKey(origin)
	vkey = must(note.NewEd25519VerifierKey(origin, private.Public().(ed25519.PublicKey)))
	hash := strings.SplitN(vkey, "+", 3)[1]
	secret := base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...))
	return fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", origin, hash, secret), vkey
}

// CheckpointSigner returns the signer of CheckpointKey.
func CheckpointSigner(origin string) note.Signer {
	skey, _ := CheckpointKey(origin)
	return must(note.NewSigner(skey))
}

// must returns v. What it is called for fails for no key that this package
// makes, except that one in 2^32 names has no P-256 key.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
