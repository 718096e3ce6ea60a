package verify

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Auditor reads a log entry by entry from where it stopped the last time to a
// new checkpoint, in constant memory (and, for a full audit, the registered
// keys). It trusts nothing but the pinned Log. It is not safe for concurrent
// use.
type Auditor struct {
	log   *Log
	chain *Chain
	kept  *Checkpoint // what the last audit ended with, or nil
	keys  *keyRing
}

// NewAuditor returns an auditor that has read nothing. A full audit is given
// the statements too.
func NewAuditor(log *Log, full bool) *Auditor {
	a := &Auditor{log: log, chain: NewChain()}
	if full {
		a.keys = newKeyRing()
	}
	return a
}

// Size returns the number of entries that were read and found sound.
func (a *Auditor) Size() uint64 { return a.chain.Size() }

// Full reports whether the audit is a full one.
func (a *Auditor) Full() bool { return a.keys != nil }

// Kept returns the checkpoint that the last audit ended with, or nil.
func (a *Auditor) Kept() *Checkpoint { return a.kept }

// Begin judges a new checkpoint against the kept one, before entries are read.
// The error is a *Finding: the log was cut back, or has another root at the
// same size.
func (a *Auditor) Begin(cp *Checkpoint) error {
	kept := a.kept
	switch {
	case kept == nil:
		return nil
	case cp.Size < kept.Size:
		return &Finding{Index: cp.Size, Kind: CutBack,
			Detail: fmt.Sprintf("the log has %d entries; the checkpoint that was kept has %d", cp.Size, kept.Size)}
	case cp.Size == kept.Size && cp.Root != kept.Root:
		return &Finding{Index: cp.Size, Kind: Rewritten,
			Detail: fmt.Sprintf("the log has another root at size %d than the checkpoint that was kept", cp.Size)}
	}
	return nil
}

// Add judges the next entry, and in a full audit its statement. The error is a
// *Finding. After one that is OfStatement the auditor goes on with the next
// entry; after any other it has stopped before this entry.
func (a *Auditor) Add(entry []byte, env *tracev1.Envelope) error {
	e, err := ParseEntry(entry)
	if err != nil {
		return &Finding{Index: a.chain.Size(), Kind: MalformedEntry, Detail: err.Error()}
	}
	resumed := a.kept != nil && a.kept.Size > 0 && a.chain.Size() == a.kept.Size
	if err := a.chain.Append(e, nil); err != nil {
		if f := AsFinding(err); resumed && f.Kind == BrokenChain {
			f.Kind, f.Detail = Rewritten, fmt.Sprintf("the entry does not follow what was kept of the first %d: at least one of those was changed since", e.Index)
		}
		return err
	}
	if a.keys == nil {
		return nil
	}
	return a.keys.judge(a.log, e, env)
}

// Finish compares what was read with the checkpoint that it was read for, and
// keeps the checkpoint. The error is a *Finding.
func (a *Auditor) Finish(cp *Checkpoint) error {
	if a.chain.Size() != cp.Size {
		return &Finding{Index: a.chain.Size(), Kind: MissingEntry,
			Detail: fmt.Sprintf("the checkpoint promises %d entries, %d came", cp.Size, a.chain.Size())}
	}
	if a.chain.Root() != cp.Root {
		return &Finding{Index: cp.Size, Kind: WrongRoot,
			Detail: "the entries do not add up to the root of the checkpoint"}
	}
	a.kept = cp
	return nil
}

// auditState is what an auditor keeps between audits.
type auditState struct {
	LedgerID   string     `json:"ledger_id"`
	Checkpoint string     `json:"checkpoint"`
	Size       uint64     `json:"size,string"`
	Last       []byte     `json:"last"`
	LastTime   int64      `json:"last_time_micros,string"`
	Edge       [][]byte   `json:"edge"`
	Keys       []keptKeys `json:"keys,omitempty"`
	Full       bool       `json:"full"`
	Sum        string     `json:"sha256"` // of all the others
}

func (s auditState) sum() (string, error) {
	s.Sum = ""
	b, err := json.Marshal(s)
	return Hash(sha256.Sum256(b)).String(), err
}

// State returns what ResumeAuditor goes on from, as JSON. It is complete after
// a Finish that found nothing; an auditor that stopped in between has none. It
// has a checksum against damage, and nothing against those who may write it.
func (a *Auditor) State() (state []byte, err error) {
	if a.kept == nil || a.kept.Size != a.chain.Size() {
		return nil, errors.New("an audit that did not finish has no state to keep")
	}
	last := a.chain.Last()
	s := auditState{
		LedgerID: a.log.id.String(), Checkpoint: string(a.kept.Note), Size: a.chain.Size(),
		Last: last[:], LastTime: a.chain.LastTime(), Edge: hashSlices(a.chain.Edge()),
	}
	if a.keys != nil {
		s.Full, s.Keys = true, a.keys.export()
	}
	if s.Sum, err = s.sum(); err != nil {
		return nil, fmt.Errorf("writing audit state: %w", err)
	}
	return json.MarshalIndent(s, "", "  ")
}

// ResumeAuditor returns an auditor that goes on from a state. The state is
// trusted as the auditor's own, but must be whole: undamaged, of this log, with
// edge and checkpoint that agree.
func ResumeAuditor(log *Log, state []byte) (*Auditor, error) {
	var s auditState
	if err := json.Unmarshal(state, &s); err != nil {
		return nil, fmt.Errorf("reading audit state: %w", err)
	}
	if sum, err := s.sum(); err != nil || sum != s.Sum {
		return nil, errors.New("reading audit state: it is damaged")
	}
	if s.LedgerID != log.id.String() {
		return nil, fmt.Errorf("reading audit state: it is of ledger %s, not %s", s.LedgerID, log.id)
	}
	edge := make([]Hash, len(s.Edge))
	for i, b := range s.Edge {
		edge[i] = hashOrZero(b)
	}
	chain, err := RestoreChain(s.Size, hashOrZero(s.Last), s.LastTime, edge)
	if err != nil {
		return nil, fmt.Errorf("reading audit state: %w", err)
	}
	cp, err := log.OpenCheckpoint([]byte(s.Checkpoint))
	if err != nil {
		return nil, fmt.Errorf("reading audit state: %w", err)
	}
	if cp.Size != chain.Size() || cp.Root != chain.Root() {
		return nil, errors.New("reading audit state: its checkpoint and its edge disagree")
	}
	a := &Auditor{log: log, chain: chain, kept: cp}
	if s.Full {
		if a.keys, err = importKeys(s.Keys); err != nil {
			return nil, err
		}
	}
	return a, nil
}
