package certstest_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
)

const domain = "ledger.test"

func TestParticipantAt(t *testing.T) {
	ca := certstest.New(t, domain)
	year := 365 * 24 * time.Hour
	for _, offset := range []time.Duration{-9 * year, 0, 9 * year} {
		from := time.Now().Add(offset)
		leaf := ca.ParticipantAt("producer-1", from, time.Hour).Leaf
		options := x509.VerifyOptions{
			Roots:       ca.Pool(),
			CurrentTime: from.Add(time.Minute),
			KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		if _, err := leaf.Verify(options); err != nil {
			t.Errorf("from %v: %v", from, err)
		}
	}
}

func TestWriteFiles(t *testing.T) {
	ca := certstest.New(t, domain)
	cert := ca.Participant("producer-1")
	reloader, err := certs.NewReloader(ca.WriteFiles(t.TempDir(), cert), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reloader.Leaf().Equal(cert.Leaf) {
		t.Error("the files hold another certificate")
	}
}
