package ledger_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// replayed is the state that follows from records, without a store.
type replayed struct {
	values  map[string]string
	figures map[string]*custody.Figures
	records []ledger.Record
}

func (r *replayed) Get(key []byte) ([]byte, error) {
	if v, ok := r.values[string(key)]; ok {
		return []byte(v), nil
	}
	return nil, nil
}

func (r *replayed) Put(key, value []byte) { r.values[string(key)] = string(value) }

func (r *replayed) Change(key []byte) *custody.Figures {
	f := r.figures[string(key)]
	if f == nil {
		f = new(custody.Figures)
		r.figures[string(key)] = f
	}
	return f
}

func (r *replayed) Payload(index uint64) ([]byte, error) {
	return r.records[index].Envelope.GetPayload(), nil
}

func (r *replayed) StatementHash(index uint64) ([]byte, error) {
	return r.records[index].Entry.StatementHash[:], nil
}

// replay judges records as an auditor with full reading rights does.
func replay(t testing.TB, records []ledger.Record) map[string]string {
	t.Helper()
	g, err := verify.OpenGenesis(records[0].Envelope)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := custody.NewRules(g)
	if err != nil {
		t.Fatal(err)
	}
	r := &replayed{values: make(map[string]string), figures: make(map[string]*custody.Figures)}
	if err := custody.Found(r, g); err != nil {
		t.Fatal(err)
	}
	for n, record := range records {
		if r.records = records[:n]; n == 0 {
			continue
		}
		sub, err := rules.ParseSubmission(record.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		at := custody.Place{Index: record.Entry.Index, SequencedAtMicros: record.Entry.SequencedAtMicros}
		if err := rules.Admit(r, at, sub); err != nil {
			t.Fatalf("entry %d: %v", n, err)
		}
	}
	for k, f := range r.figures {
		r.values[k] = string(f.AppendBinary(nil))
	}
	return r.values
}

// wantReplayed compares the state of a ledger with the one that its log alone
// leads to: key by key.
func (s *site) wantReplayed(l *ledger.Ledger) {
	s.t.Helper()
	records := s.audit(l)
	v := l.View()
	defer v.Close()
	replayed, kept := replay(s.t, records), stateOf(s.t, v)
	if !maps.Equal(replayed, kept) {
		s.t.Errorf("state of %d entries (-replayed +kept):\n%s", len(records), cmp.Diff(replayed, kept))
	}
}

// TestReplayedState compares the state that a ledger kept, over commits and
// restarts, with the one that its log alone leads to: key by key.
func TestReplayedState(t *testing.T) {
	onStores(t, func(t *testing.T, place func(*site) *site) {
		s, pool := simulated(t)
		s.t, s.limits = t, ledger.Limits{CommitStatements: 5}
		s = place(s)
		for range 3 {
			i := s.start()
			for _, x := range pool {
				item, err := i.Check(x.env, x.st.GetSigner())
				if err != nil {
					continue // signed by the key that the last statement registers
				}
				if _, err := i.Submit(t.Context(), []*ledger.Item{item}); err != nil {
					t.Fatal(err)
				}
			}
			i.close()
		}
		l := s.mustOpen()
		defer l.Close()
		s.wantReplayed(l)
	})
}

// TestScanBounds scans parts of the state.
func TestScanBounds(t *testing.T) {
	s := newSite(t, "acme", "zeta")
	l := s.mustOpen()
	defer l.Close()
	v := l.View()
	defer v.Close()
	scan := func(from, to []byte, most int) (keys []string) {
		err := v.Scan(from, to, func(key, value []byte) bool {
			if got, err := v.Get(key); err != nil || string(got) != string(value) {
				t.Errorf("%q: scanned %q, got %q, %v", key, value, got, err)
			}
			keys = append(keys, string(key))
			return len(keys) < most
		})
		if err != nil {
			t.Error(err)
		}
		return keys
	}
	all := scan(nil, nil, 1000)
	for n, key := range all {
		for _, part := range []struct{ got, want []string }{
			{scan([]byte(key), nil, 1000), all[n:]},
			{scan(nil, []byte(key), 1000), all[:n]},
			{scan([]byte(key+"\x00"), nil, 1000), all[n+1:]},
			{scan([]byte(key), []byte(key+"\x00"), 1000), all[n : n+1]},
			{scan([]byte(key), nil, 1), all[n : n+1]},
		} {
			if fmt.Sprint(part.got) != fmt.Sprint(part.want) {
				t.Errorf("from %q: %q, want %q", key, part.got, part.want)
			}
		}
	}
	if got, err := v.Get([]byte("p")); got != nil || err != nil {
		t.Errorf("no value: %q, %v", got, err)
	}
}
