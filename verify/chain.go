package verify

import (
	"errors"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
)

var rangeFactory = &compact.RangeFactory{Hash: hasher.HashChildren}

// Chain is what remains of a log that was read from its beginning: its size,
// the last link and the right edge of its tree. It takes constant memory (32
// bytes for each bit of the size). Writer and auditor extend it alike. It is
// not safe for concurrent use.
type Chain struct {
	last     Hash
	lastTime int64
	edge     *compact.Range
}

// NewChain returns the chain of an empty log.
func NewChain() *Chain { return &Chain{edge: rangeFactory.NewEmptyRange(0)} }

// RestoreChain returns the chain of a log of some size from what Last, LastTime
// and Edge returned.
func RestoreChain(size uint64, last Hash, lastTimeMicros int64, edge []Hash) (*Chain, error) {
	r, err := rangeFactory.NewRange(0, size, hashSlices(slices.Clone(edge)))
	if err != nil {
		return nil, fmt.Errorf("restoring chain: %w", err)
	}
	return &Chain{last: last, lastTime: lastTimeMicros, edge: r}, nil
}

// Size returns the number of entries.
func (c *Chain) Size() uint64 { return c.edge.End() }

// Last returns the leaf hash of the last entry; zeros when there is none.
func (c *Chain) Last() Hash { return c.last }

// LastTime returns the time of the last entry in Unix microseconds, or 0.
func (c *Chain) LastTime() int64 { return c.lastTime }

// Edge returns the roots of the perfect subtrees that make up the tree, from
// left to right.
func (c *Chain) Edge() []Hash {
	hs := make([]Hash, len(c.edge.Hashes()))
	for i, h := range c.edge.Hashes() {
		hs[i] = Hash(h)
	}
	return hs
}

// Root returns the RFC 6962 root of the tree. It costs as many hashes as the
// size has bits set.
func (c *Chain) Root() Hash {
	if c.Size() == 0 {
		return Hash(hasher.EmptyRoot())
	}
	root, err := c.edge.GetRootHash(nil)
	if err != nil {
		panic(err) // the range begins at 0
	}
	return Hash(root)
}

// Next returns the entry that would come next for a statement at a time; if the
// time is before that of the last entry, it is that of the last entry.
func (c *Chain) Next(statementHash Hash, nowMicros int64) Entry {
	return Entry{
		Index:             c.Size(),
		SequencedAtMicros: max(nowMicros, c.lastTime),
		Previous:          c.last,
		StatementHash:     statementHash,
	}
}

// Append extends the chain by an entry. The error is a *Finding, and the chain
// as it was, unless the entry has the next index, names the last leaf hash and
// is not older than the last entry. node, which may be nil, is called with each
// node that the tree gains: level 0 are leaf hashes.
func (c *Chain) Append(e Entry, node func(level uint, index uint64, hash Hash)) error {
	switch {
	case e.Index != c.Size():
		return &Finding{Index: c.Size(), Kind: WrongIndex,
			Detail: fmt.Sprintf("an entry with index %d stands where %d belongs: an entry was left out, repeated or moved", e.Index, c.Size())}
	case e.Previous != c.last:
		return &Finding{Index: e.Index, Kind: BrokenChain,
			Detail: "the entry does not name the leaf hash of the one before: one of the two was changed"}
	case e.SequencedAtMicros < c.lastTime:
		return &Finding{Index: e.Index, Kind: TimeReversed,
			Detail: fmt.Sprintf("its time %d is before that of the entry before, %d", e.SequencedAtMicros, c.lastTime)}
	}
	leaf := e.LeafHash()
	var visit compact.VisitFn
	if node != nil {
		visit = func(id compact.NodeID, hash []byte) { node(id.Level, id.Index, Hash(hash)) }
	}
	if err := c.edge.Append(leaf[:], visit); err != nil {
		panic(err) // a range that begins at 0 takes any next leaf
	}
	c.last, c.lastTime = leaf, e.SequencedAtMicros
	return nil
}

// FindingKind says what sort of fault a finding is.
type FindingKind string

// Faults of entries and checkpoints. After one of them nothing that follows in
// the log can be judged.
const (
	MalformedEntry FindingKind = "malformed-entry"
	WrongIndex     FindingKind = "wrong-index"
	BrokenChain    FindingKind = "broken-chain"
	TimeReversed   FindingKind = "time-reversed"
	MissingEntry   FindingKind = "missing-entry"
	WrongRoot      FindingKind = "wrong-root"
	BadCheckpoint  FindingKind = "bad-checkpoint"
	CutBack        FindingKind = "cut-back"
	Rewritten      FindingKind = "rewritten"
)

// Faults of one statement; the chain goes on.
const (
	Withheld         FindingKind = "statement-withheld"
	ChangedStatement FindingKind = "statement-changed"
	BadForm          FindingKind = "statement-not-canonical"
	WrongLedger      FindingKind = "wrong-ledger"
	UnknownKey       FindingKind = "unknown-key"
	KeyNotSigners    FindingKind = "key-not-signers"
	KeyNotValid      FindingKind = "key-not-valid"
	BadSignature     FindingKind = "bad-signature"
	BadPossession    FindingKind = "bad-possession"
	WrongAuthor      FindingKind = "wrong-author"
)

// Finding is a fault of a log, with the index where it shows.
type Finding struct {
	Index  uint64      `json:"index,string"`
	Kind   FindingKind `json:"kind"`
	Detail string      `json:"detail"`
}

func (f *Finding) Error() string { return fmt.Sprintf("index %d: %s: %s", f.Index, f.Kind, f.Detail) }

// OfStatement reports whether the fault is one of a statement alone, so that
// the log can be read on.
func (f *Finding) OfStatement() bool {
	switch f.Kind {
	case Withheld, ChangedStatement, BadForm, WrongLedger, UnknownKey, KeyNotSigners, KeyNotValid, BadSignature, BadPossession, WrongAuthor:
		return true
	}
	return false
}

// AsFinding returns the finding that an error wraps, or nil.
func AsFinding(err error) *Finding {
	var f *Finding
	if errors.As(err, &f) {
		return f
	}
	return nil
}
