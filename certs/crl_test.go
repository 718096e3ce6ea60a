package certs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
)

// TestRevocation: a certificate that a CRL names is refused at the handshake and
// on the connection that stands; others of the same participant are not.
func TestRevocation(t *testing.T) {
	ca := certstest.New(t, domain)
	dir := t.TempDir()
	files := ca.WriteFiles(dir, ca.Server())
	files.CRL = ca.WriteCRL(dir)
	reloader := newReloader(t, files)
	stolen, fresh := ca.Participant("producer-1"), ca.Participant("producer-1")
	config := func(c int) result {
		cert := stolen
		if c == 1 {
			cert = fresh
		}
		return handshake(t, reloader.ServerConfig(), certs.ClientConfig(cert, ca.Pool(), domain, "localhost"))
	}
	before := [2]result{config(0), config(1)}
	for i, r := range before {
		if r.serverErr != nil || r.clientErr != nil {
			t.Fatalf("%d: %v, %v", i, r.serverErr, r.clientErr)
		}
		must(t, reloader.CheckPeer(r.peer, time.Now()))
	}
	ca.WriteCRL(dir, stolen.Leaf, ca.Participant("producer-2").Leaf)
	must(t, reloader.Reload())
	for i, want := range []error{certs.ErrRevoked, nil} {
		if err := reloader.CheckPeer(before[i].peer, time.Now()); !errors.Is(err, want) {
			t.Errorf("connection %d: got %v, want %v", i, err, want)
		}
		if r := config(i); !errors.Is(r.serverErr, want) {
			t.Errorf("handshake %d: got %v, want %v", i, r.serverErr, want)
		}
	}
	if next := time.Until(reloader.NextUpdate()); next < 23*time.Hour || next > 24*time.Hour {
		t.Errorf("the next CRL is due in %v", next)
	}
}

// TestCheckPeer: a connection does not outlive its certificate, nor the
// authority that stands for it.
func TestCheckPeer(t *testing.T) {
	ca, other := certstest.New(t, domain), certstest.New(t, domain)
	dir := t.TempDir()
	reloader := newReloader(t, ca.WriteFiles(dir, ca.Server()))
	r := handshake(t, reloader.ServerConfig(), ca.ClientConfig("producer-1", "localhost"))
	must(t, reloader.CheckPeer(r.peer, time.Now()))
	if !reloader.NextUpdate().IsZero() {
		t.Error("a CRL is due, and there is none")
	}
	var invalid x509.CertificateInvalidError
	if err := reloader.CheckPeer(r.peer, time.Now().Add(30*time.Hour)); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("expired: got %v", err)
	}
	other.WriteFiles(dir, other.Server())
	must(t, reloader.Reload())
	var unknown x509.UnknownAuthorityError
	if err := reloader.CheckPeer(r.peer, time.Now()); !errors.As(err, &unknown) {
		t.Errorf("authority removed: got %v", err)
	}
	r.peer.VerifiedChains = nil
	if err := reloader.CheckPeer(r.peer, time.Now()); !errors.Is(err, certs.ErrNoPeerCertificate) {
		t.Errorf("no certificate: got %v", err)
	}
}

// signCRL signs a CRL with fields that the profile does not have.
func signCRL(t *testing.T, ca *certstest.CA, edit func(*x509.RevocationList)) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	edit(list)
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Authority().Certificate, ca.Authority().Key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// TestBadCRL: a CRL that cannot be taken leaves the old one in force.
func TestBadCRL(t *testing.T) {
	ca, other := certstest.New(t, domain), certstest.New(t, domain)
	dir := t.TempDir()
	files := ca.WriteFiles(dir, ca.Server())
	stolen := ca.Participant("producer-1")
	files.CRL = ca.WriteCRL(dir, stolen.Leaf)
	good, err := os.ReadFile(files.CRL)
	must(t, err)
	foreign, err := other.Authority().Revoke(1, time.Now(), time.Now().Add(time.Hour))
	must(t, err)
	delta := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}
	indirect := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}
	for name, test := range map[string]struct {
		content []byte // nil: no file
		want    error  // nil: any
	}{
		"no file":           {nil, fs.ErrNotExist},
		"empty":             {[]byte{}, certs.ErrPEM},
		"cut":               {good[:len(good)-10], certs.ErrPEM},
		"one of two is cut": {append(bytes.Clone(good), good[:40]...), certs.ErrPEM},
		"a certificate":     {certs.EncodeCertificates(stolen.Leaf), certs.ErrPEM},
		"no CRL inside":     {pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte{1}}), nil},
		"another authority": {foreign, certs.ErrCRL},
		"delta": {signCRL(t, ca, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{delta}
		}), certs.ErrCRL},
		"indirect": {signCRL(t, ca, func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{
				SerialNumber: big.NewInt(1), RevocationTime: time.Now(), ExtraExtensions: []pkix.Extension{indirect},
			}}
		}), certs.ErrCRL},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(files.CRL, good, 0o600))
			reloader := newReloader(t, files)
			must(t, os.Remove(files.CRL))
			if test.content != nil {
				must(t, os.WriteFile(files.CRL, test.content, 0o600))
			}
			if err := reloader.Reload(); err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			r := handshake(t, reloader.ServerConfig(), certs.ClientConfig(stolen, ca.Pool(), domain, "localhost"))
			if !errors.Is(r.serverErr, certs.ErrRevoked) {
				t.Errorf("the old CRL is not in force: %v", r.serverErr)
			}
			if _, err := certs.NewReloader(files, nil); err == nil {
				t.Error("a new reloader took it")
			}
		})
	}
}

func TestRevokeByUnfitAuthority(t *testing.T) {
	a := newAuthority(t)
	a.Certificate.KeyUsage = x509.KeyUsageCertSign // as older authorities have it
	if _, err := a.Revoke(1, start, start.Add(day), big.NewInt(1)); !errors.Is(err, certs.ErrNotAuthority) {
		t.Errorf("got error %v, want %v", err, certs.ErrNotAuthority)
	}
	a.Certificate.IsCA = false
	if _, err := a.Revoke(1, start, start.Add(day), big.NewInt(1)); !errors.Is(err, certs.ErrNotAuthority) {
		t.Errorf("got error %v, want %v", err, certs.ErrNotAuthority)
	}
}
