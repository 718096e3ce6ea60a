package custody

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

func admitParticipant(s State, at Place, a *tracev1.ParticipantAdmitted) error {
	known, err := ParticipantByID(s, a.GetParticipantId())
	if err != nil {
		return err
	}
	if known != nil {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_EXISTS, "participant id %q is taken", a.GetParticipantId())
	}
	for _, id := range a.GetIdentifiers() {
		holder, err := s.Get(identifierKey(id))
		if err != nil {
			return err
		}
		if holder != nil {
			return refuse(tracev1.RefusalReason_REFUSAL_REASON_IDENTIFIER_TAKEN, "identifier %s belongs to another participant", identifierName(id))
		}
	}
	for _, id := range a.GetIdentifiers() {
		s.Put(identifierKey(id), append(uint64Value(at.Index), a.GetParticipantId()...))
	}
	putMessage(s, key(participantKeys, a.GetParticipantId()), &tracev1.Participant{
		ParticipantId: a.GetParticipantId(), Name: a.GetName(), Country: a.GetCountry(),
		Identifiers: a.GetIdentifiers(), Roles: a.GetRoles(), AdmittedIndex: at.Index,
	})
	return nil
}

// schemes are the identifier schemes as customer keys name them, in the order
// in which they are preferred.
var schemes = []struct {
	scheme tracev1.IdentifierScheme
	name   string
}{
	{tracev1.IdentifierScheme_IDENTIFIER_SCHEME_LEI, "lei"},
	{tracev1.IdentifierScheme_IDENTIFIER_SCHEME_USCC, "uscc"},
	{tracev1.IdentifierScheme_IDENTIFIER_SCHEME_EORI, "eori"},
	{tracev1.IdentifierScheme_IDENTIFIER_SCHEME_GLN, "gln"},
	{tracev1.IdentifierScheme_IDENTIFIER_SCHEME_VAT, "vat"},
}

func identifierName(id *tracev1.Identifier) string {
	for _, s := range schemes {
		if s.scheme == id.GetScheme() {
			return s.name + ":" + id.GetValue()
		}
	}
	return ""
}

func identifierKey(id *tracev1.Identifier) []byte {
	return append([]byte{identifierKeys}, identifierName(id)...)
}

// holderOf returns the participant that an identifier was bound to before an
// index, or "".
func holderOf(r Lookup, id *tracev1.Identifier, before uint64) (string, error) {
	b, err := r.Get(identifierKey(id))
	if err != nil || b == nil {
		return "", err
	}
	if len(b) < 8 {
		return "", fmt.Errorf("%w: an identifier", ErrState)
	}
	if binary.BigEndian.Uint64(b) >= before {
		return "", nil
	}
	return string(b[8:]), nil
}

// admitted returns a participant that must exist.
func admitted(r Lookup, id string) (*tracev1.Participant, error) {
	p, err := ParticipantByID(r, id)
	if err == nil && p == nil {
		return nil, refuse(tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN, "no participant %q is admitted", id)
	}
	return p, err
}

func setSuspended(s State, id string, suspended bool) error {
	p, err := admitted(s, id)
	if err != nil {
		return err
	}
	if p.GetSuspended() == suspended {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_NO_CHANGE, "participant %q has suspended=%t already", id, suspended)
	}
	p.Suspended = suspended
	putMessage(s, key(participantKeys, id), p)
	return nil
}

func changeRoles(s State, c *tracev1.RolesChanged) error {
	p, err := admitted(s, c.GetParticipantId())
	if err != nil {
		return err
	}
	p.Roles = c.GetRoles()
	if !slices.Contains(p.Roles, tracev1.Role_ROLE_AUDITOR) {
		p.ReadingRight = nil // a right of auditors ends with the role
	}
	putMessage(s, key(participantKeys, c.GetParticipantId()), p)
	return nil
}

func (r *Rules) registerKey(s State, at Place, k *tracev1.KeyRegistered) error {
	if _, err := admitted(s, k.GetParticipantId()); err != nil {
		return err
	}
	public, err := verify.ParsePublicKey(k.GetSpki())
	if err != nil {
		return refuseValue("key_registered.spki", err.Error())
	}
	if err := public.VerifyPossession(r.ledgerID, k.GetParticipantId(), k.GetPossession()); err != nil {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_BAD_SIGNATURE, "key_registered.possession: %v", err)
	}
	id := public.ID()
	known, err := KeyByID(s, id[:])
	if err != nil {
		return err
	}
	if known != nil {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_KEY_EXISTS, "key %s was registered before; a key serves one participant, once", id)
	}
	putKey(s, &tracev1.Key{Spki: k.GetSpki(), ParticipantId: k.GetParticipantId(), RegisteredIndex: at.Index})
	return nil
}

// putKey puts a key that is not known yet.
func putKey(s State, k *tracev1.Key) {
	id := sha256.Sum256(k.GetSpki())
	k.KeyId = id[:]
	putMessage(s, keyKey(k.KeyId), k)
	if k.GetParticipantId() != "" {
		s.Put(binary.BigEndian.AppendUint64(key(ownerKeys, k.GetParticipantId()), k.GetRegisteredIndex()), k.KeyId)
	}
}

func revokeKey(s State, at Place, revocation *tracev1.KeyRevoked) error {
	k, err := KeyByID(s, revocation.GetKeyId())
	if err != nil {
		return err
	}
	switch {
	case k == nil || ReservedParticipantID(k.GetParticipantId()) || k.GetParticipantId() == "":
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN, "no participant's key with this id is registered")
	case k.RevokedIndex != nil:
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_NO_CHANGE, "the key was revoked at index %d", k.GetRevokedIndex())
	}
	k.RevokedIndex = proto.Uint64(at.Index)
	k.CompromisedSinceMicros = revocation.GetCompromisedSinceMicros()
	putMessage(s, keyKey(k.GetKeyId()), k)
	return nil
}

func grantReading(s State, at Place, g *tracev1.ReadingRightGranted) error {
	p, err := admitted(s, g.GetParticipantId())
	if err != nil {
		return err
	}
	if !slices.Contains(p.GetRoles(), tracev1.Role_ROLE_AUDITOR) {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_ROLE, "participant %q is no auditor", g.GetParticipantId())
	}
	for _, seller := range g.GetSellers() {
		if _, err := admitted(s, seller); err != nil {
			return err
		}
	}
	p.ReadingRight = &tracev1.ReadingRight{GrantedIndex: at.Index, AllSellers: g.GetAllSellers(), Sellers: g.GetSellers()}
	if !g.GetAllSellers() && len(g.GetSellers()) == 0 {
		p.ReadingRight = nil
	}
	putMessage(s, key(participantKeys, g.GetParticipantId()), p)
	return nil
}
