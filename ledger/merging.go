package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/magnet-ledger/magnet-ledger/ledger/runs"
)

// Merging stores the state when enough of it is in memory, and keeps its runs few.
// It goes on beside the writer, and commits what it made through the committer,
// some at a time, between batches. A crash leaves pages that no list names, which
// the next start removes.

// mergeStep is a commit of the merging goroutine: pages, and at the end of a
// merge the state that has them.
type mergeStep struct {
	writes []Write
	apply  func(*state) *state // nil: the state stays
	stored bool                // the list of stored runs changes
	done   chan error
}

const (
	// mergeBytes and mergeRemovals are from where a step takes no more.
	mergeBytes    = 1 << 20
	mergeRemovals = 2048
)

var (
	// errEnding says that the writer ends, for a reason that the committer tells.
	errEnding = errors.New("the writer ends")
	// errInterrupted says that a merge was given up because nothing more is
	// admitted.
	errInterrupted = errors.New("interrupted")
)

// mergeAll merges what is due, after each commit, until nothing more is admitted.
// Then it stores what is in memory, so that the next start finds it.
func (w *writer) mergeAll() error {
	err := w.mergeWhileAdmitting()
	if err == nil || errors.Is(err, errInterrupted) {
		err = w.flushLast()
	}
	if errors.Is(err, errEnding) || errors.Is(err, ErrTryAgain) {
		return nil // what is not stored is made again from the log
	}
	if err != nil {
		w.breakOff()
	}
	return err
}

func (w *writer) mergeWhileAdmitting() error {
	for {
		merged, err := w.mergeOnce()
		if errors.Is(err, ErrTryAgain) {
			merged, err = false, nil // after the next commit that succeeds
		}
		if err != nil {
			return err
		}
		if merged {
			select {
			case <-w.admitted:
				return nil
			default:
				continue
			}
		}
		select {
		case <-w.committed:
		case <-w.failed:
			return errEnding
		case <-w.admitted:
			return nil
		}
	}
}

func (w *writer) flushLast() error {
	v := w.l.View()
	defer v.Close()
	if v.p.state.values.InMemory() == 0 {
		return nil
	}
	return w.flush(v)
}

// mergeOnce does one merge, if one is due.
func (w *writer) mergeOnce() (merged bool, err error) {
	v := w.l.View()
	defer v.Close()
	s := v.p.state
	if s.values.InMemory() >= w.l.limits.StateRows {
		return true, w.flush(v)
	}
	if m := s.figures.Plan(); m != nil {
		return true, w.merge(v, m, (*state).replaceFigures)
	}
	if m := s.values.Plan(); m != nil {
		return true, w.merge(v, m, (*state).replaceValues)
	}
	return false, nil
}

func (s *state) replaceValues(m *runs.Merged) *state {
	return &state{values: s.values.Replace(m), figures: s.figures, covered: s.covered}
}

func (s *state) replaceFigures(m *runs.Merged) *state {
	return &state{values: s.values, figures: s.figures.Replace(m), covered: s.covered}
}

// flush stores what is in memory.
func (w *writer) flush(v *View) error {
	pages := pageWriter{w: w}
	step, err := w.l.flushTo(v, pages.put)
	if err != nil {
		return err
	}
	step.writes = pages.writes
	return w.commitMerge(step)
}

// flushTo puts the pages of what is in memory, and returns the step that has it
// stored when they are.
func (l *Ledger) flushTo(v *View, put func(key, value []byte) error) (*mergeStep, error) {
	apply := make([]func(*state) *state, 0, 2)
	for _, tree := range []struct {
		merge   *runs.Merge
		replace func(*state, *runs.Merged) *state
	}{{v.p.state.values.Flush(), (*state).replaceValues}, {v.p.state.figures.Flush(), (*state).replaceFigures}} {
		if tree.merge == nil {
			continue
		}
		merged, err := tree.merge.Do(v.p.snapshot, l.newRun(), put)
		if err != nil {
			return nil, stateError(err)
		}
		apply = append(apply, func(s *state) *state { return tree.replace(s, merged) })
	}
	size := v.Size()
	return &mergeStep{stored: true, apply: func(s *state) *state {
		for _, f := range apply {
			s = f(s)
		}
		after := *s
		after.covered = size
		return &after
	}}, nil
}

// merge carries out one merge.
func (w *writer) merge(v *View, m *runs.Merge, replace func(*state, *runs.Merged) *state) error {
	pages := pageWriter{w: w, until: w.admitted}
	put := pages.put
	if m.InMemory() {
		put = nil
	}
	merged, err := m.Do(v.p.snapshot, w.l.newRun(), put)
	if err != nil {
		return stateError(err)
	}
	err = w.commitMerge(&mergeStep{writes: pages.writes, stored: !m.InMemory(), apply: func(s *state) *state { return replace(s, merged) }})
	if err != nil {
		return err
	}
	var removals []Write
	merged.Obsolete(func(key []byte) { removals = append(removals, Write{Key: key, Remove: true}) })
	for len(removals) > 0 {
		n := min(len(removals), mergeRemovals)
		if err := w.commitMerge(&mergeStep{writes: removals[:n:n]}); err != nil {
			return err
		}
		removals = removals[n:]
	}
	return nil
}

// pageWriter gathers pages, and commits them when there are enough.
type pageWriter struct {
	w      *writer
	until  chan struct{} // interrupts it when closed; may be nil
	writes []Write
	bytes  int
}

func (p *pageWriter) put(key, value []byte) error {
	if p.bytes += len(key) + len(value); p.bytes > mergeBytes {
		select {
		case <-p.until:
			return errInterrupted
		default:
		}
		if err := p.w.commitMerge(&mergeStep{writes: p.writes}); err != nil {
			return err
		}
		p.writes, p.bytes = nil, len(key)+len(value)
	}
	p.writes = append(p.writes, Write{Key: key, Value: value})
	return nil
}

// commitMerge has the committer carry out a step.
func (w *writer) commitMerge(step *mergeStep) error {
	step.done = make(chan error, 1)
	select {
	case w.merges <- step:
		switch err := <-step.done; {
		case errors.Is(err, ErrTryAgain):
			return err
		case err != nil:
			return errEnding // the committer tells why
		}
		return nil
	case <-w.failed:
		return errEnding
	}
}

// commitStep makes a step durable, under the same head.
func (l *Ledger) commitStep(ctx context.Context, step *mergeStep) error {
	latest := l.latest.Load()
	next := &published{head: latest.head, checkpoint: latest.checkpoint, state: latest.state}
	if step.apply != nil {
		next.state = step.apply(next.state)
	}
	writes := step.writes
	if step.stored {
		writes = append(writes, Write{Key: stateKey, Value: next.state.bytes(l.lastRun.Load())})
	}
	if len(writes) > 0 {
		head := next.head.bytes()
		if err := l.store.Commit(ctx, head, append(writes, Write{Key: HeadKey, Value: head})); err != nil {
			return fmt.Errorf("committing a merge of the state: %w", err)
		}
	}
	if step.apply == nil {
		return nil
	}
	return l.replace(next)
}

// removeOrphans takes away what an interrupted merge left.
func (l *Ledger) removeOrphans(ctx context.Context) error {
	p := l.latest.Load()
	keys, err := p.state.orphans(p.snapshot)
	if err != nil {
		return err
	}
	for len(keys) > 0 {
		step := new(mergeStep)
		for _, key := range keys[:min(len(keys), mergeRemovals)] {
			step.writes = append(step.writes, Write{Key: key, Remove: true})
		}
		keys = keys[len(step.writes):]
		if err := l.commitStep(ctx, step); err != nil {
			return err
		}
	}
	return nil
}
