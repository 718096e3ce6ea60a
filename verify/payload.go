package verify

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Payload is a statement in the very bytes that were signed.
type Payload struct {
	// Bytes is the serialized statement. It must not be changed.
	Bytes []byte
	// Statement is what Bytes say.
	Statement *tracev1.Statement
	// Leaf is the leaf of the payload, SHA-256(0x00 || PAE).
	Leaf Hash
}

// ParsePayload reads a serialized statement. The error is a *FormError unless
// the bytes are in the canonical form. Values are not judged.
func ParsePayload(b []byte) (*Payload, error) {
	if err := checkCanonical(b); err != nil {
		return nil, err
	}
	st := new(tracev1.Statement)
	if err := proto.Unmarshal(b, st); err != nil {
		return nil, &FormError{Problem: "no statement", Err: ErrMalformed}
	}
	return &Payload{Bytes: b, Statement: st, Leaf: PayloadLeaf(b)}, nil
}

// NewPayload serializes a statement, for a signer. The result is canonical;
// an error says that the statement cannot be, because a string is not UTF-8 or
// an enum number is unknown.
func NewPayload(st *tracev1.Statement) (*Payload, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("serializing statement: %w", err)
	}
	return ParsePayload(b)
}
