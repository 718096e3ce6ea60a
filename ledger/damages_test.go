package ledger_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Letters that the keys of a store begin with, as its layout is documented.
const (
	recordKeys     = 'b'
	tileKeys       = 'n'
	checkpointKeys = 'c'
	listKey        = 'r'
	valueKeys      = 's'
	figureKeys     = 'v'
)

// pageKey returns the key of a page of a run.
func pageKey(prefix byte, run uint64, page uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64([]byte{prefix}, run), page)
}

// isSummary reports whether a key of a page is that of a summary.
func isSummary(key []byte) bool { return key[9]&0x80 != 0 }

// listedRuns returns the runs that a list names, of values and of figures.
func listedRuns(list []byte) map[byte][]uint64 {
	named, rest := make(map[byte][]uint64), list[16:]
	for _, prefix := range []byte{valueKeys, figureKeys} {
		n := binary.BigEndian.Uint32(rest)
		for rest = rest[4:]; n > 0; n-- {
			named[prefix] = append(named[prefix], binary.BigEndian.Uint64(rest))
			rest = rest[12:]
		}
	}
	return named
}

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
	// also is done at the same time, if it is not nil.
	also *damage
	// unseen says that nobody reads the value.
	unseen bool
	// healed says that what is missing may be found in the log.
	healed bool
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

// forge changes the payload of the first record. Only the tree tells that it is
// not what was recorded.
func forge(records []byte) []byte {
	const time = 8 + 8 // behind the index
	size, n := binary.Uvarint(records[time:])
	records[time+n+int(size)-1] ^= 1
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
		"index": 7, "time": 8, "payload length": 16, "payload": 200, "signature": -1, "key id": -1 - 69 - 1,
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
	for prefix, name := range map[byte]string{valueKeys: "values", figureKeys: "figures"} {
		all = append(all, pageDamages(s, prefix, name)...)
	}
	all = append(all, listDamages(s)...)
	last := s.keys[checkpointKeys][len(s.keys[checkpointKeys])-1]
	return append(all,
		damage{name: "checkpoint: byte", key: last, change: flip(10), unseen: true},
		damage{name: "checkpoint: removed", key: last, change: remove, unseen: true})
}

// pageDamages returns changes of every page and summary of the runs under a
// prefix, and pages that do not belong there.
func pageDamages(s stored, prefix byte, name string) (all []damage) {
	keys, values := s.keys[prefix], s.values[prefix]
	for n, key := range keys {
		what := "page"
		if isSummary(key) {
			what = "summary"
		}
		name := fmt.Sprintf("%s: %s %x: ", name, what, key[1:])
		other := (n + 1) % len(keys)
		all = append(all,
			damage{name: name + "seal", key: key, change: flip(0)},
			damage{name: name + "first byte", key: key, change: flip(8)},
			damage{name: name + "middle", key: key, change: flip(len(values[n]) / 2)},
			damage{name: name + "last byte", key: key, change: flip(-1)},
			damage{name: name + "cut", key: key, change: cut(1)},
			damage{name: name + "cut to its seal", key: key, change: cut(len(values[n]) - 8)},
			damage{name: name + "empty", key: key, change: replace([]byte{})},
			damage{name: name + "removed", key: key, change: remove},
			damage{name: name + "another's", key: key, change: replace(values[other])},
			damage{name: name + "swapped", key: key, change: replace(values[other]),
				also: &damage{key: keys[other], change: replace(values[n])}})
	}
	run := binary.BigEndian.Uint64(keys[0][1:])
	return append(all,
		damage{name: name + ": run removed", key: keys[0], change: remove, also: removeRun(keys, run)},
		damage{name: name + ": page beyond a run", key: pageKey(prefix, run, 1000), change: replace(values[0]), unseen: true},
		damage{name: name + ": page of no run", key: pageKey(prefix, 1<<40, 0), change: replace(values[0]), unseen: true},
		damage{name: name + ": summary of no run", key: pageKey(prefix, 1<<40, 1<<31), change: replace([]byte{1}), unseen: true})
}

// removeRun removes all of a run.
func removeRun(keys [][]byte, run uint64) (all *damage) {
	for _, key := range keys {
		if binary.BigEndian.Uint64(key[1:]) == run {
			all = &damage{key: key, change: remove, also: all}
		}
	}
	return all
}

// listDamages returns changes of every byte of the list of runs.
func listDamages(s stored) []damage {
	key, list := s.keys[listKey][0], s.values[listKey][0]
	all := []damage{
		{name: "list: removed", key: key, change: remove, healed: true},
		{name: "list: empty", key: key, change: replace([]byte{})},
		{name: "list: seal alone", key: key, change: replace(list[len(list)-8:])},
		{name: "list: longer", key: key, change: replace(append(bytes.Clone(list), 0))},
		{name: "list: a page's", key: key, change: replace(s.values[valueKeys][0])},
	}
	for at := range list {
		all = append(all,
			damage{name: fmt.Sprint("list: byte ", at), key: key, change: flip(at)},
			damage{name: fmt.Sprint("list: cut by ", at+1), key: key, change: cut(at + 1)})
	}
	return all
}

// olderLists returns damages that put an older list of the runs in the place of
// the one that is stored.
func olderLists(s stored, lists [][]byte) (all []damage) {
	for n, list := range lists {
		if !bytes.Equal(list, s.values[listKey][0]) {
			all = append(all, damage{name: fmt.Sprint("list: older ", n), key: s.keys[listKey][0], change: replace(list), healed: true})
		}
	}
	return all
}
