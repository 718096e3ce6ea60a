package custody

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// RulesVersion is the version of the rules in this package. A log that asks for
// another cannot be judged by it.
const RulesVersion = 1

// ErrState says that the state is not what these rules leave behind: it was
// damaged, or made by other rules. It is never the fault of a statement. Its
// text goes to logs: it names participants and indexes, and no customers.
var ErrState = errors.New("state is inconsistent")

// Recorded is the error of a statement that is on record already, byte for
// byte.
type Recorded struct {
	// Index is where.
	Index uint64
}

func (r *Recorded) Error() string { return fmt.Sprintf("recorded at index %d", r.Index) }

// Rules judge the statements of one ledger. They are safe for concurrent use.
type Rules struct {
	ledgerID   verify.Hash
	parameters *tracev1.RuleParameters
	utcOffset  int32

	keys         memo[tracev1.Key, *tracev1.Key]
	participants memo[tracev1.Participant, *tracev1.Participant]
}

// NewRules returns the rules that a genesis activates. It fails if they are of
// another version than this package's.
func NewRules(g *verify.Genesis) (*Rules, error) {
	if v := g.Statement.GetRulesVersion(); v != RulesVersion {
		return nil, fmt.Errorf("the genesis asks for rules version %d, this program has %d", v, RulesVersion)
	}
	return &Rules{
		ledgerID:   g.Log.ID(),
		parameters: g.Statement.GetRuleParameters(),
		utcOffset:  g.Statement.GetReportingUtcOffsetSeconds(),
	}, nil
}

// Parameters returns the rule parameters. They must not be changed.
func (r *Rules) Parameters() *tracev1.RuleParameters { return r.parameters }

// ReportingUTCOffset returns the offset of reporting dates from UTC in seconds.
func (r *Rules) ReportingUTCOffset() int32 { return r.utcOffset }

// Submission is a statement whose signature was checked, on its way to the
// rules.
type Submission struct {
	// Payload is the statement.
	Payload *verify.Payload
	// KeyID is the key that signed it.
	KeyID verify.Hash
	// Block is its signature block.
	Block *verify.SignatureBlock
	// Hash is the statement hash.
	Hash verify.Hash

	refusal *Refusal // what CheckStatement said
}

// ParseSubmission does what needs no state: the envelope is within limits,
// canonical and made to this ledger. The error is a *Refusal. Key and signature
// are the caller's to check, with CheckKey and the block's Verify.
func (r *Rules) ParseSubmission(env *tracev1.Envelope) (*Submission, error) {
	if limit := r.parameters.GetMaxPayloadBytes(); len(env.GetPayload()) > int(limit) {
		return nil, &Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_TOO_LARGE, Limit: "max_payload_bytes", LimitValue: uint64(limit),
			Message: fmt.Sprintf("the payload has %d bytes, the limit is %d", len(env.GetPayload()), limit)}
	}
	p, err := verify.ParsePayload(env.GetPayload())
	if errors.Is(err, verify.ErrNotCanonical) {
		return nil, refuse(tracev1.RefusalReason_REFUSAL_REASON_NOT_CANONICAL, "%v", err)
	}
	if err != nil {
		return nil, refuse(tracev1.RefusalReason_REFUSAL_REASON_MALFORMED, "%v", err)
	}
	keyID, err := verify.ParseHash(env.GetKeyId())
	if err != nil {
		return nil, refuse(tracev1.RefusalReason_REFUSAL_REASON_MALFORMED, "key id: %v", err)
	}
	block, err := verify.ParseSignatureBlock(env.GetSignatureBlock())
	if err != nil {
		return nil, refuse(tracev1.RefusalReason_REFUSAL_REASON_MALFORMED, "%v", err)
	}
	if limit := uint64(r.parameters.GetMaxBatchSize()); block.Size > limit {
		return nil, &Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_TOO_LARGE, Limit: "max_batch_size", LimitValue: limit,
			Message: fmt.Sprintf("the batch has %d statements, the limit is %d", block.Size, limit)}
	}
	if p.Statement.GetGenesis() == nil && !bytes.Equal(p.Statement.GetLedgerId(), r.ledgerID[:]) {
		return nil, refuse(tracev1.RefusalReason_REFUSAL_REASON_WRONG_LEDGER, "the statement is made to another ledger; this one is %s", r.ledgerID)
	}
	return &Submission{
		Payload: p, KeyID: keyID, Block: block,
		Hash:    verify.StatementHash(p.Leaf, keyID, env.GetSignatureBlock()),
		refusal: CheckStatement(p.Statement, r.parameters),
	}, nil
}

// CheckKey checks that a key, as KeyByID returned it, is the signer's. Whether
// it is still valid, Admit judges. The error is a *Refusal.
func CheckKey(k *tracev1.Key, signer string) error {
	switch {
	case k == nil:
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN, "no key with this id is registered")
	case k.GetParticipantId() != signer:
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_KEY_NOT_SIGNERS, "the key is not registered for signer %q", signer)
	}
	return nil
}

// Place is where and when a statement is sequenced.
type Place struct {
	Index             uint64
	SequencedAtMicros int64
}

// Admit judges a statement whose signature is true, as the next entry, and if
// it is admitted puts into the state what follows from it. The error is a
// *Recorded if the same payload is on record, a *Refusal if it may not be
// recorded; then the state is as before. Any other error is of the state.
func (r *Rules) Admit(s State, at Place, sub *Submission) error {
	st := sub.Payload.Statement
	id := statementKey(st.GetSigner(), st.GetStatementId())
	if err := findRecorded(s, id, sub); err != nil {
		return err
	}
	k, err := r.keys.read(s, keyKey(sub.KeyID[:]))
	if err != nil {
		return err
	}
	if err := CheckKey(k, st.GetSigner()); err != nil {
		return err
	}
	if k.RevokedIndex != nil {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_KEY_REVOKED, "the key was revoked at index %d", k.GetRevokedIndex())
	}
	if err := r.checkAuthor(s, st); err != nil {
		return err
	}
	if sub.refusal != nil {
		return sub.refusal
	}
	if ahead := r.parameters.GetMaxStatedAheadMicros(); st.GetStatedAtMicros() > at.SequencedAtMicros+ahead {
		return &Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_DATE_OUT_OF_BOUNDS, Limit: "max_stated_ahead_micros", LimitValue: uint64(ahead),
			Message: "the statement is dated in the future", Violations: []Violation{{Field: "stated_at_micros",
				Reason:      tracev1.RefusalReason_REFUSAL_REASON_DATE_OUT_OF_BOUNDS,
				Description: fmt.Sprintf("must be at most %d microseconds ahead of the ledger's time", ahead)}}}
	}
	if err := r.apply(s, at, st); err != nil {
		return err
	}
	index := uint64Value(at.Index)
	s.Put(id, index)
	s.Put(hashKey(sub.Hash[:]), index)
	return nil
}

// findRecorded returns a *Recorded or *Refusal if the statement id was used, which
// stands under a key.
func findRecorded(r Lookup, key []byte, sub *Submission) error {
	index, ok, err := readIndex(r, key)
	if err != nil || !ok {
		return err
	}
	recorded, err := r.Payload(index)
	if err != nil {
		return err
	}
	if bytes.Equal(recorded, sub.Payload.Bytes) {
		return &Recorded{Index: index}
	}
	return refuse(tracev1.RefusalReason_REFUSAL_REASON_STATEMENT_EXISTS, "the statement id was used at index %d for another content", index)
}

// traders are the roles that state transactions.
var traders = []tracev1.Role{
	tracev1.Role_ROLE_PRODUCER, tracev1.Role_ROLE_MINER, tracev1.Role_ROLE_SEPARATOR, tracev1.Role_ROLE_METAL_MAKER,
	tracev1.Role_ROLE_ALLOY_MAKER, tracev1.Role_ROLE_RECYCLER, tracev1.Role_ROLE_TRADER,
}

// checkAuthor checks that the signer may state this sort of statement.
func (r *Rules) checkAuthor(s State, st *tracev1.Statement) error {
	switch st.GetStated().(type) {
	case *tracev1.Statement_Genesis:
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_GENESIS_EXISTS, "a genesis stands at index 0 only")
	case *tracev1.Statement_Transaction, *tracev1.Statement_Amendment, *tracev1.Statement_Void:
		return r.checkTrader(s, st.GetSigner())
	}
	if st.GetSigner() != verify.AuthorityID {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_ROLE, "only %q may state this", verify.AuthorityID)
	}
	return nil
}

func (r *Rules) checkTrader(s State, signer string) error {
	p, err := r.participants.read(s, key(participantKeys, signer))
	if err != nil {
		return err
	}
	if p.GetSuspended() {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_SUSPENDED, "the signer is suspended")
	}
	if !slices.ContainsFunc(p.GetRoles(), func(r tracev1.Role) bool { return slices.Contains(traders, r) }) {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_ROLE, "the signer has no role that states transactions")
	}
	return nil
}

// apply judges what is stated and puts what follows from it. It puts nothing
// before it has judged everything.
func (r *Rules) apply(s State, at Place, st *tracev1.Statement) error {
	switch v := st.GetStated().(type) {
	case *tracev1.Statement_ParticipantAdmitted:
		return admitParticipant(s, at, v.ParticipantAdmitted)
	case *tracev1.Statement_ParticipantSuspended:
		return setSuspended(s, v.ParticipantSuspended.GetParticipantId(), true)
	case *tracev1.Statement_ParticipantReinstated:
		return setSuspended(s, v.ParticipantReinstated.GetParticipantId(), false)
	case *tracev1.Statement_RolesChanged:
		return changeRoles(s, v.RolesChanged)
	case *tracev1.Statement_KeyRegistered:
		return r.registerKey(s, at, v.KeyRegistered)
	case *tracev1.Statement_KeyRevoked:
		return revokeKey(s, at, v.KeyRevoked)
	case *tracev1.Statement_ReadingRightGranted:
		return grantReading(s, at, v.ReadingRightGranted)
	case *tracev1.Statement_Transaction:
		return r.record(s, at, st.GetSigner(), v.Transaction)
	case *tracev1.Statement_Amendment:
		return r.amend(s, at, st.GetSigner(), v.Amendment)
	case *tracev1.Statement_Void:
		return r.void(s, at, st.GetSigner(), v.Void)
	}
	return fmt.Errorf("no rule for %T", st.GetStated())
}

// Found judges a genesis as entry 0 of an empty state and puts what follows
// from it. The error is a *Refusal.
func Found(s State, g *verify.Genesis) error {
	if refusal := CheckStatement(g.Payload.Statement, g.Statement.GetRuleParameters()); refusal != nil {
		return refusal
	}
	checkpoint, err := verify.CheckpointKey(g.Log.CheckpointVKey())
	if err != nil {
		return refuse(tracev1.RefusalReason_REFUSAL_REASON_VALUE_MALFORMED, "%v", err)
	}
	putKey(s, &tracev1.Key{Spki: checkpoint.SPKI()})
	for _, owner := range []string{verify.RootID, verify.AuthorityID, verify.LedgerID} {
		putKey(s, &tracev1.Key{Spki: g.Keys[owner].SPKI(), ParticipantId: owner})
	}
	id, st := g.Log.ID(), g.Payload.Statement
	s.Put(statementKey(st.GetSigner(), st.GetStatementId()), uint64Value(0))
	s.Put(hashKey(id[:]), uint64Value(0))
	return nil
}
