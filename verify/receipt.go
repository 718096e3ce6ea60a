package verify

import (
	"bytes"
	"errors"
	"fmt"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// ErrReceipt says that a receipt does not prove what it should.
var ErrReceipt = errors.New("receipt does not verify")

// Proven is what a receipt proves: this payload, signed by this key, stands at
// this index of the log, which had at least this checkpoint.
type Proven struct {
	Payload    *Payload
	Key        *PublicKey
	Entry      Entry
	Checkpoint *Checkpoint
}

// VerifyReceipt checks a statement and its receipt offline. It proves which key
// signed and where the statement stands, not whose key that is: VerifyBundle
// does. The error wraps ErrReceipt.
func (l *Log) VerifyReceipt(env *tracev1.Envelope, r *tracev1.Receipt) (*Proven, error) {
	p, err := l.proveStatement(env, r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return p, nil
}

func (l *Log) proveStatement(env *tracev1.Envelope, r *tracev1.Receipt) (*Proven, error) {
	payload, err := ParsePayload(env.GetPayload())
	if err != nil {
		return nil, err
	}
	key, err := ParsePublicKey(r.GetSignerSpki())
	if err != nil {
		return nil, err
	}
	if key.id != hashOrZero(env.GetKeyId()) {
		return nil, errors.New("the receipt is for another key")
	}
	if err := VerifySignature(payload, key, env.GetSignatureBlock(), nil); err != nil {
		return nil, err
	}
	hash := StatementHash(payload.Leaf, key.id, env.GetSignatureBlock())
	if err := l.checkLedger(payload.Statement, hash); err != nil {
		return nil, err
	}
	entry, cp, err := l.proveEntry(r)
	if err != nil {
		return nil, err
	}
	if entry.StatementHash != hash {
		return nil, errors.New("the entry is of another statement")
	}
	return &Proven{Payload: payload, Key: key, Entry: entry, Checkpoint: cp}, nil
}

// checkLedger checks that a statement is made to this ledger, or founds it.
func (l *Log) checkLedger(st *tracev1.Statement, hash Hash) error {
	if st.GetGenesis() != nil && hash == l.id {
		return nil
	}
	if hashOrZero(st.GetLedgerId()) != l.id {
		return errors.New("the statement is made to another ledger")
	}
	return nil
}

func (l *Log) proveEntry(r *tracev1.Receipt) (Entry, *Checkpoint, error) {
	entry, err := ParseEntry(r.GetEntry())
	if err != nil {
		return Entry{}, nil, err
	}
	cp, err := l.OpenCheckpoint(r.GetCheckpoint())
	if err != nil {
		return Entry{}, nil, err
	}
	return entry, cp, VerifyInclusion(entry.LeafHash(), entry.Index, cp.Size, r.GetInclusionPath(), cp.Root)
}

// VerifyBundle checks a receipt bundle offline: the statement stands in the
// log, its key was registered for its signer before it, that registration was
// signed by a key of the authority registered before it, and so on to the
// genesis, whose hash is the ledger id. That the key was not revoked in between
// cannot be proved by a bundle; a ledger whose log passes a full audit admits
// no such statement. The error wraps ErrReceipt.
func (l *Log) VerifyBundle(b *tracev1.ReceiptBundle) (*Proven, error) {
	genesis, err := l.verifyGenesis(b.GetGenesis())
	if err != nil {
		return nil, fmt.Errorf("%w: genesis: %w", ErrReceipt, err)
	}
	first, err := l.VerifyReceipt(b.GetStatement().GetEnvelope(), b.GetStatement().GetReceipt())
	if err != nil {
		return nil, err
	}
	signed := first
	for i, r := range b.GetKeyRegistrations() {
		registration, err := l.VerifyReceipt(r.GetEnvelope(), r.GetReceipt())
		if err != nil {
			return nil, fmt.Errorf("key registration %d: %w", i, err)
		}
		if err := checkRegistration(registration, signed); err != nil {
			return nil, fmt.Errorf("%w: key registration %d: %w", ErrReceipt, i, err)
		}
		signed = registration
	}
	founder := genesis.Keys[signed.Payload.Statement.GetSigner()]
	if founder == nil || founder.id != signed.Key.id {
		return nil, fmt.Errorf("%w: neither the genesis nor a registration names the key of %q",
			ErrReceipt, signed.Payload.Statement.GetSigner())
	}
	return first, nil
}

func (l *Log) verifyGenesis(s *tracev1.ProvenStatement) (*Genesis, error) {
	g, err := OpenGenesis(s.GetEnvelope())
	if err != nil {
		return nil, err
	}
	if g.Log.id != l.id || g.Log.vkey != l.vkey {
		return nil, errors.New("it founds another ledger than the pinned one")
	}
	proven, err := l.VerifyReceipt(s.GetEnvelope(), s.GetReceipt())
	if err != nil {
		return nil, err
	}
	if proven.Entry.Index != 0 {
		return nil, errors.New("it does not stand at index 0")
	}
	return g, nil
}

// checkRegistration checks that a statement registers the key that signed
// another, for its signer, before it.
func checkRegistration(registration, signed *Proven) error {
	st := registration.Payload.Statement
	k := st.GetKeyRegistered()
	switch {
	case k == nil:
		return errors.New("the statement registers no key")
	case st.GetSigner() != AuthorityID:
		return errors.New("it is not by the authority")
	case k.GetParticipantId() == RootID:
		return errors.New("keys of root are not the authority's to register")
	case !bytes.Equal(signed.Key.spki, k.GetSpki()):
		return errors.New("it registers another key")
	case k.GetParticipantId() != signed.Payload.Statement.GetSigner():
		return errors.New("it registers the key for another participant")
	case registration.Entry.Index >= signed.Entry.Index:
		return errors.New("it comes after the statement that the key signed")
	}
	return nil
}
