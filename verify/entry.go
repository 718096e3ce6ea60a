package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// EntrySize is the length of an entry in bytes.
const EntrySize = 82

const entryVersion = 1

// Entry is one line of the log: the leaf data of its tree and the link of its
// chain. It holds nothing commercial.
type Entry struct {
	// Index counts entries from 0.
	Index uint64
	// SequencedAtMicros is the ledger's own time, Unix microseconds; it never
	// decreases from entry to entry.
	SequencedAtMicros int64
	// Previous is the leaf hash of the entry before; zeros at index 0.
	Previous Hash
	// StatementHash stands for the signed statement.
	StatementHash Hash
}

// Bytes returns the entry in its 82 bytes.
func (e Entry) Bytes() []byte { return e.AppendBytes(make([]byte, 0, EntrySize)) }

// AppendBytes appends the 82 bytes of the entry to b.
func (e Entry) AppendBytes(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, entryVersion)
	b = binary.BigEndian.AppendUint64(b, e.Index)
	b = binary.BigEndian.AppendUint64(b, uint64(e.SequencedAtMicros))
	b = append(b, e.Previous[:]...)
	return append(b, e.StatementHash[:]...)
}

// ParseEntry reads an entry. The error wraps ErrMalformed.
func ParseEntry(b []byte) (Entry, error) {
	if len(b) != EntrySize {
		return Entry{}, fmt.Errorf("entry is %w: it has %d bytes, not %d", ErrMalformed, len(b), EntrySize)
	}
	if v := binary.BigEndian.Uint16(b); v != entryVersion {
		return Entry{}, fmt.Errorf("entry is %w: version %d", ErrMalformed, v)
	}
	e := Entry{
		Index:             binary.BigEndian.Uint64(b[2:]),
		SequencedAtMicros: int64(binary.BigEndian.Uint64(b[10:])),
		Previous:          Hash(b[18:]),
		StatementHash:     Hash(b[50:]),
	}
	if e.SequencedAtMicros < 0 {
		return Entry{}, fmt.Errorf("entry is %w: its time is not below 2^63", ErrMalformed)
	}
	return e, nil
}

// LeafHash returns the RFC 6962 leaf hash of the entry, SHA-256(0x00 || bytes).
// Chain and tree both run over it.
func (e Entry) LeafHash() Hash {
	var b [1 + EntrySize]byte
	return sha256.Sum256(e.AppendBytes(b[:1]))
}
