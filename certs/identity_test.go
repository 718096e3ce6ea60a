package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/certs"
)

const domain = "ledger.test"

func parseURI(t testing.TB, text string) *url.URL {
	t.Helper()
	uri, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return uri
}

// leaf is a certificate as crypto/x509 would parse it, with these URI names.
func leaf(t testing.TB, uris ...string) *x509.Certificate {
	t.Helper()
	cert := &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature}
	for _, uri := range uris {
		cert.URIs = append(cert.URIs, parseURI(t, uri))
	}
	return cert
}

func TestParticipantID(t *testing.T) {
	longest := strings.Repeat("a", 64)
	const good = "spiffe://ledger.test/participant/producer-1"
	for _, test := range []struct {
		name string
		uris []string
		want string // empty: refused
	}{
		{"plain", []string{good}, "producer-1"},
		{"all characters", []string{"spiffe://ledger.test/participant/0a.b_c-d"}, "0a.b_c-d"},
		{"longest", []string{"spiffe://ledger.test/participant/" + longest}, longest},
		{"too long", []string{"spiffe://ledger.test/participant/a" + longest}, ""},
		{"none", nil, ""},
		{"two", []string{good, "https://ledger.test/"}, ""},
		{"the same twice", []string{good, good}, ""},
		{"other scheme", []string{"https://ledger.test/participant/producer-1"}, ""},
		{"other trust domain", []string{"spiffe://other.test/participant/producer-1"}, ""},
		{"trust domain below", []string{"spiffe://a.ledger.test/participant/producer-1"}, ""},
		{"upper-case trust domain", []string{"spiffe://Ledger.test/participant/producer-1"}, ""},
		{"no trust domain", []string{"spiffe:///participant/producer-1"}, ""},
		{"user", []string{"spiffe://root@ledger.test/participant/producer-1"}, ""},
		{"port", []string{"spiffe://ledger.test:443/participant/producer-1"}, ""},
		{"no path", []string{"spiffe://ledger.test"}, ""},
		{"root path", []string{"spiffe://ledger.test/"}, ""},
		{"the ledger", []string{"spiffe://ledger.test/ledger"}, ""},
		{"no id", []string{"spiffe://ledger.test/participant"}, ""},
		{"empty id", []string{"spiffe://ledger.test/participant/"}, ""},
		{"deeper", []string{"spiffe://ledger.test/participant/producer-1/x"}, ""},
		{"trailing slash", []string{good + "/"}, ""},
		{"double slash", []string{"spiffe://ledger.test//participant/producer-1"}, ""},
		{"other segment", []string{"spiffe://ledger.test/participants/producer-1"}, ""},
		{"dots", []string{"spiffe://ledger.test/participant/../participant/producer-1"}, ""},
		{"escaped letter", []string{"spiffe://ledger.test/participant/%70roducer-1"}, ""},
		{"escaped slash", []string{"spiffe://ledger.test/participant%2Fproducer-1"}, ""},
		{"upper case", []string{"spiffe://ledger.test/participant/Producer-1"}, ""},
		{"leading hyphen", []string{"spiffe://ledger.test/participant/-producer"}, ""},
		{"line end", []string{good + "%0A"}, ""},
		{"query", []string{good + "?a=b"}, ""},
		{"empty query", []string{good + "?"}, ""},
		{"fragment", []string{good + "#a"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := certs.ParticipantID(leaf(t, test.uris...), domain)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if refused := errors.Is(err, certs.ErrNotParticipant); refused != (test.want == "") {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func TestParticipantIDOfAuthority(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*x509.Certificate)
	}{
		{"CA", func(c *x509.Certificate) { c.IsCA = true }},
		{"signs certificates", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }},
		{"signs CRLs", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert := leaf(t, "spiffe://ledger.test/participant/producer-1")
			test.change(cert)
			if _, err := certs.ParticipantID(cert, domain); !errors.Is(err, certs.ErrNotParticipant) {
				t.Errorf("got error %v, want %v", err, certs.ErrNotParticipant)
			}
		})
	}
}

func TestIdentityError(t *testing.T) {
	cert := leaf(t, "spiffe://ledger.test/ledger", "https://ledger.test/")
	_, err := certs.ParticipantID(cert, domain)
	refusal, ok := errors.AsType[*certs.IdentityError](err)
	if !ok {
		t.Fatalf("got %T, want *certs.IdentityError", err)
	}
	if got, want := strings.Join(refusal.URIs, " "), "spiffe://ledger.test/ledger https://ledger.test/"; got != want {
		t.Errorf("got URIs %s, want %s", got, want)
	}
}

func TestPeerParticipantUnverified(t *testing.T) {
	cert := leaf(t, "spiffe://ledger.test/participant/producer-1")
	for name, state := range map[string]tls.ConnectionState{
		"nothing":     {},
		"unverified":  {PeerCertificates: []*x509.Certificate{cert}},
		"empty chain": {VerifiedChains: [][]*x509.Certificate{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := certs.PeerParticipant(state, domain); !errors.Is(err, certs.ErrNoPeerCertificate) {
				t.Errorf("got error %v, want %v", err, certs.ErrNoPeerCertificate)
			}
		})
	}
}

func TestParticipantURI(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, test := range []struct {
		name, domain, id, want string
		err                    error
	}{
		{"plain", domain, "producer-1", "spiffe://ledger.test/participant/producer-1", nil},
		{"one label", "localhost", "x", "spiffe://localhost/participant/x", nil},
		{"reserved on the log", domain, "authority", "spiffe://ledger.test/participant/authority", nil},
		{"long label", label, "x", "spiffe://" + label + "/participant/x", nil},
		{"too long label", label + "a", "x", "", certs.ErrTrustDomain},
		{"too long", strings.Repeat("a.", 126) + "ab", "x", "", certs.ErrTrustDomain},
		{"no domain", "", "x", "", certs.ErrTrustDomain},
		{"URI for domain", "spiffe://ledger.test", "x", "", certs.ErrTrustDomain},
		{"upper-case domain", "Ledger.test", "x", "", certs.ErrTrustDomain},
		{"underscore in domain", "ledger_1.test", "x", "", certs.ErrTrustDomain},
		{"empty label", "ledger..test", "x", "", certs.ErrTrustDomain},
		{"trailing dot", "ledger.test.", "x", "", certs.ErrTrustDomain},
		{"hyphen at an end", "ledger-.test", "x", "", certs.ErrTrustDomain},
		{"address", "192.0.2.1", "x", "", certs.ErrTrustDomain},
		{"no id", domain, "", "", certs.ErrParticipantID},
		{"dots", domain, "..", "", certs.ErrParticipantID},
		{"slash", domain, "a/b", "", certs.ErrParticipantID},
		{"line end", domain, "a\n", "", certs.ErrParticipantID},
		{"not ASCII", domain, "磁", "", certs.ErrParticipantID},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := certs.ParticipantURI(test.domain, test.id)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, test.want, test.err)
			}
		})
	}
}

func TestLedgerURI(t *testing.T) {
	if got, err := certs.LedgerURI(domain); got != "spiffe://ledger.test/ledger" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := certs.LedgerURI("a/b"); !errors.Is(err, certs.ErrTrustDomain) {
		t.Errorf("got error %v, want %v", err, certs.ErrTrustDomain)
	}
}

// FuzzParticipantURI: what can be built reads back as it was, in its own trust
// domain and in no other.
func FuzzParticipantURI(f *testing.F) {
	f.Add(domain, "producer-1")
	f.Add("localhost", "0a.b_c-d")
	f.Add("spiffe://ledger.test", "a")
	f.Add("ledger.test/participant", "..")
	f.Fuzz(func(t *testing.T, trustDomain, id string) {
		text, err := certs.ParticipantURI(trustDomain, id)
		if err != nil {
			return
		}
		cert := leaf(t, text)
		if got, err := certs.ParticipantID(cert, trustDomain); got != id || err != nil {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
		if _, err := certs.ParticipantID(cert, "a."+trustDomain); err == nil {
			t.Errorf("%s: accepted in another trust domain", text)
		}
	})
}

// FuzzParticipantID: of all texts that parse as a URI, a participant's is the
// one that ParticipantURI builds.
func FuzzParticipantID(f *testing.F) {
	f.Add("spiffe://ledger.test/participant/producer-1")
	f.Add("SPIFFE://ledger.test/participant/a#")
	f.Add("spiffe://ledger.test/participant/%61")
	f.Add("spiffe://x@ledger.test:1/participant/a?b")
	f.Fuzz(func(t *testing.T, text string) {
		uri, err := url.Parse(text)
		if err != nil {
			return
		}
		id, err := certs.ParticipantID(&x509.Certificate{URIs: []*url.URL{uri}}, domain)
		if err != nil {
			return
		}
		want, err := certs.ParticipantURI(domain, id)
		if err != nil || uri.String() != want {
			t.Errorf("%q is %q, whose URI is %q, %v", text, id, want, err)
		}
	})
}
