package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

const (
	origin      = "peerbench.ledger.test/1"
	trustDomain = "peerbench.ledger.test"
	lifetime    = 24 * time.Hour
	utcOffset   = 8 * time.Hour
)

// founding is a throw-away ledger: its keys, its certificates and the acts that
// found it, which admit the producers. Each measurement opens it anew in a data
// directory of its own, so that the same signed statements are new to each.
type founding struct {
	dir       string
	ca        *certs.Authority
	card      *tracev1.LedgerCard
	log       *verify.Log
	producers []*producer
	tls       []tls.Certificate // of the producers
}

// found founds a ledger with files in a new directory.
func found(dir string) (*founding, error) {
	f := &founding{dir: dir}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := f.certificates(); err != nil {
		return nil, fmt.Errorf("making certificates: %w", err)
	}
	if err := f.genesis(); err != nil {
		return nil, fmt.Errorf("founding the ledger: %w", err)
	}
	return f, nil
}

func (f *founding) path(name string) string { return filepath.Join(f.dir, name) }

// certificates makes the authority and the server's certificate.
func (f *founding) certificates() (err error) {
	if f.ca, err = certs.NewAuthority("Ledger "+trustDomain, trustDomain, time.Now().Add(-time.Hour), 2*lifetime); err != nil {
		return err
	}
	key, err := keyfile.NewTLSKey(f.path("tls.key"), "")
	if err != nil {
		return err
	}
	csr, err := certs.NewServerRequest(key, trustDomain)
	if err != nil {
		return err
	}
	leaf, err := f.ca.IssueServer(csr, []string{"127.0.0.1"}, time.Now().Add(-time.Minute), lifetime)
	if err != nil {
		return err
	}
	if err := keyfile.Write(f.path("tls.pem"), certs.EncodeCertificates(leaf), ""); err != nil {
		return err
	}
	return keyfile.Write(f.path("ca.pem"), certs.EncodeCertificates(f.ca.Certificate), "")
}

// participantCertificate makes a certificate whose key stays in memory.
func (f *founding) participantCertificate(id string) (tls.Certificate, error) {
	key, err := certs.NewKey()
	if err != nil {
		return tls.Certificate{}, err
	}
	csr, err := certs.NewRequest(key, trustDomain, id)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := f.ca.IssueParticipant(csr, id, time.Now().Add(-time.Minute), lifetime)
	if err != nil {
		return tls.Certificate{}, err
	}
	return certs.KeyPair([]*x509.Certificate{leaf}, key)
}

// newSigner makes a signing key.
func newSigner() (*verify.Signer, ed25519.PrivateKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	signer, err := verify.NewSigner(private)
	return signer, private, err
}

// genesis makes the keys, signs the genesis and the admission of producers, and
// writes what the server reads.
func (f *founding) genesis() error {
	vkey, err := keyfile.NewCheckpointKey(f.path("checkpoint.key"), origin, "")
	if err != nil {
		return err
	}
	g := &tracev1.Genesis{
		Origin: origin, CheckpointVkey: vkey, RulesVersion: custody.RulesVersion,
		RuleParameters: custody.DefaultRuleParameters(), ReportingUtcOffsetSeconds: int32(utcOffset / time.Second),
	}
	root, err1 := foundingKey(verify.RootID, &g.Root)
	authority, err2 := foundingKey(verify.AuthorityID, &g.Authority)
	_, err3 := foundingKey(verify.LedgerID, &g.Ledger)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return err
		}
	}
	env, err := f.signGenesis(root, g)
	if err != nil {
		return err
	}
	acts := []*tracev1.Envelope{env}
	for i := range producers {
		admitted, err := f.admit(&client.Author{ID: verify.AuthorityID, Signer: authority, Log: f.log}, fmt.Sprintf("producer-%d", i))
		if err != nil {
			return err
		}
		acts = append(acts, admitted...)
	}
	return f.write(acts)
}

func foundingKey(id string, named **tracev1.FoundingKey) (*verify.Signer, error) {
	signer, _, err := newSigner()
	if err != nil {
		return nil, err
	}
	possession, err := signer.ProvePossession(verify.Hash{}, id)
	*named = &tracev1.FoundingKey{Spki: signer.Public().SPKI(), Possession: possession}
	return signer, err
}

// signGenesis signs the genesis and pins its log.
func (f *founding) signGenesis(root *verify.Signer, g *tracev1.Genesis) (*tracev1.Envelope, error) {
	random := make([]byte, 32)
	rand.Read(random) // never fails
	payload, err := verify.NewPayload(&tracev1.Statement{
		Salt: random[:16], StatementId: random[16:], Signer: verify.RootID, StatedAtMicros: time.Now().UnixMicro(),
		Stated: &tracev1.Statement_Genesis{Genesis: g},
	})
	if err != nil {
		return nil, err
	}
	env, err := root.Sign(payload)
	if err != nil {
		return nil, err
	}
	opened, err := verify.OpenGenesis(env)
	if err != nil {
		return nil, err
	}
	f.log = opened.Log
	return env, nil
}

// admit makes a producer, and the acts of the authority that let it take part.
func (f *founding) admit(authority *client.Author, id string) ([]*tracev1.Envelope, error) {
	signer, private, err := newSigner()
	if err != nil {
		return nil, err
	}
	possession, err := signer.ProvePossession(f.log.ID(), id)
	if err != nil {
		return nil, err
	}
	certificate, err := f.participantCertificate(id)
	if err != nil {
		return nil, err
	}
	f.producers = append(f.producers, &producer{id: id, private: private, author: &client.Author{ID: id, Signer: signer, Log: f.log}})
	f.tls = append(f.tls, certificate)
	return signActs(authority,
		&tracev1.Statement{Stated: &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: &tracev1.ParticipantAdmitted{
			ParticipantId: id, Name: &tracev1.LegalName{Native: id}, Country: "CN", Roles: []tracev1.Role{tracev1.Role_ROLE_PRODUCER},
		}}},
		&tracev1.Statement{Stated: &tracev1.Statement_KeyRegistered{KeyRegistered: &tracev1.KeyRegistered{
			ParticipantId: id, Spki: signer.Public().SPKI(), Possession: possession,
		}}})
}

func signActs(author *client.Author, acts ...*tracev1.Statement) ([]*tracev1.Envelope, error) {
	var payloads []*verify.Payload
	for _, st := range acts {
		p, err := author.Payload(st, client.StatementID{}, time.Now())
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, p)
	}
	return author.SignAll(payloads, 1)
}

// write writes the bootstrap and keeps the card.
func (f *founding) write(acts []*tracev1.Envelope) error {
	b, err := proto.Marshal(&tracev1.Bootstrap{Envelopes: acts})
	if err != nil {
		return err
	}
	id := f.log.ID()
	f.card = &tracev1.LedgerCard{
		LedgerId: id[:], CheckpointVkey: f.log.CheckpointVKey(), Address: "127.0.0.1:0", TrustDomain: trustDomain,
		CaPem: string(certs.EncodeCertificates(f.ca.Certificate)),
	}
	return keyfile.Write(f.path("genesis.pb"), b, "")
}

// configure writes the configuration of a server, all limits at their defaults,
// in a directory where its data will be, too.
func (f *founding) configure(dir string) (config string, err error) {
	cfg := node.Config{
		Listen: "127.0.0.1:0", DataDir: filepath.Join(dir, "data"), Genesis: f.path("genesis.pb"), CheckpointKey: f.path("checkpoint.key"),
		TrustDomain: trustDomain, TLS: node.TLSConfig{Certificate: f.path("tls.pem"), Key: f.path("tls.key"), ClientCA: f.path("ca.pem")},
		ShutdownGrace: 10 * time.Second,
	}
	config = filepath.Join(dir, "magnetd.yaml")
	return config, cfg.Write(config)
}
