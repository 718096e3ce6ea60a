package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/ledger/runs"
)

// state is what follows from the log under the rules, as of one commit: the
// values that custody put, and the figures that it changed. It is immutable. Pages
// that are stored are read from a snapshot of that commit, or of a later one of
// the same state.
//
// Commits do not write it: what the latest statements lead to is in memory, until
// there is enough of it to be stored in one piece. The log is its write-ahead log;
// when a ledger is opened, the statements after those that the stored runs cover
// are judged again.
type state struct {
	values, figures *runs.Tree
	covered         uint64 // size of the log that the stored runs follow from
}

// Fan-outs of the two trees. Values do not fold, so that each merge costs all of
// them again: few merges. Figures fold when they are merged, and volumes are read
// from all of their runs: few runs, and the fewer the longer they stay.
const (
	valueFanout        = 16
	figureFanout       = 2
	figureMemoryFanout = 4
)

// stateOptions are those of the trees of a ledger.
type stateOptions struct{ values, figures runs.Options }

func newStateOptions(cacheBytes int64) *stateOptions {
	var cache *runs.Cache
	if cacheBytes > 0 {
		cache = runs.NewCache(cacheBytes)
	}
	return &stateOptions{
		values:  runs.Options{Prefix: valueKeys, Fanout: valueFanout, MemoryFanout: valueFanout, Cache: cache},
		figures: runs.Options{Prefix: figureKeys, Fanout: figureFanout, MemoryFanout: figureMemoryFanout, Cache: cache, Sum: custody.AddValues, Unfiltered: true},
	}
}

func newState(o *stateOptions) *state {
	return &state{values: runs.NewTree(&o.values), figures: runs.NewTree(&o.figures)}
}

// bytes returns what lists the stored runs: the size of the log that they follow
// from (8), the last id that was given to a run (8), the lists of both trees, and a
// checksum (8).
func (s *state) bytes(lastRun uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, s.covered)
	b = binary.BigEndian.AppendUint64(b, lastRun)
	b = s.figures.AppendBinary(s.values.AppendBinary(b))
	sum := sealOf(stateKey, b)
	return append(b, sum[:]...)
}

// loadState reads what is stored of the state of a log of some size, and the last
// id of a run.
func loadState(o *stateOptions, source Snapshot, size uint64) (*state, uint64, error) {
	sealed, err := source.Get(stateKey)
	if errors.Is(err, ErrNotFound) {
		return newState(o), 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	damaged := fmt.Errorf("state: %w", ErrDamaged)
	b, err := unseal(stateKey, sealed)
	if err != nil || len(b) < 16 || binary.BigEndian.Uint64(b) > size {
		return nil, 0, damaged
	}
	s, lastRun := &state{covered: binary.BigEndian.Uint64(b)}, binary.BigEndian.Uint64(b[8:])
	if s.values, b, err = runs.Open(&o.values, source, b[16:]); err != nil {
		return nil, 0, stateError(err)
	}
	if s.figures, b, err = runs.Open(&o.figures, source, b); err != nil {
		return nil, 0, stateError(err)
	}
	if len(b) > 0 {
		return nil, 0, damaged
	}
	return s, lastRun, nil
}

// stateError says ErrDamaged of what the trees find damaged, and of pages that
// they miss.
func stateError(err error) error {
	if errors.Is(err, runs.ErrDamaged) || errors.Is(err, ErrNotFound) {
		return fmt.Errorf("state: %w: %w", ErrDamaged, err)
	}
	return err
}

func (s *state) tree(key []byte) *runs.Tree {
	if custody.IsCell(key) {
		return s.figures
	}
	return s.values
}

func (s *state) get(source Snapshot, key []byte) ([]byte, error) {
	v, err := s.tree(key).Get(source, key)
	return v, stateError(err)
}

// scan visits the values first: their keys sort before those of figures.
func (s *state) scan(source Snapshot, ranges []custody.Range, visit func(key, value []byte) bool) error {
	if len(ranges) == 0 {
		return nil
	}
	more := true
	seen := func(key, value []byte) bool {
		more = visit(key, value)
		return more
	}
	if !custody.IsCell(ranges[0].From) {
		if err := s.values.Scan(source, ranges, seen); err != nil || !more {
			return stateError(err)
		}
	}
	if to := ranges[len(ranges)-1].To; to == nil || custody.IsCell(to) {
		return stateError(s.figures.Scan(source, ranges, seen))
	}
	return nil
}

// with returns the state after what a batch puts.
func (s *state) with(b *batch) *state {
	values := make([]runs.Row, len(b.values.rows))
	for i := range values {
		row := &b.values.rows[i]
		values[i] = runs.Row{Key: row.key, Value: row.value}
	}
	figures := make([]runs.Row, len(b.figures.rows))
	var room []byte
	for i := range figures {
		if cap(room)-len(room) < 512 { // more than figures take that have few elements
			room = make([]byte, 0, 16<<10)
		}
		row := &b.figures.rows[i]
		room = row.value.AppendBinary(room[len(room):])
		figures[i] = runs.Row{Key: row.key, Value: room[:len(room):len(room)]}
	}
	return &state{values: s.values.Add(sorted(values)), figures: s.figures.Add(sorted(figures)), covered: s.covered}
}

func sorted(rows []runs.Row) []runs.Row {
	slices.SortFunc(rows, func(a, b runs.Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows
}

// orphans returns the keys of pages that no list names: of merges that a crash
// interrupted. They are found by skipping from run to run.
func (s *state) orphans(source Snapshot) (keys [][]byte, err error) {
	for prefix, tree := range map[byte]*runs.Tree{valueKeys: s.values, figureKeys: s.figures} {
		from := []byte{prefix}
		for _, id := range append(tree.Runs(), math.MaxUint64) {
			listed := binary.BigEndian.AppendUint64([]byte{prefix}, id)
			err := source.Scan(from, listed, func(key, _ []byte) bool {
				keys = append(keys, bytes.Clone(key))
				return true
			})
			if err != nil {
				return nil, err
			}
			from = binary.BigEndian.AppendUint64([]byte{prefix}, id+1)
		}
	}
	return keys, nil
}
