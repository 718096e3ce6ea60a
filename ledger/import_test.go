package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/storetest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// copyOf is what a ledger has on record, as a backup would have it.
type copyOf struct {
	records    []ledger.Record
	checkpoint *verify.Checkpoint
	state      [][2]string
}

func copyLedger(t testing.TB, l *ledger.Ledger) copyOf {
	t.Helper()
	v := l.View()
	defer v.Close()
	c := copyOf{checkpoint: v.Checkpoint()}
	err := v.Records(context.Background(), 0, v.Size(), func(r ledger.Record) error {
		r.Envelope = proto.CloneOf(r.Envelope)
		c.records = append(c.records, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Scan(nil, nil, func(key, value []byte) bool {
		c.state = append(c.state, [2]string{string(key), string(value)})
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// importInto imports a copy into a store, and returns the error of whatever
// refused it.
func (c *copyOf) importInto(store ledger.Store, log *verify.Log, limits ledger.Limits) (ledger.AnchorPoint, error) {
	ctx := context.Background()
	im, err := ledger.NewImport(ledger.ImportConfig{Store: store, Log: log, Limits: limits})
	if err != nil {
		return ledger.AnchorPoint{}, err
	}
	defer im.Close()
	for _, r := range c.records {
		if err := im.Add(ctx, r.Entry.SequencedAtMicros, r.Envelope); err != nil {
			return ledger.AnchorPoint{}, err
		}
	}
	if err := im.Prove(c.checkpoint); err != nil {
		return ledger.AnchorPoint{}, err
	}
	return im.Finish(ctx)
}

// TestImport imports a log into an empty store: the same ledger serves from there,
// with the same entries and state, and goes on.
func TestImport(t *testing.T) {
	for name, limits := range map[string]ledger.Limits{
		"in few commits":               {},
		"in many commits, many merges": {CommitStatements: 7, StateRows: 40},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "acme", "bolt")
			envs := append(transactions(s.made, "acme", 300), transactions(s.made, "bolt", 200)...)
			i := s.start()
			i.record(envs[:450]...)
			want := copyLedger(t, i.Ledger)
			i.close()

			s.store, s.anchor = storetest.NewMemory(), new(memoryAnchor)
			point, err := want.importInto(s.store, s.made.Log, limits)
			if err != nil {
				t.Fatal(err)
			}
			if point.Size != want.checkpoint.Size || point.Root != want.checkpoint.Root {
				t.Errorf("the anchor is to keep %+v", point)
			}
			if err := s.anchor.Append(point); err != nil {
				t.Fatal(err)
			}
			i = s.start()
			got := copyLedger(t, i.Ledger)
			if !bytes.Equal(got.checkpoint.Note, want.checkpoint.Note) {
				t.Errorf("checkpoint:\n%s\nwant\n%s", got.checkpoint.Note, want.checkpoint.Note)
			}
			for n := range want.records {
				if got.records[n].Entry != want.records[n].Entry || !proto.Equal(got.records[n].Envelope, want.records[n].Envelope) {
					t.Fatalf("entry %d: %+v, want %+v", n, got.records[n], want.records[n])
				}
			}
			if len(got.state) != len(want.state) {
				t.Fatalf("%d values of state, want %d", len(got.state), len(want.state))
			}
			for n := range want.state {
				if got.state[n] != want.state[n] {
					t.Fatalf("state %q, want %q", got.state[n], want.state[n])
				}
			}
			for n, r := range i.record(envs...) {
				if r.Already != (n < 450) || r.Index != s.founded()+uint64(n) {
					t.Errorf("statement %d: %+v", n, r)
				}
			}
			i.close()
			if b, err := s.stored(ledger.CheckpointKey(want.checkpoint.Size)); err != nil || !bytes.Equal(b, want.checkpoint.Note) {
				t.Errorf("the checkpoint is not kept as evidence: %q, %v", b, err)
			}
		})
	}
}

// stored returns a value of the store.
func (s *site) stored(key []byte) ([]byte, error) {
	snapshot, err := s.store.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snapshot.Close()
	return snapshot.Get(key)
}

// TestImportBelievesNothing: whatever is not the log, as it was signed, is refused.
func TestImportBelievesNothing(t *testing.T) {
	s := newSite(t, "acme")
	i := s.start()
	i.record(transactions(s.made, "acme", 30)...)
	whole := copyLedger(t, i.Ledger)
	i.close()
	n := len(whole.records)
	for name, test := range map[string]struct {
		edit func(c *copyOf)
		want error
	}{
		"whole":            {func(*copyOf) {}, nil},
		"the last missing": {func(c *copyOf) { c.records = c.records[:n-1] }, ledger.ErrNotLog},
		"one missing":      {func(c *copyOf) { c.records = append(c.records[:n-5], c.records[n-4:]...) }, ledger.ErrNotLog},
		"the key missing":  {func(c *copyOf) { c.records = append(c.records[:2], c.records[3:]...) }, ledger.ErrNotLog},
		"one twice":        {func(c *copyOf) { c.records[n-1] = c.records[n-2] }, ledger.ErrNotLog},
		"two swapped":      {func(c *copyOf) { c.records[n-1], c.records[n-2] = c.records[n-2], c.records[n-1] }, ledger.ErrNotLog},
		"another time":     {func(c *copyOf) { c.records[n-1].Entry.SequencedAtMicros++ }, ledger.ErrNotLog},
		"time goes back":   {func(c *copyOf) { c.records[n-1].Entry.SequencedAtMicros = 1 }, ledger.ErrNotLog},
		"a false signature": {func(c *copyOf) {
			c.records[n-1].Envelope.SignatureBlock[10] ^= 1
		}, ledger.ErrNotLog},
		"another payload": {func(c *copyOf) {
			p := c.records[n-1].Envelope.Payload
			p[len(p)-1] ^= 1
		}, ledger.ErrNotLog},
		"no statement": {func(c *copyOf) { c.records[n-1].Envelope = new(tracev1.Envelope) }, ledger.ErrNotLog},
	} {
		c := copyOf{checkpoint: whole.checkpoint}
		for _, r := range whole.records {
			r.Envelope = proto.CloneOf(r.Envelope)
			c.records = append(c.records, r)
		}
		test.edit(&c)
		if _, err := c.importInto(storetest.NewMemory(), s.made.Log, ledger.Limits{}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	other, err := verify.NewLog(verify.Hash{1}, s.made.Log.CheckpointVKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole.importInto(storetest.NewMemory(), other, ledger.Limits{}); !errors.Is(err, ledger.ErrOtherLedger) {
		t.Errorf("another ledger: %v", err)
	}
	if _, err := whole.importInto(s.store, s.made.Log, ledger.Limits{}); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("into a store that is not empty: %v", err)
	}
}

// TestImportIsCovered: records that no signed checkpoint covers are not taken over.
func TestImportIsCovered(t *testing.T) {
	s := newSite(t, "acme")
	i := s.start()
	whole := copyLedger(t, i.Ledger)
	i.close()
	im, err := ledger.NewImport(ledger.ImportConfig{Store: storetest.NewMemory(), Log: s.made.Log})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	for _, r := range whole.records {
		if err := im.Add(t.Context(), r.Entry.SequencedAtMicros, r.Envelope); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := im.Finish(t.Context()); !errors.Is(err, ledger.ErrNotLog) {
		t.Errorf("finish: %v, want %v", err, ledger.ErrNotLog)
	}
}
