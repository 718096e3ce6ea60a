package verify_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// TestEntryLayout writes an entry as the table of the documentation has it.
func TestEntryLayout(t *testing.T) {
	e := verify.Entry{Index: 0x0102030405060708, SequencedAtMicros: 0x1112131415161718}
	for i := range e.Previous {
		e.Previous[i], e.StatementHash[i] = 0x20+byte(i), 0x40+byte(i)
	}
	var want []byte
	want = append(want, 0, 1)
	for c := byte(1); c <= 8; c++ {
		want = append(want, c)
	}
	for c := byte(0x11); c <= 0x18; c++ {
		want = append(want, c)
	}
	for c := byte(0x20); c < 0x60; c++ {
		want = append(want, c)
	}
	if got := e.Bytes(); len(got) != verify.EntrySize || !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if got, want := e.LeafHash(), verify.Hash(sha256.Sum256(append([]byte{0}, want...))); got != want {
		t.Errorf("leaf hash %s, want %s", got, want)
	}
}

// TestEntryBytesCount checks that each byte of an entry counts: flipped, it
// makes another entry with another leaf hash, or none.
func TestEntryBytesCount(t *testing.T) {
	e := plainEntries(2)[1]
	for i := range e.Bytes() {
		for bit := range 8 {
			b := e.Bytes()
			b[i] ^= 1 << bit
			got, err := verify.ParseEntry(b)
			refused := i < 2 || i == 10 && bit == 7
			switch {
			case refused != errors.Is(err, verify.ErrMalformed):
				t.Errorf("byte %d bit %d: got error %v", i, bit, err)
			case refused:
			case got == e || got.LeafHash() == e.LeafHash() || !bytes.Equal(got.Bytes(), b):
				t.Errorf("byte %d bit %d: got %+v", i, bit, got)
			}
		}
	}
}
