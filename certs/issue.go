package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"
)

// ErrRequest: the certificate request is not signed by its own key, or asks for
// another identity than the one to be issued.
var ErrRequest = errors.New("certificate request refused")

// ErrHost: not a host name in lower case nor an IP address, or none at all.
var ErrHost = errors.New("malformed host")

// IssueParticipant signs a client certificate for the key of the request. The
// participant is the one named here: subject and names of the request are
// ignored, except that a SPIFFE id in it must be this participant's. That the
// request really comes from the participant is for the caller to know.
//
// The error is [ErrParticipantID], [ErrRequest], [ErrUnsupportedKey],
// [ErrValidity], or [ErrNotAuthority] or [ErrTrustDomain] of the authority.
func (a *Authority) IssueParticipant(csr *x509.CertificateRequest, participantID string, notBefore time.Time, lifetime time.Duration) (*x509.Certificate, error) {
	trustDomain, err := a.check()
	if err != nil {
		return nil, err
	}
	uri, err := participantURL(trustDomain, participantID)
	if err != nil {
		return nil, err
	}
	return a.issue(csr, &x509.Certificate{
		URIs:        []*url.URL{uri},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, notBefore, lifetime)
}

// IssueServer signs a certificate of the ledger's server, reached by the given
// hosts: host names in lower case, without wildcards, and IP addresses, at least
// one in all. The request is treated as by [Authority.IssueParticipant].
//
// The error is [ErrHost], [ErrRequest], [ErrUnsupportedKey], [ErrValidity], or
// [ErrNotAuthority] or [ErrTrustDomain] of the authority.
func (a *Authority) IssueServer(csr *x509.CertificateRequest, hosts []string, notBefore time.Time, lifetime time.Duration) (*x509.Certificate, error) {
	trustDomain, err := a.check()
	if err != nil {
		return nil, err
	}
	uri, err := spiffeURL(trustDomain, ledgerSegment)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		URIs:        []*url.URL{uri},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if err := addHosts(template, hosts); err != nil {
		return nil, err
	}
	return a.issue(csr, template, notBefore, lifetime)
}

// issue signs a leaf with the one URI and the usage of the template.
func (a *Authority) issue(csr *x509.CertificateRequest, template *x509.Certificate, notBefore time.Time, lifetime time.Duration) (*x509.Certificate, error) {
	if err := checkRequest(csr, template.URIs[0]); err != nil {
		return nil, err
	}
	from, to, err := validity(notBefore, lifetime)
	if err != nil {
		return nil, err
	}
	if from.Before(a.Certificate.NotBefore) || to.After(a.Certificate.NotAfter) {
		return nil, fmt.Errorf("%w: %v to %v is not within that of the authority", ErrValidity, from, to)
	}
	template.NotBefore, template.NotAfter = from, to
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	cert, err := sign(template, a.Certificate, csr.PublicKey, a.Key)
	if err != nil {
		return nil, err
	}
	if err := a.verify(cert); err != nil {
		return nil, err
	}
	return cert, nil
}

// verify builds the chain as a peer will. It fails for an authority made
// elsewhere whose constraints forbid what it was asked to issue.
func (a *Authority) verify(leaf *x509.Certificate) error {
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate)
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:       roots,
		CurrentTime: leaf.NotBefore,
		KeyUsages:   leaf.ExtKeyUsage,
	})
	if err != nil {
		return fmt.Errorf("verifying what was issued: %w", err)
	}
	return nil
}

func checkRequest(csr *x509.CertificateRequest, identity *url.URL) error {
	if err := checkKey(csr.PublicKey); err != nil {
		return err
	}
	if err := csr.CheckSignature(); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	for _, uri := range csr.URIs {
		if uri.Scheme == identity.Scheme && uri.String() != identity.String() {
			return fmt.Errorf("%w: it asks for %q, not %q", ErrRequest, uri, identity)
		}
	}
	return nil
}

func addHosts(template *x509.Certificate, hosts []string) error {
	if len(hosts) == 0 {
		return fmt.Errorf("%w: none given", ErrHost)
	}
	for _, host := range hosts {
		addr, err := netip.ParseAddr(host)
		switch {
		case err == nil && addr.Zone() == "":
			template.IPAddresses = append(template.IPAddresses, addr.Unmap().AsSlice())
		case isHostName(host):
			template.DNSNames = append(template.DNSNames, host)
		default:
			return fmt.Errorf("%w: %q", ErrHost, host)
		}
	}
	return nil
}
