// Package keyfile keeps private keys in files: PKCS #8 or C2SP note keys, mode
// 0600, encrypted with a passphrase by age (https://age-encryption.org/v1,
// scrypt) unless the owner wants none. A file is never overwritten.
package keyfile

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/certs"
)

// ErrPassphrase says that a passphrase is missing or wrong.
var ErrPassphrase = errors.New("missing or wrong passphrase")

// Passphrase returns the passphrase of a file. It is asked only for files that
// are encrypted. A nil Passphrase has none to give.
type Passphrase func(path string) (string, error)

// Write writes a secret, durably, to a new file. An empty passphrase leaves it
// in the clear.
func Write(path string, secret []byte, passphrase string) error {
	if passphrase != "" {
		var err error
		if secret, err = encrypt(secret, passphrase); err != nil {
			return fmt.Errorf("encrypting %s: %w", path, err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing key: %w", err)
	}
	_, err = f.Write(secret)
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("writing key: %w", err)
	}
	return nil
}

// Read reads a secret. The error wraps ErrPassphrase if the file is encrypted
// and the passphrase does not open it.
func Read(path string, ask Passphrase) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	if !bytes.HasPrefix(b, []byte(armor.Header)) {
		return b, nil
	}
	if ask == nil {
		return nil, fmt.Errorf("reading key %s: %w", path, ErrPassphrase)
	}
	passphrase, err := ask(path)
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", path, err)
	}
	secret, err := decrypt(b, passphrase)
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", path, err)
	}
	return secret, nil
}

func encrypt(secret []byte, passphrase string) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, recipient)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(secret)
	err = errors.Join(err, w.Close(), text.Close())
	out.WriteByte('\n')
	return out.Bytes(), err
}

func decrypt(b []byte, passphrase string) ([]byte, error) {
	if passphrase == "" {
		return nil, ErrPassphrase
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(b)), identity)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrPassphrase, err)
	}
	return io.ReadAll(r)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// NewSigningKey makes an Ed25519 key and writes it as PKCS #8.
func NewSigningKey(path, passphrase string) (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return key, WriteSigner(path, key, passphrase)
}

// NewTLSKey makes a P-256 key and writes it as PKCS #8.
func NewTLSKey(path, passphrase string) (crypto.Signer, error) {
	key, err := certs.NewKey()
	if err != nil {
		return nil, err
	}
	return key, WriteSigner(path, key, passphrase)
}

// WriteSigner writes a key as PKCS #8.
func WriteSigner(path string, key crypto.Signer, passphrase string) error {
	pem, err := certs.EncodeKey(key)
	if err != nil {
		return err
	}
	return Write(path, pem, passphrase)
}

// ReadSigner reads a PKCS #8 key.
func ReadSigner(path string, ask Passphrase) (crypto.Signer, error) {
	pem, err := Read(path, ask)
	if err != nil {
		return nil, err
	}
	key, err := certs.ParseKey(pem)
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", path, err)
	}
	return key, nil
}

// NewCheckpointKey makes a note key named after an origin, writes it and returns
// its verifier key.
func NewCheckpointKey(path, origin, passphrase string) (vkey string, err error) {
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", err
	}
	return vkey, Write(path, []byte(skey+"\n"), passphrase)
}

// ReadCheckpointKey reads a note key.
func ReadCheckpointKey(path string, ask Passphrase) (note.Signer, error) {
	skey, err := Read(path, ask)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(string(bytes.TrimSpace(skey)))
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", path, err)
	}
	return signer, nil
}
