package ledger

import (
	"context"
	"encoding/binary"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Queued returns what was submitted and is not decided.
func (l *Ledger) Queued() (statements, bytes int64) {
	return l.queuedStatements.Load(), l.queuedBytes.Load()
}

// Grow records n statements in one commit that no rule was asked about, so that
// a long log costs hashes only. The writer must not run.
func (l *Ledger) Grow(n int) error {
	b := newBatch(l.chain)
	for range n {
		env := &tracev1.Envelope{
			Payload: binary.BigEndian.AppendUint64(nil, l.chain.Size()),
			KeyId:   make([]byte, verify.HashSize), SignatureBlock: []byte{1},
		}
		hash := verify.StatementHash(verify.PayloadLeaf(env.GetPayload()), verify.Hash{}, env.GetSignatureBlock())
		if err := l.sequence(b, l.chain.Next(hash, 0), env); err != nil {
			return err
		}
	}
	l.seal(b)
	before := l.latest.Load().head
	return l.commit(context.Background(), &before, b)
}

// StateCache is the writer's cache of state values.
type StateCache struct{ c *stateCache }

// NewStateCache returns a cache with two generations of a size.
func NewStateCache(limit int) StateCache { return StateCache{newStateCache(limit)} }

// Get returns a value that the cache holds.
func (s StateCache) Get(key string) ([]byte, bool) { return s.c.get([]byte(key)) }

// Put gives the cache a value that was read.
func (s StateCache) Put(key string, value []byte) { s.c.put(key, value) }

// Update gives the cache what was committed.
func (s StateCache) Update(state map[string][]byte) { s.c.update(state) }

// Len returns how many values the cache holds.
func (s StateCache) Len() int { return len(s.c.young) + len(s.c.old) }
