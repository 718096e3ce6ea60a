package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
)

// result is what each end made of a handshake.
type result struct {
	serverErr, clientErr error
	peer                 tls.ConnectionState // as the server sees it
	server               tls.ConnectionState // as the client sees it
}

// handshake connects two ends. The server says one byte when it is content,
// because in TLS 1.3 a client has done its part before it is judged.
func handshake(t *testing.T, server, client *tls.Config) result {
	t.Helper()
	near, far := net.Pipe()
	deadline := time.Now().Add(10 * time.Second)
	for _, end := range []net.Conn{near, far} {
		if err := end.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
	}
	var r result
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer far.Close()
		conn := tls.Server(far, server)
		if r.serverErr = conn.Handshake(); r.serverErr != nil {
			return
		}
		r.peer = conn.ConnectionState()
		_, r.serverErr = conn.Write([]byte{1})
	}()
	conn := tls.Client(near, client)
	_, r.clientErr = conn.Read(make([]byte, 1))
	r.server = conn.ConnectionState()
	near.Close()
	<-served
	return r
}

func TestHandshake(t *testing.T) {
	ca := certstest.New(t, domain)
	r := handshake(t, ca.ServerConfig(), ca.ClientConfig("producer-1", "localhost"))
	if r.serverErr != nil || r.clientErr != nil {
		t.Fatalf("server: %v; client: %v", r.serverErr, r.clientErr)
	}
	if id, err := certs.PeerParticipant(r.peer, domain); id != "producer-1" || err != nil {
		t.Errorf("got participant %q, %v", id, err)
	}
	if r.peer.Version != tls.VersionTLS13 || r.peer.NegotiatedProtocol != "h2" {
		t.Errorf("got version %#x, protocol %q", r.peer.Version, r.peer.NegotiatedProtocol)
	}
	if _, err := certs.PeerParticipant(r.peer, "other.test"); !errors.Is(err, certs.ErrNotParticipant) {
		t.Errorf("foreign trust domain: got error %v, want %v", err, certs.ErrNotParticipant)
	}
}

// present makes a client show a certificate even if the server did not name its
// authority.
func present(config *tls.Config, cert tls.Certificate) *tls.Config {
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &cert, nil
	}
	return config
}

func TestServerRefusesClient(t *testing.T) {
	ca, other := certstest.New(t, domain), certstest.New(t, domain)
	client := func(cert tls.Certificate) *tls.Config {
		return present(ca.ClientConfig("unused", "localhost"), cert)
	}
	old := client(ca.Participant("producer-1"))
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	now := time.Now()
	for _, test := range []struct {
		name   string
		client *tls.Config
	}{
		{"no certificate", client(tls.Certificate{})},
		{"expired", client(ca.ParticipantAt("producer-1", now.Add(-2*time.Hour), time.Hour))},
		{"not yet valid", client(ca.ParticipantAt("producer-1", now.Add(time.Hour), time.Hour))},
		{"other authority", client(other.Participant("producer-1"))},
		{"server's certificate", client(ca.Server())},
		{"TLS 1.2", old},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := handshake(t, ca.ServerConfig(), test.client)
			if r.serverErr == nil || r.clientErr == nil {
				t.Errorf("accepted: server: %v; client: %v", r.serverErr, r.clientErr)
			}
			if _, err := certs.PeerParticipant(r.peer, domain); !errors.Is(err, certs.ErrNoPeerCertificate) {
				t.Errorf("got error %v, want %v", err, certs.ErrNoPeerCertificate)
			}
		})
	}
}

func clientTemplate(t *testing.T, uris ...string) *x509.Certificate {
	t.Helper()
	return template(t, x509.ExtKeyUsageClientAuth, uris...)
}

func template(t *testing.T, usage x509.ExtKeyUsage, uris ...string) *x509.Certificate {
	t.Helper()
	cert := &x509.Certificate{
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{usage},
		BasicConstraintsValid: true,
	}
	for _, uri := range uris {
		cert.URIs = append(cert.URIs, parseURI(t, uri))
	}
	return cert
}

// Certificates that the authority did sign, so that the handshake succeeds, but
// that stand for no participant.
func TestPeerParticipantRefuses(t *testing.T) {
	ca := certstest.New(t, domain)
	const good = "spiffe://ledger.test/participant/producer-1"
	for _, test := range []struct {
		name string
		uris []string
	}{
		{"no name", nil},
		{"two names", []string{good, "https://ledger.test/"}},
		{"the ledger", []string{"spiffe://ledger.test/ledger"}},
		{"wrong path", []string{"spiffe://ledger.test/participant/producer-1/x"}},
		{"trust domain below", []string{"spiffe://a.ledger.test/participant/producer-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := present(ca.ClientConfig("unused", "localhost"), ca.Sign(clientTemplate(t, test.uris...)))
			r := handshake(t, ca.ServerConfig(), client)
			if r.serverErr != nil || r.clientErr != nil {
				t.Fatalf("server: %v; client: %v", r.serverErr, r.clientErr)
			}
			if id, err := certs.PeerParticipant(r.peer, domain); !errors.Is(err, certs.ErrNotParticipant) {
				t.Errorf("got %q, error %v, want %v", id, err, certs.ErrNotParticipant)
			}
		})
	}
}

func TestClientRefusesServer(t *testing.T) {
	ca, other := certstest.New(t, domain), certstest.New(t, domain)
	server := func(uris ...string) tls.Certificate {
		cert := template(t, x509.ExtKeyUsageServerAuth, uris...)
		cert.DNSNames = []string{"localhost"}
		return ca.Sign(cert)
	}
	const ledger = "spiffe://ledger.test/ledger"
	for _, test := range []struct {
		name string
		cert tls.Certificate
		want error // nil: any
	}{
		{"no ledger id", server(), certs.ErrNotLedger},
		{"a participant's id", server("spiffe://ledger.test/participant/ledger"), certs.ErrNotLedger},
		{"below the ledger", server(ledger + "/x"), certs.ErrNotLedger},
		{"two names", server(ledger, "https://ledger.test/"), certs.ErrNotLedger},
		{"trust domain below", server("spiffe://a.ledger.test/ledger"), certs.ErrNotLedger},
		{"participant's certificate", ca.Participant("producer-1"), nil},
		{"other host", ca.Server("node-1.ledger.test"), nil},
		{"other authority", other.Server(), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := handshake(t, certs.ServerConfig(test.cert, ca.Pool()), ca.ClientConfig("producer-1", "localhost"))
			if r.clientErr == nil || r.serverErr == nil {
				t.Errorf("accepted: server: %v; client: %v", r.serverErr, r.clientErr)
			}
			if test.want != nil && !errors.Is(r.clientErr, test.want) {
				t.Errorf("got error %v, want %v", r.clientErr, test.want)
			}
		})
	}
	t.Run("other trust domain expected", func(t *testing.T) {
		client := certs.ClientConfig(ca.Participant("producer-1"), ca.Pool(), "other.test", "localhost")
		if r := handshake(t, ca.ServerConfig(), client); !errors.Is(r.clientErr, certs.ErrNotLedger) {
			t.Errorf("got error %v, want %v", r.clientErr, certs.ErrNotLedger)
		}
	})
}

// A nil pool must not become the roots of the host.
func TestNilPoolTrustsNobody(t *testing.T) {
	ca := certstest.New(t, domain)
	if pool := certs.ServerConfig(ca.Server(), nil).ClientCAs; pool == nil || !pool.Equal(x509.NewCertPool()) {
		t.Error("the server's pool is not the empty one")
	}
	if pool := certs.ClientConfig(ca.Participant("x"), nil, domain, "").RootCAs; pool == nil || !pool.Equal(x509.NewCertPool()) {
		t.Error("the client's pool is not the empty one")
	}
}

func TestNoResumption(t *testing.T) {
	ca := certstest.New(t, domain)
	server, client := ca.ServerConfig(), ca.ClientConfig("producer-1", "localhost")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for range 2 {
		r := handshake(t, server, client)
		if r.clientErr != nil || r.server.DidResume {
			t.Errorf("resumed %v, error %v", r.server.DidResume, r.clientErr)
		}
	}
}

func TestKeyPairRefuses(t *testing.T) {
	ca := certstest.New(t, domain)
	chain := []*x509.Certificate{ca.Participant("producer-1").Leaf}
	if _, err := certs.KeyPair(chain, newKey(t)); !errors.Is(err, certs.ErrKeyMismatch) {
		t.Errorf("got error %v, want %v", err, certs.ErrKeyMismatch)
	}
	if _, err := certs.KeyPair(nil, newKey(t)); err == nil {
		t.Error("an empty chain was accepted")
	}
	a := ca.Authority()
	if _, err := certs.KeyPair([]*x509.Certificate{a.Certificate}, a.Key); err == nil {
		t.Error("an authority's certificate was accepted")
	}
}

func TestNewPoolRefuses(t *testing.T) {
	ca := certstest.New(t, domain)
	if _, err := certs.NewPool(); !errors.Is(err, certs.ErrNotAuthority) {
		t.Errorf("none: got error %v, want %v", err, certs.ErrNotAuthority)
	}
	leaf := ca.Sign(&x509.Certificate{URIs: []*url.URL{parseURI(t, "spiffe://ledger.test/x")}}).Leaf
	if _, err := certs.NewPool(ca.Authority().Certificate, leaf); !errors.Is(err, certs.ErrNotAuthority) {
		t.Errorf("leaf: got error %v, want %v", err, certs.ErrNotAuthority)
	}
}
