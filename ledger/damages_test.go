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
