package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// HashSize is the length in bytes of every hash: SHA-256.
const HashSize = sha256.Size

// Hash is a SHA-256 hash.
type Hash [HashSize]byte

// String returns the hash in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether all bytes are zero, as no hash is.
func (h Hash) IsZero() bool { return h == Hash{} }

// ParseHash returns the hash that b holds. It fails if b is not 32 bytes long.
func ParseHash(b []byte) (Hash, error) {
	if len(b) != HashSize {
		return Hash{}, fmt.Errorf("a hash has %d bytes, not %d", HashSize, len(b))
	}
	return Hash(b), nil
}

// Payload types of DSSE's pre-authentication encoding. Each separates what a
// key signs for one purpose from what it signs for another.
const (
	StatementType     = "application/vnd.magnet-ledger.statement.v1+protobuf"
	BatchType         = "application/vnd.magnet-ledger.batch.v1"
	KeyPossessionType = "application/vnd.magnet-ledger.key-possession.v1"
)

const statementHashDomain = "magnet-ledger statement v1\n"

// PAE returns the DSSE v1 pre-authentication encoding of a body
// (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md):
// "DSSEv1", the payload type and the body, each with its length in decimal,
// separated by single spaces.
func PAE(payloadType string, body []byte) []byte {
	b := make([]byte, 0, len(payloadType)+len(body)+32)
	return append(appendPAEHead(b, payloadType, len(body)), body...)
}

// appendPAEHead appends the encoding up to the body.
func appendPAEHead(b []byte, payloadType string, bodySize int) []byte {
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(bodySize), 10)
	return append(b, ' ')
}

// PayloadLeaf returns the leaf of a payload: SHA-256(0x00 || PAE). It is what
// the tree of a batch stands on, and what a statement hash begins with.
func PayloadLeaf(payload []byte) Hash {
	h := sha256.New()
	head := make([]byte, 1, len(StatementType)+33)
	h.Write(appendPAEHead(head, StatementType, len(payload)))
	h.Write(payload)
	var leaf Hash
	h.Sum(leaf[:0])
	return leaf
}

// StatementHash returns the hash that stands for a signed statement in the log:
// SHA-256 over a domain line, the leaf of the payload, the key id and the hash
// of the signature block; 123 bytes in.
func StatementHash(leaf, keyID Hash, signatureBlock []byte) Hash {
	var b [len(statementHashDomain) + 3*HashSize]byte
	block := sha256.Sum256(signatureBlock)
	n := copy(b[:], statementHashDomain)
	n += copy(b[n:], leaf[:])
	n += copy(b[n:], keyID[:])
	copy(b[n:], block[:])
	return sha256.Sum256(b[:])
}

// possessionBody is what a key signs to prove that its holder registers it.
func possessionBody(ledgerID, keyID Hash, participantID string) []byte {
	return bytes.Join([][]byte{ledgerID[:], keyID[:], []byte(participantID)}, nil)
}

// batchBody is what the one signature of a batch covers.
func batchBody(size uint64, root Hash) []byte {
	return append(binary.BigEndian.AppendUint64(nil, size), root[:]...)
}
