// Package verifytest builds signed ledgers for tests: keys from names, a
// genesis, acts of the authority, transactions, and histories of them with
// every proof that a correct server would give.
//
// Everything is a function of the arguments and of the order of the calls, so
// that a failure repeats, except signatures by P-256 keys, which are
// randomized. Proofs come from [Tree], which shares no code with package
// verify.
//
//	l := verifytest.NewLedger(t)
//	h := l.NewHistory(l.Register("acme", tracev1.Role_ROLE_PRODUCER)...)
//	h.Record(l.Transaction("acme", 125_000))
//	bundle := h.Bundle(h.Size() - 1)
//	proven, err := l.Log.VerifyBundle(bundle)
//
// The keys protect nothing: whoever knows the name has the key.
package verifytest

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Origin is the origin of the ledgers that NewLedger founds.
const Origin = "ledger.test/2026"

// Founded is when NewLedger founds ledgers.
var Founded = time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC)

const reportingOffset = 8 * time.Hour

// Ledger is a founded ledger and the keys of those who run it. Its methods may
// be called concurrently. An error ends the test, as testing.TB.Fatal does.
type Ledger struct {
	t testing.TB

	// Genesis is the founding envelope, which stands at index 0.
	Genesis *tracev1.Envelope
	// Log is what verifiers pin.
	Log *verify.Log
	// Root, Authority and Ledger are the signers with the founding keys.
	Root, Authority, Ledger *verify.Signer
	// Checkpoints signs checkpoints; CheckpointKey gives its key as text.
	Checkpoints note.Signer
	// Now is when statements made from now on are claimed to be stated, and
	// what dates transactions. It must not be set while others make statements.
	Now time.Time

	mu    sync.Mutex
	made  uint64                 // statements
	spkis map[verify.Hash][]byte // of the keys that signed or were registered
}

// NewLedger founds a ledger. Each call returns the same one.
func NewLedger(t testing.TB) *Ledger {
	t.Helper()
	return NewLedgerAt(t, Origin, Founded)
}

// NewLedgerAt founds a ledger with another origin or at another time. Another
// origin makes another checkpoint key; the other keys are those of NewLedger.
func NewLedgerAt(t testing.TB, origin string, now time.Time) *Ledger {
	t.Helper()
	l := &Ledger{
		t: t, Now: now, spkis: make(map[verify.Hash][]byte),
		Root: Key(verify.RootID), Authority: Key(verify.AuthorityID), Ledger: Key(verify.LedgerID),
		Checkpoints: CheckpointSigner(origin),
	}
	l.Genesis = l.Sign(l.Root, l.GenesisStatement())
	g, err := verify.OpenGenesis(l.Genesis)
	if err != nil {
		t.Fatalf("founding a ledger: %v", err)
	}
	l.Log = g.Log
	return l
}

// GenesisStatement returns a new statement that founds a ledger with the
// origin and the keys of this one.
func (l *Ledger) GenesisStatement() *tracev1.Statement {
	l.t.Helper()
	_, vkey := CheckpointKey(l.Checkpoints.Name())
	st := l.Complete(verify.RootID, &tracev1.Statement{Stated: &tracev1.Statement_Genesis{Genesis: &tracev1.Genesis{
		Origin: l.Checkpoints.Name(), CheckpointVkey: vkey,
		Root:         l.FoundingKey(verify.RootID, l.Root),
		Authority:    l.FoundingKey(verify.AuthorityID, l.Authority),
		Ledger:       l.FoundingKey(verify.LedgerID, l.Ledger),
		RulesVersion: 1,
		RuleParameters: &tracev1.RuleParameters{
			MaxPayloadBytes: 256 << 10, MaxTransactionLines: 1000, MaxBatchSize: verify.MaxBatch,
			MaxDaysAhead: 1, MaxStatedAheadMicros: (5 * time.Minute).Microseconds(),
		},
		ReportingUtcOffsetSeconds: int32(reportingOffset / time.Second),
	}}})
	st.LedgerId = nil
	return st
}

// FoundingKey names a key in a genesis as a participant's.
func (l *Ledger) FoundingKey(id string, key *verify.Signer) *tracev1.FoundingKey {
	l.t.Helper()
	return &tracev1.FoundingKey{Spki: key.Public().SPKI(), Possession: l.possession(verify.Hash{}, id, key)}
}

// Complete sets what every statement bears and st does not have yet: ledger id,
// salt, statement id, signer and time. It returns st.
func (l *Ledger) Complete(signer string, st *tracev1.Statement) *tracev1.Statement {
	l.mu.Lock()
	l.made++
	unique := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("verifytest statement "), l.made))
	l.mu.Unlock()
	if st.LedgerId == nil && l.Log != nil {
		id := l.Log.ID()
		st.LedgerId = id[:]
	}
	if st.Salt == nil {
		st.Salt = unique[:16]
	}
	if st.StatementId == nil {
		st.StatementId = unique[16:]
	}
	if st.Signer == "" {
		st.Signer = signer
	}
	if st.StatedAtMicros == 0 {
		st.StatedAtMicros = l.Now.UnixMicro()
	}
	return st
}

// Sign returns the envelope of a statement, signed by itself.
func (l *Ledger) Sign(key *verify.Signer, st *tracev1.Statement) *tracev1.Envelope {
	l.t.Helper()
	l.remember(key)
	env, err := key.Sign(l.payload(st))
	if err != nil {
		l.t.Fatal(err)
	}
	return env
}

// SignBatch returns the envelopes of statements that are signed by one
// signature.
func (l *Ledger) SignBatch(key *verify.Signer, sts ...*tracev1.Statement) []*tracev1.Envelope {
	l.t.Helper()
	l.remember(key)
	payloads := make([]*verify.Payload, len(sts))
	for i, st := range sts {
		payloads[i] = l.payload(st)
	}
	envs, err := key.SignBatch(payloads)
	if err != nil {
		l.t.Fatal(err)
	}
	return envs
}

// Register returns the acts of the authority that let a participant take part:
// its admission, and the registration of Key(id) for it.
func (l *Ledger) Register(id string, roles ...tracev1.Role) []*tracev1.Envelope {
	l.t.Helper()
	return []*tracev1.Envelope{l.Admit(id, roles...), l.RegisterKey(id, Key(id))}
}

// Admit returns the act that admits a participant.
func (l *Ledger) Admit(id string, roles ...tracev1.Role) *tracev1.Envelope {
	l.t.Helper()
	return l.Sign(l.Authority, l.Complete(verify.AuthorityID, &tracev1.Statement{
		Stated: &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: &tracev1.ParticipantAdmitted{
			ParticipantId: id, Name: &tracev1.LegalName{Native: id}, Country: "CN", Roles: roles,
		}},
	}))
}

// RegisterKey returns the act that registers a key for a participant.
func (l *Ledger) RegisterKey(id string, key *verify.Signer) *tracev1.Envelope {
	l.t.Helper()
	l.remember(key)
	return l.Sign(l.Authority, l.Complete(verify.AuthorityID, &tracev1.Statement{
		Stated: &tracev1.Statement_KeyRegistered{KeyRegistered: &tracev1.KeyRegistered{
			ParticipantId: id, Spki: key.Public().SPKI(), Possession: l.possession(l.Log.ID(), id, key),
		}},
	}))
}

// RevokeKey returns the act that revokes a key.
func (l *Ledger) RevokeKey(key *verify.PublicKey) *tracev1.Envelope {
	l.t.Helper()
	id := key.ID()
	return l.Sign(l.Authority, l.Complete(verify.AuthorityID, &tracev1.Statement{
		Stated: &tracev1.Statement_KeyRevoked{KeyRevoked: &tracev1.KeyRevoked{KeyId: id[:], Reason: "end of use"}},
	}))
}

// Transaction returns the TransactionStatement, signed by Key(seller).
func (l *Ledger) Transaction(seller string, grams uint64) *tracev1.Envelope {
	l.t.Helper()
	return l.Sign(Key(seller), l.TransactionStatement(seller, grams))
}

// TransactionStatement returns a sound sale of sintered magnets in one line, on
// the reporting date of Now, to a customer that the seller alone knows.
func (l *Ledger) TransactionStatement(seller string, grams uint64) *tracev1.Statement {
	return l.Complete(seller, &tracev1.Statement{
		Stated: &tracev1.Statement_Transaction{Transaction: &tracev1.Transaction{
			Kind:              tracev1.TransactionKind_TRANSACTION_KIND_SALE,
			Customer:          &tracev1.Party{OwnCode: "C-1", Name: &tracev1.LegalName{Native: "客户", Latin: "Customer"}, Country: "CN"},
			TransactionDate:   l.Now.Add(reportingOffset).UTC().Format(time.DateOnly),
			TransactionNumber: "T-1",
			EndUse:            tracev1.EndUse_END_USE_TRACTION,
			Lines: []*tracev1.TransactionLine{{
				ProductFamily: tracev1.ProductFamily_PRODUCT_FAMILY_NDFEB_SINTERED,
				Grade:         "N42SH",
				ProductForm:   tracev1.ProductForm_PRODUCT_FORM_ARC,
				HsCode:        "850511",
				Coating:       tracev1.Coating_COATING_NICUNI,
				Composition:   []*tracev1.ElementFraction{{Symbol: "Nd", Ppm: 295_000}, {Symbol: "Dy", Ppm: 12_000}},
				LotNumber:     "L-1",
				NetMassGrams:  grams,
				PieceCount:    1000,
			}},
		}},
	})
}

func (l *Ledger) payload(st *tracev1.Statement) *verify.Payload {
	l.t.Helper()
	p, err := verify.NewPayload(st)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

func (l *Ledger) possession(ledgerID verify.Hash, id string, key *verify.Signer) []byte {
	l.t.Helper()
	proof, err := key.ProvePossession(ledgerID, id)
	if err != nil {
		l.t.Fatal(err)
	}
	return proof
}

func (l *Ledger) remember(key *verify.Signer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spkis[key.Public().ID()] = key.Public().SPKI()
}

// statementOf returns what an envelope says; the payload need not be canonical.
func statementOf(env *tracev1.Envelope) *tracev1.Statement {
	st := new(tracev1.Statement)
	if proto.Unmarshal(env.GetPayload(), st) != nil {
		return nil
	}
	return st
}
