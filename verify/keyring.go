package verify

import (
	"fmt"
	"slices"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// keyRing follows which key was valid for whom at which index, as a full audit
// reads the log. It judges signatures and keys; the rules of custody are
// judged by a replay.
type keyRing struct {
	keys    map[Hash]*ringKey
	batches *BatchMemory
}

type ringKey struct {
	key        *PublicKey
	owner      string
	registered uint64
	revoked    uint64 // 0: valid; no key is revoked by entry 0
}

// keptKeys is a ringKey between audits.
type keptKeys struct {
	SPKI       []byte `json:"spki"`
	Owner      string `json:"owner"`
	Registered uint64 `json:"registered,string"`
	Revoked    uint64 `json:"revoked,string,omitempty"`
}

func newKeyRing() *keyRing {
	return &keyRing{keys: make(map[Hash]*ringKey), batches: NewBatchMemory(1024)}
}

func (r *keyRing) export() []keptKeys {
	var out []keptKeys
	for _, k := range r.keys {
		out = append(out, keptKeys{SPKI: k.key.spki, Owner: k.owner, Registered: k.registered, Revoked: k.revoked})
	}
	slices.SortFunc(out, func(a, b keptKeys) int { return slices.Compare(a.SPKI, b.SPKI) })
	return out
}

func importKeys(kept []keptKeys) (*keyRing, error) {
	r := newKeyRing()
	for _, k := range kept {
		key, err := ParsePublicKey(k.SPKI)
		if err != nil {
			return nil, fmt.Errorf("reading audit state: %w", err)
		}
		r.keys[key.id] = &ringKey{key: key, owner: k.Owner, registered: k.Registered, revoked: k.Revoked}
	}
	return r, nil
}

// judge checks the statement of an entry. The error is a *Finding that is
// OfStatement.
func (r *keyRing) judge(log *Log, e Entry, env *tracev1.Envelope) error {
	fault := func(kind FindingKind, format string, args ...any) error {
		return &Finding{Index: e.Index, Kind: kind, Detail: fmt.Sprintf(format, args...)}
	}
	if env == nil {
		return fault(Withheld, "the statement was not given")
	}
	keyID := hashOrZero(env.GetKeyId())
	if StatementHash(PayloadLeaf(env.GetPayload()), keyID, env.GetSignatureBlock()) != e.StatementHash {
		return fault(ChangedStatement, "the statement is not the one that the entry stands for")
	}
	p, err := ParsePayload(env.GetPayload())
	if err != nil {
		return fault(BadForm, "%v", err)
	}
	if err := log.checkLedger(p.Statement, e.StatementHash); err != nil {
		return fault(WrongLedger, "%v", err)
	}
	if (e.Index == 0) != (p.Statement.GetGenesis() != nil) {
		return fault(WrongLedger, "a genesis stands at index 0 and only there")
	}
	if e.Index == 0 {
		return r.found(log, env, fault)
	}
	k := r.keys[keyID]
	switch {
	case k == nil:
		return fault(UnknownKey, "key %s was never registered", keyID)
	case k.owner != p.Statement.GetSigner():
		return fault(KeyNotSigners, "the key belongs to another participant than the signer")
	case k.revoked != 0:
		return fault(KeyNotValid, "the key was revoked at index %d", k.revoked)
	}
	if err := VerifySignature(p, k.key, env.GetSignatureBlock(), r.batches); err != nil {
		return fault(BadSignature, "%v", err)
	}
	return r.follow(log, e, p.Statement, fault)
}

// found takes the keys of the genesis.
func (r *keyRing) found(log *Log, env *tracev1.Envelope, fault func(FindingKind, string, ...any) error) error {
	g, err := OpenGenesis(env)
	if err != nil {
		return fault(BadForm, "%v", err)
	}
	for owner, key := range g.Keys {
		r.keys[key.id] = &ringKey{key: key, owner: owner, registered: 0}
	}
	if g.Log.vkey != log.vkey {
		return fault(WrongLedger, "the genesis names checkpoint key %s, the pinned one is %s", g.Log.vkey, log.vkey)
	}
	return nil
}

// follow takes note of keys that a sound statement registers or revokes.
func (r *keyRing) follow(log *Log, e Entry, st *tracev1.Statement, fault func(FindingKind, string, ...any) error) error {
	registered, revoked := st.GetKeyRegistered(), st.GetKeyRevoked()
	if (registered != nil || revoked != nil) && st.GetSigner() != AuthorityID {
		return fault(WrongAuthor, "keys are registered and revoked by the authority alone")
	}
	if registered.GetParticipantId() == RootID {
		return fault(WrongAuthor, "keys of root are not the authority's to register")
	}
	if registered != nil {
		key, err := ParsePublicKey(registered.GetSpki())
		if err != nil {
			return fault(BadForm, "%v", err)
		}
		if err := key.VerifyPossession(log.id, registered.GetParticipantId(), registered.GetPossession()); err != nil {
			return fault(BadPossession, "%v", err)
		}
		if r.keys[key.id] != nil {
			return fault(KeyNotValid, "the key was registered before")
		}
		if checkpoint, err := CheckpointKey(log.vkey); err == nil && checkpoint.id == key.id {
			return fault(KeyNotValid, "the key signs the checkpoints")
		}
		r.keys[key.id] = &ringKey{key: key, owner: registered.GetParticipantId(), registered: e.Index}
	}
	if revoked != nil {
		k := r.keys[hashOrZero(revoked.GetKeyId())]
		if k == nil || k.revoked != 0 {
			return fault(UnknownKey, "no valid key is revoked by the statement")
		}
		if k.owner == RootID {
			return fault(WrongAuthor, "keys of root are not the authority's to revoke")
		}
		k.revoked = e.Index
	}
	return nil
}
