package runs

import "slices"

// Merge is some runs of a tree, side by side, that should become one.
type Merge struct {
	tree *Tree
	runs []*run
}

// Plan returns the next merge that keeps the runs of a tree few, or nil if none
// is due: of runs in memory into one in memory, or of stored runs into a stored
// one. The smallest come first.
func (t *Tree) Plan() *Merge {
	stored := t.stored()
	if m := t.plan(t.runs[stored:], t.opts.MemoryFanout); m != nil {
		return m
	}
	return t.plan(t.runs[:stored], t.opts.Fanout)
}

func (t *Tree) plan(runs []*run, fanout int) *Merge {
	levels, top := make([]int, len(runs)), 0
	for i, r := range runs {
		levels[i] = level(r, fanout)
		top = max(top, levels[i])
	}
	for level := 0; level <= top; level++ {
		if from, to, ok := crowd(levels, level, fanout); ok {
			return &Merge{tree: t, runs: runs[from:to]}
		}
	}
	return nil
}

// Flush returns the merge of all runs in memory into a stored one, or nil if there
// are none.
func (t *Tree) Flush() *Merge {
	if t.stored() == len(t.runs) {
		return nil
	}
	return &Merge{tree: t, runs: t.runs[t.stored():]}
}

// level is the logarithm of the rows of a run to the base of the fan-out.
func level(r *run, fanout int) (level int) {
	for rows := r.rows / uint64(fanout); rows > 0; rows /= uint64(fanout) {
		level++
	}
	return level
}

// crowd finds runs side by side, with as many of one level as the fan-out among
// them and none of a higher one. Smaller ones between them go along.
func crowd(levels []int, level, fanout int) (from, to int, ok bool) {
	count := 0
	for i, l := range levels {
		switch {
		case l > level:
			if count >= fanout {
				return from, to, true
			}
			count = 0
		case l == level:
			if count == 0 {
				from = i
			}
			count, to = count+1, i+1
		}
	}
	return from, to, count >= fanout
}

// InMemory reports whether the merge reads runs in memory only.
func (m *Merge) InMemory() bool { return m.runs[0].memory != nil }

func (m *Merge) rows() (n uint64) {
	for _, r := range m.runs {
		n += r.rows
	}
	return n
}

// Merged is a merge that was carried out.
type Merged struct {
	merge *Merge
	run   *run
}

// Do reads the runs and emits the pages of the one that takes their place, under
// an id that is of no other run. An error of emit ends it and is returned. Without
// emit the run stays in memory.
func (m *Merge) Do(source Source, id uint64, emit func(key, value []byte) error) (*Merged, error) {
	var failed error
	var put Emit
	if emit != nil {
		put = func(key, value []byte) {
			if failed == nil {
				failed = emit(key, value)
			}
		}
	}
	b := newBuilder(m.tree.opts, id, m.rows(), put)
	rows := m.tree.merger(source, nil, m.runs)
	if err := rows.seek(nil); err != nil {
		return nil, err
	}
	for failed == nil {
		key, value, err := rows.next(nil)
		if err != nil {
			return nil, err
		}
		if key == nil {
			merged := &Merged{merge: m, run: b.finish()}
			return merged, failed
		}
		b.add(key, value)
	}
	return nil, failed
}

// Replace returns a tree with the merged run in the place of those that it was
// made of. The tree is the one that the merge was planned for, or one that came
// of it by Add.
func (t *Tree) Replace(m *Merged) *Tree {
	at := slices.Index(t.runs, m.merge.runs[0])
	return &Tree{opts: t.opts, runs: slices.Concat(t.runs[:at], []*run{m.run}, t.runs[at+len(m.merge.runs):])}
}

// Obsolete calls visit with the keys of the stored runs that were replaced.
func (m *Merged) Obsolete(visit func(key []byte)) {
	for _, r := range m.merge.runs {
		if r.memory == nil {
			r.keys(m.merge.tree.opts.Prefix, visit)
		}
	}
}

// Runs returns the ids of the stored runs, in ascending order.
func (t *Tree) Runs() []uint64 {
	ids := make([]uint64, t.stored())
	for i := range ids {
		ids[i] = t.runs[i].id
	}
	slices.Sort(ids)
	return ids
}

// Len returns how many runs there are: what a lookup has to look into.
func (t *Tree) Len() int { return len(t.runs) }
