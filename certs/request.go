package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
)

// ErrUnsupportedKey: the key is neither ECDSA P-256 nor Ed25519.
var ErrUnsupportedKey = errors.New("unsupported key: want ECDSA P-256 or Ed25519")

// NewKey makes an ECDSA P-256 key for TLS. It must not sign statements.
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating a TLS key: %w", err)
	}
	return key, nil
}

// NewRequest signs a request for a participant's certificate. The key stays
// with the participant; the request may travel openly, but the authority must
// know from elsewhere whose it is.
//
// The error is [ErrTrustDomain], [ErrParticipantID] or [ErrUnsupportedKey].
func NewRequest(key crypto.Signer, trustDomain, participantID string) (*x509.CertificateRequest, error) {
	uri, err := participantURL(trustDomain, participantID)
	if err != nil {
		return nil, err
	}
	return newRequest(key, uri)
}

// NewServerRequest signs a request for the certificate of the ledger's server.
// The error is [ErrTrustDomain] or [ErrUnsupportedKey].
func NewServerRequest(key crypto.Signer, trustDomain string) (*x509.CertificateRequest, error) {
	uri, err := spiffeURL(trustDomain, ledgerSegment)
	if err != nil {
		return nil, err
	}
	return newRequest(key, uri)
}

func newRequest(key crypto.Signer, uri *url.URL) (*x509.CertificateRequest, error) {
	if err := checkKey(key.Public()); err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{URIs: []*url.URL{uri}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate request: %w", err)
	}
	return x509.ParseCertificateRequest(der)
}

func checkKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return nil
		}
		return fmt.Errorf("%w: not ECDSA %s", ErrUnsupportedKey, key.Curve.Params().Name)
	case ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("%w: not %T", ErrUnsupportedKey, public)
}

// keyID is the subject key identifier: the SHA-256 of the SubjectPublicKeyInfo.
func keyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return sum[:], nil
}

// matches reports whether key is the private key of the certificate.
func matches(cert *x509.Certificate, key crypto.Signer) bool {
	public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(key.Public())
}
