package verifytest

import (
	"bytes"
	"iter"
	"time"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// History is a log of a ledger in memory. A ledger may be given several, which
// is what a fork is. Statements are recorded unjudged, so that a history can
// hold what a server would refuse. It is not safe for concurrent use.
type History struct {
	l     *Ledger
	chain *verify.Chain

	// Entries and Envelopes are the log, index by index.
	Entries   []verify.Entry
	Envelopes []*tracev1.Envelope
	// Tree is the tree over the entries.
	Tree *Tree
}

// NewHistory returns a log of the genesis and the envelopes after it.
func (l *Ledger) NewHistory(envs ...*tracev1.Envelope) *History {
	l.t.Helper()
	return l.NewHistoryFrom(append([]*tracev1.Envelope{l.Genesis}, envs...)...)
}

// NewHistoryFrom returns a log of the envelopes alone, whatever they are.
func (l *Ledger) NewHistoryFrom(envs ...*tracev1.Envelope) *History {
	l.t.Helper()
	h := &History{l: l, chain: verify.NewChain(), Tree: NewTree()}
	h.Record(envs...)
	return h
}

// Record appends envelopes at the ledger's Now, a millisecond after each other.
func (h *History) Record(envs ...*tracev1.Envelope) {
	h.l.t.Helper()
	for _, env := range envs {
		at := h.l.Now.Add(time.Duration(h.Size()) * time.Millisecond)
		e := h.chain.Next(StatementHash(env), at.UnixMicro())
		if err := h.chain.Append(e, nil); err != nil {
			h.l.t.Fatal(err)
		}
		h.Entries, h.Envelopes = append(h.Entries, e), append(h.Envelopes, env)
		h.Tree.Append(e.LeafHash())
	}
}

// Size returns the number of entries.
func (h *History) Size() uint64 { return uint64(len(h.Entries)) }

// Chain returns the chain at the end of the history. It is the history's own.
func (h *History) Chain() *verify.Chain { return h.chain }

// Checkpoint returns the signed checkpoint of a size.
func (h *History) Checkpoint(size uint64) *verify.Checkpoint {
	h.l.t.Helper()
	cp, err := verify.SignCheckpoint(h.l.Checkpoints, size, h.Tree.Root(size))
	if err != nil {
		h.l.t.Fatal(err)
	}
	return cp
}

// Receipt returns the receipt of an entry under the checkpoint of a size, which
// must be above the index.
func (h *History) Receipt(index, size uint64) *tracev1.Receipt {
	h.l.t.Helper()
	return &tracev1.Receipt{
		Entry:         h.Entries[index].Bytes(),
		InclusionPath: h.Tree.Inclusion(index, size),
		Checkpoint:    h.Checkpoint(size).Note,
		SignerSpki:    h.l.spki(h.Envelopes[index]),
	}
}

// Proven returns a statement with its receipt under the latest checkpoint.
func (h *History) Proven(index uint64) *tracev1.ProvenStatement {
	h.l.t.Helper()
	return &tracev1.ProvenStatement{Envelope: h.Envelopes[index], Receipt: h.Receipt(index, h.Size())}
}

// Bundle returns the bundle of a statement under the latest checkpoint, with
// the registrations of keys that lead from its signer to the genesis as far as
// the history has them.
func (h *History) Bundle(index uint64) *tracev1.ReceiptBundle {
	h.l.t.Helper()
	b := &tracev1.ReceiptBundle{Statement: h.Proven(index), Genesis: h.Proven(0)}
	for at, found := h.registration(index); found; at, found = h.registration(at) {
		b.KeyRegistrations = append(b.KeyRegistrations, h.Proven(at))
	}
	return b
}

// registration returns where the key that signed a statement was registered,
// before it.
func (h *History) registration(index uint64) (at uint64, found bool) {
	spki := h.l.spki(h.Envelopes[index])
	for i := range index {
		if r := statementOf(h.Envelopes[i]).GetKeyRegistered(); r != nil && bytes.Equal(r.GetSpki(), spki) {
			return i, true
		}
	}
	return 0, false
}

// All returns the log as an auditor reads it, from an index on.
func (h *History) All(from uint64) iter.Seq2[[]byte, *tracev1.Envelope] {
	return func(yield func([]byte, *tracev1.Envelope) bool) {
		for i := from; i < h.Size(); i++ {
			if !yield(h.Entries[i].Bytes(), h.Envelopes[i]) {
				return
			}
		}
	}
}

func (l *Ledger) spki(env *tracev1.Envelope) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, err := verify.ParseHash(env.GetKeyId())
	if err != nil {
		l.t.Fatal(err)
	}
	return l.spkis[id]
}

// StatementHash returns the statement hash of an envelope with a key id of 32
// bytes.
func StatementHash(env *tracev1.Envelope) verify.Hash {
	return verify.StatementHash(verify.PayloadLeaf(env.GetPayload()), verify.Hash(env.GetKeyId()), env.GetSignatureBlock())
}

// Audit lets an auditor read a log to a checkpoint and returns all that it
// finds. It goes on after findings of a statement alone and stops at any other.
// The log begins where the auditor stopped the last time.
func Audit(a *verify.Auditor, cp *verify.Checkpoint, log iter.Seq2[[]byte, *tracev1.Envelope]) []*verify.Finding {
	if err := a.Begin(cp); err != nil {
		return []*verify.Finding{verify.AsFinding(err)}
	}
	var found []*verify.Finding
	for entry, env := range log {
		if a.Size() == cp.Size {
			break
		}
		if f := verify.AsFinding(a.Add(entry, env)); f != nil {
			found = append(found, f)
			if !f.OfStatement() {
				return found
			}
		}
	}
	if err := a.Finish(cp); err != nil {
		found = append(found, verify.AsFinding(err))
	}
	return found
}
