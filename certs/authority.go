package certs

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/url"
	"time"
	"unicode/utf8"
)

// ErrNotAuthority: the certificate is not a certificate authority's, or the key
// is not that of the certificate.
var ErrNotAuthority = errors.New("not a certificate authority")

// ErrValidity: a validity that is empty, or not within that of the authority.
var ErrValidity = errors.New("validity not possible")

// Authority is a certificate authority: its certificate and key. It is made by
// [NewAuthority] or [ParseAuthority] and may issue from several goroutines if
// the key may sign from several.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// maxCommonName is ub-common-name of RFC 5280, appendix A.1, in characters.
const maxCommonName = 64

// NewAuthority makes a key and signs an authority of the trust domain with it.
// The common name, 1 to 64 characters, is for people to tell authorities apart;
// a replacement should have another one. The validity begins at notBefore, both
// ends cut to whole seconds.
//
// The error is [ErrTrustDomain] or [ErrValidity], or says what is wrong with
// the common name.
func NewAuthority(commonName, trustDomain string, notBefore time.Time, lifetime time.Duration) (*Authority, error) {
	uri, err := spiffeURL(trustDomain)
	if err != nil {
		return nil, err
	}
	if n := utf8.RuneCountInString(commonName); n == 0 || n > maxCommonName || !utf8.ValidString(commonName) {
		return nil, fmt.Errorf("common name %q: want 1 to %d characters", commonName, maxCommonName)
	}
	from, to, err := validity(notBefore, lifetime)
	if err != nil {
		return nil, err
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	cert, err := sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		URIs:                  []*url.URL{uri},
		NotBefore:             from,
		NotAfter:              to,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}, nil, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: cert, Key: key}, nil
}

// ParseAuthority joins an authority's certificate, one PEM block, with its key.
// The error is [ErrNotAuthority] if they do not belong together or the
// certificate may not issue, [ErrTrustDomain] if it names no trust domain.
func ParseAuthority(certPEM []byte, key crypto.Signer) (*Authority, error) {
	list, err := ParseCertificates(certPEM)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("%w: %d certificates, want one", ErrNotAuthority, len(list))
	}
	a := &Authority{Certificate: list[0], Key: key}
	if _, err := a.check(); err != nil {
		return nil, err
	}
	return a, nil
}

// TrustDomain returns the trust domain that the authority's certificate names,
// by its only URI, or [ErrTrustDomain].
func (a *Authority) TrustDomain() (string, error) {
	uris := a.Certificate.URIs
	if len(uris) != 1 {
		return "", fmt.Errorf("%w: the authority has %d URI names, not one", ErrTrustDomain, len(uris))
	}
	want, err := spiffeURL(uris[0].Host)
	if err != nil {
		return "", err
	}
	if uris[0].String() != want.String() {
		return "", fmt.Errorf("%w: the authority's URI is %q", ErrTrustDomain, uris[0])
	}
	return uris[0].Host, nil
}

// check makes sure that the authority can issue, before each certificate: its
// fields are open to callers. It returns the trust domain.
func (a *Authority) check() (string, error) {
	if err := checkCA(a.Certificate); err != nil {
		return "", err
	}
	if !matches(a.Certificate, a.Key) {
		return "", fmt.Errorf("%w: the key is not that of the certificate", ErrNotAuthority)
	}
	return a.TrustDomain()
}

func checkCA(cert *x509.Certificate) error {
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return fmt.Errorf("%w: basic constraints of %q", ErrNotAuthority, cert.Subject)
	case cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("%w: key usage of %q", ErrNotAuthority, cert.Subject)
	}
	return nil
}

// validity cuts to the whole seconds of X.509.
func validity(notBefore time.Time, lifetime time.Duration) (from, to time.Time, err error) {
	from = notBefore.UTC().Truncate(time.Second)
	to = notBefore.UTC().Add(lifetime).Truncate(time.Second)
	if !to.After(from) {
		return from, to, fmt.Errorf("%w: lifetime %v", ErrValidity, lifetime)
	}
	return from, to, nil
}

// sign fills in the subject key identifier and signs. Without a parent the
// template signs itself. The serial number is left to crypto/x509: 159 random
// bits.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	if parent == nil {
		parent = template
	}
	id, err := keyID(public)
	if err != nil {
		return nil, err
	}
	template.SubjectKeyId = id
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}
