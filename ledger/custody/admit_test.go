package custody_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// fault is something wrong with a transaction of acme. Two faults of one slot
// cannot be had at once.
type fault struct {
	name   string
	slot   string
	reason tracev1.RefusalReason
	limit  string
	// What makes the fault: in the statement, in its envelope, or in what is on
	// record before.
	statement func(*tracev1.Statement)
	envelope  func(*tracev1.Envelope)
	before    func(*journal, *tracev1.Statement)
}

// transactionFaults are in the order in which they are judged.
func transactionFaults() []fault {
	tx := func(change func(*tracev1.Transaction)) func(*tracev1.Statement) {
		return func(st *tracev1.Statement) { change(st.GetTransaction()) }
	}
	stranger := verifytest.Key("stranger").Public().ID()
	other := verifytest.Key("zeta").Public().ID()
	return []fault{
		{name: "payload too large", reason: tooLarge, limit: "max_payload_bytes",
			statement: tx(func(m *tracev1.Transaction) { m.EndUserName = strings.Repeat("n", 256<<10) })},
		{name: "not canonical", slot: "payload", reason: tracev1.RefusalReason_REFUSAL_REASON_NOT_CANONICAL,
			envelope: func(env *tracev1.Envelope) { env.Payload = append(env.Payload, 0x7a, 0) }}, // field 15
		{name: "no statement", slot: "payload", reason: tracev1.RefusalReason_REFUSAL_REASON_MALFORMED,
			envelope: func(env *tracev1.Envelope) { env.Payload = env.Payload[:len(env.Payload)-1] }},
		{name: "no key id", slot: "key", reason: tracev1.RefusalReason_REFUSAL_REASON_MALFORMED,
			envelope: func(env *tracev1.Envelope) { env.KeyId = env.KeyId[:31] }},
		{name: "no signature block", slot: "block", reason: tracev1.RefusalReason_REFUSAL_REASON_MALFORMED,
			envelope: func(env *tracev1.Envelope) { env.SignatureBlock[0] = 3 }},
		{name: "batch too large", slot: "block", reason: tooLarge, limit: "max_batch_size",
			envelope: func(env *tracev1.Envelope) {
				block := verify.SignatureBlock{Form: verify.Batch, Algorithm: verify.Ed25519,
					Signature: make([]byte, verify.SignatureSize), Size: 9, Position: 8, Path: make([]verify.Hash, 1)}
				env.SignatureBlock = block.AppendBinary(nil)
			}},
		{name: "other ledger", reason: tracev1.RefusalReason_REFUSAL_REASON_WRONG_LEDGER,
			statement: func(st *tracev1.Statement) { st.LedgerId = make([]byte, 32) }},
		{name: "unknown key", slot: "key", reason: tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN,
			envelope: func(env *tracev1.Envelope) { env.KeyId = stranger[:] }},
		{name: "another's key", slot: "key", reason: tracev1.RefusalReason_REFUSAL_REASON_KEY_NOT_SIGNERS,
			envelope: func(env *tracev1.Envelope) { env.KeyId = other[:] }},
		{name: "used id", reason: tracev1.RefusalReason_REFUSAL_REASON_STATEMENT_EXISTS,
			before: func(j *journal, st *tracev1.Statement) {
				used := j.made.TransactionStatement("acme", 1)
				used.StatementId = st.GetStatementId()
				j.record(j.by("acme", used))
			}},
		{name: "revoked key", reason: tracev1.RefusalReason_REFUSAL_REASON_KEY_REVOKED,
			before: func(j *journal, _ *tracev1.Statement) {
				j.record(j.made.RevokeKey(verifytest.Key("acme").Public()))
			}},
		{name: "suspended", reason: tracev1.RefusalReason_REFUSAL_REASON_SUSPENDED,
			before: func(j *journal, _ *tracev1.Statement) { j.record(j.suspend("acme")) }},
		{name: "role", reason: tracev1.RefusalReason_REFUSAL_REASON_ROLE,
			before: func(j *journal, _ *tracev1.Statement) {
				j.record(j.roles("acme", tracev1.Role_ROLE_CUSTOMER, tracev1.Role_ROLE_AUDITOR, tracev1.Role_ROLE_REGULATOR))
			}},
		{name: "value", reason: outOfRange,
			statement: tx(func(m *tracev1.Transaction) { m.Lines[0].NetMassGrams = 0 })},
		{name: "claimed time", reason: dateAhead, limit: "max_stated_ahead_micros",
			statement: func(st *tracev1.Statement) {
				st.StatedAtMicros = verifytest.Founded.Add(5*time.Minute).UnixMicro() + 1
			}},
		{name: "date", reason: dateAhead,
			statement: tx(func(m *tracev1.Transaction) { m.TransactionDate = "2026-06-03" })},
		{name: "customer", reason: tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN,
			statement: tx(func(m *tracev1.Transaction) { m.Customer.ParticipantId = "nobody" })},
	}
}

// smallBatches is a ledger whose batches hold at most 8 statements.
func smallBatches(t *testing.T) *verifytest.Ledger {
	made := verifytest.NewLedger(t)
	st := made.GenesisStatement()
	st.GetGenesis().RuleParameters.MaxBatchSize = 8
	made.Genesis = made.Sign(made.Root, st)
	g, err := verify.OpenGenesis(made.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	made.Log = g.Log
	return made
}

// TestOrderOfJudgement makes every fault, and every pair of faults: the first in
// order decides.
func TestOrderOfJudgement(t *testing.T) {
	made := smallBatches(t)
	faults := transactionFaults()
	for n, first := range faults {
		t.Run(first.name, func(t *testing.T) {
			testFaults(t, made, first)
			for _, second := range faults[n+1:] {
				if second.slot == "" || second.slot != first.slot {
					testFaults(t, made, first, second)
				}
			}
		})
	}
}

func testFaults(t *testing.T, made *verifytest.Ledger, faults ...fault) {
	t.Helper()
	j := newJournalOf(t, made, "acme", "zeta")
	st := made.TransactionStatement("acme", 1000)
	for _, f := range faults {
		if f.before != nil {
			f.before(j, st)
		}
		if f.statement != nil {
			f.statement(st)
		}
	}
	env := j.unsigned(verifytest.Key("acme").Public(), st)
	for _, f := range slices.Backward(faults) {
		if f.envelope != nil {
			f.envelope(env)
		}
	}
	refusal := j.refused(env, faults[0].reason)
	if refusal.Limit != faults[0].limit || refusal.Limit != "" && refusal.LimitValue == 0 {
		t.Errorf("%s: limit %q, want %q", faults[0].name, refusal.Limit, faults[0].limit)
	}
	if p := refusal.Proto(); p.GetReason() != refusal.Reason || p.GetMessage() != refusal.Message ||
		len(p.GetViolations()) != len(refusal.Violations) || (p.GetLimit() != nil) != (refusal.Limit != "") {
		t.Errorf("refusal %+v as a message: %v", refusal, p)
	}
}

func (j *journal) suspend(id string) *tracev1.Envelope {
	j.t.Helper()
	return j.act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantSuspended{
		ParticipantSuspended: &tracev1.ParticipantSuspended{ParticipantId: id, Reason: "inspection"}}})
}

func (j *journal) reinstate(id string) *tracev1.Envelope {
	j.t.Helper()
	return j.act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantReinstated{
		ParticipantReinstated: &tracev1.ParticipantReinstated{ParticipantId: id, Reason: "inspected"}}})
}

func (j *journal) roles(id string, roles ...tracev1.Role) *tracev1.Envelope {
	j.t.Helper()
	return j.act(&tracev1.Statement{Stated: &tracev1.Statement_RolesChanged{
		RolesChanged: &tracev1.RolesChanged{ParticipantId: id, Roles: roles}}})
}

// TestRecorded submits what is on record again, after all that would have it
// refused now.
func TestRecorded(t *testing.T) {
	j := newJournal(t, "acme")
	sold, amended := j.sale("acme", nil), (*tracev1.Envelope)(nil)
	j.record(sold)
	amended = j.amendment("acme", j.last(), nil)
	j.record(amended)
	voided := j.void("acme", j.last())
	j.record(voided)
	again := func(env *tracev1.Envelope, index uint64) {
		t.Helper()
		var recorded *custody.Recorded
		if err := j.admit(env); !errors.As(err, &recorded) || recorded.Index != index {
			t.Errorf("%v, want recorded at %d", err, index)
		}
	}
	all := func() {
		t.Helper()
		again(sold, 3)
		again(amended, 4)
		again(voided, 5)
		again(j.statements[1], 1)
		again(j.made.Genesis, 0)
	}
	all()
	j.record(j.suspend("acme"))
	j.record(j.roles("acme", tracev1.Role_ROLE_CUSTOMER))
	j.record(j.made.RevokeKey(verifytest.Key("acme").Public()))
	j.at = j.at.Add(-10 * 365 * 24 * time.Hour)
	all()

	// The same payload under another signature, and by another key.
	st, err := verify.ParsePayload(sold.GetPayload())
	if err != nil {
		t.Fatal(err)
	}
	j.at = j.made.Now
	j.record(j.reinstate("acme"))
	second := verifytest.Key("acme 2")
	j.record(j.made.RegisterKey("acme", second))
	again(j.unsigned(second.Public(), st.Statement), 3)
	again(j.made.Sign(second, st.Statement), 3)
}

// TestRefusedIDIsFree records under the id of a statement that was refused.
func TestRefusedIDIsFree(t *testing.T) {
	j := newJournal(t, "acme")
	wrong := j.made.TransactionStatement("acme", 0)
	right, other := j.made.TransactionStatement("acme", 5), j.made.TransactionStatement("acme", 6)
	right.StatementId, other.StatementId = wrong.GetStatementId(), wrong.GetStatementId()
	j.refused(j.by("acme", wrong), outOfRange)
	j.record(j.by("acme", right))
	j.refused(j.by("acme", wrong), tracev1.RefusalReason_REFUSAL_REASON_STATEMENT_EXISTS)
	j.refused(j.by("acme", other), tracev1.RefusalReason_REFUSAL_REASON_STATEMENT_EXISTS) // a payload of the same length
}

// TestIDsAreTheSigners records the same statement id of two signers.
func TestIDsAreTheSigners(t *testing.T) {
	j := newJournal(t, "acme", "zeta")
	one, two := j.made.TransactionStatement("acme", 1), j.made.TransactionStatement("zeta", 1)
	two.StatementId = one.GetStatementId()
	j.record(j.by("acme", one), j.by("zeta", two))
	for n, signer := range []string{"acme", "zeta"} {
		index, ok, err := custody.StatementByKey(j, signer, one.GetStatementId())
		if err != nil || !ok || index != uint64(5+n) {
			t.Errorf("statement of %s at %d, %t, %v", signer, index, ok, err)
		}
	}
	if _, ok, err := custody.StatementByKey(j, "acm", one.GetStatementId()); ok || err != nil {
		t.Errorf("statement of somebody else: %t, %v", ok, err)
	}
}

// TestFindStatements looks every statement up by its hash.
func TestFindStatements(t *testing.T) {
	j := newJournal(t, "acme")
	j.record(j.sale("acme", nil))
	for n, hash := range j.hashes {
		index, ok, err := custody.StatementByHash(j, hash[:])
		if err != nil || !ok || index != uint64(n) {
			t.Errorf("statement %d at %d, %t, %v", n, index, ok, err)
		}
	}
	if _, ok, err := custody.StatementByHash(j, make([]byte, 32)); ok || err != nil {
		t.Errorf("no statement: %t, %v", ok, err)
	}
}

// TestBounds admits what lies just within bounds, and refuses what lies beyond.
func TestBounds(t *testing.T) {
	j := newJournal(t, "acme")
	// 2026-06-01 24:00 in China, less a microsecond.
	j.at = time.Date(2026, 6, 1, 16, 0, 0, 0, time.UTC).Add(-time.Microsecond)
	dated := func(date string) *tracev1.Envelope {
		return j.sale("acme", func(tx *tracev1.Transaction) { tx.TransactionDate = date })
	}
	j.record(dated("2026-06-02"), dated("1900-01-01"))
	refusal := j.refused(dated("2026-06-03"), dateAhead)
	checkViolation(t, refusal.Violations, dateAhead, "transaction.transaction_date")
	refusal = j.refused(j.amendment("acme", j.last(), func(tx *tracev1.Transaction) { tx.TransactionDate = "2026-06-03" }), dateAhead)
	checkViolation(t, refusal.Violations, dateAhead, "amendment.replacement.transaction_date")
	j.at = j.at.Add(time.Microsecond)
	j.record(dated("2026-06-03"))

	stated := func(at time.Time) *tracev1.Envelope {
		st := j.made.TransactionStatement("acme", 1)
		st.StatedAtMicros = at.UnixMicro()
		return j.by("acme", st)
	}
	j.record(stated(j.at.Add(5*time.Minute)), stated(time.UnixMicro(1)))
	refusal = j.refused(stated(j.at.Add(5*time.Minute+time.Microsecond)), dateAhead)
	checkViolation(t, refusal.Violations, dateAhead, "stated_at_micros")
	if refusal.LimitValue != uint64((5 * time.Minute).Microseconds()) {
		t.Errorf("limit %d", refusal.LimitValue)
	}
}
