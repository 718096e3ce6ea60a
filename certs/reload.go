package certs

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Files are the paths of one end's PEM files. Replace them by renaming, so that
// none is ever read half written; certificate and key may be replaced one after
// the other, since a pair that does not match is not taken over.
type Files struct {
	Certificate string // the chain, leaf first
	Key         string // its private key
	CA          string // the authorities that the other end is checked against
	CRL         string // the CRLs of these authorities; empty for none
}

// Reloader holds what it last loaded from [Files] and hands it to each new
// handshake. Connections that stand are left as they are; whether they still may
// stand, CheckPeer tells. All methods may be called from several goroutines.
type Reloader struct {
	files    Files
	parseKey func(pem []byte) (crypto.Signer, error)

	reloading sync.Mutex // one Reload at a time; handshakes do not take it
	current   atomic.Pointer[material]
}

// material is loaded as a whole and never changed afterwards.
type material struct {
	digest [sha256.Size]byte // of the files as read
	pair   tls.Certificate
	pool   *x509.CertPool
	crl    *revocations
	server *tls.Config
}

// NewReloader loads the files. parseKey reads the key's file, nil being
// [ParseKey]; it is called again only when one of the files has changed.
func NewReloader(f Files, parseKey func(pem []byte) (crypto.Signer, error)) (*Reloader, error) {
	if parseKey == nil {
		parseKey = ParseKey
	}
	r := &Reloader{files: f, parseKey: parseKey}
	if err := r.Reload(); err != nil {
		return nil, err
	}
	return r, nil
}

// Reload reads the files and, if one has changed, takes all of them over. On an
// error everything stays as it was. It compares contents, not times, and so may
// be called at any rate.
//
// Whether the certificate is within its validity is not asked: see
// [Reloader.Leaf].
func (r *Reloader) Reload() error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	contents, err := r.files.read()
	if err != nil {
		return err
	}
	digest := contents.digest()
	if old := r.current.Load(); old != nil && old.digest == digest {
		return nil
	}
	loaded, err := r.parse(contents)
	if err != nil {
		return err
	}
	loaded.digest = digest
	r.current.Store(loaded)
	return nil
}

// Run reloads at every interval, which must be positive, and whenever wake is
// sent to, until ctx is done, and then returns nil. reloaded, unless nil, is told
// the result of every Reload, from this goroutine; a broken file is told again
// each time.
func (r *Reloader) Run(ctx context.Context, interval time.Duration, wake <-chan struct{}, reloaded func(error)) error {
	if interval <= 0 {
		return fmt.Errorf("reload interval %v is not positive", interval)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-wake:
		}
		if err := r.Reload(); reloaded != nil {
			reloaded(err)
		}
	}
}

// Leaf returns the certificate in use, for its owner to watch its end. It must
// not be changed.
func (r *Reloader) Leaf() *x509.Certificate {
	return r.current.Load().pair.Leaf
}

// NextUpdate returns when the first of the loaded CRLs should have been replaced
// by a newer one; zero if there is none, or none says.
func (r *Reloader) NextUpdate() time.Time {
	if crl := r.current.Load().crl; crl != nil {
		return crl.next
	}
	return time.Time{}
}

// CheckPeer judges the client at the other end of a connection that stands by
// what is loaded now, as a handshake would: its certificate is within its
// validity at a time, comes from an authority, and no CRL names it. The error is
// [ErrNoPeerCertificate], [ErrRevoked] or that of crypto/x509.
func (r *Reloader) CheckPeer(state tls.ConnectionState, now time.Time) error {
	leaf, err := verifiedLeaf(state)
	if err != nil {
		return err
	}
	m := r.current.Load()
	if err := m.crl.check(leaf); err != nil {
		return err
	}
	between := x509.NewCertPool() // as crypto/tls does
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: m.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// ServerConfig is as the function [ServerConfig], with certificate, key,
// authorities and CRLs as they are loaded at each handshake.
func (r *Reloader) ServerConfig() *tls.Config {
	// Whoever overlooks GetConfigForClient gets a server that trusts nobody.
	config := ServerConfig(tls.Certificate{}, nil)
	config.Certificates = nil
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return r.current.Load().server, nil
	}
	return config
}

// PublicConfig is the server's end of a connection that anybody may open, over
// HTTP, with the certificate as it is loaded at each handshake.
func (r *Reloader) PublicConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &r.current.Load().pair, nil
		},
	}
}

// ClientConfig is as the function [ClientConfig], with certificate and key as
// they are loaded at each handshake. The authorities stay those of this call:
// crypto/tls has no hook for a client's.
func (r *Reloader) ClientConfig(trustDomain, serverName string) *tls.Config {
	config := ClientConfig(tls.Certificate{}, r.current.Load().pool, trustDomain, serverName)
	config.Certificates = nil
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &r.current.Load().pair, nil
	}
	return config
}

// contents are the files as read.
type contents struct {
	certificate, key, ca, crl []byte
}

func (f Files) read() (contents, error) {
	var c contents
	for _, file := range []struct {
		path string
		data *[]byte
	}{{f.Certificate, &c.certificate}, {f.Key, &c.key}, {f.CA, &c.ca}, {f.CRL, &c.crl}} {
		if file.path == "" && file.data == &c.crl {
			continue
		}
		data, err := os.ReadFile(file.path)
		if err != nil {
			return contents{}, fmt.Errorf("reading TLS files: %w", err)
		}
		*file.data = data
	}
	return c, nil
}

// digest hashes the hash of each, so that no byte can move between two files.
func (c contents) digest() [sha256.Size]byte {
	var sums []byte
	for _, data := range [][]byte{c.certificate, c.key, c.ca, c.crl} {
		sum := sha256.Sum256(data)
		sums = append(sums, sum[:]...)
	}
	return sha256.Sum256(sums)
}

func (r *Reloader) parse(c contents) (*material, error) {
	chain, err := ParseCertificates(c.certificate)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", r.files.Certificate, err)
	}
	key, err := r.parseKey(c.key)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", r.files.Key, err)
	}
	pair, err := KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("joining %s and %s: %w", r.files.Certificate, r.files.Key, err)
	}
	authorities, err := ParseCertificates(c.ca)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", r.files.CA, err)
	}
	pool, err := NewPool(authorities...)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", r.files.CA, err)
	}
	m := &material{pair: pair, pool: pool, server: ServerConfig(pair, pool)}
	if r.files.CRL == "" {
		return m, nil
	}
	if m.crl, err = parseRevocations(c.crl, authorities); err != nil {
		return nil, fmt.Errorf("loading %s: %w", r.files.CRL, err)
	}
	m.server.VerifyConnection = m.checkRevoked
	return m, nil
}

// checkRevoked runs after crypto/tls has verified the chain.
func (m *material) checkRevoked(state tls.ConnectionState) error {
	leaf, err := verifiedLeaf(state)
	if err != nil {
		return err
	}
	return m.crl.check(leaf)
}
