package verify

import (
	"encoding/json"

	"filippo.io/edwards25519"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// CheckCanonical walks a message of any type as ParsePayload walks a
// statement: no statement nests deeply enough to meet the limit.
func CheckCanonical(md protoreflect.MessageDescriptor, b []byte) error {
	w := walker{b: b}
	return w.message(shapeOf(md, map[protoreflect.FullName]*messageShape{}), 0, len(b), 1)
}

// SealState gives an audit state that was changed the checksum that it needs.
func SealState(state []byte) ([]byte, error) {
	var s auditState
	err := json.Unmarshal(state, &s)
	if err != nil {
		return nil, err
	}
	if s.Sum, err = s.sum(); err != nil {
		return nil, err
	}
	return json.Marshal(s)
}

// Len returns how many batches are remembered.
func (m *BatchMemory) Len() int { return len(m.known) }

// RangeRoot returns the root that the proof of a range leads to, if to any.
func RangeRoot(first uint64, leaves []Hash, size uint64, proof [][]byte) *Hash {
	_, root, err := foldRange(first, leaves, size, proof)
	if err != nil {
		return nil
	}
	return &root
}

// Trees returns of how many batches the tree is remembered.
func (m *BatchMemory) Trees() int { return len(m.trees) }

// VerifyMessage checks a signature over a message.
func VerifyMessage(k *PublicKey, message, signature []byte) bool { return k.verify(message, signature) }

// Multiple multiplies a point by way of its multiples.
func Multiple(p *edwards25519.Point, width, every int, s *edwards25519.Scalar) *edwards25519.Point {
	return newMultiples(p, width, every).addTo(edwards25519.NewIdentityPoint(), s)
}
