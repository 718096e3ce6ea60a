package ledger_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// told is what a view said of the state.
type told struct {
	view  *ledger.View
	state map[string]string
}

// ask reads all of the state.
func ask(v *ledger.View) (told, error) {
	said := told{v, make(map[string]string)}
	err := v.Scan(nil, nil, func(key, value []byte) bool {
		said.state[string(key)] = string(value)
		return true
	})
	return said, err
}

// again tests that a view says what it said, in every way.
func (x told) again(t *testing.T) {
	t.Helper()
	now, err := ask(x.view)
	if err != nil || !maps.Equal(now.state, x.state) {
		t.Errorf("view of %d entries: %d values, %v, had %d", x.view.Size(), len(now.state), err, len(x.state))
	}
	for key, value := range x.state {
		if got, err := x.view.Get([]byte(key)); err != nil || string(got) != value {
			t.Errorf("view of %d entries: %q is %q, %v, was %q", x.view.Size(), key, got, err, value)
		}
	}
}

// TestViewsWhileMerging opens views while statements are recorded and runs are
// merged, and keeps them. Each says what follows from its part of the log, and
// says it again when its runs have been merged and taken away.
func TestViewsWhileMerging(t *testing.T) {
	for name, cache := range map[string]int64{"cache": 0, "small cache": 40 << 10, "no cache": -1} {
		t.Run(name, func(t *testing.T) {
			onStores(t, func(t *testing.T, place func(*site) *site) {
				s := newSite(t, "acme", "zeta")
				s = place(s)
				store := &watched{Store: s.store}
				s.store, s.limits = store, ledger.Limits{CommitStatements: 3, CacheBytes: cache, StateRows: 40}
				envs := transactions(s.made, "acme", 150)
				envs = append(envs, transactions(s.made, "zeta", 150)...)
				i := s.start()
				all := i.readWhile(func() {
					for part := range slices.Chunk(envs, 20) {
						i.record(part...)
					}
				})
				i.Rest()
				records := s.audit(i.Ledger)
				for _, x := range all {
					if want := replay(t, records[:x.view.Size()]); !maps.Equal(x.state, want) {
						t.Errorf("view of %d entries: %d values, want %d", x.view.Size(), len(x.state), len(want))
					}
					x.again(t)
					x.view.Close()
				}
				s.wantReplayed(i.Ledger)
				i.close()
				if len(store.merges) == 0 {
					t.Error("no steps of merges")
				}
			})
		})
	}
}

// readWhile reads views in a few goroutines while something is done, and returns
// some that it kept open.
func (i *instance) readWhile(do func()) (kept []told) {
	var mu sync.Mutex
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				v := i.View()
				x, err := ask(v)
				if err != nil {
					i.t.Errorf("view of %d entries: %v", v.Size(), err)
				}
				mu.Lock()
				if len(kept) == 0 || n%4 == 0 && len(kept) < 30 && kept[len(kept)-1].view.Size() < v.Size() {
					kept = append(kept, x)
				} else {
					v.Close()
				}
				mu.Unlock()
			}
		})
	}
	do()
	close(done)
	readers.Wait()
	return kept
}

// TestFewRuns commits every statement alone. The runs stay few, and say what
// follows from the log.
func TestFewRuns(t *testing.T) {
	s := newSite(t, "acme")
	s.limits = ledger.Limits{CommitStatements: 1, StateRows: 100}
	i := s.start()
	i.record(transactions(s.made, "acme", 2000)...)
	i.Rest()
	v := i.View()
	values, figures := v.Runs()
	v.Close()
	// Fewer than the fan-out of each size: 16 of values, of which there are less
	// than 16 to the power of 4, and 4 of figures, in cells that are few.
	if values > 4*15 || figures > 2*3 {
		t.Errorf("%d runs of values, %d of figures", values, figures)
	}
	s.wantReplayed(i.Ledger)
	i.close()
	s.wantNoOrphans()
	l := s.mustOpen()
	defer l.Close()
	s.wantReplayed(l)
}

// orphans returns the keys of pages that the list of runs does not name.
func (s *site) orphans() (keys []string) {
	s.t.Helper()
	all := readStore(s.t, s.store)
	named := listedRuns(all.values[listKey][0])
	for _, prefix := range []byte{valueKeys, figureKeys} {
		for _, key := range all.keys[prefix] {
			if !slices.Contains(named[prefix], binary.BigEndian.Uint64(key[1:])) {
				keys = append(keys, fmt.Sprintf("%x", key))
			}
		}
	}
	return keys
}

func (s *site) wantNoOrphans() {
	s.t.Helper()
	if orphans := s.orphans(); len(orphans) > 0 {
		s.t.Errorf("pages of no run: %q", orphans)
	}
}

// failingMerge is a store that lets one step of a merge fail.
type failingMerge struct {
	*storetest.Memory
	at      int // which, from 1
	steps   int // that were taken
	fault   storetest.Fault
	crashes bool // instead
}

func (m *failingMerge) Commit(ctx context.Context, expected []byte, writes []ledger.Write) error {
	if isMerge(expected, writes) {
		if m.steps++; m.steps == m.at {
			if m.crashes {
				m.Crash()
			}
			m.OnCommit(func(int) storetest.Fault { return m.fault })
		}
	}
	return m.Memory.Commit(ctx, expected, writes)
}

// merged is how many statements merging records: with the next, all of their
// figures are merged, since each merge is of two runs of like size.
const merged = 7

// merging returns a site with what is recorded there, and statements after whose
// first figures are merged that do not fit into one step.
func merging(t *testing.T) (*site, state, []*tracev1.Envelope) {
	p := custody.DefaultRuleParameters()
	p.MaxPayloadBytes, p.MaxTransactionLines = 512<<10, 2000
	s := newSiteWith(t, p, longest)
	s.limits = ledger.Limits{CommitStatements: 1, StateRows: 1}
	var sts []*tracev1.Statement
	for n := range merged + 2 {
		sts = append(sts, costly(s, p, n))
	}
	envs := s.made.SignBatch(verifytest.Key(longest), sts...)
	i := s.start()
	for _, env := range envs[:merged] {
		i.record(env)
		i.Rest() // each is stored by itself
	}
	i.close()
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	return s, state{s.memory(), s.anchor.(*memoryAnchor).point}, envs
}

// TestCrashWhileMerging lets steps of a merge fail: the process ends at each of them,
// and the second, when some pages are stored and more are to come, fails in every
// way. Opened again, the ledger has what was acknowledged, its state is what follows
// from the log, and nothing is left of the merge.
func TestCrashWhileMerging(t *testing.T) {
	s, before, envs := merging(t)
	for _, way := range []struct {
		name  string
		fault storetest.Fault
		want  error // of Run; nil stands for any
	}{
		{"lost", storetest.Lost, storetest.ErrFault}, {"applied", storetest.Applied, storetest.ErrFault},
		{"hidden", storetest.Hidden, storetest.ErrFault}, {"phantom", storetest.Phantom, storetest.ErrFault},
		{"too large", storetest.TooLarge, ledger.ErrTooLarge}, {"crash", storetest.None, nil},
	} {
		t.Run(way.name, func(t *testing.T) {
			s, orphaned, at, last := *s, 0, 1, 1<<10
			s.t = t
			if way.want != nil {
				at, last = 2, 2
			}
			for ; at <= last; at++ {
				s.restore(before.disk, &before.point)
				store := &failingMerge{Memory: s.memory(), at: at, fault: way.fault, crashes: way.want == nil}
				s.store = store
				acknowledged := s.failMerge(envs[merged:], way.want, store)
				if store.steps < at {
					break
				}
				s.store = store.Crash()
				orphaned += len(s.orphans())
				l := s.mustOpen()
				s.wantNoOrphans() // before the writer merges again
				i := s.run(l)
				s.wantReplayed(i.Ledger)
				for n, r := range i.record(envs...) {
					if r.Index != s.founded()+uint64(n) || n < acknowledged && !r.Already {
						t.Errorf("step %d: statement %d: %+v", at, n, r)
					}
				}
				i.Rest()
				s.wantNoOrphans()
				i.close()
			}
			if at < 3 || way.want == nil && (at < 4 || orphaned == 0) {
				t.Errorf("%d steps, after which %d pages were left", at-1, orphaned)
			}
		})
	}
}

// failMerge records statements and lets their runs be merged, which fails if the
// step comes that shall. It returns how many were acknowledged of all.
func (s *site) failMerge(envs []*tracev1.Envelope, want error, store *failingMerge) (acknowledged int) {
	s.t.Helper()
	i := s.start()
	acknowledged = merged
	results, err := i.Submit(context.Background(), i.check(envs...))
	if err != nil && !errors.Is(err, ledger.ErrStopped) {
		s.t.Error(err)
	}
	for n := range results {
		if results[n].Err == nil {
			acknowledged++
		}
	}
	i.Rest()
	err = i.end()
	if store.steps < store.at {
		want = nil
	} else if want == nil && err != nil {
		want = err
	}
	if !errors.Is(err, want) || store.steps >= store.at && err == nil {
		s.t.Errorf("step %d: run: %v, want %v", store.at, err, want)
	}
	return acknowledged
}

// TestStepsFit merges more than fits into one step: none is larger than a store
// takes.
func TestStepsFit(t *testing.T) {
	s, before, envs := merging(t)
	s.restore(before.disk, &before.point)
	store := &watched{Store: s.store}
	s.store = store
	i := s.start()
	i.record(envs[merged:]...)
	i.Rest()
	i.close()
	for n, step := range store.merges {
		if step.bytes > 2<<20 {
			t.Errorf("step %d has %d bytes", n, step.bytes)
		}
	}
}

// TestOrphansAreRemoved opens a store with pages of no run: before, between and
// after those that are, more than one commit removes. If that fails, the ledger
// does not open, and keeps no snapshot.
func TestOrphansAreRemoved(t *testing.T) {
	s := newSite(t, "acme")
	states := history(s, transactions(s.made, "acme", 3)...)
	last := states[len(states)-1]
	for _, fault := range []storetest.Fault{storetest.None, storetest.Lost, storetest.Applied, storetest.Hidden, storetest.Phantom, storetest.TooLarge} {
		for at := 1; at <= 2; at++ {
			t.Run(fmt.Sprint(fault, at), func(t *testing.T) {
				s := *s
				s.t = t
				s.restore(last.disk, &last.point)
				s.wantNoOrphans()
				whole := readStore(t, s.store)
				named := listedRuns(whole.values[listKey][0])
				for _, prefix := range []byte{valueKeys, figureKeys} {
					for run := range uint64(20) {
						if slices.Contains(named[prefix], run) {
							continue
						}
						for page := range uint32(100) {
							s.memory().Corrupt(pageKey(prefix, run, page), replace([]byte("left")))
						}
						s.memory().Corrupt(pageKey(prefix, run, 1<<31), replace([]byte{}))
					}
				}
				if got := len(s.orphans()); got < 3000 {
					t.Fatalf("%d pages of no run", got)
				}
				if fault != storetest.None {
					s.memory().OnCommit(func(n int) storetest.Fault {
						if n == at {
							return fault
						}
						return storetest.None
					})
					want := storetest.ErrFault
					if fault == storetest.TooLarge {
						want = ledger.ErrTooLarge
					}
					s.refused(want)
					if err := s.store.Close(); err != nil {
						t.Error(err)
					}
					s.store = s.memory().Crash()
				}
				l := s.mustOpen()
				defer l.Close()
				s.wantReplayed(l)
				if got := readStore(t, s.store); fmt.Sprint(got) != fmt.Sprint(whole) {
					t.Error("the store is not what it was")
				}
			})
		}
	}
}

// TestDamageMeetsMerge damages pages that only a merge reads. It stops the writer
// and leaves everything as it was: when the pages are whole again, so is the
// ledger.
func TestDamageMeetsMerge(t *testing.T) {
	for prefix, statements := range map[byte]int{figureKeys: 2, valueKeys: 16} { // with the last of which a merge is due
		s := newSite(t, "acme")
		s.limits = ledger.Limits{CommitStatements: 1, StateRows: 1}
		envs := transactions(s.made, "acme", statements+1)
		i := s.start()
		i.Rest()
		for _, env := range envs[:statements-1] {
			i.record(env)
			i.Rest() // each is stored by itself
		}
		i.close()
		all := readStore(t, s.store)
		if err := s.store.Close(); err != nil {
			t.Fatal(err)
		}
		disk, anchored := s.memory(), s.anchor.(*memoryAnchor).point
		at := map[byte]int{figureKeys: 0, valueKeys: 4}[prefix] // of the only run, and of one in the middle
		key := all.keys[prefix][at]
		for name, change := range map[string]func([]byte) []byte{
			"changed": flip(-1), "cut": cut(1), "removed": remove, "another's": replace(all.values[valueKeys][2]),
		} {
			t.Run(fmt.Sprintf("%c/%s", prefix, name), func(t *testing.T) {
				s := *s
				s.t = t
				s.restore(disk, &anchored)
				whole := s.memory()
				whole.Corrupt(key, change)
				i := s.start()
				i.record(envs[statements-1])
				<-i.Stopped()
				if _, err := i.Submit(t.Context(), i.check(envs[statements])); !errors.Is(err, ledger.ErrStopped) {
					t.Errorf("submitted later: %v", err)
				}
				if err := i.end(); !errors.Is(err, ledger.ErrDamaged) {
					t.Errorf("run: %v", err)
				}
				s.store = whole.Crash()
				s.memory().Corrupt(key, replace(all.values[prefix][at]))
				i = s.start()
				s.wantSize(i.Ledger, s.founded()+uint64(statements))
				i.record(envs...)
				i.Rest()
				s.wantReplayed(i.Ledger)
				i.close()
			})
		}
	}
}

// TestDamagedStateWhileRunning damages every page of the state under a ledger that
// runs and keeps none of them. Views of later commits say ErrDamaged, or what is
// true; views that were open say what they said.
func TestDamagedStateWhileRunning(t *testing.T) {
	s := newSite(t, "acme")
	s.limits = ledger.Limits{CacheBytes: -1}
	envs := transactions(s.made, "acme", 3)
	i := s.start()
	i.record(envs[:2]...)
	i.close() // stores the state
	i = s.start()
	v := i.View()
	defer v.Close()
	before, err := ask(v)
	if err != nil {
		t.Fatal(err)
	}
	all := readStore(t, s.store)
	for _, prefix := range []byte{valueKeys, figureKeys} {
		for n, key := range all.keys[prefix] {
			if isSummary(key) {
				continue // they were read when the ledger was opened, or written
			}
			s.memory().Corrupt(key, flip(n))
		}
	}
	i.record(envs[2]) // what the writer needs to know, it knows
	before.again(t)
	after := i.View()
	damaged := 0
	for key := range before.state {
		switch _, err := after.Get([]byte(key)); {
		case errors.Is(err, ledger.ErrDamaged):
			damaged++
		case err != nil:
			t.Errorf("%q: %v", key, err)
		}
	}
	if _, err := ask(after); damaged < 10 || !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("%d values are damaged; scan: %v", damaged, err)
	}
	after.Close()
	i.close()
}

// breaking is a store that takes no snapshots from the first time that a merge
// changes the list of runs.
type breaking struct{ *noSnapshots }

func (b breaking) Commit(ctx context.Context, expected []byte, writes []ledger.Write) error {
	lists := slices.ContainsFunc(writes, func(x ledger.Write) bool { return x.Key[0] == listKey })
	if lists && isMerge(expected, writes) {
		b.broken.Store(true)
	}
	return b.Memory.Commit(ctx, expected, writes)
}

// TestMergeWithoutSnapshot merges runs and cannot read the store then. The writer
// stops, and what was acknowledged is served from what was there before.
func TestMergeWithoutSnapshot(t *testing.T) {
	f := newFaultySite(t, "acme")
	f.limits = ledger.Limits{StateRows: 1}
	f.site.store = breaking{f.store}
	envs := transactions(f.made, "acme", 5)
	i := f.start()
	<-i.Stopped()
	if _, err := i.Submit(t.Context(), i.check(envs[0])); !errors.Is(err, ledger.ErrStopped) {
		t.Errorf("submitted later: %v", err)
	}
	f.wantReplayed(i.Ledger)
	f.wantSize(i.Ledger, f.founded())
	if err := i.end(); !errors.Is(err, errBroken) {
		t.Errorf("run: %v", err)
	}
	f.crash()
	i = f.start()
	f.wantNoOrphans()
	f.wantSize(i.Ledger, f.founded())
	i.record(envs...)
	f.wantReplayed(i.Ledger)
	i.close()
}
