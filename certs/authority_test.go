package certs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/certs"
)

func TestNewAuthorityProfile(t *testing.T) {
	cert := newAuthority(t).Certificate
	if !cert.IsCA || !cert.BasicConstraintsValid || cert.MaxPathLen != 0 || !cert.MaxPathLenZero {
		t.Errorf("basic constraints: CA %v, path length %d", cert.IsCA, cert.MaxPathLen)
	}
	if cert.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("key usage %b", cert.KeyUsage)
	}
	if len(cert.URIs) != 1 || cert.URIs[0].String() != "spiffe://ledger.test" {
		t.Errorf("URI names %v", cert.URIs)
	}
	if !cert.NotBefore.Equal(start) || !cert.NotAfter.Equal(start.Add(100*day)) {
		t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}
	checkCommon(t, cert)
}

// checkCommon checks what every certificate of the profile has.
func checkCommon(t *testing.T, cert *x509.Certificate) {
	t.Helper()
	if bits := cert.SerialNumber.BitLen(); bits < 100 || bits > 159 || cert.SerialNumber.Sign() != 1 {
		t.Errorf("serial number %v of %d bits", cert.SerialNumber, bits)
	}
	if id := sha256.Sum256(cert.RawSubjectPublicKeyInfo); !bytes.Equal(cert.SubjectKeyId, id[:]) {
		t.Errorf("subject key identifier %x, want %x", cert.SubjectKeyId, id)
	}
}

func TestNewAuthorityRefuses(t *testing.T) {
	for _, test := range []struct {
		name, commonName, domain string
		lifetime                 time.Duration
		want                     error // nil: any
	}{
		{"no common name", "", domain, day, nil},
		{"long common name", strings.Repeat("ä", 65), domain, day, nil},
		{"common name not UTF-8", "\xff", domain, day, nil},
		{"trust domain", "authority", "spiffe://ledger.test", day, certs.ErrTrustDomain},
		{"lifetime", "authority", domain, 0, certs.ErrValidity},
		{"backwards", "authority", domain, -day, certs.ErrValidity},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := certs.NewAuthority(test.commonName, test.domain, start, test.lifetime)
			if a != nil || err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("made %v, error %v, want %v", a != nil, err, test.want)
			}
		})
	}
}

func TestParseAuthority(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	text := certs.EncodeCertificates(a.Certificate)
	got, err := certs.ParseAuthority(text, a.Key)
	if err != nil {
		t.Fatal(err)
	}
	if trustDomain, err := got.TrustDomain(); trustDomain != domain || err != nil {
		t.Errorf("got trust domain %q, %v", trustDomain, err)
	}
	if _, err := certs.ParseAuthority(text, other.Key); !errors.Is(err, certs.ErrNotAuthority) {
		t.Errorf("other key: got error %v, want %v", err, certs.ErrNotAuthority)
	}
	two := certs.EncodeCertificates(a.Certificate, other.Certificate)
	if _, err := certs.ParseAuthority(two, a.Key); !errors.Is(err, certs.ErrNotAuthority) {
		t.Errorf("two: got error %v, want %v", err, certs.ErrNotAuthority)
	}
	key := newKey(t)
	leaf, err := a.IssueParticipant(newRequest(t, key), "producer-1", start, day)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.ParseAuthority(certs.EncodeCertificates(leaf), key); !errors.Is(err, certs.ErrNotAuthority) {
		t.Errorf("leaf: got error %v, want %v", err, certs.ErrNotAuthority)
	}
}

// An authority whose fields do not fit issues nothing.
func TestIssueByUnfitAuthority(t *testing.T) {
	csr := newRequest(t, newKey(t))
	for _, test := range []struct {
		name   string
		change func(*certs.Authority)
		want   error
	}{
		{"leaf", func(a *certs.Authority) { a.Certificate.IsCA = false }, certs.ErrNotAuthority},
		{"key usage", func(a *certs.Authority) { a.Certificate.KeyUsage = 0 }, certs.ErrNotAuthority},
		{"other key", func(a *certs.Authority) { a.Key = newKey(t) }, certs.ErrNotAuthority},
		{"no trust domain", func(a *certs.Authority) { a.Certificate.URIs = nil }, certs.ErrTrustDomain},
		{"two trust domains", func(a *certs.Authority) {
			a.Certificate.URIs = append(a.Certificate.URIs, a.Certificate.URIs[0])
		}, certs.ErrTrustDomain},
		{"trust domain with a path", func(a *certs.Authority) {
			a.Certificate.URIs = []*url.URL{parseURI(t, "spiffe://ledger.test/")}
		}, certs.ErrTrustDomain},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAuthority(t)
			test.change(a)
			if _, err := a.IssueParticipant(csr, "producer-1", start, day); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
		})
	}
}

// An authority made elsewhere may not be allowed what it is asked for.
func TestIssueAgainstConstraints(t *testing.T) {
	a := newAuthority(t)
	template := a.Certificate
	template.PermittedDNSDomains = []string{"ledger.test"}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.Key.Public(), a.Key)
	if err != nil {
		t.Fatal(err)
	}
	if a.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	csr := newRequest(t, newKey(t))
	if _, err := a.IssueServer(csr, []string{"node-1.ledger.test"}, start, day); err != nil {
		t.Errorf("permitted host: got error %v", err)
	}
	if got, err := a.IssueServer(csr, []string{"localhost"}, start, day); got != nil || err == nil {
		t.Errorf("other host: issued %v, error %v", got != nil, err)
	}
}
