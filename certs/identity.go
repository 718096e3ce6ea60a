package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Errors about whom a certificate stands for.
var (
	// ErrNoPeerCertificate: the connection has no verified peer certificate.
	ErrNoPeerCertificate = errors.New("no verified peer certificate")

	// ErrNotParticipant: the certificate does not stand for a participant of
	// the trust domain. Comes inside an [IdentityError].
	ErrNotParticipant = errors.New("certificate does not stand for a participant")

	// ErrNotLedger: the certificate does not stand for the ledger's server.
	// Comes inside an [IdentityError].
	ErrNotLedger = errors.New("certificate does not stand for the ledger")

	// ErrParticipantID: the text is not a participant id.
	ErrParticipantID = errors.New("malformed participant id")

	// ErrTrustDomain: the text is not a trust domain of this profile, or the
	// authority's certificate does not name one.
	ErrTrustDomain = errors.New("malformed trust domain")
)

// IdentityError is the refusal of a certificate for what it says of its holder.
type IdentityError struct {
	Err    error    // ErrNotParticipant or ErrNotLedger
	URIs   []string // the URI names of the certificate, all of them
	Reason string   // for a log, not for comparison
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("%v: %s (URI names %q)", e.Err, e.Reason, e.URIs)
}

// Unwrap returns the sentinel.
func (e *IdentityError) Unwrap() error { return e.Err }

const (
	participantSegment = "participant"
	ledgerSegment      = "ledger"
)

var participantPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ParticipantURI returns the SPIFFE id of a participant. It is the inverse of
// [ParticipantID]. The error is [ErrTrustDomain] or [ErrParticipantID].
func ParticipantURI(trustDomain, participantID string) (string, error) {
	uri, err := participantURL(trustDomain, participantID)
	if err != nil {
		return "", err
	}
	return uri.String(), nil
}

// LedgerURI returns the SPIFFE id of the ledger's server. The error is
// [ErrTrustDomain].
func LedgerURI(trustDomain string) (string, error) {
	uri, err := spiffeURL(trustDomain, ledgerSegment)
	if err != nil {
		return "", err
	}
	return uri.String(), nil
}

// ParticipantID returns the participant that a certificate stands for. The
// caller must have verified the certificate up to the authority of the trust
// domain: here only its names are read.
//
// The certificate must be a leaf (not a CA, its key not for signing
// certificates or CRLs) and have exactly one URI name, of exactly this trust
// domain, whose path is /participant/ and an id. The error is an
// [IdentityError] of [ErrNotParticipant].
func ParticipantID(cert *x509.Certificate, trustDomain string) (string, error) {
	path, err := leafPath(cert, trustDomain)
	if err != nil {
		return "", newIdentityError(ErrNotParticipant, cert, err.Error())
	}
	id, ok := strings.CutPrefix(path, "/"+participantSegment+"/")
	if !ok || !participantPattern.MatchString(id) {
		return "", newIdentityError(ErrNotParticipant, cert, "the path is not that of a participant")
	}
	return id, nil
}

// PeerParticipant returns the participant at the other end of a connection
// whose handshake is complete. It reads verified chains only: a certificate
// that was sent but not verified counts as none.
//
// The error is [ErrNoPeerCertificate] or that of [ParticipantID].
func PeerParticipant(state tls.ConnectionState, trustDomain string) (string, error) {
	leaf, err := verifiedLeaf(state)
	if err != nil {
		return "", err
	}
	return ParticipantID(leaf, trustDomain)
}

// checkPeerLedger is the client's counterpart of PeerParticipant.
func checkPeerLedger(state tls.ConnectionState, trustDomain string) error {
	leaf, err := verifiedLeaf(state)
	if err != nil {
		return err
	}
	path, err := leafPath(leaf, trustDomain)
	if err != nil {
		return newIdentityError(ErrNotLedger, leaf, err.Error())
	}
	if path != "/"+ledgerSegment {
		return newIdentityError(ErrNotLedger, leaf, "the path is not that of the ledger")
	}
	return nil
}

// verifiedLeaf returns the peer's own certificate, which all chains share.
func verifiedLeaf(state tls.ConnectionState) (*x509.Certificate, error) {
	if len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return nil, ErrNoPeerCertificate
	}
	return state.VerifiedChains[0][0], nil
}

// leafPath does the leaf validation of X509-SVID, 5.2, and returns the path of
// the SPIFFE id.
func leafPath(cert *x509.Certificate, trustDomain string) (string, error) {
	switch {
	case cert.IsCA:
		return "", errors.New("it is an authority's")
	case cert.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return "", errors.New("its key may sign certificates")
	case len(cert.URIs) != 1:
		return "", fmt.Errorf("it has %d URI names, not one", len(cert.URIs))
	}
	id, err := spiffeid.FromURI(cert.URIs[0])
	if err != nil {
		return "", err
	}
	if id.TrustDomain().Name() != trustDomain {
		return "", fmt.Errorf("the trust domain is not %q", trustDomain)
	}
	return id.Path(), nil
}

func newIdentityError(sentinel error, cert *x509.Certificate, reason string) *IdentityError {
	uris := make([]string, len(cert.URIs))
	for i, uri := range cert.URIs {
		uris[i] = uri.String()
	}
	return &IdentityError{Err: sentinel, URIs: uris, Reason: reason}
}

func participantURL(trustDomain, participantID string) (*url.URL, error) {
	if !participantPattern.MatchString(participantID) {
		return nil, fmt.Errorf("%w: %q", ErrParticipantID, participantID)
	}
	return spiffeURL(trustDomain, participantSegment, participantID)
}

// spiffeURL builds a SPIFFE id; without segments, that of the trust domain.
func spiffeURL(trustDomain string, segments ...string) (*url.URL, error) {
	// The host name is checked first because spiffeid takes whole URIs too.
	if !isHostName(trustDomain) {
		return nil, fmt.Errorf("%w: %q", ErrTrustDomain, trustDomain)
	}
	domain, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTrustDomain, err)
	}
	id, err := spiffeid.FromSegments(domain, segments...)
	if err != nil {
		return nil, fmt.Errorf("building a SPIFFE id: %w", err)
	}
	return id.URL(), nil
}

// isHostName reports whether name is a host name in lower case (RFC 1123, 2.1)
// that cannot be read as an IPv4 address: its last label is not a number.
func isHostName(name string) bool {
	if len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !isHostLabel(label) {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isHostLabel(label string) bool {
	if label == "" || len(label) > 63 {
		return false
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
