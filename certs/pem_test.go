package certs_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/certs"
)

func TestCertificatesRoundTrip(t *testing.T) {
	first, second := newAuthority(t).Certificate, newAuthority(t).Certificate
	text := certs.EncodeCertificates(first, second)
	list, err := certs.ParseCertificates(append([]byte("two authorities:\n"), text...))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || !list[0].Equal(first) || !list[1].Equal(second) {
		t.Errorf("got %d certificates, not the two that were written", len(list))
	}
}

func TestKeyRoundTrip(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"P-256": newKey(t), "Ed25519": edwards} {
		t.Run(name, func(t *testing.T) {
			text, err := certs.EncodeKey(key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := certs.ParseKey(text)
			if err != nil {
				t.Fatal(err)
			}
			if !got.(interface{ Equal(crypto.PrivateKey) bool }).Equal(key) {
				t.Error("another key came back")
			}
		})
	}
}

func TestRequestRoundTrip(t *testing.T) {
	csr, err := certs.NewRequest(newKey(t), domain, "producer-1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := certs.ParseRequest(certs.EncodeRequest(csr))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Raw, csr.Raw) {
		t.Error("another request came back")
	}
}

func TestParseKeyRefusesCurve(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.EncodeKey(p384); !errors.Is(err, certs.ErrUnsupportedKey) {
		t.Errorf("encoding: got error %v, want %v", err, certs.ErrUnsupportedKey)
	}
	der, err := x509.MarshalPKCS8PrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if _, err := certs.ParseKey(text); !errors.Is(err, certs.ErrUnsupportedKey) {
		t.Errorf("parsing: got error %v, want %v", err, certs.ErrUnsupportedKey)
	}
}

func TestParseRefusesPEM(t *testing.T) {
	cert := certs.EncodeCertificates(newAuthority(t).Certificate)
	key, err := certs.EncodeKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	headers := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"A": "b"}, Bytes: []byte{0}})
	for _, test := range []struct {
		name string
		text []byte
	}{
		{"empty", nil},
		{"no PEM", []byte("certificate\n")},
		{"a key", key},
		{"a key behind", append(bytes.Clone(cert), key...)},
		{"cut", cert[:len(cert)-40]},
		{"second cut", append(bytes.Clone(cert), cert[:len(cert)-40]...)},
		{"first damaged", append(bytes.Replace(cert, []byte("\nMII"), []byte("\n!!!"), 1), cert...)},
		{"headers", headers},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := certs.ParseCertificates(test.text); !errors.Is(err, certs.ErrPEM) {
				t.Errorf("got error %v, want %v", err, certs.ErrPEM)
			}
		})
	}
	t.Run("two keys", func(t *testing.T) {
		if _, err := certs.ParseKey(append(bytes.Clone(key), key...)); !errors.Is(err, certs.ErrPEM) {
			t.Errorf("got error %v, want %v", err, certs.ErrPEM)
		}
	})
}
