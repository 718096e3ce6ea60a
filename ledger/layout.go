package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ErrDamaged says that stored bytes are not what was written: the store, or
// somebody with access to it, changed them.
var ErrDamaged = errors.New("stored data is damaged")

// The keys of the store. This is the only description of its layout. Numbers
// are big-endian.
//
//	0x00                      head: see head
//	b index (8)               records: some consecutive entries with their
//	                          envelopes, under the index of the last of them,
//	                          S2-compressed
//	n level (1) number (8)    tile: up to 256 hashes of the tree, 8 levels of it
//	                          (C2SP tlog-tiles), rewritten until it is full
//	c size (8)                checkpoint that was signed for this size
//	s key                     state of custody, whose keys package custody lists,
//	                          with a checksum
const (
	recordKeys     = 'b'
	tileKeys       = 'n'
	checkpointKeys = 'c'
	stateKeys      = 's'
)

// formatVersion is the first byte of the head. A program refuses a store of
// another version.
const formatVersion = 1

func recordKey(last uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{recordKeys}, last)
}

func checkpointKey(size uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{checkpointKeys}, size)
}

func tileKey(level int, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tileKeys, byte(level)}, number)
}

func stateKey(key []byte) []byte { return append([]byte{stateKeys}, key...) }

// head is where the log ends.
type head struct {
	size     uint64
	lastTime int64
	last     verify.Hash // leaf hash of the last entry
	root     verify.Hash
	edge     []verify.Hash
}

func headOf(c *verify.Chain) head {
	return head{size: c.Size(), lastTime: c.LastTime(), last: c.Last(), root: c.Root(), edge: c.Edge()}
}

// chain returns the chain that ends here, if edge and root agree.
func (h *head) chain() (*verify.Chain, error) {
	c, err := verify.RestoreChain(h.size, h.last, h.lastTime, h.edge)
	if err != nil || h.size == 0 || c.Root() != h.root {
		return nil, fmt.Errorf("head: %w", ErrDamaged)
	}
	return c, nil
}

// anchorPoint returns what the anchor keeps of the head.
func (h *head) anchorPoint() AnchorPoint {
	return AnchorPoint{Size: h.size, Root: h.root, Last: h.last}
}

// bytes: version (1), size (8), time (8), last (32), root (32), edge (32 each).
func (h *head) bytes() []byte {
	b := []byte{formatVersion}
	b = binary.BigEndian.AppendUint64(b, h.size)
	b = binary.BigEndian.AppendUint64(b, uint64(h.lastTime))
	b = append(append(b, h.last[:]...), h.root[:]...)
	for _, e := range h.edge {
		b = append(b, e[:]...)
	}
	return b
}

func parseHead(b []byte) (head, error) {
	const fixed = 1 + 8 + 8 + 2*verify.HashSize
	if len(b) > 0 && b[0] != formatVersion {
		return head{}, fmt.Errorf("the store has format version %d, this program reads version %d", b[0], formatVersion)
	}
	if len(b) < fixed || (len(b)-fixed)%verify.HashSize != 0 {
		return head{}, fmt.Errorf("head: %w", ErrDamaged)
	}
	h := head{
		size: binary.BigEndian.Uint64(b[1:]), lastTime: int64(binary.BigEndian.Uint64(b[9:])),
		last: verify.Hash(b[17:]), root: verify.Hash(b[49:]),
	}
	for rest := b[fixed:]; len(rest) > 0; rest = rest[verify.HashSize:] {
		h.edge = append(h.edge, verify.Hash(rest))
	}
	return h, nil
}

// appendRecord appends an entry (82) and its envelope: payload length (varint),
// payload, key id (32), block length (varint), signature block.
func appendRecord(b []byte, e verify.Entry, env *tracev1.Envelope) []byte {
	b = append(b, e.Bytes()...)
	b = binary.AppendUvarint(b, uint64(len(env.GetPayload())))
	b = append(b, env.GetPayload()...)
	b = append(b, env.GetKeyId()...)
	b = binary.AppendUvarint(b, uint64(len(env.GetSignatureBlock())))
	return append(b, env.GetSignatureBlock()...)
}

// packChunk compresses records: those of one batch share most of their paths.
// The result does not share memory with b.
func packChunk(b []byte) []byte { return s2.Encode(nil, b) }

// unpackChunk returns the records of a chunk. They do not share memory with b.
func unpackChunk(b []byte) ([]byte, error) {
	if n, err := s2.DecodedLen(b); err != nil || n > maxChunkBytes {
		return nil, fmt.Errorf("records: %w", ErrDamaged)
	}
	records, err := s2.Decode(nil, b)
	if err != nil {
		return nil, fmt.Errorf("records: %w", ErrDamaged)
	}
	return records, nil
}

// maxChunkBytes is more than any chunk has: chunkBytes, and one more record of
// the largest payload that rules may allow.
const maxChunkBytes = 1 << 20

// Record is an entry with its statement.
type Record struct {
	Entry    verify.Entry
	Envelope *tracev1.Envelope
}

// takeRecord reads one record and returns what follows it. The record shares
// memory with b. It does not hash.
func takeRecord(b []byte) (Record, []byte, error) {
	damaged := fmt.Errorf("record: %w", ErrDamaged)
	if len(b) < verify.EntrySize {
		return Record{}, nil, damaged
	}
	entry, err := verify.ParseEntry(b[:verify.EntrySize])
	if err != nil {
		return Record{}, nil, fmt.Errorf("%w: %w", damaged, err)
	}
	payload, b, ok := takeBytes(b[verify.EntrySize:])
	if !ok || len(b) < verify.HashSize {
		return Record{}, nil, damaged
	}
	keyID := b[:verify.HashSize]
	block, b, ok := takeBytes(b[verify.HashSize:])
	if !ok {
		return Record{}, nil, damaged
	}
	return Record{Entry: entry, Envelope: &tracev1.Envelope{Payload: payload, KeyId: keyID, SignatureBlock: block}}, b, nil
}

func takeBytes(b []byte) (field, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, false
	}
	return b[k : k+int(n) : k+int(n)], b[k+int(n):], true
}

// check hashes the record again and compares it with its entry.
func (r *Record) check() error {
	hash := verify.StatementHash(verify.PayloadLeaf(r.Envelope.GetPayload()), verify.Hash(r.Envelope.GetKeyId()), r.Envelope.GetSignatureBlock())
	if hash != r.Entry.StatementHash {
		return fmt.Errorf("statement %d: %w", r.Entry.Index, ErrDamaged)
	}
	return nil
}

// sealSize is the length of the checksum behind a state value: the first bytes
// of SHA-256 over key and value. It catches what Badger's own checksums do not:
// bytes changed through Badger.
const sealSize = 8

func sealOf(key, value []byte) [sealSize]byte {
	var room [512]byte
	b := binary.BigEndian.AppendUint32(room[:0], uint32(len(key)))
	sum := sha256.Sum256(append(append(b, key...), value...))
	return [sealSize]byte(sum[:])
}

// appendSealed appends a value and its checksum to b.
func appendSealed(b, key, value []byte) []byte {
	sum := sealOf(key, value)
	return append(append(b, value...), sum[:]...)
}

// unseal returns the value without its checksum.
func unseal(key, sealed []byte) ([]byte, error) {
	n := len(sealed) - sealSize
	if n < 0 || sealOf(key, sealed[:n]) != [sealSize]byte(sealed[n:]) {
		return nil, fmt.Errorf("state: %w", ErrDamaged)
	}
	return sealed[:n:n], nil
}
