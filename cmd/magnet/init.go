package main

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	"github.com/magnet-ledger/magnet-ledger/ledger/node"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Lifetimes of certificates.
const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 365 * 24 * time.Hour
)

// founding is what `magnet init` is asked for.
type founding struct {
	origin  string
	listen  string
	address string // for participants; listen if empty
	dev     bool
	offset  time.Duration // of reporting dates from UTC
}

func (a *app) initCommand() *cobra.Command {
	f := founding{}
	var offset string
	cmd := &cobra.Command{
		Use:   "init DIR --origin ORIGIN",
		Short: "Found a ledger: keys, genesis, certificates, configuration",
		Long: `Found a ledger in a new directory:

  root/        the root key: takes the ledger's other keys back when they are lost
  authority/   keys of the registry desk, which admits participants
  ca/          the authority of the TLS certificates
  operator/    what the server needs: checkpoint key, certificate, genesis
  profiles/    who you can act as with -p
  ledger.card  what participants get out of band and pin
  magnetd.yaml the server's configuration

With --dev the keys are in the clear, and a regulator and an auditor are admitted
at once, so that one person can try everything on one machine.`,
		Example: "  magnet init reg --origin ledger.test/2026 --dev\n  magnetd --config reg/magnetd.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if f.offset, err = parseOffset(offset); err != nil {
				return err
			}
			if err := a.found(args[0], f); err != nil {
				return err
			}
			a.sayFounded(args[0], f)
			return nil
		},
	}
	cmd.Flags().StringVar(&f.origin, "origin", "", "name of the log, for instance ledger.test/2026; never used again for another")
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:7443", "address to serve on")
	cmd.Flags().StringVar(&f.address, "address", "", "address for participants, host:port (default: that of --listen)")
	cmd.Flags().StringVar(&offset, "utc-offset", "+08:00", "offset of reporting dates from UTC")
	cmd.Flags().BoolVar(&f.dev, "dev", false, "keys without a passphrase, a regulator and an auditor at once")
	must(cmd.MarkFlagRequired("origin"))
	return cmd
}

// must is for errors that a program text without faults does not have.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func parseOffset(s string) (time.Duration, error) {
	t, err := time.Parse("-07:00", s)
	if err != nil {
		return 0, fmt.Errorf("--utc-offset: %q is not of the form +08:00", s)
	}
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second, nil
}

func (a *app) sayFounded(dir string, f founding) {
	a.say("Founded %s in %s.", f.origin, dir)
	if !f.dev {
		a.say("\nMove %s and %s to machines that do not serve the ledger, now.", filepath.Join(dir, "root"), filepath.Join(dir, "authority"))
	}
	a.say("\nNext:\n  magnetd --config %s &", filepath.Join(dir, "magnetd.yaml"))
	dev := ""
	if f.dev {
		dev = " --dev"
	}
	a.say("  magnet enroll request --ledger %s --id acme --name \"ACME\" --country CN --out acme%s", filepath.Join(dir, "ledger.card"), dev)
}

// found makes the directory of a new ledger, as a whole or not at all.
func (a *app) found(dir string, f founding) error {
	if !verify.ValidOrigin(f.origin) {
		return fmt.Errorf("--origin: %q is not of the form ledger.test/2026: lower-case letters, digits, dots and dashes, then parts after slashes", f.origin)
	}
	if _, err := os.Stat(dir); err == nil {
		return fmt.Errorf("%s exists; a ledger is founded in a new directory", dir)
	}
	passphrase, err := a.newPassphrase(f.dev)
	if err != nil {
		return err
	}
	if f.address == "" {
		f.address = f.listen
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".magnet-init-")
	if err != nil {
		return err
	}
	b := &founder{founding: f, dir: scratch, passphrase: passphrase, now: time.Now()}
	if err := b.build(); err != nil {
		return errors.Join(err, os.RemoveAll(scratch))
	}
	return os.Rename(scratch, dir)
}

// founder builds the directory of a new ledger.
type founder struct {
	founding
	dir        string
	passphrase string
	now        time.Time

	domain    string
	ca        *certs.Authority
	authority *verify.Signer
	log       *verify.Log
	bootstrap tracev1.Bootstrap
}

func (b *founder) path(parts ...string) string {
	return filepath.Join(append([]string{b.dir}, parts...)...)
}

func (b *founder) build() error {
	b.domain, _, _ = strings.Cut(b.origin, "/")
	for _, d := range []string{"root", "authority", "ca", "operator", "profiles"} {
		if err := os.Mkdir(b.path(d), 0o700); err != nil {
			return err
		}
	}
	steps := []func() error{b.certificates, b.genesis, b.participants, b.files}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// certificates makes the authority of certificates, and those of the server and
// of the registry desk.
func (b *founder) certificates() (err error) {
	if b.ca, err = certs.NewAuthority("Ledger "+b.domain, b.domain, b.now.Add(-time.Minute), caLifetime); err != nil {
		return err
	}
	if err := writeCertificates(b.path("ca", "ca.pem"), b.ca.Certificate); err != nil {
		return err
	}
	if err := keyfile.WriteSigner(b.path("ca", "ca.key"), b.ca.Key, b.passphrase); err != nil {
		return err
	}
	key, err := keyfile.NewTLSKey(b.path("operator", "tls.key"), b.passphrase)
	if err != nil {
		return err
	}
	csr, err := certs.NewServerRequest(key, b.domain)
	if err != nil {
		return err
	}
	leaf, err := b.ca.IssueServer(csr, b.hosts(), b.now.Add(-time.Minute), leafLifetime)
	if err != nil {
		return err
	}
	if err := writeCertificates(b.path("operator", "tls.pem"), leaf); err != nil {
		return err
	}
	return b.certificate(verify.AuthorityID, "authority")
}

// hosts returns the names that the server's certificate is for.
func (b *founder) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, address := range []string{b.address, b.listen} {
		host, _, err := net.SplitHostPort(address)
		if err == nil && host != "" && host != "0.0.0.0" && host != "::" && host != "127.0.0.1" && host != "localhost" && host != "::1" {
			return append(hosts, host)
		}
	}
	return hosts
}

// certificate makes a TLS key and certificate for a participant in a folder.
func (b *founder) certificate(id, folder string) error {
	key, err := keyfile.NewTLSKey(b.path(folder, "tls.key"), b.passphrase)
	if err != nil {
		return err
	}
	csr, err := certs.NewRequest(key, b.domain, id)
	if err != nil {
		return err
	}
	var leaf *x509.Certificate
	if leaf, err = b.ca.IssueParticipant(csr, id, b.now.Add(-time.Minute), leafLifetime); err != nil {
		return err
	}
	return writeCertificates(b.path(folder, "tls.pem"), leaf)
}

// genesis makes the founding keys and signs the genesis.
func (b *founder) genesis() error {
	vkey, err := keyfile.NewCheckpointKey(b.path("operator", "checkpoint.key"), b.origin, b.passphrase)
	if err != nil {
		return err
	}
	g := &tracev1.Genesis{
		Origin: b.origin, CheckpointVkey: vkey, RulesVersion: custody.RulesVersion,
		RuleParameters: custody.DefaultRuleParameters(), ReportingUtcOffsetSeconds: int32(b.offset / time.Second),
	}
	root, err := b.foundingKey(verify.RootID, b.path("root", "root.key"), &g.Root)
	if err != nil {
		return err
	}
	if b.authority, err = b.foundingKey(verify.AuthorityID, b.path("authority", "signing.key"), &g.Authority); err != nil {
		return err
	}
	if _, err := b.foundingKey(verify.LedgerID, b.path("operator", "ledger.key"), &g.Ledger); err != nil {
		return err
	}
	salt, id := make([]byte, 16), uuid.New()
	rand.Read(salt) // never fails
	payload, err := verify.NewPayload(&tracev1.Statement{
		Salt: salt, StatementId: id[:], Signer: verify.RootID, StatedAtMicros: b.now.UnixMicro(),
		Stated: &tracev1.Statement_Genesis{Genesis: g},
	})
	if err != nil {
		return err
	}
	env, err := root.Sign(payload)
	if err != nil {
		return err
	}
	genesis, err := verify.OpenGenesis(env)
	if err != nil {
		return err
	}
	b.log, b.bootstrap.Envelopes = genesis.Log, []*tracev1.Envelope{env}
	return nil
}

func (b *founder) foundingKey(id, path string, named **tracev1.FoundingKey) (*verify.Signer, error) {
	key, err := keyfile.NewSigningKey(path, b.passphrase)
	if err != nil {
		return nil, err
	}
	signer, err := verify.NewSigner(key)
	if err != nil {
		return nil, err
	}
	possession, err := signer.ProvePossession(verify.Hash{}, id)
	*named = &tracev1.FoundingKey{Spki: signer.Public().SPKI(), Possession: possession}
	return signer, err
}

// sign signs a statement of the authority and adds it to the bootstrap.
func (b *founder) sign(st *tracev1.Statement) error {
	author := &client.Author{ID: verify.AuthorityID, Signer: b.authority, Log: b.log}
	env, err := signOne(author, st)
	b.bootstrap.Envelopes = append(b.bootstrap.GetEnvelopes(), env)
	return err
}

// participants admits a regulator and an auditor in a ledger for trying.
func (b *founder) participants() error {
	if !b.dev {
		return nil
	}
	for id, role := range map[string]tracev1.Role{"regulator": tracev1.Role_ROLE_REGULATOR, "auditor": tracev1.Role_ROLE_AUDITOR} {
		if err := os.Mkdir(b.path(id), 0o700); err != nil {
			return err
		}
		if err := b.certificate(id, id); err != nil {
			return err
		}
		err := b.sign(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: &tracev1.ParticipantAdmitted{
			ParticipantId: id, Name: &tracev1.LegalName{Native: "The " + id + " of this trial ledger"}, Country: "CN", Roles: []tracev1.Role{role},
		}}})
		if err != nil {
			return err
		}
		if err := b.profile(id, "", "", ""); err != nil {
			return err
		}
	}
	return nil
}

func (b *founder) profile(id, signingKey, caCertificate, caKey string) error {
	p := profile{
		Participant: id, Ledger: "../ledger.card", Certificate: "../" + id + "/tls.pem", Key: "../" + id + "/tls.key",
		SigningKey: signingKey, CACertificate: caCertificate, CAKey: caKey,
	}
	return p.write(b.path("profiles", id+".yaml"))
}

// files writes the bootstrap, the card, the authority's profile and the server's
// configuration.
func (b *founder) files() error {
	bootstrap, err := proto.Marshal(&b.bootstrap)
	if err != nil {
		return err
	}
	if err := keyfile.Write(b.path("operator", "genesis.pb"), bootstrap, ""); err != nil {
		return err
	}
	id := b.log.ID()
	err = client.WriteCard(b.path("ledger.card"), &tracev1.LedgerCard{
		LedgerId: id[:], CheckpointVkey: b.log.CheckpointVKey(), Address: b.address, TrustDomain: b.domain,
		CaPem: string(certs.EncodeCertificates(b.ca.Certificate)),
	})
	if err != nil {
		return err
	}
	if err := b.profile(verify.AuthorityID, "../authority/signing.key", "../ca/ca.pem", "../ca/ca.key"); err != nil {
		return err
	}
	cfg := node.Config{
		Listen: b.listen, DataDir: "data", Genesis: "operator/genesis.pb", CheckpointKey: "operator/checkpoint.key", TrustDomain: b.domain,
		TLS:           node.TLSConfig{Certificate: "operator/tls.pem", Key: "operator/tls.key", ClientCA: "ca/ca.pem"},
		ShutdownGrace: 10 * time.Second,
	}
	return cfg.Write(b.path("magnetd.yaml"))
}
