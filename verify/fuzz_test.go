package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// FuzzParsePayload checks that what is accepted has one meaning: that of
// protobuf, all of it, and the same after a round trip.
func FuzzParsePayload(f *testing.F) {
	vectors := loadVectors[canonicalVectors](f, "canonical.json")
	for _, v := range vectors.Accepted {
		f.Add([]byte(v.Bytes))
	}
	for _, v := range vectors.Refused {
		f.Add([]byte(v.Bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := verify.ParsePayload(b)
		if err != nil {
			var form *verify.FormError
			if !errors.As(err, &form) || form.Offset < 0 || form.Offset > len(b) ||
				!errors.Is(err, verify.ErrMalformed) && !errors.Is(err, verify.ErrNotCanonical) {
				t.Errorf("got error %v", err)
			}
			return
		}
		st := new(tracev1.Statement)
		if err := proto.Unmarshal(b, st); err != nil {
			t.Fatalf("protobuf refuses it: %v", err)
		}
		checkSameMessage(t, p.Statement, st)
		if unknown := unknownFields(st.ProtoReflect()); unknown > 0 {
			t.Errorf("%d bytes of unknown fields", unknown)
		}
		if !bytes.Equal(p.Bytes, b) || p.Leaf != verify.PayloadLeaf(b) {
			t.Error("the payload is not in the bytes that were given")
		}
		again, err := verify.NewPayload(st)
		if err != nil {
			t.Fatalf("serialized again: %v", err)
		}
		checkSameMessage(t, again.Statement, st)
		// Nothing can be repeated or left out unseen: zeros and order are all
		// that two canonical forms of one statement differ in.
		if len(again.Bytes) > len(b) {
			t.Errorf("%d bytes say what takes %d", len(b), len(again.Bytes))
		}
	})
}

// unknownFields counts the bytes of unknown fields at any depth.
func unknownFields(m protoreflect.Message) int {
	n := len(m.GetUnknown())
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				n += unknownFields(v.List().Get(i).Message())
			}
		default:
			n += unknownFields(v.Message())
		}
		return true
	})
	return n
}

// FuzzSignatureBlock checks that a block has one form.
func FuzzSignatureBlock(f *testing.F) {
	for _, v := range loadVectors[[]statementVector](f, "statements.json") {
		f.Add([]byte(v.SignatureBlock))
	}
	for _, v := range loadVectors[[]refusalVector](f, "signature_blocks.json") {
		f.Add([]byte(v.Bytes))
	}
	p, keys := batchOf(f, 1)[0], bothSigners()
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := verify.ParseSignatureBlock(b)
		if err != nil {
			if !errors.Is(err, verify.ErrMalformed) {
				t.Errorf("got error %v", err)
			}
			return
		}
		if got := s.AppendBinary(nil); !bytes.Equal(got, b) {
			t.Errorf("printed %x, want %x", got, b)
		}
		if s.Form == verify.Batch && naiveBatchRoot(p.Leaf, s).IsZero() {
			t.Error("its path does not fit its place")
		}
		for _, key := range keys {
			// A signature that counts here would be a forgery.
			if err := verify.VerifySignature(p, key.Public(), b, nil); !errors.Is(err, verify.ErrSignature) {
				t.Errorf("got error %v", err)
			}
		}
	})
}

// FuzzEntry checks that an entry has one form, and that a chain takes it only
// where it belongs.
func FuzzEntry(f *testing.F) {
	vectors := loadVectors[entryVectors](f, "entries.json")
	for _, v := range vectors.Accepted {
		f.Add([]byte(v.Bytes))
	}
	for _, v := range vectors.Refused {
		f.Add([]byte(v.Bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := verify.ParseEntry(b)
		if err != nil {
			if !errors.Is(err, verify.ErrMalformed) {
				t.Errorf("got error %v", err)
			}
			return
		}
		if got := e.Bytes(); !bytes.Equal(got, b) {
			t.Errorf("printed %x, want %x", got, b)
		}
		c := verify.NewChain()
		if err := c.Append(e, nil); (err == nil) != (e.Index == 0 && e.Previous.IsZero()) {
			t.Errorf("got error %v of %+v", err, e)
		}
	})
}

// FuzzCheckpoint checks that what is accepted was signed: it says what one of
// the seeds says.
func FuzzCheckpoint(f *testing.F) {
	vectors := loadVectors[checkpointVectors](f, "checkpoints.json")
	signed := make(map[uint64]verify.Hash)
	for _, v := range vectors.Accepted {
		f.Add([]byte(v.Note))
		signed[v.Size] = v.Root.hash(f)
	}
	// Some that are refused are signed, and only ended by other bytes.
	signed[5] = refusedRoot
	for _, v := range vectors.Refused {
		f.Add([]byte(v.Bytes))
	}
	log, err := verify.NewLog(verify.Hash{}, vectors.VKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cp, err := log.OpenCheckpoint(b)
		if err != nil {
			if !errors.Is(err, verify.ErrCheckpoint) {
				t.Errorf("got error %v", err)
			}
			return
		}
		if root, ok := signed[cp.Size]; !ok || root != cp.Root || !bytes.Equal(cp.Note, b) {
			t.Errorf("nobody signed size %d root %s", cp.Size, cp.Root)
		}
	})
}

// FuzzBundle checks that what is accepted says what one of the seeds says, and
// that nothing makes a verifier panic. Bundles are long: fuzz it with
// -fuzzminimizetime 1x.
func FuzzBundle(f *testing.F) {
	vectors := loadVectors[receiptVectors](f, "receipts.json")
	proven := make(map[uint64]verify.Hash)
	add := func(bundle json.RawMessage) {
		b := new(tracev1.ReceiptBundle)
		if err := protojson.Unmarshal(bundle, b); err != nil {
			f.Fatal(err)
		}
		wire, err := proto.Marshal(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	for _, v := range vectors.Bundles {
		proven[v.Index] = v.StatementHash.hash(f)
		add(v.Bundle)
	}
	for _, v := range vectors.Refused {
		add(v.Bundle)
	}
	log, err := verify.NewLog(vectors.LedgerCard.LedgerID.hash(f), vectors.LedgerCard.CheckpointVKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		b := new(tracev1.ReceiptBundle)
		if proto.Unmarshal(wire, b) != nil {
			return
		}
		p, err := log.VerifyBundle(b)
		if err != nil {
			if !errors.Is(err, verify.ErrReceipt) {
				t.Errorf("got error %v", err)
			}
			return
		}
		// Parts of a bundle that are proven themselves may change places.
		hash, seed := proven[p.Entry.Index]
		if seed && hash != p.Entry.StatementHash || verifytest.StatementHash(b.GetStatement().GetEnvelope()) != p.Entry.StatementHash {
			t.Errorf("nobody stated %s at %d", p.Entry.StatementHash, p.Entry.Index)
		}
	})
}
