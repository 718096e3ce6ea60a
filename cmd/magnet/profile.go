package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
	"golang.org/x/term"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// profile is who one acts as. Paths are relative to its file.
type profile struct {
	Participant string `yaml:"participant"`
	// Ledger is the ledger card.
	Ledger string `yaml:"ledger"`
	// Certificate and Key are for TLS.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// SigningKey signs statements; those who only read have none.
	SigningKey string `yaml:"signing_key,omitempty"`
	// Address, host:port, takes the place of the card's.
	Address string `yaml:"address,omitempty"`
	// CACertificate and CAKey issue certificates; only the authority has them.
	CACertificate string `yaml:"ca_certificate,omitempty"`
	CAKey         string `yaml:"ca_key,omitempty"`

	dir string
}

// loadProfile reads the profile that --profile or $MAGNET_PROFILE names.
func (a *app) loadProfile() (*profile, error) {
	if a.profile == "" {
		return nil, errors.New("no profile: name one with -p FILE or $MAGNET_PROFILE; `magnet init` and `magnet enroll finish` write them")
	}
	return readProfile(a.profile)
}

func readProfile(path string) (*profile, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading profile: %w", err)
	}
	p := &profile{dir: filepath.Dir(path)}
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.DisallowUnknownField()).Decode(p); err != nil {
		return nil, fmt.Errorf("reading profile %s: %s", path, yaml.FormatError(err, false, false))
	}
	if p.Participant == "" || p.Ledger == "" || p.Certificate == "" || p.Key == "" {
		return nil, fmt.Errorf("reading profile %s: participant, ledger, certificate and key are required", path)
	}
	return p, nil
}

func (p *profile) write(path string) error {
	b, err := yaml.Marshal(p)
	if err != nil {
		return fmt.Errorf("writing profile: %w", err)
	}
	return keyfile.Write(path, b, "")
}

// path returns a path of the profile as the process sees it.
func (p *profile) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.dir, name)
}

// dial returns a client of the profile's ledger, acting as its participant.
func (a *app) dial(p *profile) (*client.Client, error) {
	card, err := client.ReadCard(p.path(p.Ledger))
	if err != nil {
		return nil, err
	}
	certificate, err := a.certificate(p)
	if err != nil {
		return nil, err
	}
	return client.Dial(client.Config{Card: card, Certificate: certificate, Address: p.Address, Patience: 5 * time.Second})
}

func (a *app) certificate(p *profile) (tls.Certificate, error) {
	pem, err := os.ReadFile(p.path(p.Certificate))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading certificate: %w", err)
	}
	chain, err := certs.ParseCertificates(pem)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading certificate %s: %w", p.Certificate, err)
	}
	key, err := keyfile.ReadSigner(p.path(p.Key), a.passphrase)
	if err != nil {
		return tls.Certificate{}, err
	}
	if left := time.Until(chain[0].NotAfter); left < 0 {
		return tls.Certificate{}, fmt.Errorf("the certificate %s expired on %s: ask the authority for a new one", p.Certificate, chain[0].NotAfter.Format(time.DateOnly))
	}
	return certs.KeyPair(chain, key)
}

// ledger returns the card of the profile's ledger, and what it pins.
func (p *profile) ledger() (*tracev1.LedgerCard, *verify.Log, error) {
	card, err := client.ReadCard(p.path(p.Ledger))
	if err != nil {
		return nil, nil, err
	}
	log, err := client.Pin(card)
	return card, log, err
}

// author returns what signs statements for the profile.
func (a *app) author(p *profile) (*client.Author, error) {
	if p.SigningKey == "" {
		return nil, fmt.Errorf("the profile of %q has no signing_key: it can read, not state", p.Participant)
	}
	_, log, err := p.ledger()
	if err != nil {
		return nil, err
	}
	key, err := keyfile.ReadSigner(p.path(p.SigningKey), a.passphrase)
	if err != nil {
		return nil, err
	}
	signer, err := verify.NewSigner(key)
	if err != nil {
		return nil, err
	}
	return &client.Author{ID: p.Participant, Signer: signer, Log: log}, nil
}

// authority returns the authority that issues certificates for the profile.
func (a *app) authority(p *profile) (*certs.Authority, error) {
	if p.CAKey == "" || p.CACertificate == "" {
		return nil, fmt.Errorf("the profile of %q has no ca_certificate and ca_key: only the authority enrols", p.Participant)
	}
	pem, err := os.ReadFile(p.path(p.CACertificate))
	if err != nil {
		return nil, err
	}
	key, err := keyfile.ReadSigner(p.path(p.CAKey), a.passphrase)
	if err != nil {
		return nil, err
	}
	return certs.ParseAuthority(pem, key)
}

// passphrase asks for the passphrase of a file: in the environment, then the
// person at the terminal.
func (a *app) passphrase(path string) (string, error) {
	if p := os.Getenv("MAGNET_PASSPHRASE"); p != "" {
		return p, nil
	}
	return a.prompt(fmt.Sprintf("Passphrase of %s: ", path))
}

func (a *app) prompt(text string) (string, error) {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", errors.New("it is encrypted and there is no terminal to ask at: set MAGNET_PASSPHRASE")
	}
	fmt.Fprint(a.err, text)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(a.err)
	return string(b), err
}

// newPassphrase asks for the passphrase of new keys; --dev wants none.
func (a *app) newPassphrase(dev bool) (string, error) {
	if dev {
		return "", nil
	}
	if p := os.Getenv("MAGNET_PASSPHRASE"); p != "" {
		return p, nil
	}
	first, err := a.prompt("Passphrase for the new keys: ")
	if err != nil {
		return "", fmt.Errorf("new keys need a passphrase: %w, or use --dev for keys in the clear", err)
	}
	second, err := a.prompt("The same again: ")
	if err != nil || first != second || first == "" {
		return "", errors.Join(errors.New("the passphrases differ, or are empty"), err)
	}
	return first, nil
}

// writeCertificates writes PEM certificates to a new file.
func writeCertificates(path string, list ...*x509.Certificate) error {
	return keyfile.Write(path, certs.EncodeCertificates(list...), "")
}

// nameOf returns a legal name for people.
func nameOf(n *tracev1.LegalName) string {
	if n.GetLatin() != "" && n.GetNative() != "" && n.GetLatin() != n.GetNative() {
		return n.GetLatin() + " (" + n.GetNative() + ")"
	}
	if n.GetLatin() != "" {
		return n.GetLatin()
	}
	return n.GetNative()
}
