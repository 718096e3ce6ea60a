package rpc_test

import (
	"bytes"
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// preparing makes those whom the cases need: a producer who was suspended, one
// whose first key was revoked, and a holder of the identifier.
func preparing(w *world) {
	w.t.Helper()
	w.record(w.Register("idle", tracev1.Role_ROLE_MINER)...)
	w.record(w.Register("worn", tracev1.Role_ROLE_TRADER)...)
	w.record(
		w.RegisterKey("worn", verifytest.P256Key("worn")),
		w.signed(w.revocation(keyID("worn"))),
		w.signed(w.suspension("idle")),
	)
	holder := w.admission("holder", tracev1.Role_ROLE_CUSTOMER)
	holder.GetParticipantAdmitted().Identifiers = []*tracev1.Identifier{identifier()}
	w.record(w.signed(holder))
}

// reason abbreviates the names of reasons.
func reason(name string) tracev1.RefusalReason {
	return tracev1.RefusalReason(tracev1.RefusalReason_value["REFUSAL_REASON_"+name])
}

func refusalCases() []refusalCase {
	return slices.Concat(formCases(), valueCases(), keyCases(), authorCases(), registryCases(), targetCases())
}

// onTransaction is a spoil of the transaction.
func onTransaction(edit func(*tracev1.Transaction)) func(*world, *tracev1.Statement) {
	return func(_ *world, st *tracev1.Statement) { edit(st.GetTransaction()) }
}

func onLine(edit func(*tracev1.TransactionLine)) func(*world, *tracev1.Statement) {
	return onTransaction(func(tx *tracev1.Transaction) { edit(tx.GetLines()[0]) })
}

// onBytes signs the payload after it was changed.
func onBytes(edit func([]byte) []byte) func(*world, *tracev1.Statement) *tracev1.Envelope {
	return func(w *world, st *tracev1.Statement) *tracev1.Envelope {
		return w.signedBytes(st.GetSigner(), edit(bytes.Clone(w.bytesOf(st))))
	}
}

// onBlock changes the signature block after signing.
func onBlock(edit func(block []byte)) func(*world, *tracev1.Statement) *tracev1.Envelope {
	return func(w *world, st *tracev1.Statement) *tracev1.Envelope {
		env := w.signed(st)
		edit(env.SignatureBlock)
		return env
	}
}

// inBatch signs a statement as the second in a batch.
func inBatch(size int, edit func(block []byte)) func(*world, *tracev1.Statement) *tracev1.Envelope {
	return func(w *world, st *tracev1.Statement) *tracev1.Envelope {
		batch := []*tracev1.Statement{w.sale("acme"), st}
		for len(batch) < size {
			batch = append(batch, w.sale("acme"))
		}
		env := w.SignBatch(verifytest.Key(st.GetSigner()), batch...)[1]
		if edit != nil {
			edit(env.SignatureBlock)
		}
		return env
	}
}

func by(key *verify.Signer) func(*world, *tracev1.Statement) *tracev1.Envelope {
	return func(w *world, st *tracev1.Statement) *tracev1.Envelope { return w.Sign(key, st) }
}

func formCases() []refusalCase {
	flip := func(at int) func([]byte) { return func(b []byte) { b[at] ^= 1 } }
	return []refusalCase{
		{name: "no protobuf", reason: reason("MALFORMED"), sign: onBytes(func(b []byte) []byte { return b[:len(b)-1] })},
		{name: "form of the signature block", reason: reason("MALFORMED"), sign: onBlock(func(b []byte) { b[0] = 9 })},
		{name: "algorithm", reason: reason("MALFORMED"), sign: onBlock(func(b []byte) { b[1] = 4 })},
		{name: "position in the batch", reason: reason("MALFORMED"), sign: inBatch(2, func(b []byte) { binary.BigEndian.PutUint64(b[76:], 2) })},
		{name: "a field twice", reason: reason("NOT_CANONICAL"), sign: onBytes(func(b []byte) []byte { return append(b, b[:34]...) })},
		{name: "unknown field", reason: reason("NOT_CANONICAL"), sign: onBytes(func(b []byte) []byte {
			return protowire.AppendVarint(protowire.AppendTag(b, 99, protowire.VarintType), 1)
		})},
		{name: "unknown enum number", reason: reason("NOT_CANONICAL"), sign: onBytes(func(b []byte) []byte {
			kind := []byte{0x08, byte(tracev1.TransactionKind_TRANSACTION_KIND_SALE), 0x12}
			return bytes.Replace(b, kind, []byte{0x08, 0x63, 0x12}, 1)
		})},
		{name: "another id", reason: reason("WRONG_LEDGER"), spoil: func(_ *world, st *tracev1.Statement) { st.LedgerId = make([]byte, 32) }},
		{name: "no id", reason: reason("WRONG_LEDGER"), spoil: func(_ *world, st *tracev1.Statement) { st.LedgerId = nil }},
		{name: "single", reason: reason("BAD_SIGNATURE"), sign: onBlock(flip(20))},
		{name: "batch", reason: reason("BAD_SIGNATURE"), sign: inBatch(3, flip(20))},
		{name: "path of a batch", reason: reason("BAD_SIGNATURE"), sign: inBatch(3, flip(84))},
		{name: "size of a batch", reason: reason("BAD_SIGNATURE"), sign: inBatch(3, func(b []byte) { b[75] = 4 })},
		{name: "payload", reason: reason("TOO_LARGE"), limit: "max_payload_bytes", spoil: onTransaction(func(tx *tracev1.Transaction) {
			tx.EndUserName = string(bytes.Repeat([]byte("x"), 4<<10))
		})},
		{name: "lines", reason: reason("TOO_LARGE"), limit: "max_transaction_lines", fields: []string{"transaction.lines"}, spoil: onTransaction(func(tx *tracev1.Transaction) {
			tx.Lines = slices.Repeat(tx.GetLines(), 6)
		})},
		{name: "batch", reason: reason("TOO_LARGE"), limit: "max_batch_size", sign: inBatch(5, nil), goodSign: inBatch(4, nil)},
	}
}

func valueCases() []refusalCase {
	date := []string{"transaction.transaction_date"}
	dated := func(d string) func(*world, *tracev1.Statement) {
		return onTransaction(func(tx *tracev1.Transaction) { tx.TransactionDate = d })
	}
	return []refusalCase{
		{name: "kind", reason: reason("VALUE_MISSING"), fields: []string{"transaction.kind"}, spoil: onTransaction(func(tx *tracev1.Transaction) { tx.Kind = 0 })},
		{name: "what is stated", reason: reason("VALUE_MISSING"), fields: []string{"stated"}, spoil: func(_ *world, st *tracev1.Statement) { st.Stated = nil },
			sign: by(verifytest.Key("authority")), good: func(w *world) *tracev1.Statement { return w.admission("new-0", tracev1.Role_ROLE_TRADER) }},
		{name: "hs code", reason: reason("VALUE_MALFORMED"), fields: []string{"transaction.lines[0].hs_code"}, spoil: onLine(func(l *tracev1.TransactionLine) { l.HsCode = "85" })},
		{name: "a key's bytes", reason: reason("VALUE_MALFORMED"), fields: []string{"key_registered.spki"},
			good:  func(w *world) *tracev1.Statement { return w.registration("acme", verifytest.Key("acme 1")) },
			spoil: func(_ *world, st *tracev1.Statement) { st.GetKeyRegistered().Spki[0] ^= 1 }},
		{name: "mass", reason: reason("VALUE_OUT_OF_RANGE"), fields: []string{"transaction.lines[0].net_mass_grams"}, spoil: onLine(func(l *tracev1.TransactionLine) { l.NetMassGrams = 1e12 + 1 })},
		{name: "reserved id", reason: reason("VALUE_OUT_OF_RANGE"), fields: []string{"participant_admitted.participant_id"},
			good:  func(w *world) *tracev1.Statement { return w.admission("new-1", tracev1.Role_ROLE_TRADER) },
			spoil: func(_ *world, st *tracev1.Statement) { st.GetParticipantAdmitted().ParticipantId = "ledger" }},
		{name: "element", reason: reason("VALUE_REPEATED"), fields: []string{"transaction.lines[0].composition[1].symbol"}, spoil: onLine(func(l *tracev1.TransactionLine) { l.Composition[1].Symbol = "Nd" })},
		{name: "two faults", reason: reason("VALUE_MALFORMED"), fields: []string{"transaction.customer.country", "transaction.lines"},
			spoil: func(_ *world, st *tracev1.Statement) {
				st.GetTransaction().Lines, st.GetTransaction().Customer.Country = nil, "XX"
			}},
		{name: "no such day", reason: reason("DATE_MALFORMED"), fields: date, spoil: dated("2026-02-29")},
		{name: "form", reason: reason("DATE_MALFORMED"), fields: date, spoil: dated("2026/6/1")},
		{name: "two days ahead", reason: reason("DATE_OUT_OF_BOUNDS"), fields: date, spoil: dated("2026-06-03"),
			good: func(w *world) *tracev1.Statement { return w.sale("acme", on("2026-06-02")) }},
		{name: "stated ahead", reason: reason("DATE_OUT_OF_BOUNDS"), fields: []string{"stated_at_micros"}, limit: "max_stated_ahead_micros",
			good: func(w *world) *tracev1.Statement {
				st := w.sale("acme")
				st.StatedAtMicros += 300_000_000
				return st
			},
			spoil: func(_ *world, st *tracev1.Statement) { st.StatedAtMicros++ }},
	}
}

// on dates a transaction.
func on(day string) func(*tracev1.Transaction) {
	return func(tx *tracev1.Transaction) { tx.TransactionDate = day }
}

func keyCases() []refusalCase {
	worn := func(w *world) *tracev1.Statement { return w.sale("worn") }
	return []refusalCase{
		{name: "another peer", reason: reason("PEER_NOT_SIGNER"), peer: "bolt"},
		{name: "the regulator", reason: reason("PEER_NOT_SIGNER"), peer: "regulator"},
		{name: "never registered", reason: reason("KEY_UNKNOWN"), sign: by(verifytest.Key("acme 9"))},
		{name: "of another", reason: reason("KEY_NOT_SIGNERS"), sign: by(verifytest.Key("bolt"))},
		{name: "of the authority", reason: reason("KEY_NOT_SIGNERS"), sign: by(verifytest.Key("authority"))},
		{name: "of the checkpoints", reason: reason("KEY_NOT_SIGNERS"), sign: by(verifytest.Key(verifytest.Origin))},
		{name: "first of two", reason: reason("KEY_REVOKED"), good: worn, goodSign: by(verifytest.P256Key("worn"))},
		{name: "to be revoked", reason: reason("KEY_UNKNOWN"), good: func(w *world) *tracev1.Statement {
			w.record(w.RegisterKey("acme", verifytest.Key("acme 2")))
			return w.revocation(keyID("acme 2"))
		}, spoil: func(_ *world, st *tracev1.Statement) { st.GetKeyRevoked().KeyId = keyID("acme 8") }},
		{name: "founding key", reason: reason("KEY_UNKNOWN"), good: func(w *world) *tracev1.Statement {
			w.record(w.RegisterKey("acme", verifytest.Key("acme 3")))
			return w.revocation(keyID("acme 3"))
		}, spoil: func(_ *world, st *tracev1.Statement) { st.GetKeyRevoked().KeyId = keyID("authority") }},
	}
}

func authorCases() []refusalCase {
	return []refusalCase{
		{name: "a customer", reason: reason("ROLE"), good: func(w *world) *tracev1.Statement { return w.sale("shop") },
			mend: func(w *world) {
				w.record(w.signed(w.newRoles("shop", tracev1.Role_ROLE_CUSTOMER, tracev1.Role_ROLE_TRADER)))
			}},
		{name: "the authority", reason: reason("ROLE"), good: func(w *world) *tracev1.Statement { return w.admission("new-2", tracev1.Role_ROLE_TRADER) },
			spoil: func(w *world, st *tracev1.Statement) { st.Stated = w.sale("acme").GetStated() }},
		{name: "root", reason: reason("ROLE"), peer: "root", sign: by(verifytest.Key("root")),
			spoil: func(_ *world, st *tracev1.Statement) { st.Signer = "root" }},
		{name: "an act by a producer", reason: reason("ROLE"),
			spoil: func(w *world, st *tracev1.Statement) { st.Stated = w.suspension("bolt").GetStated() }},
		{name: "a right for no auditor", reason: reason("ROLE"), good: func(w *world) *tracev1.Statement { return w.right("auditor", "acme") },
			spoil: func(_ *world, st *tracev1.Statement) { st.GetReadingRightGranted().ParticipantId = "shop" }},
		{name: "until reinstated", reason: reason("SUSPENDED"), good: func(w *world) *tracev1.Statement { return w.sale("idle") },
			mend: func(w *world) { w.record(w.signed(w.reinstatement("idle"))) }},
		{name: "a second one", reason: reason("GENESIS_EXISTS"), spoil: func(w *world, st *tracev1.Statement) {
			st.Stated, st.LedgerId = w.GenesisStatement().GetStated(), nil
		}},
		{name: "other content", reason: reason("STATEMENT_EXISTS"), recorded: true, good: func(w *world) *tracev1.Statement {
			st := w.sale("acme")
			w.record(w.signed(st))
			return st
		}, spoil: onLine(func(l *tracev1.TransactionLine) { l.NetMassGrams++ })},
	}
}

func registryCases() []refusalCase {
	admission := func(id string) func(*world) *tracev1.Statement {
		return func(w *world) *tracev1.Statement { return w.admission(id, tracev1.Role_ROLE_TRADER) }
	}
	key := func(name string) func(*world) *tracev1.Statement {
		return func(w *world) *tracev1.Statement { return w.registration("bolt", verifytest.Key(name)) }
	}
	instead := func(name string) func(*world, *tracev1.Statement) {
		return func(w *world, st *tracev1.Statement) {
			st.Stated = w.registration("bolt", verifytest.Key(name)).GetStated()
		}
	}
	return []refusalCase{
		{name: "admitted before", reason: reason("PARTICIPANT_EXISTS"), good: admission("new-3"),
			spoil: func(_ *world, st *tracev1.Statement) { st.GetParticipantAdmitted().ParticipantId = "acme" }},
		{name: "of another", reason: reason("IDENTIFIER_TAKEN"), good: admission("new-4"),
			spoil: func(_ *world, st *tracev1.Statement) {
				st.GetParticipantAdmitted().Identifiers = []*tracev1.Identifier{identifier()}
			}},
		{name: "of another participant", reason: reason("KEY_EXISTS"), good: key("bolt 1"), spoil: instead("acme")},
		{name: "its own", reason: reason("KEY_EXISTS"), good: key("bolt 2"), spoil: instead("bolt")},
		{name: "revoked", reason: reason("KEY_EXISTS"), good: key("bolt 3"), spoil: instead("worn")},
		{name: "founding key", reason: reason("KEY_EXISTS"), good: key("bolt 4"), spoil: instead("root")},
		{name: "checkpoint key", reason: reason("KEY_EXISTS"), good: key("bolt 5"), spoil: instead(verifytest.Origin)},
		{name: "possession", reason: reason("BAD_SIGNATURE"), good: key("bolt 6"),
			spoil: func(_ *world, st *tracev1.Statement) { st.GetKeyRegistered().Possession[9] ^= 1 }},
		{name: "customer", reason: reason("PARTICIPANT_UNKNOWN"), spoil: onTransaction(to("nobody"))},
		{name: "to suspend", reason: reason("PARTICIPANT_UNKNOWN"), good: admission("new-5"),
			spoil: func(w *world, st *tracev1.Statement) { st.Stated = w.suspension("nobody").GetStated() }},
		{name: "to give a key", reason: reason("PARTICIPANT_UNKNOWN"), good: admission("new-6"),
			spoil: func(w *world, st *tracev1.Statement) {
				st.Stated = w.registration("nobody", verifytest.Key("nobody")).GetStated()
			}},
		{name: "to be read", reason: reason("PARTICIPANT_UNKNOWN"), good: func(w *world) *tracev1.Statement { return w.right("auditor", "bolt") },
			spoil: func(_ *world, st *tracev1.Statement) {
				st.GetReadingRightGranted().Sellers = []string{"bolt", "nobody"}
			}},
		{name: "suspended before", reason: reason("NO_CHANGE"), good: func(w *world) *tracev1.Statement {
			w.record(w.signed(w.admission("off", tracev1.Role_ROLE_TRADER)), w.signed(w.suspension("off")))
			return w.reinstatement("off")
		}, spoil: func(w *world, st *tracev1.Statement) { st.Stated = w.suspension("off").GetStated() }},
		{name: "not suspended", reason: reason("NO_CHANGE"), good: func(w *world) *tracev1.Statement { return w.suspension("off") },
			spoil: func(w *world, st *tracev1.Statement) { st.Stated = w.reinstatement("off").GetStated() }},
		{name: "revoked before", reason: reason("NO_CHANGE"), good: func(w *world) *tracev1.Statement {
			w.record(w.RegisterKey("acme", verifytest.Key("acme 4")))
			return w.revocation(keyID("acme 4"))
		}, spoil: func(_ *world, st *tracev1.Statement) { st.GetKeyRevoked().KeyId = keyID("worn") }},
	}
}

func targetCases() []refusalCase {
	amend := func(w *world) *tracev1.Statement {
		first := w.signed(w.sale("acme"))
		w.record(first)
		return w.amendment("acme", hashOf(first))
	}
	target := func(find func(*world) []byte) func(*world, *tracev1.Statement) {
		return func(w *world, st *tracev1.Statement) { st.GetAmendment().Target = find(w) }
	}
	void := func(w *world) []byte {
		first := w.signed(w.sale("acme"))
		void := w.signed(w.void("acme", hashOf(first)))
		w.record(first, void)
		return hashOf(void)
	}
	return []refusalCase{
		{name: "nothing", reason: reason("TARGET_UNKNOWN"), good: amend, spoil: target(func(*world) []byte { return make([]byte, 32) })},
		{name: "of another seller", reason: reason("TARGET_UNKNOWN"), good: amend, spoil: target(func(w *world) []byte {
			other := w.signed(w.sale("bolt"))
			w.record(other)
			return hashOf(other)
		})},
		{name: "no transaction", reason: reason("TARGET_UNKNOWN"), good: amend, spoil: target(func(w *world) []byte { return hashOf(w.boot[1]) })},
		{name: "a void", reason: reason("TARGET_UNKNOWN"), good: amend, spoil: target(void)},
		{name: "amended", reason: reason("TARGET_STALE"), good: func(w *world) *tracev1.Statement {
			first := w.signed(w.sale("acme"))
			second := w.signed(w.amendment("acme", hashOf(first)))
			w.record(first, second)
			return w.void("acme", hashOf(second))
		}, spoil: func(w *world, st *tracev1.Statement) { st.GetVoid().Target = staleTarget(w) }},
		{name: "voided", reason: reason("TARGET_VOIDED"), good: amend, spoil: target(func(w *world) []byte {
			first := w.signed(w.sale("acme"))
			w.record(first, w.signed(w.void("acme", hashOf(first))))
			return hashOf(first)
		})},
		{name: "date of the replacement", reason: reason("DATE_OUT_OF_BOUNDS"), fields: []string{"amendment.replacement.transaction_date"}, good: amend,
			spoil: func(_ *world, st *tracev1.Statement) {
				st.GetAmendment().Replacement.TransactionDate = "2027-01-01"
			}},
	}
}

// staleTarget returns the hash of a version that was amended.
func staleTarget(w *world) []byte {
	first := w.signed(w.sale("acme"))
	w.record(first, w.signed(w.amendment("acme", hashOf(first))))
	return hashOf(first)
}
