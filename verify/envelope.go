package verify

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Form says what the signature of an envelope covers.
type Form uint8

const (
	// Single: the signature covers this statement.
	Single Form = 1
	// Batch: the signature covers the tree of many statements.
	Batch Form = 2
)

// MaxBatch is the most statements that one signature may cover.
const MaxBatch = 4096

// maxBatchLevels is the height of the tree of the largest batch.
const maxBatchLevels = 12

const (
	singleBlockSize = 1 + 1 + 2 + SignatureSize
	batchBlockSize  = singleBlockSize + 8 + 8
)

// SignatureBlock is the signature of an envelope, parsed.
type SignatureBlock struct {
	Form      Form
	Algorithm Algorithm
	Signature []byte // SignatureSize bytes
	// Size, Position and Path are the place of the statement in its batch:
	// Position < Size <= MaxBatch, and the inclusion path from leaf to root.
	Size, Position uint64
	Path           []Hash
}

// ParseSignatureBlock reads a signature block. It fails with ErrMalformed on
// any other bytes than those that AppendBinary makes of a valid block.
func ParseSignatureBlock(b []byte) (*SignatureBlock, error) {
	if len(b) < singleBlockSize {
		return nil, blockError("it has %d bytes, fewer than %d", len(b), singleBlockSize)
	}
	s := &SignatureBlock{Form: Form(b[0]), Algorithm: Algorithm(b[1]), Signature: b[4:singleBlockSize]}
	if s.Algorithm != Ed25519 && s.Algorithm != ECDSAP256 {
		return nil, blockError("unknown %v", s.Algorithm)
	}
	if n := binary.BigEndian.Uint16(b[2:]); n != SignatureSize {
		return nil, blockError("signature length %d, not %d", n, SignatureSize)
	}
	switch s.Form {
	case Single:
		if len(b) != singleBlockSize {
			return nil, blockError("%d trailing bytes", len(b)-singleBlockSize)
		}
		return s, nil
	case Batch:
		return s, s.parsePlace(b)
	}
	return nil, blockError("unknown form %d", b[0])
}

func (s *SignatureBlock) parsePlace(b []byte) error {
	if len(b) < batchBlockSize {
		return blockError("a batch has at least %d bytes, not %d", batchBlockSize, len(b))
	}
	s.Size = binary.BigEndian.Uint64(b[singleBlockSize:])
	s.Position = binary.BigEndian.Uint64(b[singleBlockSize+8:])
	if s.Size < 1 || s.Size > MaxBatch {
		return blockError("batch size %d is not within 1 and %d", s.Size, MaxBatch)
	}
	if s.Position >= s.Size {
		return blockError("position %d in a batch of %d", s.Position, s.Size)
	}
	path := b[batchBlockSize:]
	if want := pathLength(s.Position, s.Size) * HashSize; len(path) != want {
		return blockError("path of %d bytes, not %d", len(path), want)
	}
	s.Path = make([]Hash, len(path)/HashSize)
	for i := range s.Path {
		s.Path[i] = Hash(path[i*HashSize:])
	}
	return nil
}

func blockError(format string, args ...any) error {
	return fmt.Errorf("signature block is %w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// pathLength returns how many hashes the RFC 6962 inclusion path of a leaf has:
// the levels on which it has a sibling within a tree of that size.
func pathLength(index, size uint64) int {
	inner := bits.Len64(index ^ (size - 1))
	return inner + bits.OnesCount64(index>>inner)
}

// AppendBinary appends the bytes of the block to b.
func (s *SignatureBlock) AppendBinary(b []byte) []byte {
	b = append(b, byte(s.Form), byte(s.Algorithm))
	b = binary.BigEndian.AppendUint16(b, SignatureSize)
	b = append(b, s.Signature...)
	if s.Form == Single {
		return b
	}
	b = binary.BigEndian.AppendUint64(b, s.Size)
	b = binary.BigEndian.AppendUint64(b, s.Position)
	for _, h := range s.Path {
		b = append(b, h[:]...)
	}
	return b
}

// root returns the root of the batch that the path of a parsed block leads to
// (RFC 9162, section 2.1.3.2). Up to the level where the leaf and the last one
// of the tree meet, the side of a sibling is a bit of the position; above it
// every sibling is on the left.
func (s *SignatureBlock) root(leaf Hash) Hash {
	inner := bits.Len64(s.Position ^ (s.Size - 1))
	root := leaf
	for i, sibling := range s.Path {
		if i < inner && s.Position>>i&1 == 0 {
			root = NodeHash(root, sibling)
		} else {
			root = NodeHash(sibling, root)
		}
	}
	return root
}

// VerifySignature checks the signature block of a payload against a key: the
// error is ErrMalformed or ErrSignature. It says nothing about whose key it is
// and whether it is valid. memory may be nil.
func VerifySignature(p *Payload, key *PublicKey, block []byte, memory *BatchMemory) error {
	s, err := ParseSignatureBlock(block)
	if err != nil {
		return err
	}
	return s.Verify(p, key, memory)
}

// Verify is VerifySignature for a block that ParseSignatureBlock returned.
func (s *SignatureBlock) Verify(p *Payload, key *PublicKey, memory *BatchMemory) error {
	if s.Algorithm != key.algorithm {
		return fmt.Errorf("%w: made with %v, the key is for %v", ErrSignature, s.Algorithm, key.algorithm)
	}
	if s.Form == Single {
		if !key.verify(PAE(StatementType, p.Bytes), s.Signature) {
			return ErrSignature
		}
		return nil
	}
	return s.verifyBatch(p.Leaf, key, memory)
}

func (s *SignatureBlock) verifyBatch(leaf Hash, key *PublicKey, memory *BatchMemory) error {
	id := batchIdentity{keyID: key.id, size: s.Size, signature: [SignatureSize]byte(s.Signature)}
	if memory.find(id).holds(s, leaf) {
		return nil
	}
	root := s.root(leaf)
	if !key.verify(PAE(BatchType, batchBody(s.Size, root)), s.Signature) {
		return fmt.Errorf("batch: %w", ErrSignature)
	}
	memory.add(id, root)
	return nil
}

// Sign returns the envelope of one payload, signed by itself.
func (s *Signer) Sign(p *Payload) (*tracev1.Envelope, error) {
	sig, err := s.sign(PAE(StatementType, p.Bytes))
	if err != nil {
		return nil, fmt.Errorf("signing statement: %w", err)
	}
	block := SignatureBlock{Form: Single, Algorithm: s.key.algorithm, Signature: sig}
	return s.envelope(p, &block), nil
}

// SignBatch returns the envelopes of 1 to MaxBatch payloads, signed by one
// signature. Each stands alone. A position within the batch tells a reader of
// that one envelope how many stood before it; shuffle the payloads when that
// matters.
func (s *Signer) SignBatch(payloads []*Payload) ([]*tracev1.Envelope, error) {
	if len(payloads) < 1 || len(payloads) > MaxBatch {
		return nil, fmt.Errorf("a batch holds 1 to %d statements, not %d", MaxBatch, len(payloads))
	}
	leaves := make([]Hash, len(payloads))
	for i, p := range payloads {
		leaves[i] = p.Leaf
	}
	tree := newBatchTree(leaves)
	size := uint64(len(payloads))
	sig, err := s.sign(PAE(BatchType, batchBody(size, tree.root())))
	if err != nil {
		return nil, fmt.Errorf("signing batch: %w", err)
	}
	envelopes := make([]*tracev1.Envelope, len(payloads))
	for i, p := range payloads {
		envelopes[i] = s.envelope(p, &SignatureBlock{
			Form: Batch, Algorithm: s.key.algorithm, Signature: sig,
			Size: size, Position: uint64(i), Path: tree.path(uint64(i)),
		})
	}
	return envelopes, nil
}

func (s *Signer) envelope(p *Payload, block *SignatureBlock) *tracev1.Envelope {
	return &tracev1.Envelope{
		Payload:        p.Bytes,
		KeyId:          s.key.id[:],
		SignatureBlock: block.AppendBinary(make([]byte, 0, batchBlockSize+len(block.Path)*HashSize)),
	}
}

// batchTree holds every node of an RFC 6962 tree, level by level. A node
// without a sibling moves up unchanged, which is the same tree.
type batchTree [][]Hash

func newBatchTree(leaves []Hash) batchTree {
	t := batchTree{leaves}
	for level := leaves; len(level) > 1; {
		up := make([]Hash, 0, (len(level)+1)/2)
		for i := 0; i+1 < len(level); i += 2 {
			up = append(up, NodeHash(level[i], level[i+1]))
		}
		if len(level)%2 == 1 {
			up = append(up, level[len(level)-1])
		}
		t, level = append(t, up), up
	}
	return t
}

func (t batchTree) root() Hash { return t[len(t)-1][0] }

func (t batchTree) path(index uint64) []Hash {
	path := make([]Hash, 0, len(t)-1)
	for _, level := range t[:len(t)-1] {
		if sibling := index ^ 1; sibling < uint64(len(level)) {
			path = append(path, level[sibling])
		}
		index >>= 1
	}
	return path
}
