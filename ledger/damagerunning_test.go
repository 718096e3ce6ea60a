package ledger_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// TestDamageWhileWriting submits statements whose judgement needs what is
// damaged. The writer stops rather than judge by it.
func TestDamageWhileWriting(t *testing.T) {
	s := damageable(t)
	s.limits = ledger.Limits{}
	envs := transactions(s.made, "acme", 10)
	s.start().close() // stores what follows from the founding
	i := s.start()
	i.record(envs[:5]...)
	i.close()
	all := readStore(t, s.store)
	records := all.keys[recordKeys]
	founding, recorded := all.keys[valueKeys][0], all.keys[valueKeys][2] // pages of the two runs
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	disk, anchored := s.memory(), s.anchor.(*memoryAnchor).point
	for _, test := range []struct {
		name   string
		key    []byte
		change func([]byte) []byte
		env    *tracev1.Envelope
	}{
		{"a retry", records[len(records)-1], unpacked(flip(200)), envs[0]},
		{"a retry of what was forged", records[len(records)-1], unpacked(forge), envs[0]},
		{"the signer", founding, flip(0), envs[7]},
		{"the signer, removed", founding, remove, envs[7]},
		{"the signer, another's", founding, replace(all.values[valueKeys][2]), envs[7]},
		{"a retry by its page", recorded, flip(-1), envs[0]},
		{"a retry by its page, removed", recorded, remove, envs[0]},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := *s
			s.t = t
			s.restore(disk, &anchored)
			i := s.start()
			items := i.check(envs[8], test.env, envs[9])
			i.close()
			s.restore(disk, &anchored)
			s.memory().Corrupt(test.key, test.change)
			l, err := s.open()
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Run(ctx) }()
			results, err := l.Submit(ctx, items)
			if err == nil {
				for n := range results {
					if !errors.Is(results[n].Err, ledger.ErrStopped) {
						t.Errorf("result %d: %+v", n, results[n])
					}
				}
			} else if !errors.Is(err, ledger.ErrStopped) {
				t.Error(err)
			}
			stop()
			if err := <-ended; !errors.Is(err, ledger.ErrDamaged) {
				t.Errorf("run: %v", err)
			}
			l.Close()
		})
	}
}

// TestDamageWhileRunning changes tiles under a ledger that runs. What it says
// later is right, or ErrDamaged.
func TestDamageWhileRunning(t *testing.T) {
	s := damageable(t)
	envs := transactions(s.made, "acme", 800)
	i := s.start()
	defer i.close()
	i.record(envs[:700]...)
	tree := verifytest.NewTree()
	for _, r := range s.audit(i.Ledger) {
		tree.Append(r.Entry.LeafHash())
	}
	for _, level := range []byte{1, 0} {
		key := binary.BigEndian.AppendUint64([]byte{tileKeys, level}, uint64(2*(1-level))) // the last tile
		s.memory().Corrupt(key, flip(-1))
		envs := envs[700+50*int(level) : 710+50*int(level)]
		results := i.record(envs...) // their receipts need no tiles
		v := i.View()
		for n := range results {
			receipt, err := i.Receipt(&results[n])
			if err != nil {
				t.Fatal(err)
			}
			e, err := verify.VerifyRecorded(envs[n], receipt, v.Checkpoint())
			if err != nil {
				t.Fatal(err)
			}
			tree.Append(e.LeafHash())
		}
		damaged := 0
		for index := range v.Size() {
			path, err := v.InclusionPath(index, v.Size())
			if errors.Is(err, ledger.ErrDamaged) {
				damaged++
			} else if err != nil {
				t.Errorf("inclusion of %d: %v", index, err)
			} else {
				samePath(t, fmt.Sprint("inclusion of ", index), path, tree.Inclusion(index, v.Size()))
			}
		}
		v.Close()
		if want := level == 1; (damaged > 0) != want { // the writer wrote the tile of level 0 anew
			t.Errorf("level %d: %d proofs are ErrDamaged", level, damaged)
		}
		s.memory().Corrupt(key, flip(-1))
	}
}

// shortSighted is a store whose scans of records end early, without an error, as
// those of a damaged one may.
type shortSighted struct {
	ledger.Store
	limit []byte // nil while it is not
}

type shortSnapshot struct {
	ledger.Snapshot
	store *shortSighted
}

func (s *shortSighted) Snapshot() (ledger.Snapshot, error) {
	snapshot, err := s.Store.Snapshot()
	return shortSnapshot{snapshot, s}, err
}

func (s shortSnapshot) Scan(from, to []byte, visit func(key, value []byte) bool) error {
	return s.Snapshot.Scan(from, to, func(key, value []byte) bool {
		short := s.store.limit != nil && key[0] == recordKeys && bytes.Compare(key, s.store.limit) >= 0
		return !short && visit(key, value)
	})
}

// TestScansEndEarly reads records from a store that shows only the first: what it
// does not show is ErrDamaged, and not taken for the end of the log.
func TestScansEndEarly(t *testing.T) {
	s := damageable(t)
	store := &shortSighted{Store: s.store}
	s.store = store
	s.fill()
	l := s.mustOpen()
	defer l.Close()
	v := l.View()
	defer v.Close()
	store.limit = binary.BigEndian.AppendUint64([]byte{recordKeys}, 400)
	for _, span := range [][2]uint64{{0, 600}, {0, 400}, {256, 400}, {399, 400}, {500, 600}} {
		err := v.Records(t.Context(), span[0], span[1], func(ledger.Record) error { return nil })
		if !errors.Is(err, ledger.ErrDamaged) {
			t.Errorf("records %v: %v", span, err)
		}
	}
	if _, err := v.Record(500); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("record: %v", err)
	}
	if _, err := v.Payload(500); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("payload: %v", err)
	}
	if other, err := s.open(); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("open: %v", err)
		if err == nil {
			other.Close()
		}
	}
}
