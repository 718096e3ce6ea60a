package custody

import (
	"bytes"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// CheckStatement judges every value of a statement that can be judged without
// the state of a ledger: that something is stated, the ids, the form of the
// signer, and every field of what is stated. It returns nil, or one refusal with
// the first 20 violations in the order of the fields; its reason is that of the
// first. Their paths start at the statement: "transaction.lines[2].hs_code".
//
// p are the rule parameters in force; a genesis is judged by none but its own.
// Not judged here: the size of the payload and its form on the wire, which
// ledger it is made to, dates against the time of the ledger (CheckDateBounds),
// and whether a key that is named is one. Values that are suspicious but
// possible pass.
//
// A statement without fault costs no allocation, but for a reading right that
// names sellers.
func CheckStatement(st *tracev1.Statement, p *tracev1.RuleParameters) *Refusal {
	var c valueChecker
	c.header(st)
	c.stated(st, p)
	return c.refusal()
}

// header checks what every statement has.
func (c *valueChecker) header(st *tracev1.Statement) {
	if _, genesis := st.GetStated().(*tracev1.Statement_Genesis); !genesis {
		c.length(nil, "ledger_id", st.GetLedgerId(), hashBytes)
	} else if len(st.GetLedgerId()) > 0 {
		c.fail(valueMalformed, nil, "ledger_id", "must be absent in a genesis")
	}
	c.length(nil, "salt", st.GetSalt(), saltBytes)
	c.length(nil, "statement_id", st.GetStatementId(), statementIDBytes)
	if bytes.Equal(st.GetStatementId(), make([]byte, statementIDBytes)) {
		c.fail(valueOutOfRange, nil, "statement_id", "must not be all zero")
	}
	c.participantID(nil, "signer", st.GetSigner())
	if st.GetStatedAtMicros() < 0 {
		c.fail(valueOutOfRange, nil, "stated_at_micros", "must not be before 1970")
	}
}

// stated checks the fields of what is stated.
func (c *valueChecker) stated(st *tracev1.Statement, p *tracev1.RuleParameters) {
	switch st.GetStated().(type) {
	case nil:
		c.fail(valueMissing, nil, "stated", "nothing is stated")
	case *tracev1.Statement_Genesis:
		c.genesis(under("genesis"), st.GetGenesis())
	case *tracev1.Statement_ParticipantAdmitted:
		c.participantAdmitted(under("participant_admitted"), st.GetParticipantAdmitted())
	case *tracev1.Statement_ParticipantSuspended:
		m := st.GetParticipantSuspended()
		c.participantAndReason(under("participant_suspended"), m.GetParticipantId(), m.GetReason())
	case *tracev1.Statement_ParticipantReinstated:
		m := st.GetParticipantReinstated()
		c.participantAndReason(under("participant_reinstated"), m.GetParticipantId(), m.GetReason())
	case *tracev1.Statement_RolesChanged:
		c.rolesChanged(under("roles_changed"), st.GetRolesChanged())
	case *tracev1.Statement_KeyRegistered:
		c.keyRegistered(under("key_registered"), st.GetKeyRegistered())
	case *tracev1.Statement_KeyRevoked:
		c.keyRevoked(under("key_revoked"), st.GetKeyRevoked())
	case *tracev1.Statement_ReadingRightGranted:
		c.readingRightGranted(under("reading_right_granted"), st.GetReadingRightGranted())
	case *tracev1.Statement_Transaction:
		c.transaction(under("transaction"), st.GetTransaction(), p)
	case *tracev1.Statement_Amendment:
		c.amendment(under("amendment"), st.GetAmendment(), p)
	case *tracev1.Statement_Void:
		c.void(under("void"), st.GetVoid())
	default:
		c.fail(valueMalformed, nil, "stated", "is unknown to these rules")
	}
}
