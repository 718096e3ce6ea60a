package rpc_test

import (
	"slices"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// object is a statement on record, and who may read it.
type object struct {
	name    string
	env     *tracev1.Envelope
	entry   verify.Entry
	readers []string // nil: every participant

	listed bool // stands in listings
	live   bool // counts in volumes
}

func (o *object) mayRead(id string) bool { return o.readers == nil || slices.Contains(o.readers, id) }

// objects records everything that access is tested on, in a fresh world:
// auditors with rights that were given and taken, a customer whose identifier
// was bound between two transactions, and every sort of statement.
func (w *world) objects() []object {
	w.t.Helper()
	o := &recorder{w: w}
	o.entryAt("genesis", w.Genesis, 0)
	o.entryAt("admission", w.boot[1], 1)
	o.act("registration", w.Register("idle", tracev1.Role_ROLE_MINER)...)
	o.act("suspension", w.signed(w.suspension("idle")))
	o.act("reinstatement", w.signed(w.reinstatement("idle")))
	o.act("suspension again", w.signed(w.suspension("idle")))
	for _, id := range []string{"auditor-acme", "auditor-all", "auditor-was", "auditor-once"} {
		w.record(w.Register(id, tracev1.Role_ROLE_AUDITOR)...)
	}
	o.rights()
	o.transactions()
	return o.made
}

type recorder struct {
	w    *world
	made []object
}

func (o *recorder) entryAt(name string, env *tracev1.Envelope, index uint64) {
	p := o.w.peer("regulator")
	found, err := p.GetReceipt(p.ctx, &ledgerv1.GetReceiptRequest{By: &ledgerv1.GetReceiptRequest_Index{Index: index}})
	if err != nil {
		o.w.t.Fatal(err)
	}
	o.made = append(o.made, object{name: name, env: env, entry: o.w.prove(env, found.GetReceipt())})
}

func (o *recorder) act(name string, envs ...*tracev1.Envelope) {
	for _, env := range envs {
		o.made = append(o.made, object{name: name, env: env, entry: o.w.record(env)})
	}
}

// rights gives and takes reading rights. A right is the business of whoever has
// it, of the authority, and of those who read everything.
func (o *recorder) rights() {
	w := o.w
	for _, st := range []*tracev1.Statement{
		w.right("auditor-acme", "acme"), w.right("auditor-all", "*"),
		w.right("auditor-was", "*"), w.right("auditor-was"), // taken away
		w.right("auditor-once", "*"), // ends with the role
	} {
		o.act("right", w.signed(st))
		o.made[len(o.made)-1].readers = []string{st.GetReadingRightGranted().GetParticipantId(), "authority", "regulator", "auditor-all"}
	}
	o.act("roles", w.signed(w.newRoles("auditor-once", tracev1.Role_ROLE_CUSTOMER)), w.signed(w.newRoles("auditor-once", tracev1.Role_ROLE_AUDITOR)))
}

// Who reads a producer's own: itself, those with a right to it, and, beside
// them, customers.
func readersOfAcme(customers ...string) []string {
	return append(customers, "acme", "auditor-acme", "auditor-all", "regulator")
}

func readersOfBolt(customers ...string) []string {
	return append(customers, "bolt", "auditor-all", "regulator")
}

func (o *recorder) tx(name string, live bool, readers []string, st *tracev1.Statement) []byte {
	env := o.w.signed(st)
	o.made = append(o.made, object{name: name, env: env, entry: o.w.record(env), readers: readers, listed: st.GetVoid() == nil, live: live})
	return hashOf(env)
}

func (o *recorder) transactions() {
	w := o.w
	o.tx("own code", true, readersOfAcme(), w.sale("acme"))
	o.tx("to a participant", true, readersOfAcme("shop"), w.sale("acme", to("shop")))
	o.tx("before the identifier was bound", true, readersOfAcme(), w.sale("acme", toIdentifier))
	admission := w.admission("late", tracev1.Role_ROLE_CUSTOMER)
	admission.GetParticipantAdmitted().Identifiers = []*tracev1.Identifier{identifier()}
	o.act("binding", w.signed(admission), w.RegisterKey("late", verifytest.Key("late")))
	o.tx("after it was bound", true, readersOfAcme("late"), w.sale("acme", toIdentifier))

	moved := o.tx("amended to another customer", false, readersOfAcme("shop"), w.sale("acme", to("shop")))
	o.tx("its amendment", true, readersOfAcme("late"), w.amendment("acme", moved, to("late")))
	gone := o.tx("voided", false, readersOfAcme("shop"), w.sale("acme", to("shop")))
	o.tx("its void", false, readersOfAcme("shop"), w.void("acme", gone))
	first := o.tx("amended and voided", false, readersOfAcme(), w.sale("acme"))
	second := o.tx("its amendment, voided", false, readersOfAcme("shop"), w.amendment("acme", first, to("shop")))
	o.tx("the void of an amendment", false, readersOfAcme("shop"), w.void("acme", second))

	o.tx("of another seller", true, readersOfBolt(), w.sale("bolt"))
	o.tx("to a competitor", true, readersOfBolt("acme"), w.sale("bolt", to("acme")))
	o.tx("of another seller to a participant", true, readersOfBolt("shop"), w.sale("bolt", to("shop")))
}
