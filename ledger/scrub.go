package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"

	"github.com/magnet-ledger/magnet-ledger/ledger/runs"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ScrubPart is a part of what is stored.
type ScrubPart string

// Parts, in the order in which they are scrubbed.
const (
	ScrubLog         ScrubPart = "" // head, records and tiles
	ScrubCheckpoints ScrubPart = "checkpoints"
	ScrubValues      ScrubPart = "values"
	ScrubFigures     ScrubPart = "figures"
)

// ScrubPlace is where a scrub has come to. The zero ScrubPlace is the beginning. It
// stays good when the ledger grows, and when it is opened again.
type ScrubPlace struct {
	Part ScrubPart `json:"part,omitempty"`
	// Next is the index of the next record, or the size of the next checkpoint.
	Next uint64 `json:"next,string"`
	// State is the next page of the state.
	State runs.Place `json:"state"`
}

const (
	// scrubBytes is from where a step takes no more.
	scrubBytes = 512 << 10
	// scrubCheckpointCost is what a checkpoint counts: it takes as long to verify as
	// so many bytes to hash, roughly.
	scrubCheckpointCost = 16 << 10
)

// Scrub reads some of what is stored again, from a place on, and compares: records
// with tiles, tiles with the root, checkpoints with their signature and the tree,
// pages of the state with their seals, and that all are there that lists name. It
// returns the place behind it, and done at the end of a pass. Bytes is what it read,
// roughly, some 512 KiB at most. Nothing is taken from caches of this package; what
// the operating system has in memory is not read from the disk again.
//
// The error is ErrDamaged, and next is then the place that it began at; or it is
// that of the store or the context. A checkpoint that was removed is not missed, nor
// is state that somebody sealed again: a replay of the log finds that.
//
// A ledger that is scrubbed all the time, some of it each second, knows of damage
// within the time of a pass. Who calls it turns to Doubt then.
func (l *Ledger) Scrub(ctx context.Context, place ScrubPlace) (next ScrubPlace, bytes int64, done bool, err error) {
	latest := l.View()
	defer latest.Close()
	p := latest.p
	s := &scrub{ctx: ctx, l: l, v: &View{&published{
		snapshot: p.snapshot, head: p.head, checkpoint: p.checkpoint, state: p.state,
		tree: newTreeReader(p.snapshot, &p.head, new(tileCache)),
	}}}
	next, done, err = s.step(place)
	if err != nil {
		return place, s.bytes, false, fmt.Errorf("scrubbing: %w", err)
	}
	return next, s.bytes, done, nil
}

// scrub is one step.
type scrub struct {
	ctx   context.Context
	l     *Ledger
	v     *View
	bytes int64
}

// enough says that a step has done its share. It ends visits.
func (s *scrub) enough() bool { return s.bytes >= scrubBytes }

func (s *scrub) step(place ScrubPlace) (next ScrubPlace, done bool, err error) {
	switch place.Part {
	case ScrubLog:
		if place.Next == 0 {
			if err := s.lists(); err != nil {
				return place, false, err
			}
		}
		next, err = s.records(place)
	case ScrubCheckpoints:
		next, err = s.checkpoints(place)
	case ScrubValues:
		next, err = s.pages(place, s.v.p.state.values, ScrubPlace{Part: ScrubFigures})
	case ScrubFigures:
		next, err = s.pages(place, s.v.p.state.figures, ScrubPlace{})
		done = next == ScrubPlace{}
	}
	return next, done, err
}

// lists compares the head, and the list of runs, with those in memory.
func (s *scrub) lists() error {
	p := s.v.p
	b, err := p.snapshot.Get(HeadKey)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if !bytes.Equal(b, p.head.bytes()) {
		return fmt.Errorf("head: %w", ErrDamaged)
	}
	want := p.state.bytes(0)
	sealed, err := p.snapshot.Get(stateKey)
	switch {
	case errors.Is(err, ErrNotFound):
		if p.state.covered > 0 {
			return fmt.Errorf("list of the state is missing: %w", ErrDamaged)
		}
		return nil
	case err != nil:
		return err
	}
	got, err := unseal(stateKey, sealed)
	if err != nil {
		return err
	}
	want = want[:len(want)-sealSize]
	// Between them is the last id of a run, which counts on.
	if len(got) != len(want) || !bytes.Equal(got[:8], want[:8]) || !bytes.Equal(got[16:], want[16:]) {
		return fmt.Errorf("list of the state: %w", ErrDamaged)
	}
	return nil
}

// errEnough ends a visit.
var errEnough = errors.New("enough for one step")

func (s *scrub) records(place ScrubPlace) (ScrubPlace, error) {
	size := s.v.Size()
	if place.Next < size {
		err := s.v.Records(s.ctx, place.Next, size, func(r Record) error {
			s.bytes += int64(verify.EntrySize + len(r.Envelope.GetPayload()) + len(r.Envelope.GetSignatureBlock()))
			place.Next++
			if s.enough() {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return place, err
		}
	}
	if place.Next < size {
		return place, nil
	}
	return ScrubPlace{Part: ScrubCheckpoints}, nil
}

func (s *scrub) checkpoints(place ScrubPlace) (ScrubPlace, error) {
	var bad error
	more := false
	err := s.v.p.snapshot.Scan(checkpointKey(place.Next), []byte{checkpointKeys + 1}, func(key, note []byte) bool {
		if more = s.enough(); more {
			return false
		}
		s.bytes += scrubCheckpointCost
		if bad = s.checkpoint(key, note); bad != nil {
			return false
		}
		place.Next = binary.BigEndian.Uint64(key[1:]) + 1
		return s.ctx.Err() == nil
	})
	if err := errors.Join(err, bad, s.ctx.Err()); err != nil || more {
		return place, err
	}
	return ScrubPlace{Part: ScrubValues}, nil
}

func (s *scrub) checkpoint(key, note []byte) error {
	damaged := fmt.Errorf("checkpoint %x: %w", key, ErrDamaged)
	cp, err := s.l.genesis.Log.OpenCheckpoint(note)
	if err != nil {
		return fmt.Errorf("%w: %w", damaged, err)
	}
	if !bytes.Equal(key, checkpointKey(cp.Size)) || cp.Size > s.v.Size() {
		return damaged
	}
	root, err := s.v.p.tree.root(cp.Size)
	if err != nil {
		return err
	}
	if root != cp.Root {
		return damaged
	}
	return nil
}

// root returns the root of the tree as it was at a size of at least 1.
func (r *treeReader) root(size uint64) (root verify.Hash, err error) {
	ids := compact.RangeNodes(0, size, nil)
	for i := len(ids) - 1; i >= 0; i-- {
		node, err := r.node(ids[i])
		if err != nil {
			return verify.Hash{}, err
		}
		if i == len(ids)-1 {
			root = node
		} else {
			root = verify.NodeHash(node, root)
		}
	}
	return root, nil
}

// pages scrubs the pages of a tree; after is the place behind the last one.
func (s *scrub) pages(place ScrubPlace, t *runs.Tree, after ScrubPlace) (ScrubPlace, error) {
	more := false
	err := t.Check(s.v.p.snapshot, place.State, func(next runs.Place, bytes int) bool {
		s.bytes += int64(bytes)
		place.State, more = next, s.enough()
		return !more && s.ctx.Err() == nil
	})
	if err := errors.Join(stateError(err), s.ctx.Err()); err != nil || more {
		return place, err
	}
	return after, nil
}
