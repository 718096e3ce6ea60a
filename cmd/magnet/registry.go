package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

const rolePrefix = "ROLE_"

func roleList() string {
	var names []string
	for n := int32(1); tracev1.Role_name[n] != ""; n++ {
		names = append(names, roleName(tracev1.Role(n)))
	}
	return strings.Join(names, ", ")
}

func roleName(r tracev1.Role) string {
	return strings.ReplaceAll(shortEnum(r.String(), rolePrefix), "_", "-")
}

func parseRoles(names []string) ([]tracev1.Role, error) {
	var roles []tracev1.Role
	for _, name := range names {
		v, ok := tracev1.Role_value[rolePrefix+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]
		if !ok || v == 0 {
			return nil, fmt.Errorf("--role: %q is none of %s", name, roleList())
		}
		roles = append(roles, tracev1.Role(v))
	}
	return roles, nil
}

func roleNames(roles []tracev1.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = roleName(r)
	}
	return strings.Join(names, ", ")
}

func (a *app) participantCommand() *cobra.Command {
	return group("participant", "Suspend, reinstate, change roles, list",
		a.suspendCommand("suspend", "Stop a participant from stating anything new", func(id, reason string) *tracev1.Statement {
			return &tracev1.Statement{Stated: &tracev1.Statement_ParticipantSuspended{
				ParticipantSuspended: &tracev1.ParticipantSuspended{ParticipantId: id, Reason: reason}}}
		}),
		a.suspendCommand("reinstate", "End a suspension", func(id, reason string) *tracev1.Statement {
			return &tracev1.Statement{Stated: &tracev1.Statement_ParticipantReinstated{
				ParticipantReinstated: &tracev1.ParticipantReinstated{ParticipantId: id, Reason: reason}}}
		}),
		a.rolesCommand(), a.participantListCommand())
}

func (a *app) suspendCommand(use, short string, act func(id, reason string) *tracev1.Statement) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: use + " ID --reason TEXT", Short: short, Args: cobra.ExactArgs(1),
		Example: "  magnet -p reg/profiles/authority.yaml participant " + use + " acme --reason \"decision 12 of 2026\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.act(cmd.Context(), act(args[0], reason), "%s: %s", use, args[0])
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it stands on the log for ever, so no personal data")
	must(cmd.MarkFlagRequired("reason"))
	return cmd
}

// act records one act of the authority.
func (a *app) act(ctx context.Context, st *tracev1.Statement, what string, args ...any) error {
	s, err := a.signing()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.stateAndSay(ctx, st, what, args...)
}

func (a *app) rolesCommand() *cobra.Command {
	var names []string
	cmd := &cobra.Command{
		Use: "roles ID --role ROLE[,ROLE]", Short: "Replace the roles of a participant", Args: cobra.ExactArgs(1),
		Example: "  magnet -p reg/profiles/authority.yaml participant roles acme --role producer,trader",
		RunE: func(cmd *cobra.Command, args []string) error {
			roles, err := parseRoles(names)
			if err != nil {
				return err
			}
			st := &tracev1.Statement{Stated: &tracev1.Statement_RolesChanged{RolesChanged: &tracev1.RolesChanged{ParticipantId: args[0], Roles: roles}}}
			return a.act(cmd.Context(), st, "%s is now %s", args[0], roleNames(roles))
		},
	}
	cmd.Flags().StringSliceVar(&names, "role", nil, "roles: "+roleList())
	must(cmd.MarkFlagRequired("role"))
	return cmd
}

func (a *app) participantListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the participants", Args: cobra.NoArgs,
		Example: "  magnet -p acme/profile.yaml participant list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.session()
			if err != nil {
				return err
			}
			defer s.Close()
			return s.listParticipants(cmd.Context())
		},
	}
}

func (s *session) listParticipants(ctx context.Context) error {
	all := new(ledgerv1.ListParticipantsResponse)
	for {
		page, err := s.client.Queries().ListParticipants(ctx, &ledgerv1.ListParticipantsRequest{PageSize: 1000, PageToken: all.GetNextPageToken()})
		if err != nil {
			return err
		}
		all.Participants = append(all.GetParticipants(), page.GetParticipants()...)
		if all.NextPageToken = page.GetNextPageToken(); all.GetNextPageToken() == "" {
			break
		}
	}
	if s.json {
		return s.printJSON(all)
	}
	t := s.newTable("participant", "name", "country", "roles", ">admitted at", "state")
	for _, p := range all.GetParticipants() {
		state := "active"
		if p.GetSuspended() {
			state = "suspended"
		}
		t.AppendRow(row(p.GetParticipantId(), nameOf(p.GetName()), p.GetCountry(), roleNames(p.GetRoles()), p.GetAdmittedIndex(), state))
	}
	s.render(t)
	return nil
}

func (a *app) keyCommand() *cobra.Command {
	return group("key", "Register, revoke and list signing keys", a.keyRequestCommand(), a.keyRegisterCommand(), a.keyRevokeCommand(), a.keyListCommand())
}

func (a *app) keyRequestCommand() *cobra.Command {
	var dev bool
	cmd := &cobra.Command{
		Use: "request KEYFILE REQUEST", Short: "On the participant's machine: make a further key, and a request to register it", Args: cobra.ExactArgs(2),
		Example: "  magnet -p acme/profile.yaml key request acme/signing-2.key acme/key-request.json",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.requestKey(args[0], args[1], dev); err != nil {
				return err
			}
			a.say("Wrote %s for the authority. When it is registered, set signing_key: %s in %s.", args[1], a.besideProfile(args[0]), a.profile)
			a.say("\nNext, by the authority:\n  magnet -p reg/profiles/authority.yaml key register %s", args[1])
			return nil
		},
	}
	cmd.Flags().BoolVar(&dev, "dev", false, "a key without a passphrase")
	return cmd
}

// besideProfile returns a path as the profile names it: relative to its file.
func (a *app) besideProfile(path string) string {
	dir, err1 := filepath.Abs(filepath.Dir(a.profile))
	file, err2 := filepath.Abs(path)
	if named, err := filepath.Rel(dir, file); errors.Join(err1, err2, err) == nil {
		return named
	}
	return path
}

// requestKey makes a key and a request that holds nothing but the key and the
// proof that its holder has it.
func (a *app) requestKey(keyPath, out string, dev bool) error {
	p, err := a.loadProfile()
	if err != nil {
		return err
	}
	card, log, err := p.ledger()
	if err != nil {
		return err
	}
	passphrase, err := a.newPassphrase(dev)
	if err != nil {
		return err
	}
	key, err := keyfile.NewSigningKey(keyPath, passphrase)
	if err != nil {
		return err
	}
	signer, err := verify.NewSigner(key)
	if err != nil {
		return err
	}
	possession, err := signer.ProvePossession(log.ID(), p.Participant)
	if err != nil {
		return err
	}
	return writeNewMessage(out, &ledgerv1.EnrolmentRequest{
		LedgerId: card.GetLedgerId(), ParticipantId: p.Participant, Spki: signer.Public().SPKI(), Possession: possession,
	})
}

func (a *app) keyRegisterCommand() *cobra.Command {
	return &cobra.Command{
		Use: "register REQUEST", Short: "By the authority: register a further key of a participant", Args: cobra.ExactArgs(1),
		Example: "  magnet -p reg/profiles/authority.yaml key register acme/key-request.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			req := new(ledgerv1.EnrolmentRequest)
			if err := readMessage(args[0], req); err != nil {
				return err
			}
			key, err := verify.ParsePublicKey(req.GetSpki())
			if err != nil {
				return no("the signing key: %w", err)
			}
			return a.act(cmd.Context(), registration(req.GetParticipantId(), req.GetSpki(), req.GetPossession()),
				"registered key %s for %s", key.ID(), req.GetParticipantId())
		},
	}
}

func (a *app) keyRevokeCommand() *cobra.Command {
	var reason, since string
	cmd := &cobra.Command{
		Use: "revoke KEYID --reason TEXT", Short: "By the authority: revoke a signing key, from the next entry on", Args: cobra.ExactArgs(1),
		Example: "  magnet -p reg/profiles/authority.yaml key revoke 324be2de... --reason \"laptop lost\" --compromised-since 2026-05-30T00:00:00Z",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := hex.DecodeString(args[0])
			if err != nil || len(id) != verify.HashSize {
				return fmt.Errorf("a key id has %d hexadecimal digits; see `magnet key list ID`", 2*verify.HashSize)
			}
			revoked := &tracev1.KeyRevoked{KeyId: id, Reason: reason}
			if since != "" {
				t, err := time.Parse(time.RFC3339, since)
				if err != nil {
					return fmt.Errorf("--compromised-since: %q is not of the form 2026-05-30T00:00:00Z", since)
				}
				revoked.CompromisedSinceMicros = t.UnixMicro()
			}
			return a.act(cmd.Context(), &tracev1.Statement{Stated: &tracev1.Statement_KeyRevoked{KeyRevoked: revoked}}, "revoked key %s", args[0])
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it stands on the log for ever, so no personal data")
	cmd.Flags().StringVar(&since, "compromised-since", "", "since when it may have been in other hands, RFC 3339")
	must(cmd.MarkFlagRequired("reason"))
	return cmd
}

func (a *app) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list PARTICIPANT", Short: "List the keys of a participant", Args: cobra.ExactArgs(1),
		Example: "  magnet -p acme/profile.yaml key list acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.session()
			if err != nil {
				return err
			}
			defer s.Close()
			resp, err := s.client.Queries().GetParticipant(cmd.Context(), &ledgerv1.GetParticipantRequest{ParticipantId: args[0]})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(resp)
			}
			t := a.newTable("key", "algorithm", ">registered at", ">revoked at")
			for _, k := range resp.GetKeys() {
				revoked, algorithm := "", "?"
				if k.RevokedIndex != nil {
					revoked = strconv.FormatUint(k.GetRevokedIndex(), 10)
				}
				if key, err := verify.ParsePublicKey(k.GetSpki()); err == nil {
					algorithm = key.Algorithm().String()
				}
				t.AppendRow(row(hex.EncodeToString(k.GetKeyId()), algorithm, k.GetRegisteredIndex(), revoked))
			}
			a.render(t)
			return nil
		},
	}
}

func (a *app) grantCommand() *cobra.Command {
	g := new(tracev1.ReadingRightGranted)
	reading := &cobra.Command{
		Use: "reading AUDITOR [--all | --seller ID[,ID]]", Short: "Let an auditor read statements; with neither flag, withdraw its right", Args: cobra.ExactArgs(1),
		Example: "  magnet -p reg/profiles/authority.yaml grant reading auditor --seller acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			g.ParticipantId = args[0]
			slices.Sort(g.Sellers)
			what := "may read what " + strings.Join(g.GetSellers(), ", ") + " stated"
			switch {
			case g.GetAllSellers():
				what = "may read what every seller stated"
			case len(g.GetSellers()) == 0:
				what = "may read no seller's statements any more"
			}
			st := &tracev1.Statement{Stated: &tracev1.Statement_ReadingRightGranted{ReadingRightGranted: g}}
			return a.act(cmd.Context(), st, "%s %s", args[0], what)
		},
	}
	reading.Flags().BoolVar(&g.AllSellers, "all", false, "the statements of every seller")
	reading.Flags().StringSliceVar(&g.Sellers, "seller", nil, "the statements of these sellers")
	reading.MarkFlagsMutuallyExclusive("all", "seller")
	return group("grant", "Grant reading rights", reading)
}
