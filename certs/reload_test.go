package certs_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
)

func newReloader(t *testing.T, files certs.Files) *certs.Reloader {
	t.Helper()
	r, err := certs.NewReloader(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// accepted reports whether a client of the authority and the server agree.
func accepted(t *testing.T, server *tls.Config, ca *certstest.CA) bool {
	t.Helper()
	r := handshake(t, server, ca.ClientConfig("producer-1", "localhost"))
	return r.serverErr == nil && r.clientErr == nil
}

func TestReloadSwapsAuthorityAndCertificate(t *testing.T) {
	before, after := certstest.New(t, domain), certstest.New(t, domain)
	dir := t.TempDir()
	reloader := newReloader(t, before.WriteFiles(dir, before.Server()))
	server := reloader.ServerConfig()
	if !accepted(t, server, before) || accepted(t, server, after) {
		t.Fatal("the first authority is not the one in force")
	}
	after.WriteFiles(dir, after.Server())
	if !accepted(t, server, before) || accepted(t, server, after) {
		t.Error("files were taken over without a reload")
	}
	if err := reloader.Reload(); err != nil {
		t.Fatal(err)
	}
	if accepted(t, server, before) || !accepted(t, server, after) {
		t.Error("the second authority is not the one in force")
	}
}

func TestReloadKeepsOldOnError(t *testing.T) {
	ca, other := certstest.New(t, domain), certstest.New(t, domain)
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, files certs.Files)
		want   error // nil: any
	}{
		{"no file", func(t *testing.T, files certs.Files) { must(t, os.Remove(files.Key)) }, fs.ErrNotExist},
		{"empty key", func(t *testing.T, files certs.Files) { must(t, os.Truncate(files.Key, 0)) }, certs.ErrPEM},
		{"cut certificate", func(t *testing.T, files certs.Files) { must(t, os.Truncate(files.Certificate, 100)) }, certs.ErrPEM},
		{"cut authorities", func(t *testing.T, files certs.Files) { must(t, os.Truncate(files.CA, 100)) }, certs.ErrPEM},
		{"other key", func(t *testing.T, files certs.Files) {
			must(t, os.Rename(other.WriteFiles(t.TempDir(), other.Server()).Key, files.Key))
		}, certs.ErrKeyMismatch},
		{"leaf for authority", func(t *testing.T, files certs.Files) {
			must(t, os.WriteFile(files.CA, certs.EncodeCertificates(ca.Server().Leaf), 0o600))
		}, certs.ErrNotAuthority},
		{"authority for leaf", func(t *testing.T, files certs.Files) {
			must(t, os.WriteFile(files.Certificate, certs.EncodeCertificates(ca.Authority().Certificate), 0o600))
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := ca.WriteFiles(t.TempDir(), ca.Server())
			reloader := newReloader(t, files)
			leaf := reloader.Leaf()
			test.damage(t, files)
			if err := reloader.Reload(); err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if reloader.Leaf() != leaf || !accepted(t, reloader.ServerConfig(), ca) {
				t.Error("the old certificate is not in force")
			}
			if _, err := certs.NewReloader(files, nil); err == nil {
				t.Error("a new reloader took the files")
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReloadParsesChangedFilesOnly(t *testing.T) {
	ca := certstest.New(t, domain)
	dir := t.TempDir()
	calls := 0
	reloader, err := certs.NewReloader(ca.WriteFiles(dir, ca.Server()), func(pem []byte) (crypto.Signer, error) {
		calls++
		return certs.ParseKey(pem)
	})
	must(t, err)
	must(t, reloader.Reload())
	if calls != 1 {
		t.Errorf("the key was parsed %d times, want once", calls)
	}
	ca.WriteFiles(dir, ca.Server())
	must(t, reloader.Reload())
	if calls != 2 {
		t.Errorf("the key was parsed %d times, want twice", calls)
	}
}

func TestReloaderClientConfig(t *testing.T) {
	ca := certstest.New(t, domain)
	dir := t.TempDir()
	reloader := newReloader(t, ca.WriteFiles(dir, ca.Participant("producer-1")))
	client := reloader.ClientConfig(domain, "localhost")
	for _, want := range []string{"producer-1", "producer-2"} {
		ca.WriteFiles(dir, ca.Participant(want))
		must(t, reloader.Reload())
		r := handshake(t, ca.ServerConfig(), client)
		if got, err := certs.PeerParticipant(r.peer, domain); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

// A server that is used without GetConfigForClient must not serve.
func TestReloaderServerConfigFailsClosed(t *testing.T) {
	ca := certstest.New(t, domain)
	server := newReloader(t, ca.WriteFiles(t.TempDir(), ca.Server())).ServerConfig()
	server.GetConfigForClient = nil
	server.Certificates = []tls.Certificate{ca.Server()}
	if accepted(t, server, ca) {
		t.Error("a client was accepted")
	}
}

func TestRun(t *testing.T) {
	ca := certstest.New(t, domain)
	dir := t.TempDir()
	files := ca.WriteFiles(dir, ca.Server())
	reloader := newReloader(t, files)
	first, next := reloader.Leaf(), ca.Server()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var told []error
		wake := make(chan struct{})
		done := make(chan error)
		go func() {
			done <- reloader.Run(ctx, time.Minute, wake, func(err error) { told = append(told, err) })
		}()
		must(t, os.Truncate(files.Key, 0))
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		if len(told) != 2 || !errors.Is(told[0], certs.ErrPEM) || reloader.Leaf() != first {
			t.Errorf("with a broken key: told %v", told)
		}
		ca.WriteFiles(dir, next)
		wake <- struct{}{}
		synctest.Wait()
		if len(told) != 3 || told[2] != nil || !reloader.Leaf().Equal(next.Leaf) {
			t.Errorf("with new files: told %v", told)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("got error %v, want none", err)
		}
	})
}

func TestRunRefusesInterval(t *testing.T) {
	ca := certstest.New(t, domain)
	reloader := newReloader(t, ca.WriteFiles(t.TempDir(), ca.Server()))
	if err := reloader.Run(t.Context(), 0, nil, nil); err == nil {
		t.Error("an interval of zero was accepted")
	}
}
