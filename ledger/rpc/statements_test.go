package rpc_test

import (
	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// grams is the mass of transactions whose mass does not matter.
const grams = 48_271_305

// buyer is the name of customers in Latin letters.
const buyer = "a buyer of magnets"

// gln is an identifier of a customer.
const gln = "4000000000006"

func identifier() *tracev1.Identifier {
	return &tracev1.Identifier{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_GLN, Value: gln}
}

// sale returns a transaction of a seller, changed by edits.
func (w *world) sale(seller string, edits ...func(*tracev1.Transaction)) *tracev1.Statement {
	st := w.TransactionStatement(seller, grams)
	st.GetTransaction().Customer.Name.Latin = buyer
	for _, edit := range edits {
		edit(st.GetTransaction())
	}
	return st
}

// to makes a participant the customer.
func to(id string) func(*tracev1.Transaction) {
	return func(tx *tracev1.Transaction) {
		tx.Customer.OwnCode, tx.Customer.ParticipantId = "", id
	}
}

// toIdentifier makes the holder of an identifier the customer.
func toIdentifier(tx *tracev1.Transaction) {
	tx.Customer.OwnCode, tx.Customer.Identifiers = "", []*tracev1.Identifier{identifier()}
}

// amendment returns a statement that replaces a version by a new sale.
func (w *world) amendment(seller string, target []byte, edits ...func(*tracev1.Transaction)) *tracev1.Statement {
	return w.Complete(seller, &tracev1.Statement{Stated: &tracev1.Statement_Amendment{Amendment: &tracev1.Amendment{
		Target: target, Replacement: w.sale(seller, edits...).GetTransaction(), Reason: "the customer counted again",
	}}})
}

// void returns a statement that withdraws a version.
func (w *world) void(seller string, target []byte) *tracev1.Statement {
	return w.Complete(seller, &tracev1.Statement{Stated: &tracev1.Statement_Void{Void: &tracev1.Void{
		Target: target, Reason: "it was not delivered",
	}}})
}

// act completes a statement of the authority.
func (w *world) act(st *tracev1.Statement) *tracev1.Statement {
	return w.Complete(verify.AuthorityID, st)
}

func (w *world) admission(id string, roles ...tracev1.Role) *tracev1.Statement {
	return w.act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: &tracev1.ParticipantAdmitted{
		ParticipantId: id, Name: &tracev1.LegalName{Native: id}, Country: "CN", Roles: roles,
	}}})
}

func (w *world) suspension(id string) *tracev1.Statement {
	return w.act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantSuspended{ParticipantSuspended: &tracev1.ParticipantSuspended{
		ParticipantId: id, Reason: "under review",
	}}})
}

func (w *world) reinstatement(id string) *tracev1.Statement {
	return w.act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantReinstated{ParticipantReinstated: &tracev1.ParticipantReinstated{
		ParticipantId: id, Reason: "review is over",
	}}})
}

func (w *world) newRoles(id string, roles ...tracev1.Role) *tracev1.Statement {
	return w.act(&tracev1.Statement{Stated: &tracev1.Statement_RolesChanged{RolesChanged: &tracev1.RolesChanged{
		ParticipantId: id, Roles: roles,
	}}})
}

func (w *world) revocation(keyID []byte) *tracev1.Statement {
	return w.act(&tracev1.Statement{Stated: &tracev1.Statement_KeyRevoked{KeyRevoked: &tracev1.KeyRevoked{
		KeyId: keyID, Reason: "end of use",
	}}})
}

// right lets an auditor read some sellers, none, or "*" for all.
func (w *world) right(auditor string, sellers ...string) *tracev1.Statement {
	r := &tracev1.ReadingRightGranted{ParticipantId: auditor, Sellers: sellers}
	if len(sellers) == 1 && sellers[0] == "*" {
		r.AllSellers, r.Sellers = true, nil
	}
	return w.act(&tracev1.Statement{Stated: &tracev1.Statement_ReadingRightGranted{ReadingRightGranted: r}})
}

// registration registers a key for a participant.
func (w *world) registration(id string, key *verify.Signer) *tracev1.Statement {
	return statementOf(w.t, w.RegisterKey(id, key))
}

// signed signs a statement with the first key of its signer.
func (w *world) signed(st *tracev1.Statement) *tracev1.Envelope {
	w.t.Helper()
	return w.Sign(verifytest.Key(st.GetSigner()), st)
}

// signedBytes signs bytes that no marshaller writes.
func (w *world) signedBytes(signer string, payload []byte) *tracev1.Envelope {
	w.t.Helper()
	env, err := verifytest.Key(signer).Sign(&verify.Payload{Bytes: payload, Leaf: verify.PayloadLeaf(payload)})
	if err != nil {
		w.t.Fatal(err)
	}
	return env
}

// bytesOf returns the payload of a statement.
func (w *world) bytesOf(st *tracev1.Statement) []byte {
	w.t.Helper()
	p, err := verify.NewPayload(st)
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Bytes
}

func keyID(name string) []byte {
	id := verifytest.Key(name).Public().ID()
	return id[:]
}

func clone[M proto.Message](m M) M { return proto.Clone(m).(M) }

// recordAll records statements of one signer, signed as one batch, in one
// message, and returns the envelopes.
func (w *world) recordAll(signer string, sts []*tracev1.Statement) []*tracev1.Envelope {
	w.t.Helper()
	envs := w.SignBatch(verifytest.Key(signer), sts...)
	s := w.peer(signer).stream()
	send(w.t, s, 0, envs...)
	for i, o := range outcomes(w.t, s, len(envs)) {
		if o.GetRecorded() == nil {
			w.t.Fatalf("statement %d: %v", i, o)
		}
	}
	finish(w.t, s)
	return envs
}
