package runs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/runs"
)

// pages is a store of pages in memory.
type pages map[string][]byte

var errNone = errors.New("none")

func (p pages) Get(key []byte) ([]byte, error) {
	if v, ok := p[string(key)]; ok {
		return bytes.Clone(v), nil
	}
	return nil, errNone
}

func (p pages) put(key, value []byte) { p[string(key)] = bytes.Clone(value) }

// sum adds numbers of 8 bytes.
func sum(dst, a, b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, binary.BigEndian.Uint64(a)+binary.BigEndian.Uint64(b)), nil
}

// world is a tree beside the map that it should be.
type world struct {
	opts   *runs.Options
	store  pages
	tree   *runs.Tree
	next   uint64
	want   map[string][]byte
	random *rand.Rand
}

func newWorld(seed uint64, o *runs.Options) *world {
	return &world{opts: o, store: pages{}, tree: runs.NewTree(o), want: map[string][]byte{}, random: rand.New(rand.NewPCG(seed, 1))}
}

// key returns one of n keys, with long prefixes in common.
func (w *world) key(n int) []byte {
	i := w.random.IntN(n)
	return fmt.Appendf(nil, "%c%0*d/%d", 'a'+i%3, 1+i%40, i%7, i)
}

func (w *world) commit(t *testing.T, rows, keys int) {
	t.Helper()
	set := map[string][]byte{}
	for range rows {
		set[string(w.key(keys))] = binary.BigEndian.AppendUint64(nil, w.random.Uint64()>>uint(w.random.IntN(60)))
	}
	var sorted []runs.Row
	for _, k := range slices.Sorted(maps.Keys(set)) {
		sorted = append(sorted, runs.Row{Key: []byte(k), Value: set[k]})
		if old := w.want[k]; old != nil && w.opts.Sum != nil {
			set[k], _ = sum(nil, old, set[k])
		}
		w.want[k] = set[k]
	}
	w.tree = w.tree.Add(sorted)
}

// merge does the merges that are due.
func (w *world) merge(t testing.TB) {
	t.Helper()
	for m := w.tree.Plan(); m != nil; m = w.tree.Plan() {
		w.do(t, m, !m.InMemory())
	}
}

// flush stores what is in memory.
func (w *world) flush(t testing.TB) {
	t.Helper()
	if m := w.tree.Flush(); m != nil {
		w.do(t, m, true)
	}
	if n := w.tree.InMemory(); n != 0 {
		t.Fatalf("%d rows are in memory after a flush", n)
	}
}

// do carries out a merge, into a stored run or one in memory.
func (w *world) do(t testing.TB, m *runs.Merge, stored bool) {
	t.Helper()
	w.next++
	emit := func(k, v []byte) error { w.store.put(k, v); return nil }
	if !stored {
		emit = nil
	}
	done, err := m.Do(w.store, w.next, emit)
	if err != nil {
		t.Fatal(err)
	}
	w.tree = w.tree.Replace(done)
	done.Obsolete(func(key []byte) {
		if _, ok := w.store[string(key)]; !ok {
			t.Errorf("obsolete page %x is not there", key)
		}
		delete(w.store, string(key))
	})
}

func (w *world) reopen(t *testing.T) {
	t.Helper()
	w.flush(t)
	tree, rest, err := runs.Open(w.opts, w.store, append(w.tree.AppendBinary(nil), "rest"...))
	if err != nil || string(rest) != "rest" {
		t.Fatalf("open: %q, %v", rest, err)
	}
	w.tree = tree
}

func (w *world) check(t *testing.T, keys int) {
	t.Helper()
	sorted := slices.Sorted(maps.Keys(w.want))
	w.checkScan(t, []runs.Range{{}}, sorted)
	for range 20 {
		a, b, c := w.key(keys), w.key(keys), w.key(keys)
		bounds := [][]byte{a, b, c, nil}
		slices.SortFunc(bounds[:3], bytes.Compare)
		ranges := []runs.Range{{From: bounds[0], To: bounds[1]}, {From: bounds[1], To: bounds[1]}, {From: bounds[2]}}
		w.checkScan(t, ranges, slices.DeleteFunc(slices.Clone(sorted), func(k string) bool {
			return k < string(bounds[0]) || k >= string(bounds[1]) && k < string(bounds[2])
		}))
		if v, err := w.tree.Get(w.store, a); err != nil || !bytes.Equal(v, w.want[string(a)]) {
			t.Fatalf("get %q: %x, %v, want %x", a, v, err, w.want[string(a)])
		}
		missing := append(a, 'x')
		if v, err := w.tree.Get(w.store, missing); err != nil || v != nil {
			t.Fatalf("get %q: %x, %v, want nil", missing, v, err)
		}
	}
}

func (w *world) checkScan(t *testing.T, ranges []runs.Range, want []string) {
	t.Helper()
	var got []string
	err := w.tree.Scan(w.store, ranges, func(key, value []byte) bool {
		got = append(got, string(key))
		if !bytes.Equal(value, w.want[string(key)]) {
			t.Fatalf("%q: %x, want %x", key, value, w.want[string(key)])
		}
		return true
	})
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("scan of %q: %d keys, %v, want %d", ranges, len(got), err, len(want))
	}
}

func TestTree(t *testing.T) {
	for seed := range uint64(5) {
		for name, o := range map[string]*runs.Options{
			"newest": {Prefix: 'r', Fanout: 4, MemoryFanout: 4, Cache: runs.NewCache(100_000)},
			"sums":   {Prefix: 'r', Fanout: 2, MemoryFanout: 3, Sum: sum, Unfiltered: true},
		} {
			t.Run(fmt.Sprint(name, seed), func(t *testing.T) {
				w := newWorld(seed, o)
				for range 30 {
					keys := 1 + w.random.IntN(5000)
					w.commit(t, w.random.IntN(800), keys)
					old, n := *w, maps.Clone(w.store)
					old.store, old.want = n, maps.Clone(w.want)
					if w.random.IntN(3) > 0 {
						w.merge(t)
						if got := w.tree.Len(); got > 40 {
							t.Fatalf("%d runs", got)
						}
					}
					if w.random.IntN(3) == 0 {
						w.flush(t)
					}
					if w.random.IntN(4) == 0 {
						w.reopen(t)
					}
					w.check(t, keys)
					old.check(t, keys) // a snapshot from before
				}
			})
		}
	}
}

// TestScanStops reads no more than it is asked to.
func TestScanStops(t *testing.T) {
	w := newWorld(1, &runs.Options{Prefix: 'r', Fanout: 4, MemoryFanout: 4})
	w.commit(t, 100, 1000)
	n := 0
	if err := w.tree.Scan(w.store, []runs.Range{{}, {From: []byte("b")}}, func(_, _ []byte) bool { n++; return n < 7 }); err != nil || n != 7 {
		t.Errorf("%d rows, %v, want 7", n, err)
	}
}

// TestFewRuns shows how many runs there are after many commits: what a lookup
// has to look into.
func TestFewRuns(t *testing.T) {
	w := newWorld(1, &runs.Options{Prefix: 'r', Fanout: 4, MemoryFanout: 4})
	for range 1000 {
		w.commit(t, 20, 1<<30)
		if w.tree.InMemory() > 300 {
			w.flush(t)
		}
		w.merge(t)
	}
	if n := w.tree.Len(); n > 5*3+3 {
		t.Errorf("%d runs after 1,000 commits", n)
	}
}

// TestDamage changes, cuts, swaps and removes every page: reads say so, or give
// what was written.
func TestDamage(t *testing.T) {
	w := newWorld(7, &runs.Options{Prefix: 'r', Fanout: 4, MemoryFanout: 4})
	for range 3 {
		w.commit(t, 1500, 1<<20)
		w.flush(t)
	}
	keys := slices.Sorted(maps.Keys(w.store))
	for i, key := range keys {
		whole := w.store[key]
		for name, damage := range map[string]func() []byte{
			"flip": func() []byte {
				b := bytes.Clone(whole)
				b[w.random.IntN(len(b))] ^= 1 << w.random.IntN(8)
				return b
			},
			"cut":   func() []byte { return whole[:w.random.IntN(len(whole))] },
			"other": func() []byte { return w.store[keys[(i+1)%len(keys)]] },
		} {
			w.store[key] = damage()
			if err := w.readAll(); !errors.Is(err, runs.ErrDamaged) {
				t.Errorf("%x, %s: %v, want ErrDamaged", key, name, err)
			}
		}
		delete(w.store, key)
		if err := w.readAll(); !errors.Is(err, errNone) || errors.Is(err, runs.ErrDamaged) {
			t.Errorf("%x, removed: %v, want the error of the store", key, err)
		}
		w.store[key] = whole
	}
	if err := w.readAll(); err != nil {
		t.Error(err)
	}
}

// readAll opens the tree and reads everything.
func (w *world) readAll() error {
	tree, _, err := runs.Open(w.opts, w.store, w.tree.AppendBinary(nil))
	if err != nil {
		return err
	}
	return tree.Scan(w.store, []runs.Range{{}}, func(_, _ []byte) bool { return true })
}

func TestMergeStops(t *testing.T) {
	w := newWorld(1, &runs.Options{Prefix: 'r', Fanout: 2, MemoryFanout: 2})
	w.commit(t, 3000, 1<<20)
	w.commit(t, 3000, 1<<20)
	stop := errors.New("stop")
	if _, err := w.tree.Plan().Do(w.store, 9, func(_, _ []byte) error { return stop }); err != stop {
		t.Errorf("%v, want %v", err, stop)
	}
}

func BenchmarkTree(b *testing.B) {
	const rows, commits = 6000, 200
	w := newWorld(1, &runs.Options{Prefix: 'r', Fanout: 16, MemoryFanout: 16, Cache: runs.NewCache(128 << 20)})
	batch := make([]runs.Row, rows)
	fill := func() {
		for i := range batch {
			key := binary.BigEndian.AppendUint64([]byte("s producer-1\x00"), w.random.Uint64())
			batch[i] = runs.Row{Key: binary.BigEndian.AppendUint64(key, w.random.Uint64()), Value: []byte("12345678")}
		}
		slices.SortFunc(batch, func(a, b runs.Row) int { return bytes.Compare(a.Key, b.Key) })
	}
	b.Run("add", func(b *testing.B) {
		fill()
		for b.Loop() {
			w.tree.Add(batch)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	})
	var some [][]byte
	for range commits {
		fill()
		if w.tree = w.tree.Add(batch); w.tree.InMemory() > 1<<17 {
			w.flush(b)
		}
		some = append(some, bytes.Clone(batch[w.random.IntN(rows)].Key))
		w.merge(b)
	}
	b.Logf("%d runs", w.tree.Len())
	b.Run("absent", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			key := bytes.Clone(some[i%len(some)])
			binary.BigEndian.PutUint64(key[len(key)-8:], uint64(i))
			if v, err := w.tree.Get(w.store, key); v != nil || err != nil {
				b.Fatal(v, err)
			}
		}
	})
	b.Run("present", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if v, err := w.tree.Get(w.store, some[i%len(some)]); v == nil || err != nil {
				b.Fatal(v, err)
			}
		}
	})
	b.Run("scan", func(b *testing.B) {
		n := 0
		for b.Loop() {
			if err := w.tree.Scan(w.store, []runs.Range{{}}, func(_, _ []byte) bool { n++; return true }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
	})
}
