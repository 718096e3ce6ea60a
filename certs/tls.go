package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrKeyMismatch: the private key is not that of the certificate.
var ErrKeyMismatch = errors.New("the key is not that of the certificate")

// KeyPair joins a chain of certificates, the leaf first, with the leaf's key.
// Unlike tls.X509KeyPair it takes any signer, such as a key that was encrypted
// or that stays in a hardware module.
//
// The error is [ErrKeyMismatch], [ErrUnsupportedKey], or says that the leaf is
// an authority's.
func KeyPair(chain []*x509.Certificate, key crypto.Signer) (tls.Certificate, error) {
	if len(chain) == 0 {
		return tls.Certificate{}, errors.New("no certificate")
	}
	leaf := chain[0]
	if leaf.IsCA {
		return tls.Certificate{}, errors.New("an authority's certificate cannot stand at the end of a connection")
	}
	if err := checkKey(leaf.PublicKey); err != nil {
		return tls.Certificate{}, err
	}
	if !matches(leaf, key) {
		return tls.Certificate{}, ErrKeyMismatch
	}
	pair := tls.Certificate{PrivateKey: key, Leaf: leaf}
	for _, cert := range chain {
		pair.Certificate = append(pair.Certificate, cert.Raw)
	}
	return pair, nil
}

// NewPool gathers authorities, at least one. The error is [ErrNotAuthority] if
// one of them may not issue certificates.
func NewPool(authorities ...*x509.Certificate) (*x509.CertPool, error) {
	if len(authorities) == 0 {
		return nil, fmt.Errorf("%w: none given", ErrNotAuthority)
	}
	pool := x509.NewCertPool()
	for _, cert := range authorities {
		if err := checkCA(cert); err != nil {
			return nil, err
		}
		pool.AddCert(cert)
	}
	return pool, nil
}

// ServerConfig is the server's end of a connection. Peers must present a
// certificate of one of clientCAs; nil trusts nobody. Which participant a peer
// is, [PeerParticipant] tells after the handshake.
//
// Certificate and authorities are fixed; a server that runs for longer than a
// certificate lasts uses [Reloader.ServerConfig].
func ServerConfig(cert tls.Certificate, clientCAs *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{cert},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              poolOrEmpty(clientCAs),
		NextProtos:             []string{"h2"},
		SessionTicketsDisabled: true,
	}
}

// ClientConfig is a participant's end of a connection. The server's certificate
// must come from roots (nil trusts nobody), be valid for serverName, and bear
// the ledger's SPIFFE id of the trust domain; if it does not, the handshake
// fails with an [IdentityError] of [ErrNotLedger].
//
// An empty serverName leaves it to the dialler to fill in the host it dials.
func ClientConfig(cert tls.Certificate, roots *x509.CertPool, trustDomain, serverName string) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		RootCAs:      poolOrEmpty(roots),
		ServerName:   serverName,
		NextProtos:   []string{"h2"},
		// VerifyPeerCertificate would not run on a resumed connection.
		VerifyConnection: func(state tls.ConnectionState) error {
			return checkPeerLedger(state, trustDomain)
		},
	}
}

// poolOrEmpty keeps crypto/tls from taking nil for the roots of the host.
func poolOrEmpty(pool *x509.CertPool) *x509.CertPool {
	if pool == nil {
		return x509.NewCertPool()
	}
	return pool
}
