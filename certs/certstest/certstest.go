// Package certstest is a throw-away certificate authority for tests. Its keys
// live in memory, or in files that the test itself asked for, and are made anew
// for each authority; what it issues follows the profile of package certs
// unless the test asks for something else.
//
// All methods end the test on an error, and so belong to its goroutine.
package certstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/certs"
)

// Validities: an authority that leaves room for certificates that ended years
// ago or begin in years, and certificates that are good for a day.
const (
	year          = 365 * 24 * time.Hour
	authoritySpan = 10 * year
	leafBackdate  = time.Hour
	leafLifetime  = 25 * time.Hour
)

// CA is an authority of one trust domain.
type CA struct {
	t           testing.TB
	authority   *certs.Authority
	trustDomain string
}

// New makes an authority that is valid from ten years ago to ten years ahead.
func New(t testing.TB, trustDomain string) *CA {
	t.Helper()
	name := "test authority of " + trustDomain
	authority, err := certs.NewAuthority(name, trustDomain, time.Now().Add(-authoritySpan), 2*authoritySpan)
	if err != nil {
		t.Fatal(err)
	}
	return &CA{t: t, authority: authority, trustDomain: trustDomain}
}

// Authority returns the authority itself.
func (c *CA) Authority() *certs.Authority { return c.authority }

// TrustDomain returns the trust domain given to [New].
func (c *CA) TrustDomain() string { return c.trustDomain }

// Pool returns a new pool with this authority in it.
func (c *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.authority.Certificate)
	return pool
}

// Participant issues a certificate that has been valid for an hour and will be
// for a day.
func (c *CA) Participant(id string) tls.Certificate {
	c.t.Helper()
	return c.ParticipantAt(id, time.Now().Add(-leafBackdate), leafLifetime)
}

// ParticipantAt issues a certificate of any validity within ten years.
func (c *CA) ParticipantAt(id string, notBefore time.Time, lifetime time.Duration) tls.Certificate {
	c.t.Helper()
	key := c.key()
	csr, err := certs.NewRequest(key, c.trustDomain, id)
	c.check(err)
	cert, err := c.authority.IssueParticipant(csr, id, notBefore, lifetime)
	c.check(err)
	return c.pair(cert, key)
}

// Server issues a certificate of the ledger's server; without hosts, for
// localhost, 127.0.0.1 and ::1.
func (c *CA) Server(hosts ...string) tls.Certificate {
	c.t.Helper()
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	key := c.key()
	csr, err := certs.NewServerRequest(key, c.trustDomain)
	c.check(err)
	cert, err := c.authority.IssueServer(csr, hosts, time.Now().Add(-leafBackdate), leafLifetime)
	c.check(err)
	return c.pair(cert, key)
}

// Sign signs a template as it stands, for certificates that the profile
// forbids. An empty validity becomes that of [CA.Participant]. Names outside the
// trust domain are signed too, but the authority's name constraints make every
// verifier refuse them.
func (c *CA) Sign(template *x509.Certificate) tls.Certificate {
	c.t.Helper()
	if template.NotAfter.IsZero() {
		template.NotBefore = time.Now().Add(-leafBackdate)
		template.NotAfter = template.NotBefore.Add(leafLifetime)
	}
	key := c.key()
	der, err := x509.CreateCertificate(rand.Reader, template, c.authority.Certificate, key.Public(), c.authority.Key)
	c.check(err)
	leaf, err := x509.ParseCertificate(der)
	c.check(err)
	// Not certs.KeyPair: it would refuse an authority's certificate.
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// ServerConfig is the configuration of a server with a fresh [CA.Server]
// certificate that trusts this authority alone.
func (c *CA) ServerConfig(hosts ...string) *tls.Config {
	c.t.Helper()
	return certs.ServerConfig(c.Server(hosts...), c.Pool())
}

// ClientConfig is the configuration of a client with a fresh [CA.Participant]
// certificate that trusts this authority alone.
func (c *CA) ClientConfig(id, serverName string) *tls.Config {
	c.t.Helper()
	return certs.ClientConfig(c.Participant(id), c.Pool(), c.trustDomain, serverName)
}

// WriteFiles writes cert.pem, key.pem and ca.pem (this authority) to a directory
// that exists, one after the other, and returns their paths. Files that are
// there are replaced.
func (c *CA) WriteFiles(dir string, cert tls.Certificate) certs.Files {
	c.t.Helper()
	key, err := certs.EncodeKey(cert.PrivateKey.(crypto.Signer))
	c.check(err)
	files := certs.Files{
		Certificate: filepath.Join(dir, "cert.pem"),
		Key:         filepath.Join(dir, "key.pem"),
		CA:          filepath.Join(dir, "ca.pem"),
	}
	c.write(files.Certificate, certs.EncodeCertificates(cert.Leaf))
	c.write(files.Key, key)
	c.write(files.CA, certs.EncodeCertificates(c.authority.Certificate))
	return files
}

// WriteCRL writes a CRL that withdraws certificates to crl.pem in a directory
// that exists, and returns its path. It is due for replacement in a day.
func (c *CA) WriteCRL(dir string, revoked ...*x509.Certificate) string {
	c.t.Helper()
	var serials []*big.Int
	for _, cert := range revoked {
		serials = append(serials, cert.SerialNumber)
	}
	now := time.Now()
	list, err := c.authority.Revoke(now.UnixNano(), now, now.Add(24*time.Hour), serials...)
	c.check(err)
	path := filepath.Join(dir, "crl.pem")
	c.write(path, list)
	return path
}

func (c *CA) write(path string, data []byte) {
	c.t.Helper()
	c.check(os.WriteFile(path, data, 0o600))
}

func (c *CA) key() *ecdsa.PrivateKey {
	c.t.Helper()
	key, err := certs.NewKey()
	c.check(err)
	return key
}

func (c *CA) pair(cert *x509.Certificate, key crypto.Signer) tls.Certificate {
	c.t.Helper()
	pair, err := certs.KeyPair([]*x509.Certificate{cert}, key)
	c.check(err)
	return pair
}

func (c *CA) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}
