package ledger_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore/badgertest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// spans are ranges of records that are read at once.
var spans = [][2]uint64{{0, 600}, {0, 1}, {255, 257}, {300, 301}, {512, 600}, {599, 600}}

// readLog returns what reads entries, statements and proofs of a ledger, and
// passes each answer, under a name of its own, to judge. The entries are those at
// ends of tiles, and at the beginning and end of all stored records.
func readLog(records [][]byte) func(l *ledger.Ledger, judge func(what, got string, err error)) {
	indexes := []uint64{0, 1, 2, 3, 254, 255, 256, 400, 511, 512, 598, 599}
	for _, key := range records[len(records)/2-1 : len(records)/2] {
		last := binary.BigEndian.Uint64(key[1:])
		indexes = append(indexes, last, last+1)
	}
	return func(l *ledger.Ledger, judge func(what, got string, err error)) {
		v := l.View()
		defer v.Close()
		judge("checkpoint", string(v.Checkpoint().Note), nil)
		for _, index := range indexes {
			readEntry(v, index, judge)
		}
		for _, span := range spans {
			err := v.Records(context.Background(), span[0], span[1], func(r ledger.Record) error {
				judge(fmt.Sprint("one of records ", r.Entry.Index), flat(r), nil)
				return nil
			})
			judge(fmt.Sprint("records ", span), "", err)
		}
	}
}

func readEntry(v *ledger.View, index uint64, judge func(what, got string, err error)) {
	about := func(what string) string { return fmt.Sprint(what, " ", index) }
	payload, err := v.Payload(index)
	judge(about("payload"), string(payload), err)
	hash, err := v.StatementHash(index)
	judge(about("statement hash"), string(hash), err)
	path, err := v.InclusionPath(index, v.Size())
	judge(about("inclusion"), fmt.Sprintf("%x", path), err)
	path, err = v.ConsistencyPath(index+1, v.Size())
	judge(about("consistency"), fmt.Sprintf("%x", path), err)
	r, err := v.Record(index)
	judge(about("record"), flat(r), err)
	if err == nil {
		receipt, err := v.Receipt(r)
		judge(about("receipt"), receipt.String(), err)
	}
}

// flat returns all of a record.
func flat(r ledger.Record) string {
	return string(slices.Concat(r.Entry.Bytes(), r.Envelope.GetPayload(), r.Envelope.GetKeyId(), r.Envelope.GetSignatureBlock()))
}

// readState reads the state of a ledger in every way, as readLog does: all of it,
// and each of the keys.
func readState(keys []string) func(*ledger.Ledger, func(what, got string, err error)) {
	return func(l *ledger.Ledger, judge func(what, got string, err error)) {
		v := l.View()
		defer v.Close()
		for _, key := range keys {
			value, err := v.Get([]byte(key))
			judge(fmt.Sprintf("state %q", key), string(value), err)
		}
		scanned := 0
		err := v.Scan(nil, nil, func(key, value []byte) bool {
			judge(fmt.Sprintf("state %q", key), string(value), nil)
			scanned++
			return true
		})
		judge("scan", fmt.Sprint(scanned), err)
	}
}

// stateOf returns what a view says of the state.
func stateOf(t testing.TB, v *ledger.View) map[string]string {
	t.Helper()
	state := make(map[string]string)
	err := v.Scan(nil, nil, func(key, value []byte) bool {
		state[string(key)] = string(value)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// damageable returns a site in memory or on disk whose log has 600 entries, in
// commits of 90, and what is stored there. On disk nothing is open.
func damageable(t *testing.T) *site {
	s := newSite(t, "acme")
	s.limits = ledger.Limits{CommitStatements: 90, StateRows: 200}
	lei := &tracev1.Identifier{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_LEI, Value: "5493001KJTIIGC8Y1R12"}
	s.boot = append(s.boot, s.made.Sign(s.made.Authority, s.made.Complete(verify.AuthorityID, &tracev1.Statement{
		Stated: &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: &tracev1.ParticipantAdmitted{
			ParticipantId: "buyer", Name: &tracev1.LegalName{Native: "buyer"}, Country: "DE",
			Identifiers: []*tracev1.Identifier{lei}, Roles: []tracev1.Role{tracev1.Role_ROLE_CUSTOMER},
		}},
	})))
	return s
}

// fill returns the keys of the state, whose runs it lets be merged, and all lists
// of them that there were.
func (s *site) fill() (keys []string, lists [][]byte) {
	s.t.Helper()
	store := s.store
	filling := &watched{Store: store}
	s.store = filling
	i := s.start()
	i.record(transactions(s.made, "acme", 600-int(s.founded()))...)
	i.Rest()
	v := i.View()
	keys = slices.Sorted(maps.Keys(stateOf(s.t, v)))
	v.Close()
	i.close()
	s.store = store
	return keys, filling.lists
}

// TestDamage changes stored values, one at a time. Whatever a ledger then says
// is what it said before, or ErrDamaged; and something is ErrDamaged.
func TestDamage(t *testing.T) {
	s := damageable(t)
	keys, lists := s.fill()
	all := readStore(t, s.store)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	disk, anchored := s.memory(), s.anchor.(*memoryAnchor).point
	s.restore(disk, &anchored)
	readLog, readState := readLog(all.keys[recordKeys]), readState(keys)
	wantLog, wantState := answersOf(s, readLog), answersOf(s, readState)
	for _, d := range append(damages(all), olderLists(all, lists)...) {
		t.Run(d.name, func(t *testing.T) {
			s := *s
			s.t = t
			s.restore(disk, &anchored)
			for d := &d; d != nil; d = d.also {
				s.memory().Corrupt(d.key, d.change)
			}
			switch d.key[0] {
			case listKey, valueKeys, figureKeys:
				wantDamage(&s, readState, wantState, d)
			default:
				wantDamage(&s, readLog, wantLog, d)
			}
		})
	}
}

// answersOf returns what a whole ledger says.
func answersOf(s *site, read func(*ledger.Ledger, func(what, got string, err error))) map[string]string {
	s.t.Helper()
	l := s.mustOpen()
	defer l.Close()
	said := make(map[string]string)
	read(l, func(what, got string, err error) {
		if err != nil {
			s.t.Errorf("%s: %v", what, err)
		}
		said[what] = got
	})
	return said
}

// wantDamage tests what a ledger says that was damaged, unless it does not open.
func wantDamage(s *site, read func(*ledger.Ledger, func(what, got string, err error)), want map[string]string, d damage) {
	s.t.Helper()
	l, err := s.open()
	if err != nil {
		if d.unseen || !errors.Is(err, ledger.ErrDamaged) && !errors.Is(err, ledger.ErrBehindAnchor) {
			s.t.Errorf("open: %v", err)
		}
		return
	}
	defer l.Close()
	found := false
	read(l, func(what, got string, err error) {
		said, ok := want[what]
		switch {
		case errors.Is(err, ledger.ErrDamaged):
			found = true
		case err != nil:
			s.t.Errorf("%s: %v", what, err)
		case !ok || got != said:
			s.t.Errorf("%s was %q, is %q", what, said, got)
		}
	})
	if found == d.unseen && !d.healed {
		s.t.Errorf("found: %t", found)
	}
}

// TestDamageOnDisk is TestDamage for a store on disk, with one change of each
// sort.
func TestDamageOnDisk(t *testing.T) {
	s, dir := damageable(t), t.TempDir()
	store := openBadger(t, filepath.Join(dir, "store"))
	s.store = store
	keys, lists := s.fill()
	all := readStore(t, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.store = openBadger(t, filepath.Join(dir, "store"))
	read := func(l *ledger.Ledger, judge func(what, got string, err error)) {
		readLog(all.keys[recordKeys])(l, judge)
		readState(keys)(l, judge)
	}
	want := answersOf(s, read)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	key := func(letter byte) []byte { return all.keys[letter][0] }
	summary := all.keys[valueKeys][slices.IndexFunc(all.keys[valueKeys], isSummary)]
	for _, d := range []damage{
		{name: "head", key: ledger.HeadKey, change: flip(60)},
		{name: "head removed", key: ledger.HeadKey, change: remove},
		{name: "record", key: key(recordKeys), change: unpacked(flip(200))},
		{name: "records removed", key: key(recordKeys), change: remove},
		{name: "tile", key: key(tileKeys), change: flip(0)},
		{name: "tile cut", key: key(tileKeys), change: cut(verify.HashSize)},
		{name: "list", key: key(listKey), change: flip(20)},
		{name: "list cut", key: key(listKey), change: cut(1)},
		{name: "list removed", key: key(listKey), change: remove, healed: true},
		{name: "older list", key: key(listKey), change: replace(lists[len(lists)-2]), healed: true},
		{name: "page", key: key(valueKeys), change: flip(-1)},
		{name: "page removed", key: key(valueKeys), change: remove},
		{name: "pages swapped", key: key(valueKeys), change: replace(all.values[valueKeys][1]),
			also: &damage{key: all.keys[valueKeys][1], change: replace(all.values[valueKeys][0])}},
		{name: "summary", key: summary, change: flip(-1)},
		{name: "summary removed", key: summary, change: remove},
		{name: "page of figures", key: key(figureKeys), change: flip(-1)},
		{name: "page of figures removed", key: key(figureKeys), change: remove},
		{name: "page of no run", key: pageKey(valueKeys, 1<<40, 0), change: replace(all.values[valueKeys][0]), unseen: true},
		{name: "checkpoint", key: key(checkpointKeys), change: flip(10), unseen: true},
	} {
		t.Run(d.name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "store")
			if err := os.CopyFS(copied, os.DirFS(filepath.Join(dir, "store"))); err != nil {
				t.Fatal(err)
			}
			badgertest.Edit(t, copied, func(x *badgertest.Txn) {
				for d := &d; d != nil; d = d.also {
					if value := d.change(x.Get(d.key)); value != nil {
						x.Set(d.key, value)
					} else {
						x.Delete(d.key)
					}
				}
			})
			s := *s
			s.t, s.store = t, openBadger(t, copied)
			wantDamage(&s, read, want, d)
		})
	}
}
