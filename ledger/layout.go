package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ErrDamaged says that stored bytes are not what was written: the store, or
// somebody with access to it, changed them.
var ErrDamaged = errors.New("stored data is damaged")

// The keys of the store. This is the only description of its layout. Numbers
// are big-endian.
//
//	0x00                      head: see head
//	b index (8)               chunk of consecutive statements, under the index
//	                          of the last of them: see chunk
//	n level (1) number (8)    tile: up to 256 hashes of the tree, 8 levels of it
//	                          (C2SP tlog-tiles), rewritten until it is full
//	c size (8)                checkpoint that was signed for this size
//	r                         list of the runs of the state: see state
//	s run (8) page (4)        values of custody, whose keys package custody lists,
//	                          as package runs keeps them
//	v run (8) page (4)        figures of custody
const (
	recordKeys     = 'b'
	tileKeys       = 'n'
	checkpointKeys = 'c'
	valueKeys      = 's'
	figureKeys     = 'v'
)

var stateKey = []byte{'r'}

// formatVersion is the first byte of the head. A program refuses a store of
// another version.
const formatVersion = 2

func recordKey(last uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{recordKeys}, last)
}

func checkpointKey(size uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{checkpointKeys}, size)
}

func tileKey(level int, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tileKeys, byte(level)}, number)
}

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

// sealSize is the length of the checksum behind the list of runs: the first bytes
// of SHA-256 over key and value.
const sealSize = 8

func sealOf(key, value []byte) [sealSize]byte {
	sum := sha256.Sum256(slices.Concat(key, value))
	return [sealSize]byte(sum[:])
}

// unseal returns the value without its checksum.
func unseal(key, sealed []byte) ([]byte, error) {
	n := len(sealed) - sealSize
	if n < 0 || sealOf(key, sealed[:n]) != [sealSize]byte(sealed[n:]) {
		return nil, fmt.Errorf("state: %w", ErrDamaged)
	}
	return sealed[:n:n], nil
}
