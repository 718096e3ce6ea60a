package ledger_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore/badgertest"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// Letters that the keys of a store begin with, as its layout is documented.
const (
	recordKeys     = 'b'
	tileKeys       = 'n'
	checkpointKeys = 'c'
	stateKeys      = 's'
)

// stored are the values of a store, those of each letter in the order of their
// keys.
type stored struct{ keys, values map[byte][][]byte }

func readStore(t testing.TB, store ledger.Store) stored {
	t.Helper()
	snapshot, err := store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	s := stored{make(map[byte][][]byte), make(map[byte][][]byte)}
	err = snapshot.Scan(nil, nil, func(key, value []byte) bool {
		s.keys[key[0]] = append(s.keys[key[0]], bytes.Clone(key))
		s.values[key[0]] = append(s.values[key[0]], bytes.Clone(value))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// damage is a change of one stored value; nil removes it.
type damage struct {
	name   string
	key    []byte
	change func(old []byte) []byte
	// unseen says that nobody reads the value.
	unseen bool
}

func flip(at int) func([]byte) []byte {
	return func(old []byte) []byte {
		old[(at+len(old))%len(old)] ^= 1
		return old
	}
}

func replace(value []byte) func([]byte) []byte {
	return func([]byte) []byte { return value }
}

func cut(n int) func([]byte) []byte {
	return func(old []byte) []byte { return old[:len(old)-n] }
}

func remove([]byte) []byte { return nil }

// unpacked makes a change to the records that a value holds compressed.
func unpacked(change func([]byte) []byte) func([]byte) []byte {
	return func(old []byte) []byte {
		records, err := s2.Decode(nil, old)
		if err != nil {
			panic(err)
		}
		return s2.Encode(nil, change(records))
	}
}

// forge changes the payload of the first record, and its entry with it, so that
// the two agree. Only the tree tells that they are not what was recorded.
func forge(records []byte) []byte {
	size, n := binary.Uvarint(records[verify.EntrySize:])
	payload := records[verify.EntrySize+n:][:size]
	rest := records[verify.EntrySize+n+int(size):]
	length, n := binary.Uvarint(rest[verify.HashSize:])
	payload[len(payload)-1] ^= 1
	hash := verify.StatementHash(verify.PayloadLeaf(payload), verify.Hash(rest), rest[verify.HashSize+n:][:length])
	copy(records[verify.EntrySize-verify.HashSize:], hash[:])
	return records
}

// damages returns changes of every sort of value in a store, whose last tile of
// level 0 is not full.
func damages(s stored) []damage {
	var all []damage
	for name, at := range map[string]int{"size": 8, "time": 16, "last": 20, "root": 60, "edge": 90} {
		all = append(all, damage{name: "head: " + name, key: ledger.HeadKey, change: flip(at)})
	}
	all = append(all,
		damage{name: "head: cut", key: ledger.HeadKey, change: cut(1)},
		damage{name: "head: without edge", key: ledger.HeadKey, change: cut(verify.HashSize)},
		damage{name: "head: removed", key: ledger.HeadKey, change: remove},
		damage{name: "head: empty", key: ledger.HeadKey, change: replace([]byte{})})
	chunks := len(s.keys[recordKeys])
	for name, at := range map[string]int{
		"version": 1, "index": 9, "time": 17, "previous": 18, "statement hash": 81, "payload length": 82,
		"payload": 200, "signature": -1, "key id": -1 - 69 - 1,
	} {
		all = append(all, damage{name: "records: " + name, key: s.keys[recordKeys][chunks/2], change: unpacked(flip(at))})
	}
	for _, at := range []int{0, 1, 2, 100, 1000, -1} {
		all = append(all, damage{name: fmt.Sprint("records: compressed byte ", at), key: s.keys[recordKeys][chunks/2], change: flip(at)})
	}
	for _, n := range []int{0, chunks / 2, chunks - 1} {
		key := s.keys[recordKeys][n]
		name := fmt.Sprintf("records %d of %d: ", n, chunks)
		all = append(all,
			damage{name: name + "payload of the last", key: key, change: unpacked(flip(-600))},
			damage{name: name + "forged", key: key, change: unpacked(forge)},
			damage{name: name + "cut", key: key, change: unpacked(cut(1))},
			damage{name: name + "compressed cut", key: key, change: cut(1)},
			damage{name: name + "too many", key: key, change: replace(s2.Encode(nil, make([]byte, 1<<24)))},
			damage{name: name + "removed", key: key, change: remove},
			damage{name: name + "empty", key: key, change: replace([]byte{})},
			damage{name: name + "another's", key: key, change: replace(s.values[recordKeys][(n+1)%chunks])})
	}
	all = append(all, damage{name: "records beyond the head", change: replace(s.values[recordKeys][0]),
		key: binary.BigEndian.AppendUint64([]byte{recordKeys}, 1<<20)})
	for n, key := range s.keys[tileKeys] {
		name := fmt.Sprintf("tile %d: ", n)
		all = append(all,
			damage{name: name + "first byte", key: key, change: flip(0)},
			damage{name: name + "last byte", key: key, change: flip(-1)},
			damage{name: name + "cut", key: key, change: cut(1)},
			damage{name: name + "removed", key: key, change: remove},
			damage{name: name + "another's", key: key, change: replace(s.values[tileKeys][(n+1)%len(s.keys[tileKeys])])})
	}
	seen := make(map[byte]bool)
	for n, key := range s.keys[stateKeys] {
		if seen[key[1]] {
			continue
		}
		seen[key[1]] = true
		name := fmt.Sprintf("state %c: ", key[1])
		all = append(all,
			damage{name: name + "first byte", key: key, change: flip(0)},
			damage{name: name + "last byte", key: key, change: flip(-1)},
			damage{name: name + "cut", key: key, change: cut(1)},
			damage{name: name + "empty", key: key, change: replace([]byte{})},
			damage{name: name + "another's", key: key, change: replace(s.values[stateKeys][(n+1)%len(s.keys[stateKeys])])})
	}
	last := s.keys[checkpointKeys][len(s.keys[checkpointKeys])-1]
	return append(all,
		damage{name: "checkpoint: byte", key: last, change: flip(10), unseen: true},
		damage{name: "checkpoint: removed", key: last, change: remove, unseen: true})
}

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

// readState reads the state of a ledger in every way, as readLog does.
func readState(keys [][]byte) func(*ledger.Ledger, func(what, got string, err error)) {
	return func(l *ledger.Ledger, judge func(what, got string, err error)) {
		v := l.View()
		defer v.Close()
		for _, key := range keys {
			value, err := v.Get(key[1:])
			judge(fmt.Sprintf("state %q", key[1:]), string(value), err)
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

// damageable returns a site in memory or on disk whose log has 600 entries, in
// commits of 90, and what is stored there. On disk nothing is open.
func damageable(t *testing.T) *site {
	s := newSite(t, "acme")
	s.limits = ledger.Limits{CommitStatements: 90}
	lei := &tracev1.Identifier{Scheme: tracev1.IdentifierScheme_IDENTIFIER_SCHEME_LEI, Value: "5493001KJTIIGC8Y1R12"}
	s.boot = append(s.boot, s.made.Sign(s.made.Authority, s.made.Complete(verify.AuthorityID, &tracev1.Statement{
		Stated: &tracev1.Statement_ParticipantAdmitted{ParticipantAdmitted: &tracev1.ParticipantAdmitted{
			ParticipantId: "buyer", Name: &tracev1.LegalName{Native: "buyer"}, Country: "DE",
			Identifiers: []*tracev1.Identifier{lei}, Roles: []tracev1.Role{tracev1.Role_ROLE_CUSTOMER},
		}},
	})))
	return s
}

func (s *site) fill() {
	s.t.Helper()
	i := s.start()
	i.record(transactions(s.made, "acme", 600-int(s.founded()))...)
	i.close()
}

// TestDamage changes stored values, one at a time. Whatever a ledger then says
// is what it said before, or ErrDamaged; and something is ErrDamaged.
func TestDamage(t *testing.T) {
	s := damageable(t)
	s.fill()
	all := readStore(t, s.store)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	disk, anchored := s.memory(), s.anchor.(*memoryAnchor).point
	s.restore(disk, &anchored)
	readLog, readState := readLog(all.keys[recordKeys]), readState(all.keys[stateKeys])
	wantLog, wantState := answersOf(s, readLog), answersOf(s, readState)
	for _, d := range damages(all) {
		t.Run(d.name, func(t *testing.T) {
			s := *s
			s.t = t
			s.restore(disk, &anchored)
			s.memory().Corrupt(d.key, d.change)
			if d.key[0] == stateKeys {
				wantDamage(&s, readState, wantState, d.unseen)
			} else {
				wantDamage(&s, readLog, wantLog, d.unseen)
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
func wantDamage(s *site, read func(*ledger.Ledger, func(what, got string, err error)), want map[string]string, unseen bool) {
	s.t.Helper()
	l, err := s.open()
	if err != nil {
		if unseen || !errors.Is(err, ledger.ErrDamaged) && !errors.Is(err, ledger.ErrBehindAnchor) {
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
	if found == unseen {
		s.t.Errorf("found: %t", found)
	}
}

// TestDamageOnDisk is TestDamage for a store on disk, with one change of each
// sort.
func TestDamageOnDisk(t *testing.T) {
	s, dir := damageable(t), t.TempDir()
	store := openBadger(t, filepath.Join(dir, "store"))
	s.store = store
	s.fill()
	all := readStore(t, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.store = openBadger(t, filepath.Join(dir, "store"))
	read := func(l *ledger.Ledger, judge func(what, got string, err error)) {
		readLog(all.keys[recordKeys])(l, judge)
		readState(all.keys[stateKeys])(l, judge)
	}
	want := answersOf(s, read)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	key := func(letter byte) []byte { return all.keys[letter][0] }
	for _, d := range []damage{
		{name: "head", key: ledger.HeadKey, change: flip(60)},
		{name: "head removed", key: ledger.HeadKey, change: remove},
		{name: "record", key: key(recordKeys), change: unpacked(flip(200))},
		{name: "records removed", key: key(recordKeys), change: remove},
		{name: "tile", key: key(tileKeys), change: flip(0)},
		{name: "tile cut", key: key(tileKeys), change: cut(verify.HashSize)},
		{name: "state", key: key(stateKeys), change: flip(0)},
		{name: "checkpoint", key: key(checkpointKeys), change: flip(10), unseen: true},
	} {
		t.Run(d.name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "store")
			if err := os.CopyFS(copied, os.DirFS(filepath.Join(dir, "store"))); err != nil {
				t.Fatal(err)
			}
			badgertest.Edit(t, copied, func(x *badgertest.Txn) {
				if value := d.change(x.Get(d.key)); value != nil {
					x.Set(d.key, value)
				} else {
					x.Delete(d.key)
				}
			})
			s := *s
			s.t, s.store = t, openBadger(t, copied)
			wantDamage(&s, read, want, d.unseen)
		})
	}
}

// TestDamageWhileWriting submits statements whose judgement needs what is
// damaged. The writer stops rather than judge by it.
func TestDamageWhileWriting(t *testing.T) {
	s := damageable(t)
	s.limits = ledger.Limits{}
	envs := transactions(s.made, "acme", 10)
	i := s.start()
	i.record(envs[:5]...)
	i.close()
	all := readStore(t, s.store)
	records := all.keys[recordKeys]
	var participant []byte
	for _, key := range all.keys[stateKeys] {
		if bytes.HasPrefix(key[1:], []byte("pacme")) {
			participant = key
		}
	}
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
		{"the signer", participant, flip(0), envs[7]},
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
			ended := make(chan error, 1)
			go func() { ended <- l.Run(t.Context()) }()
			results, err := l.Submit(t.Context(), items)
			if err == nil {
				for n := range results {
					if !errors.Is(results[n].Err, ledger.ErrStopped) {
						t.Errorf("result %d: %+v", n, results[n])
					}
				}
			} else if !errors.Is(err, ledger.ErrStopped) {
				t.Error(err)
			}
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
