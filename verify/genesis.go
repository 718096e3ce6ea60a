package verify

import (
	"errors"
	"fmt"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Reserved participant ids.
const (
	RootID      = "root"
	AuthorityID = "authority"
	LedgerID    = "ledger"
)

// ErrGenesis says that a statement is no sound genesis.
var ErrGenesis = errors.New("not a sound genesis")

// Genesis is the founding statement of a ledger, checked.
type Genesis struct {
	// Log is what it makes verifiers pin.
	Log *Log
	// Statement is what it says.
	Statement *tracev1.Genesis
	// Payload is the statement as it was signed.
	Payload *Payload
	// Keys are the founding keys by participant id: RootID, AuthorityID and
	// LedgerID.
	Keys map[string]*PublicKey
}

// OpenGenesis checks a genesis by itself: it is canonical, names no ledger, is
// signed by the root key it names, every founding key is acceptable, different
// from the others and from the checkpoint key, and possessed by who named it.
// Whether it is the right genesis, only the ledger id pinned out of band can
// tell. The error wraps ErrGenesis or is a *FormError.
func OpenGenesis(env *tracev1.Envelope) (*Genesis, error) {
	p, err := ParsePayload(env.GetPayload())
	if err != nil {
		return nil, err
	}
	st := p.Statement.GetGenesis()
	if st == nil || p.Statement.GetSigner() != RootID || len(p.Statement.GetLedgerId()) != 0 {
		return nil, fmt.Errorf("%w: it is no genesis signed by root", ErrGenesis)
	}
	keys, err := foundingKeys(st)
	if err != nil {
		return nil, err
	}
	root := keys[RootID]
	if root.id != hashOrZero(env.GetKeyId()) {
		return nil, fmt.Errorf("%w: it is not signed by its root key", ErrGenesis)
	}
	if err := VerifySignature(p, root, env.GetSignatureBlock(), nil); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	log, err := NewLog(StatementHash(p.Leaf, root.id, env.GetSignatureBlock()), st.GetCheckpointVkey())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	if log.Origin() != st.GetOrigin() {
		return nil, fmt.Errorf("%w: its verifier key is named %q, its origin is %q", ErrGenesis, log.Origin(), st.GetOrigin())
	}
	return &Genesis{Log: log, Statement: st, Payload: p, Keys: keys}, nil
}

func foundingKeys(st *tracev1.Genesis) (map[string]*PublicKey, error) {
	checkpoint, err := CheckpointKey(st.GetCheckpointVkey())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	used := map[Hash]string{checkpoint.ID(): "the checkpoints"}
	keys := make(map[string]*PublicKey)
	for id, named := range map[string]*tracev1.FoundingKey{
		RootID: st.GetRoot(), AuthorityID: st.GetAuthority(), LedgerID: st.GetLedger(),
	} {
		key, err := ParsePublicKey(named.GetSpki())
		if err != nil {
			return nil, fmt.Errorf("%w: key of %s: %w", ErrGenesis, id, err)
		}
		if other, ok := used[key.id]; ok {
			return nil, fmt.Errorf("%w: %s and %s share a key", ErrGenesis, id, other)
		}
		if err := key.VerifyPossession(Hash{}, id, named.GetPossession()); err != nil {
			return nil, fmt.Errorf("%w: key of %s: %w", ErrGenesis, id, err)
		}
		used[key.id], keys[id] = id, key
	}
	return keys, nil
}

// hashOrZero returns the hash that b holds, or zeros, which are no hash.
func hashOrZero(b []byte) Hash {
	h, _ := ParseHash(b)
	return h
}
