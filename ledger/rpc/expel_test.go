package rpc_test

import (
	"crypto/tls"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/certs/certstest"
)

// TestExpel: a certificate that is revoked, or whose authority is removed, loses
// its open streams with its connection, and gets no other one. A certificate
// that is good is left alone.
func TestExpel(t *testing.T) {
	for name, withdraw := range map[string]func(w *world, dir string, stolen, good tls.Certificate){
		"revoked": func(w *world, dir string, stolen, _ tls.Certificate) { w.ca.WriteCRL(dir, stolen.Leaf) },
		"authority removed": func(w *world, dir string, _, _ tls.Certificate) {
			other := certstest.New(w.t, trustDomain)
			other.WriteFiles(dir, w.ca.Server())
			other.WriteCRL(dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var reloader *certs.Reloader
			w := newWorld(t, func(w *world) {
				files := w.ca.WriteFiles(dir, w.ca.Server())
				files.CRL = w.ca.WriteCRL(dir)
				var err error
				if reloader, err = certs.NewReloader(files, nil); err != nil {
					t.Fatal(err)
				}
				w.tls = reloader.ServerConfig()
			})
			check := func(state tls.ConnectionState) error { return reloader.CheckPeer(state, time.Now()) }
			stolen, good := w.ca.Participant("acme"), w.ca.Participant("bolt")
			thief := w.dial("acme", certs.ClientConfig(stolen, w.ca.Pool(), trustDomain, "localhost"))
			defer thief.conn.Close()
			other := w.dial("bolt", certs.ClientConfig(good, w.ca.Pool(), trustDomain, "localhost"))
			defer other.conn.Close()
			s, o := waiting(t, thief, 1)[0], waiting(t, other, 1)[0]
			w.server.CheckPeers(check)
			send(t, s, 2, w.signed(w.sale("acme")))
			outcomes(t, s, 1)

			withdraw(w, dir, stolen, good)
			if err := reloader.Reload(); err != nil {
				t.Fatal(err)
			}
			w.server.CheckPeers(check)
			_, err := s.Recv()
			codeIs(t, err, codes.Unavailable)
			_, err = thief.GetCheckpoint(thief.ctx, nil)
			codeIs(t, err, codes.Unavailable)
			if name == "revoked" {
				send(t, o, 2, w.signed(w.sale("bolt")))
				outcomes(t, o, 1)
			} else {
				w.broken = true // nobody can audit it any more
			}
		})
	}
}
