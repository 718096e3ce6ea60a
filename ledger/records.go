package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/transparency-dev/merkle/compact"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Record is an entry with its statement.
type Record struct {
	Entry    verify.Entry
	Envelope *tracev1.Envelope
}

// A chunk holds some consecutive statements, S2-compressed, since those of one
// batch share most of their paths: index of the first (8), then for each the
// microseconds since the one before (varint; of the first, since 1970), length of
// the payload (varint), payload, key id (32), length of the signature block
// (varint), signature block.
//
// Of an entry only the time is stored: its index is known from where it stands,
// its link is the leaf hash before it in the tiles, and the statement hash follows
// from the statement. So whoever reads an entry has hashed it, and finds the
// hash in the tree or that the statement is damaged.

// Records of a chunk: few enough that reading one is cheap, many enough that
// the store has few keys and that there is something to compress.
const (
	chunkRecords = 64
	chunkBytes   = 64 << 10
	// maxChunkBytes is more than any chunk has: chunkBytes, and one more record of
	// the largest payload that rules may allow.
	maxChunkBytes = 1 << 20
)

// appendChunks appends the chunks of some consecutive records.
func appendChunks(writes []Write, records []Record) []Write {
	chunk := make([]byte, 0, min(chunkBytes, 1024*len(records)))
	n, last := 0, int64(0)
	for i, r := range records {
		if n == 0 {
			chunk, last = binary.BigEndian.AppendUint64(chunk[:0], r.Entry.Index), 0
		}
		chunk = binary.AppendUvarint(chunk, uint64(r.Entry.SequencedAtMicros-last))
		chunk = appendBytes(chunk, r.Envelope.GetPayload())
		chunk = append(chunk, r.Envelope.GetKeyId()...)
		chunk = appendBytes(chunk, r.Envelope.GetSignatureBlock())
		last = r.Entry.SequencedAtMicros
		if n++; n == chunkRecords || len(chunk) >= chunkBytes || i == len(records)-1 {
			writes = append(writes, Write{Key: recordKey(r.Entry.Index), Value: s2.Encode(nil, chunk)})
			n = 0
		}
	}
	return writes
}

func appendBytes(b, field []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

// chunk reads the statements of a chunk one after the other.
type chunk struct {
	rest []byte
	next uint64 // index of the next statement
	time int64  // of the last one
}

// openChunk unpacks a chunk. It does not share memory with b.
func openChunk(b []byte) (chunk, error) {
	if n, err := s2.DecodedLen(b); err != nil || n > maxChunkBytes {
		return chunk{}, fmt.Errorf("records: %w", ErrDamaged)
	}
	records, err := s2.Decode(nil, b)
	if err != nil || len(records) < 8 {
		return chunk{}, fmt.Errorf("records: %w", ErrDamaged)
	}
	return chunk{rest: records[8:], next: binary.BigEndian.Uint64(records)}, nil
}

// take returns the next statement. It shares memory with the chunk. Nothing is
// checked but its form.
func (c *chunk) take() (*tracev1.Envelope, error) {
	damaged := fmt.Errorf("record: %w", ErrDamaged)
	elapsed, n := binary.Uvarint(c.rest)
	if n <= 0 {
		return nil, damaged
	}
	payload, rest, ok := takeBytes(c.rest[n:])
	if !ok || len(rest) < verify.HashSize {
		return nil, damaged
	}
	keyID := rest[:verify.HashSize:verify.HashSize]
	block, rest, ok := takeBytes(rest[verify.HashSize:])
	if !ok {
		return nil, damaged
	}
	c.rest, c.next, c.time = rest, c.next+1, c.time+int64(elapsed)
	return &tracev1.Envelope{Payload: payload, KeyId: keyID, SignatureBlock: block}, nil
}

func takeBytes(b []byte) (field, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, false
	}
	return b[k : k+int(n) : k+int(n)], b[k+int(n):], true
}

// record returns the record of a statement at an index, if it is what the tree has
// there.
func (r *treeReader) record(index uint64, timeMicros int64, env *tracev1.Envelope) (Record, error) {
	e := verify.Entry{Index: index, SequencedAtMicros: timeMicros,
		StatementHash: verify.StatementHash(verify.PayloadLeaf(env.GetPayload()), verify.Hash(env.GetKeyId()), env.GetSignatureBlock())}
	if index > 0 {
		previous, err := r.node(compact.NewNodeID(0, index-1))
		if err != nil {
			return Record{}, err
		}
		e.Previous = previous
	}
	leaf, err := r.node(compact.NewNodeID(0, index))
	if err != nil {
		return Record{}, err
	}
	if e.LeafHash() != leaf {
		return Record{}, fmt.Errorf("entry %d: %w", index, ErrDamaged)
	}
	return Record{Entry: e, Envelope: env}, nil
}
