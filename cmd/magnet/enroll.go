package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

func (a *app) enrollCommand() *cobra.Command {
	return group("enroll", "Become a participant: request, approve, finish; revoke; private keys never travel",
		a.enrollRequestCommand(), a.enrollApproveCommand(), a.enrollFinishCommand(), a.enrollRevokeCommand())
}

// enrolment is what a future participant says of itself.
type enrolment struct {
	card, id, name, latin, country, out string
	lei, uscc, eori, gln, vat           string
	dev                                 bool
}

func (a *app) enrollRequestCommand() *cobra.Command {
	var e enrolment
	cmd := &cobra.Command{
		Use:   "request --ledger CARD --id ID --name NAME --country CC --out DIR",
		Short: "On the participant's machine: make keys, and a request for the authority",
		Example: `  magnet enroll request --ledger reg/ledger.card --id acme --name "ACME Magnetics" --country CN --out acme
  # send acme/request.json to the authority`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := a.requestEnrolment(e); err != nil {
				return err
			}
			a.say("Wrote %s. Keep the rest of %s: it holds your keys.", filepath.Join(e.out, "request.json"), e.out)
			a.say("\nNext, by the authority:\n  magnet -p reg/profiles/authority.yaml enroll approve %s --role producer", filepath.Join(e.out, "request.json"))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.card, "ledger", "", "ledger card, got out of band")
	f.StringVar(&e.id, "id", "", "participant id to ask for: a-z, 0-9, dot, dash, underscore")
	f.StringVar(&e.name, "name", "", "legal name as registered, in its own script")
	f.StringVar(&e.latin, "name-latin", "", "legal name in Latin letters")
	f.StringVar(&e.country, "country", "", "country of the seat, ISO 3166-1 alpha-2")
	f.StringVar(&e.lei, "lei", "", "Legal Entity Identifier")
	f.StringVar(&e.uscc, "uscc", "", "Unified Social Credit Code")
	f.StringVar(&e.eori, "eori", "", "EORI number")
	f.StringVar(&e.gln, "gln", "", "Global Location Number")
	f.StringVar(&e.vat, "vat", "", "VAT number with its country prefix")
	f.StringVar(&e.out, "out", "", "directory to make, for keys and request")
	f.BoolVar(&e.dev, "dev", os.Getenv("MAGNET_DEV") != "", "keys without a passphrase")
	for _, required := range []string{"ledger", "id", "name", "country", "out"} {
		must(cmd.MarkFlagRequired(required))
	}
	return cmd
}

func (e *enrolment) identifiers() []*tracev1.Identifier {
	var ids []*tracev1.Identifier
	for _, id := range []*tracev1.Identifier{
		{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_LEI, Value: e.lei},
		{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_USCC, Value: e.uscc},
		{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_EORI, Value: e.eori},
		{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_GLN, Value: e.gln},
		{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_VAT, Value: e.vat},
	} {
		if id.GetValue() != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// requestEnrolment makes keys and a request in a new directory.
func (a *app) requestEnrolment(e enrolment) error {
	card, err := client.ReadCard(e.card)
	if err != nil {
		return err
	}
	log, err := client.Pin(card)
	if err != nil {
		return err
	}
	req := &ledgerv1.EnrolmentRequest{
		LedgerId: card.GetLedgerId(), ParticipantId: e.id, Name: &tracev1.LegalName{Native: e.name, Latin: e.latin},
		Country: e.country, Identifiers: e.identifiers(),
	}
	if err := checkAdmission(admission(req, []tracev1.Role{tracev1.Role_ROLE_PRODUCER})); err != nil {
		return err
	}
	passphrase, err := a.newPassphrase(e.dev)
	if err != nil {
		return err
	}
	if err := os.Mkdir(e.out, 0o700); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if err := makeKeys(e.out, passphrase, log, card, req); err != nil {
		return err
	}
	if err := client.WriteCard(filepath.Join(e.out, "ledger.card"), card); err != nil {
		return err
	}
	return writeNewMessage(filepath.Join(e.out, "request.json"), req)
}

// makeKeys makes the keys of a participant and completes its request.
func makeKeys(dir, passphrase string, log *verify.Log, card *tracev1.LedgerCard, req *ledgerv1.EnrolmentRequest) error {
	tlsKey, err := keyfile.NewTLSKey(filepath.Join(dir, "tls.key"), passphrase)
	if err != nil {
		return err
	}
	csr, err := certs.NewRequest(tlsKey, card.GetTrustDomain(), req.GetParticipantId())
	if err != nil {
		return err
	}
	key, err := keyfile.NewSigningKey(filepath.Join(dir, "signing.key"), passphrase)
	if err != nil {
		return err
	}
	signer, err := verify.NewSigner(key)
	if err != nil {
		return err
	}
	req.CertificateRequestPem, req.Spki = string(certs.EncodeRequest(csr)), signer.Public().SPKI()
	req.Possession, err = signer.ProvePossession(log.ID(), req.GetParticipantId())
	return err
}

// admission returns the act that admits who made a request.
func admission(req *ledgerv1.EnrolmentRequest, roles []tracev1.Role) *tracev1.ParticipantAdmitted {
	return &tracev1.ParticipantAdmitted{
		ParticipantId: req.GetParticipantId(), Name: req.GetName(), Country: req.GetCountry(),
		Identifiers: req.GetIdentifiers(), Roles: roles,
	}
}

// checkAdmission checks the values of an admission before anybody signs it.
func checkAdmission(m *tracev1.ParticipantAdmitted) error {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	st := &tracev1.Statement{
		LedgerId: make([]byte, verify.HashSize), Salt: salt, StatementId: salt, Signer: verify.AuthorityID,
		Stated: &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: m},
	}
	if refusal := custody.CheckStatement(st, custody.DefaultRuleParameters()); refusal != nil {
		return refusal
	}
	return nil
}

func (a *app) enrollApproveCommand() *cobra.Command {
	var roleNames []string
	var out string
	cmd := &cobra.Command{
		Use:   "approve REQUEST --role ROLE[,ROLE]",
		Short: "By the authority: admit the participant, register its key, issue its certificate",
		Long: `By the authority: admit the participant, register its key, issue its certificate.

Before you approve, make sure over another channel that the request comes from the
legal person that it names. Approving twice does no harm.`,
		Example: "  magnet -p reg/profiles/authority.yaml enroll approve acme/request.json --role producer",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			roles, err := parseRoles(roleNames)
			if err != nil {
				return err
			}
			if out == "" {
				out = filepath.Join(filepath.Dir(args[0]), "approval.json")
			}
			s, err := a.signing()
			if err != nil {
				return err
			}
			defer s.Close()
			if err := s.approve(cmd.Context(), args[0], out, roles); err != nil {
				return err
			}
			a.say("Approved: wrote %s. It holds no secret; send it to the participant.", out)
			a.say("\nNext, by the participant:\n  magnet enroll finish %s %s", filepath.Dir(args[0]), out)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&roleNames, "role", nil, "roles: "+roleList())
	cmd.Flags().StringVar(&out, "out", "", "where to write the approval (default: beside the request)")
	must(cmd.MarkFlagRequired("role"))
	return cmd
}

// approve admits the participant of a request, registers its key and issues its
// certificate, whatever of that an earlier approval did already.
func (s *session) approve(ctx context.Context, request, out string, roles []tracev1.Role) error {
	req := new(ledgerv1.EnrolmentRequest)
	if err := readMessage(request, req); err != nil {
		return err
	}
	authority, err := s.authority(s.profile)
	if err != nil {
		return err
	}
	csr, key, err := s.checkRequest(req)
	if err != nil {
		return err
	}
	// Nothing is recorded for a request that gets no certificate.
	leaf, err := authority.IssueParticipant(csr, req.GetParticipantId(), time.Now().Add(-time.Minute), leafLifetime)
	if err != nil {
		return no("issuing certificate: %w", err)
	}
	if err := s.admit(ctx, req, roles, key); err != nil {
		return err
	}
	id := key.ID()
	if err := os.Remove(out); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return writeNewMessage(out, &ledgerv1.EnrolmentApproval{
		LedgerId: req.GetLedgerId(), ParticipantId: req.GetParticipantId(),
		CertificatePem: string(certs.EncodeCertificates(leaf)), KeyId: id[:],
	})
}

// checkRequest checks what the request proves by itself.
func (s *session) checkRequest(req *ledgerv1.EnrolmentRequest) (*x509.CertificateRequest, *verify.PublicKey, error) {
	log := s.client.Log()
	if id := log.ID(); !bytes.Equal(req.GetLedgerId(), id[:]) {
		return nil, nil, no("the request is for another ledger than %s", id)
	}
	csr, err := certs.ParseRequest([]byte(req.GetCertificateRequestPem()))
	if err != nil {
		return nil, nil, no("the certificate request: %w", err)
	}
	key, err := verify.ParsePublicKey(req.GetSpki())
	if err != nil {
		return nil, nil, no("the signing key: %w", err)
	}
	if err := key.VerifyPossession(log.ID(), req.GetParticipantId(), req.GetPossession()); err != nil {
		return nil, nil, no("the signing key: %w", err)
	}
	if tlsKey, err := verify.NewPublicKey(csr.PublicKey); err == nil && tlsKey.ID() == key.ID() {
		return nil, nil, no("the request uses one key for TLS and for signing: each key serves one purpose")
	}
	return csr, key, nil
}

// admit records the admission and the key, unless they are on record.
func (s *session) admit(ctx context.Context, req *ledgerv1.EnrolmentRequest, roles []tracev1.Role, key *verify.PublicKey) error {
	known, err := s.client.Queries().GetParticipant(ctx, &ledgerv1.GetParticipantRequest{ParticipantId: req.GetParticipantId()})
	if err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	m := admission(req, roles)
	if p := known.GetParticipant(); p != nil {
		same := proto.Equal(p.GetName(), m.GetName()) && p.GetCountry() == m.GetCountry() &&
			slices.EqualFunc(p.GetIdentifiers(), m.GetIdentifiers(), func(a, b *tracev1.Identifier) bool { return proto.Equal(a, b) })
		if !same {
			return no("participant id %q belongs to somebody else: %s", p.GetParticipantId(), nameOf(p.GetName()))
		}
	} else if _, err := s.state(ctx, &tracev1.Statement{Stated: &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: m}}); err != nil {
		return err
	}
	id := key.ID()
	for _, k := range known.GetKeys() {
		if bytes.Equal(k.GetKeyId(), id[:]) {
			return nil
		}
	}
	_, err = s.state(ctx, registration(req.GetParticipantId(), req.GetSpki(), req.GetPossession()))
	return err
}

func registration(id string, spki, possession []byte) *tracev1.Statement {
	return &tracev1.Statement{Stated: &tracev1.Statement_KeyRegistered{KeyRegistered: &tracev1.KeyRegistered{
		ParticipantId: id, Spki: spki, Possession: possession,
	}}}
}

func (a *app) enrollFinishCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "finish DIR APPROVAL",
		Short:   "On the participant's machine: take the certificate and write a profile",
		Example: "  magnet enroll finish acme acme/approval.json",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := finishEnrolment(args[0], args[1]); err != nil {
				return err
			}
			path := filepath.Join(args[0], "profile.yaml")
			a.say("Enrolled: %s names your certificate and keys.", path)
			a.say("\nNext:\n  magnet template csv > june.csv\n  magnet -p %s submit --dry-run june.csv", path)
			return nil
		},
	}
}

// finishEnrolment checks an approval against the request and writes certificate
// and profile.
func finishEnrolment(dir, approval string) error {
	req, ok := new(ledgerv1.EnrolmentRequest), new(ledgerv1.EnrolmentApproval)
	if err := errors.Join(readMessage(filepath.Join(dir, "request.json"), req), readMessage(approval, ok)); err != nil {
		return err
	}
	card, err := client.ReadCard(filepath.Join(dir, "ledger.card"))
	if err != nil {
		return err
	}
	key, err := verify.ParsePublicKey(req.GetSpki())
	if err != nil {
		return err
	}
	csr, err := certs.ParseRequest([]byte(req.GetCertificateRequestPem()))
	if err != nil {
		return err
	}
	chain, err := certs.ParseCertificates([]byte(ok.GetCertificatePem()))
	if err != nil {
		return err
	}
	id := key.ID()
	own, _ := csr.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
	switch named, err := certs.ParticipantID(chain[0], card.GetTrustDomain()); {
	case err != nil:
		return no("the approval: %w", err)
	case !bytes.Equal(ok.GetLedgerId(), card.GetLedgerId()) || named != req.GetParticipantId() || !bytes.Equal(ok.GetKeyId(), id[:]) ||
		own == nil || !own.Equal(chain[0].PublicKey):
		return no("the approval is for another request than %s", filepath.Join(dir, "request.json"))
	}
	return writeProfile(dir, req.GetParticipantId(), chain)
}

// writeProfile writes a certificate, in place of an older one, and the profile,
// unless there is one: it may have been edited.
func writeProfile(dir, id string, chain []*x509.Certificate) error {
	certificate, path := filepath.Join(dir, "tls.pem"), filepath.Join(dir, "profile.yaml")
	if err := os.Remove(certificate); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeCertificates(certificate, chain...); err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	p := profile{Participant: id, Ledger: "ledger.card", Certificate: "tls.pem", Key: "tls.key", SigningKey: "signing.key"}
	return p.write(path)
}

// readMessage reads protobuf JSON.
func readMessage(path string, m proto.Message) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(b, m); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeNewMessage writes protobuf JSON to a new file.
func writeNewMessage(path string, m proto.Message) error {
	b, err := protojson.MarshalOptions{Multiline: true}.Marshal(m)
	if err != nil {
		return err
	}
	return keyfile.Write(path, append(b, '\n'), "")
}
