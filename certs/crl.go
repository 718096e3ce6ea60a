package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// ErrRevoked: a CRL names the certificate.
var ErrRevoked = errors.New("the certificate is revoked")

// ErrCRL: not a CRL that this profile takes: signed by none of the authorities,
// or with critical extensions.
var ErrCRL = errors.New("CRL refused")

// Revoke signs a CRL, as PEM, that withdraws certificates by their serial
// numbers; each CRL of an authority replaces the one before it, so it must name
// all that are still valid. The number must grow from one to the next.
//
// The error is [ErrNotAuthority] if the authority may not sign CRLs.
func (a *Authority) Revoke(number int64, thisUpdate, nextUpdate time.Time, serials ...*big.Int) ([]byte, error) {
	if _, err := a.check(); err != nil {
		return nil, err
	}
	if a.Certificate.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return nil, fmt.Errorf("%w: %q may not sign CRLs", ErrNotAuthority, a.Certificate.Subject)
	}
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: thisUpdate, NextUpdate: nextUpdate}
	for _, serial := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: thisUpdate})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Certificate, a.Key)
	if err != nil {
		return nil, fmt.Errorf("signing a CRL: %w", err)
	}
	return encodeBlock(crlBlock, der), nil
}

// revocations are the serial numbers that CRLs name, by the DER name of their
// issuer.
type revocations struct {
	serials map[string]map[string]bool
	next    time.Time // the earliest next update; zero if none is stated
}

// parseRevocations reads one or more CRLs, each signed by one of the
// authorities. A file without blocks is an error: a damaged one must not revoke
// less.
func parseRevocations(data []byte, authorities []*x509.Certificate) (*revocations, error) {
	blocks, err := decodeBlocks(data, crlBlock)
	if err != nil {
		return nil, err
	}
	r := &revocations{serials: make(map[string]map[string]bool)}
	for i, der := range blocks {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("parsing CRL %d: %w", i, err)
		}
		if err := checkCRL(list, authorities); err != nil {
			return nil, fmt.Errorf("CRL %d: %w", i, err)
		}
		r.add(list)
	}
	return r, nil
}

// ParseCRL reads one CRL, for its authority to go on from. Its signature is not
// checked here.
func ParseCRL(data []byte) (*x509.RevocationList, error) {
	der, err := decodeBlock(data, crlBlock)
	if err != nil {
		return nil, err
	}
	return x509.ParseRevocationList(der)
}

func checkCRL(list *x509.RevocationList, authorities []*x509.Certificate) error {
	for _, ext := range list.Extensions {
		if ext.Critical {
			return fmt.Errorf("%w: critical extension %v", ErrCRL, ext.Id)
		}
	}
	for _, entry := range list.RevokedCertificateEntries {
		for _, ext := range entry.Extensions {
			if ext.Critical {
				return fmt.Errorf("%w: critical extension %v of an entry", ErrCRL, ext.Id)
			}
		}
	}
	if !slices.ContainsFunc(authorities, func(a *x509.Certificate) bool {
		return bytes.Equal(a.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(a) == nil
	}) {
		return fmt.Errorf("%w: none of the authorities signed it", ErrCRL)
	}
	return nil
}

func (r *revocations) add(list *x509.RevocationList) {
	serials := r.serials[string(list.RawIssuer)]
	if serials == nil {
		serials = make(map[string]bool)
		r.serials[string(list.RawIssuer)] = serials
	}
	for _, entry := range list.RevokedCertificateEntries {
		serials[entry.SerialNumber.String()] = true
	}
	if next := list.NextUpdate; !next.IsZero() && (r.next.IsZero() || next.Before(r.next)) {
		r.next = next
	}
}

// check returns ErrRevoked if a CRL names the certificate; nil receivers name
// none.
func (r *revocations) check(cert *x509.Certificate) error {
	if r != nil && r.serials[string(cert.RawIssuer)][cert.SerialNumber.String()] {
		return fmt.Errorf("%w: serial number %x", ErrRevoked, cert.SerialNumber)
	}
	return nil
}
