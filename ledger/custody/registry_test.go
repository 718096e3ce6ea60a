package custody_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// admission returns the act that admits a participant with identifiers.
func (j *journal) admission(id string, identifiers ...*tracev1.Identifier) *tracev1.Envelope {
	j.t.Helper()
	return j.act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: &tracev1.ParticipantAdmitted{
		ParticipantId: id, Name: &tracev1.LegalName{Native: id, Latin: strings.ToUpper(id)}, Country: "DE",
		Identifiers: identifiers, Roles: []tracev1.Role{tracev1.Role_ROLE_CUSTOMER},
	}}})
}

// right returns the act that grants a reading right.
func (j *journal) right(id string, all bool, sellers ...string) *tracev1.Envelope {
	j.t.Helper()
	return j.act(&tracev1.Statement{Stated: &tracev1.Statement_ReadingRightGranted{ReadingRightGranted: &tracev1.ReadingRightGranted{
		ParticipantId: id, AllSellers: all, Sellers: sellers}}})
}

func (j *journal) participant(id string) *tracev1.Participant {
	j.t.Helper()
	p, err := custody.ParticipantByID(j, id)
	if err != nil {
		j.t.Fatal(err)
	}
	return p
}

func identifier(scheme tracev1.IdentifierScheme, value string) *tracev1.Identifier {
	return &tracev1.Identifier{Scheme: scheme, Value: value}
}

func TestAdmission(t *testing.T) {
	j := newJournal(t)
	ids := []*tracev1.Identifier{identifier(lei, issuedLEIs[0]), identifier(uscc, issuedUSCCs[0])}
	j.record(j.admission("buyer", ids...))
	want := &tracev1.Participant{
		ParticipantId: "buyer", Name: &tracev1.LegalName{Native: "buyer", Latin: "BUYER"}, Country: "DE",
		Identifiers: ids, Roles: []tracev1.Role{tracev1.Role_ROLE_CUSTOMER}, AdmittedIndex: 1,
	}
	if diff := cmp.Diff(want, j.participant("buyer"), protocmp.Transform()); diff != "" {
		t.Errorf("participant (-want +got):\n%s", diff)
	}
	j.refused(j.admission("buyer"), tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_EXISTS)
	// An identifier belongs to one participant; the same value in another scheme
	// is another identifier.
	refusal := j.refused(j.admission("other", identifier(vat, "DE123456"), identifier(lei, issuedLEIs[0])),
		tracev1.RefusalReason_REFUSAL_REASON_IDENTIFIER_TAKEN)
	if strings.Contains(refusal.Message, "buyer") {
		t.Errorf("the refusal tells whose it is: %s", refusal.Message)
	}
	j.record(j.admission("other", identifier(vat, "DE123456")))
	j.record(j.admission("third", identifier(eori, "DE123456")))
	if p := j.participant("nobody"); p != nil {
		t.Errorf("nobody: %v", p)
	}
	for _, p := range []struct{ id, name string }{{"buyer", "BUYER"}, {"nobody", ""}} {
		if got, err := custody.ParticipantName(j, p.id); got != p.name || err != nil {
			t.Errorf("name of %s: %q, %v", p.id, got, err)
		}
	}
}

// TestReserved tries to make those who sign by themselves participants, and to
// give them keys, or take theirs.
func TestReserved(t *testing.T) {
	j := newJournal(t, "acme")
	for n, id := range []string{verify.RootID, verify.AuthorityID, verify.LedgerID} {
		j.refused(j.admission(id), outOfRange)
		j.refused(j.made.RegisterKey(id, verifytest.Key(fmt.Sprint("another ", n))), tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN)
		j.refused(j.suspend(id), tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN)
		j.refused(j.roles(id, tracev1.Role_ROLE_TRADER), tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN)
		key := verifytest.Key(id)
		j.refused(j.made.RevokeKey(key.Public()), tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN)
		j.refused(j.made.RegisterKey("acme", key), tracev1.RefusalReason_REFUSAL_REASON_KEY_EXISTS)
		keys, err := custody.KeysOf(j, id)
		if err != nil || len(keys) != 1 || keys[0].GetParticipantId() != id || !bytes.Equal(keys[0].GetSpki(), key.Public().SPKI()) {
			t.Errorf("keys of %s: %v, %v", id, keys, err)
		}
	}
	// The checkpoint key signs nothing else.
	checkpoint, err := verify.NewSigner(verifytest.PrivateKey(verifytest.Origin))
	if err != nil {
		t.Fatal(err)
	}
	j.refused(j.made.RegisterKey("acme", checkpoint), tracev1.RefusalReason_REFUSAL_REASON_KEY_EXISTS)
	j.refused(j.made.RevokeKey(checkpoint.Public()), tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN)
	j.refused(j.unsigned(checkpoint.Public(), j.made.TransactionStatement("acme", 1)), tracev1.RefusalReason_REFUSAL_REASON_KEY_NOT_SIGNERS)
}

func TestKeys(t *testing.T) {
	j := newJournal(t, "acme", "zeta") // admitted at 1 and 3, with keys at 2 and 4
	second, p256 := verifytest.Key("acme 2"), verifytest.P256Key("acme 3")
	j.record(j.made.RegisterKey("acme", second), j.made.RegisterKey("acme", p256)) // 5, 6
	j.refused(j.made.RegisterKey("acme", second), tracev1.RefusalReason_REFUSAL_REASON_KEY_EXISTS)
	j.refused(j.made.RegisterKey("zeta", second), tracev1.RefusalReason_REFUSAL_REASON_KEY_EXISTS)
	j.refused(j.made.RegisterKey("nobody", verifytest.Key("nobody")), tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN)

	id := second.Public().ID()
	revocation := func(since int64) *tracev1.Envelope {
		return j.act(&tracev1.Statement{Stated: &tracev1.Statement_KeyRevoked{KeyRevoked: &tracev1.KeyRevoked{
			KeyId: id[:], Reason: "stolen", CompromisedSinceMicros: since}}})
	}
	j.record(revocation(17)) // 7
	j.refused(revocation(18), tracev1.RefusalReason_REFUSAL_REASON_NO_CHANGE)
	j.refused(j.made.RegisterKey("acme", second), tracev1.RefusalReason_REFUSAL_REASON_KEY_EXISTS)
	j.refused(j.made.RevokeKey(verifytest.Key("nobody").Public()), tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN)
	j.refused(j.unsigned(second.Public(), j.made.TransactionStatement("acme", 1)), tracev1.RefusalReason_REFUSAL_REASON_KEY_REVOKED)
	j.record(j.unsigned(p256.Public(), j.made.TransactionStatement("acme", 1)), j.sale("acme", nil))

	got, err := custody.KeysOf(j, "acme")
	if err != nil {
		t.Fatal(err)
	}
	key := func(k *verify.Signer, at uint64) *tracev1.Key {
		id := k.Public().ID()
		return &tracev1.Key{KeyId: id[:], Spki: k.Public().SPKI(), ParticipantId: "acme", RegisteredIndex: at}
	}
	want := []*tracev1.Key{key(verifytest.Key("acme"), 2), key(second, 5), key(p256, 6)}
	want[1].RevokedIndex, want[1].CompromisedSinceMicros = proto.Uint64(7), 17
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if keys, err := custody.KeysOf(j, "acm"); len(keys) != 0 || err != nil {
		t.Errorf("keys of nobody: %v, %v", keys, err)
	}
}

// TestKeyForms registers keys that are none, or are not the registrant's.
func TestKeyForms(t *testing.T) {
	j := newJournal(t, "acme")
	registration := func(change func(*tracev1.KeyRegistered)) *tracev1.Envelope {
		p, err := verify.ParsePayload(j.made.RegisterKey("acme", verifytest.Key("acme 2")).GetPayload())
		if err != nil {
			t.Fatal(err)
		}
		change(p.Statement.GetKeyRegistered())
		return j.by(verify.AuthorityID, p.Statement)
	}
	badSignature := tracev1.RefusalReason_REFUSAL_REASON_BAD_SIGNATURE
	j.refused(registration(func(k *tracev1.KeyRegistered) { clear(k.Spki[12:]) }), malformed) // not of prime order
	j.refused(registration(func(k *tracev1.KeyRegistered) { k.Spki[0] ^= 1 }), malformed)
	j.refused(registration(func(k *tracev1.KeyRegistered) { k.Possession[5] ^= 1 }), badSignature)
	j.refused(registration(func(k *tracev1.KeyRegistered) { k.Spki = verifytest.Key("acme 3").Public().SPKI() }), badSignature)
	other := verifytest.NewLedgerAt(t, "other.test/2026", j.made.Now)
	p, err := verify.ParsePayload(other.RegisterKey("acme", verifytest.Key("acme 2")).GetPayload())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := p.Statement.GetKeyRegistered().GetPossession()
	j.refused(registration(func(k *tracev1.KeyRegistered) { k.Possession = elsewhere }), badSignature)
	j.record(j.admission("buyer"))
	j.refused(registration(func(k *tracev1.KeyRegistered) { k.ParticipantId = "buyer" }), badSignature)
	j.record(registration(func(*tracev1.KeyRegistered) {}))
}

func TestSuspension(t *testing.T) {
	j := newJournal(t, "acme")
	noChange, unknown := tracev1.RefusalReason_REFUSAL_REASON_NO_CHANGE, tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN
	j.refused(j.reinstate("acme"), noChange)
	j.refused(j.suspend("nobody"), unknown)
	j.refused(j.reinstate("nobody"), unknown)
	for range 2 {
		j.record(j.sale("acme", nil), j.suspend("acme"))
		if !j.participant("acme").GetSuspended() {
			t.Error("not suspended")
		}
		j.refused(j.suspend("acme"), noChange)
		j.refused(j.sale("acme", nil), tracev1.RefusalReason_REFUSAL_REASON_SUSPENDED)
		j.refused(j.void("acme", j.hashes[j.size()-2][:]), tracev1.RefusalReason_REFUSAL_REASON_SUSPENDED)
		j.record(j.made.RegisterKey("acme", verifytest.Key(fmt.Sprint("acme ", j.size()))))
		j.record(j.reinstate("acme"))
	}
}

// TestReadingRights follows the right of an auditor from grant to grant, and to
// its end with the role.
func TestReadingRights(t *testing.T) {
	j := newJournal(t, "acme", "zeta")
	auditor, trader := tracev1.Role_ROLE_AUDITOR, tracev1.Role_ROLE_TRADER
	j.record(j.admission("probe"), j.roles("probe", auditor, trader))
	want := func(right *tracev1.ReadingRight) {
		t.Helper()
		if diff := cmp.Diff(right, j.participant("probe").GetReadingRight(), protocmp.Transform()); diff != "" {
			t.Errorf("reading right (-want +got):\n%s", diff)
		}
	}
	want(nil)
	j.refused(j.right("acme", true), tracev1.RefusalReason_REFUSAL_REASON_ROLE)
	j.refused(j.right("nobody", true), tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN)
	j.refused(j.right("probe", false, "acme", "nobody"), tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN)
	j.refused(j.right("probe", true, "acme"), malformed)
	want(nil)
	j.record(j.right("probe", false, "zeta", "acme"))
	want(&tracev1.ReadingRight{GrantedIndex: 7, Sellers: []string{"zeta", "acme"}})
	j.record(j.right("probe", true))
	want(&tracev1.ReadingRight{GrantedIndex: 8, AllSellers: true})
	j.record(j.right("probe", false))
	want(nil)
	j.record(j.right("probe", false, "acme"), j.roles("probe", auditor))
	want(&tracev1.ReadingRight{GrantedIndex: 10, Sellers: []string{"acme"}})
	j.record(j.suspend("probe"), j.reinstate("probe"))
	want(&tracev1.ReadingRight{GrantedIndex: 10, Sellers: []string{"acme"}})
	j.record(j.roles("probe", trader))
	want(nil)
	j.record(j.roles("probe", auditor)) // does not come back with the role
	want(nil)
	j.refused(j.roles("nobody", trader), tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN)
}

func TestParticipants(t *testing.T) {
	j := newJournal(t)
	ids := []string{"a", "a-b", "a.b", "a0", "ab", "b", "zz", strings.Repeat("z", 64)}
	slices.Sort(ids)
	for _, n := range []int{3, 0, 7, 5, 1, 6, 2, 4} {
		j.record(j.admission(ids[n]))
	}
	list := func(from string, most int) []string {
		t.Helper()
		var got []string
		err := custody.Participants(j, from, func(p *tracev1.Participant) bool {
			got = append(got, p.GetParticipantId())
			return len(got) < most
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for n, id := range ids {
		if diff := cmp.Diff(ids[n:], list(id, 100)); diff != "" {
			t.Errorf("from %s (-want +got):\n%s", id, diff)
		}
	}
	if diff := cmp.Diff(ids, list("", 100)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ids[:2], list("", 2)); diff != "" {
		t.Errorf("two (-want +got):\n%s", diff)
	}
	if got := list("zzzz~", 9); len(got) != 0 {
		t.Errorf("after the last: %v", got)
	}
}
