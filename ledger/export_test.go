package ledger

import (
	"context"
	"encoding/binary"
	"time"

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
	v := l.View()
	defer v.Close()
	var pages []Write
	step, err := l.flushTo(v, func(key, value []byte) error {
		pages = append(pages, Write{Key: key, Value: value})
		return nil
	})
	if err != nil {
		return err
	}
	b := newBatch(l.chain, nil)
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
	before := l.latest.Load()
	if err := l.commit(context.Background(), before, before.state, b); err != nil {
		return err
	}
	// No statement follows from these.
	step.writes = pages
	stored := step.apply
	step.apply = func(s *state) *state {
		after := *stored(s)
		after.covered = b.head.size
		return &after
	}
	return l.commitStep(context.Background(), step)
}

// Rest waits until no runs of the state are left to be merged or taken away, or
// Run has returned, or 20 seconds have passed. Nothing is submitted meanwhile.
func (l *Ledger) Rest() {
	tooLong := time.After(20 * time.Second)
	for !l.atRest() {
		select {
		case <-l.stopped:
			return
		case <-tooLong:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (l *Ledger) atRest() bool {
	s, err := l.store.Snapshot()
	if err != nil {
		return true
	}
	defer s.Close()
	v := l.View()
	defer v.Close()
	state := v.p.state
	if state.values.InMemory() >= l.limits.StateRows || state.values.Plan() != nil || state.figures.Plan() != nil {
		return false
	}
	keys, err := state.orphans(s)
	return err != nil || len(keys) == 0
}

// Runs returns how many runs the state has.
func (v *View) Runs() (values, figures int) {
	return len(v.p.state.values.Runs()), len(v.p.state.figures.Runs())
}

// StateCache is the writer's cache of state values.
type StateCache struct{ c *stateCache }

// NewStateCache returns a cache with two generations of a size.
func NewStateCache(limit int) StateCache { return StateCache{newStateCache(limit)} }

// Get returns a value that the cache holds.
func (s StateCache) Get(key string) ([]byte, bool) {
	v := s.c.get(hashOf([]byte(key)), []byte(key))
	return v, v != nil
}

// Put gives the cache a value that was read.
func (s StateCache) Put(key string, value []byte) { s.c.put(hashOf([]byte(key)), []byte(key), value) }

// Update gives the cache what was committed.
func (s StateCache) Update(state map[string][]byte) {
	var t table[[]byte]
	for k, v := range state {
		*t.at(hashOf([]byte(k)), []byte(k)) = v
	}
	s.c.update(&t)
}

// Len returns how many values the cache holds.
func (s StateCache) Len() int { return len(s.c.young.rows) + len(s.c.old.rows) }

// CheckpointKey is where a checkpoint is kept.
func CheckpointKey(size uint64) []byte { return checkpointKey(size) }

// Refresh has views read the store as it is now, as after a commit. The writer must
// not run.
func (l *Ledger) Refresh() error {
	p := l.latest.Load()
	return l.replace(&published{head: p.head, checkpoint: p.checkpoint, state: p.state})
}
