package rpc_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// present makes a client show a certificate even if the server did not name its
// authority.
func present(config *tls.Config, cert tls.Certificate) *tls.Config {
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	return config
}

// named returns a certificate that the authority signed, with any URI names.
func named(w *world, uris ...string) tls.Certificate {
	template := &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	for _, text := range uris {
		uri, err := url.Parse(text)
		if err != nil {
			w.t.Fatal(err)
		}
		template.URIs = append(template.URIs, uri)
	}
	return w.ca.Sign(template)
}

// TestPeersWithoutStanding: whoever does not show one valid identity of the
// ledger gets nothing from any method.
func TestPeersWithoutStanding(t *testing.T) {
	w := newWorld(t)
	const acme = "spiffe://ledger.test/participant/acme"
	now := time.Now()
	for _, test := range []struct {
		name string
		cert tls.Certificate
		want codes.Code // Unavailable: the handshake fails
	}{
		{"no certificate", tls.Certificate{}, codes.Unavailable},
		{"expired", w.ca.ParticipantAt("acme", now.Add(-2*time.Hour), time.Hour), codes.Unavailable},
		{"not yet valid", w.ca.ParticipantAt("acme", now.Add(time.Hour), time.Hour), codes.Unavailable},
		{"another authority", certstest.New(t, trustDomain).Participant("acme"), codes.Unavailable},
		{"the server's", w.ca.Server(), codes.Unavailable},
		{"two names", named(w, acme, "spiffe://ledger.test/participant/bolt"), codes.Unauthenticated},
		{"one name twice", named(w, acme, acme), codes.Unauthenticated},
		{"no name", named(w), codes.Unauthenticated},
		{"no participant", named(w, "spiffe://ledger.test/ledger"), codes.Unauthenticated},
		{"a trust domain below", named(w, "spiffe://a.ledger.test/participant/acme"), codes.Unauthenticated},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := w.dial("acme", present(w.ca.ClientConfig("acme", "localhost"), test.cert))
			defer p.conn.Close()
			for _, method := range w.server.Methods() {
				getsNothing(t, p, method, test.want)
			}
		})
	}
}

// getsNothing calls a method, as a stream, which serves for unary methods too.
func getsNothing(t *testing.T, p *peer, method string, want codes.Code) {
	t.Helper()
	s, err := p.conn.NewStream(p.ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err == nil {
		_ = errors.Join(s.SendMsg(new(emptypb.Empty)), s.CloseSend()) // what is wrong, RecvMsg tells
		err = s.RecvMsg(new(emptypb.Empty))
	}
	if status.Code(err) != want {
		t.Errorf("%s: got %v, want %v", method, err, want)
	}
}

func TestPlainText(t *testing.T) {
	w := newWorld(t)
	for name, creds := range map[string]credentials.TransportCredentials{
		"no TLS": insecure.NewCredentials(),
		"TLS 1.2": func() credentials.TransportCredentials {
			config := w.ca.ClientConfig("acme", "localhost")
			config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			return credentials.NewTLS(config)
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(creds))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = ledgerv1.NewAuditServiceClient(conn).GetCheckpoint(t.Context(), &ledgerv1.GetCheckpointRequest{})
			codeIs(t, err, codes.Unavailable)
		})
	}
}

func TestServerNeedsClientCertificates(t *testing.T) {
	w := newWorld(t)
	lax := w.ca.ServerConfig()
	lax.ClientAuth = tls.VerifyClientCertIfGiven
	for name, config := range map[string]*tls.Config{"none": nil, "lax": lax} {
		if _, err := rpc.New(rpc.Config{Ledger: w.ledger, TLS: config, TrustDomain: trustDomain}); err == nil {
			t.Errorf("%s: a server without client certificates", name)
		}
	}
}

// TestMethodWithoutRule: the default is to deny.
func TestMethodWithoutRule(t *testing.T) {
	for _, method := range []string{ledgerv1.QueryService_GetStatement_FullMethodName, ledgerv1.SubmissionService_SubmitStream_FullMethodName} {
		t.Run(method, func(t *testing.T) {
			t.Cleanup(rpc.ForgetRule(method)) // after the world has ended
			w := newWorld(t)
			getsNothing(t, w.peer("regulator"), method, codes.PermissionDenied)
		})
	}
}
