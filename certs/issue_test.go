package certs_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/certs"
)

// start is the beginning of the authorities of this file.
var start = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func newAuthority(t testing.TB) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority("authority", domain, start, 100*day)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRequest(t testing.TB, key crypto.Signer, uris ...string) *x509.CertificateRequest {
	t.Helper()
	template := &x509.CertificateRequest{DNSNames: []string{"ignored.test"}}
	template.Subject.CommonName = "ignored"
	for _, uri := range uris {
		template.URIs = append(template.URIs, parseURI(t, uri))
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestIssueParticipantProfile(t *testing.T) {
	a := newAuthority(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		csr  *x509.CertificateRequest
	}{
		{"P-256", newRequest(t, newKey(t), "spiffe://ledger.test/participant/producer-1")},
		{"Ed25519", newRequest(t, edwards, "spiffe://ledger.test/participant/producer-1")},
		{"without a SPIFFE id", newRequest(t, newKey(t), "https://ignored.test/")},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert, err := a.IssueParticipant(test.csr, "producer-1", start.Add(time.Second/2), day)
			if err != nil {
				t.Fatal(err)
			}
			if id, err := certs.ParticipantID(cert, domain); id != "producer-1" || err != nil {
				t.Errorf("got participant %q, %v", id, err)
			}
			if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
				t.Errorf("extended key usage %v", cert.ExtKeyUsage)
			}
			if len(cert.DNSNames)+len(cert.IPAddresses)+len(cert.EmailAddresses) != 0 {
				t.Errorf("names %q %v %q", cert.DNSNames, cert.IPAddresses, cert.EmailAddresses)
			}
			if !cert.NotBefore.Equal(start) || !cert.NotAfter.Equal(start.Add(day)) {
				t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
			}
			checkLeaf(t, a, cert)
		})
	}
}

// checkLeaf checks what every leaf of the profile has.
func checkLeaf(t *testing.T, a *certs.Authority, cert *x509.Certificate) {
	t.Helper()
	checkCommon(t, cert)
	if cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("CA %v, key usage %b", cert.IsCA, cert.KeyUsage)
	}
	if got := cert.Subject.String(); got != "" {
		t.Errorf("subject %q", got)
	}
	if !bytes.Equal(cert.AuthorityKeyId, a.Certificate.SubjectKeyId) {
		t.Errorf("authority key identifier %x", cert.AuthorityKeyId)
	}
	critical := map[string]bool{}
	for _, extension := range cert.Extensions {
		critical[extension.Id.String()] = extension.Critical
	}
	for name, oid := range map[string]string{
		"key usage": "2.5.29.15", "alternative names": "2.5.29.17", "basic constraints": "2.5.29.19",
	} {
		if !critical[oid] {
			t.Errorf("%s: not critical", name)
		}
	}
}

func TestIssueServerProfile(t *testing.T) {
	a := newAuthority(t)
	csr, err := certs.NewServerRequest(newKey(t), domain)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.IssueServer(csr, []string{"node-1.ledger.test", "192.0.2.1", "::ffff:192.0.2.2", "2001:db8::1"}, start, day)
	if err != nil {
		t.Fatal(err)
	}
	checkLeaf(t, a, cert)
	if len(cert.URIs) != 1 || cert.URIs[0].String() != "spiffe://ledger.test/ledger" {
		t.Errorf("URI names %v", cert.URIs)
	}
	if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("extended key usage %v", cert.ExtKeyUsage)
	}
	for _, host := range []string{"node-1.ledger.test", "192.0.2.1", "192.0.2.2", "2001:db8::1"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
}

func TestIssueServerRefusesHosts(t *testing.T) {
	a := newAuthority(t)
	csr := newRequest(t, newKey(t))
	for _, hosts := range [][]string{
		nil, {""}, {"*.ledger.test"}, {"Ledger.test"}, {"ledger.test:443"}, {"ledger.test."},
		{"fe80::1%eth0"}, {"[::1]"}, {"localhost", "a b"}, {"192.0.2.256"},
	} {
		t.Run(strings.Join(hosts, ","), func(t *testing.T) {
			if _, err := a.IssueServer(csr, hosts, start, day); !errors.Is(err, certs.ErrHost) {
				t.Errorf("got error %v, want %v", err, certs.ErrHost)
			}
		})
	}
}

func TestIssueRefusesRequest(t *testing.T) {
	a := newAuthority(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := newRequest(t, newKey(t))
	forged.PublicKey = newKey(t).Public()
	const own = "spiffe://ledger.test/participant/producer-1"
	for _, test := range []struct {
		name string
		csr  *x509.CertificateRequest
		want error
	}{
		{"P-384", newRequest(t, p384, own), certs.ErrUnsupportedKey},
		{"RSA", newRequest(t, rsaKey, own), certs.ErrUnsupportedKey},
		{"signature of another key", forged, certs.ErrRequest},
		{"other participant", newRequest(t, newKey(t), own+"0"), certs.ErrRequest},
		{"other trust domain", newRequest(t, newKey(t), "spiffe://other.test/participant/producer-1"), certs.ErrRequest},
		{"the ledger", newRequest(t, newKey(t), "spiffe://ledger.test/ledger"), certs.ErrRequest},
		{"one more", newRequest(t, newKey(t), own, own+"0"), certs.ErrRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert, err := a.IssueParticipant(test.csr, "producer-1", start, day)
			if cert != nil || !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
		})
	}
	t.Run("participant as server", func(t *testing.T) {
		if _, err := a.IssueServer(newRequest(t, newKey(t), own), []string{"localhost"}, start, day); !errors.Is(err, certs.ErrRequest) {
			t.Errorf("got error %v, want %v", err, certs.ErrRequest)
		}
	})
	t.Run("id", func(t *testing.T) {
		if _, err := a.IssueParticipant(newRequest(t, newKey(t)), "a/b", start, day); !errors.Is(err, certs.ErrParticipantID) {
			t.Errorf("got error %v, want %v", err, certs.ErrParticipantID)
		}
	})
}

func TestIssueValidity(t *testing.T) {
	a := newAuthority(t)
	csr := newRequest(t, newKey(t))
	for _, test := range []struct {
		name      string
		notBefore time.Time
		lifetime  time.Duration
		want      error
	}{
		{"the authority's", start, 100 * day, nil},
		{"starts early", start.Add(-time.Second), day, certs.ErrValidity},
		{"ends late", start, 100*day + time.Second, certs.ErrValidity},
		{"empty", start, time.Millisecond, certs.ErrValidity},
		{"backwards", start.Add(day), -time.Second, certs.ErrValidity},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := a.IssueParticipant(csr, "producer-1", test.notBefore, test.lifetime); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
		})
	}
}

func TestNewRequestRefuses(t *testing.T) {
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.NewRequest(p521, domain, "x"); !errors.Is(err, certs.ErrUnsupportedKey) {
		t.Errorf("got error %v, want %v", err, certs.ErrUnsupportedKey)
	}
	if _, err := certs.NewRequest(newKey(t), domain, "X"); !errors.Is(err, certs.ErrParticipantID) {
		t.Errorf("got error %v, want %v", err, certs.ErrParticipantID)
	}
}
