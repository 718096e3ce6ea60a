package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func TestVectorsCanonical(t *testing.T) {
	vectors := loadVectors[canonicalVectors](t, "canonical.json")
	for _, v := range vectors.Accepted {
		t.Run(v.Name, func(t *testing.T) {
			p := parsePayload(t, v.Bytes)
			want := new(tracev1.Statement)
			if err := protojson.Unmarshal(v.Statement, want); err != nil {
				t.Fatal(err)
			}
			checkSameMessage(t, p.Statement, want)
		})
	}
	for _, v := range vectors.Refused {
		t.Run(v.Name, func(t *testing.T) {
			_, err := verify.ParsePayload(v.Bytes)
			checkClass(t, err, v.Error)
			var form *verify.FormError
			if !errors.As(err, &form) || form.Offset != v.Offset {
				t.Errorf("got %v, want a FormError at byte %d", err, v.Offset)
			}
		})
	}
}

func TestVectorsKeys(t *testing.T) {
	vectors := loadVectors[keyVectors](t, "keys.json")
	for _, v := range vectors.Accepted {
		t.Run(v.Name, func(t *testing.T) {
			k, err := verify.ParsePublicKey(v.SPKI)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := k.ID(), v.KeyID.hash(t); got != want {
				t.Errorf("key id %s, want %s", got, want)
			}
			if got := k.Algorithm().String(); got != v.Algorithm {
				t.Errorf("algorithm %s, want %s", got, v.Algorithm)
			}
			if !bytes.Equal(k.SPKI(), v.SPKI) {
				t.Errorf("SPKI %x, want %x", k.SPKI(), v.SPKI)
			}
			private := privateKey(t, k.Algorithm(), v.Private)
			if got := signerOf(t, private).Public().ID(); got != k.ID() {
				t.Errorf("the private key has key id %s, want %s", got, k.ID())
			}
		})
	}
	for _, v := range vectors.Refused {
		t.Run(v.Name, func(t *testing.T) {
			_, err := verify.ParsePublicKey(v.Bytes)
			checkClass(t, err, v.Error)
		})
	}
	for i, v := range vectors.Possession {
		t.Run(fmt.Sprintf("possession %d", i), func(t *testing.T) {
			k, err := verify.ParsePublicKey(v.SPKI)
			if err != nil {
				t.Fatal(err)
			}
			id := k.ID()
			body := bytes.Join([][]byte{v.LedgerID, id[:], []byte(v.ParticipantID)}, nil)
			if got := verify.PAE(verify.KeyPossessionType, body); !bytes.Equal(got, v.Message) {
				t.Errorf("message %x, want %x", got, v.Message)
			}
			if err := k.VerifyPossession(v.LedgerID.hash(t), v.ParticipantID, v.Signature); err != nil {
				t.Error(err)
			}
			if i > 1 {
				return
			}
			// The first two are by the key of the worked example.
			again, err := signerOf(t, privateKey(t, verify.Ed25519, exampleSeed)).ProvePossession(v.LedgerID.hash(t), v.ParticipantID)
			if err != nil || !bytes.Equal(again, v.Signature) {
				t.Errorf("proved again: %x, %v", again, err)
			}
		})
	}
}

// TestVectorsSignatures puts each signature into a signature block; those of
// another length meet the check of possession, which takes any.
func TestVectorsSignatures(t *testing.T) {
	for _, v := range loadVectors[[]signatureVector](t, "signatures.json") {
		t.Run(v.Name, func(t *testing.T) {
			key, err := verify.ParsePublicKey(v.SPKI)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Signature) != verify.SignatureSize {
				checkClass(t, key.VerifyPossession(verify.Hash{}, "acme", v.Signature), v.Error)
				return
			}
			block := verify.SignatureBlock{Form: verify.Single, Algorithm: key.Algorithm(), Signature: v.Signature}
			for _, key := range []*verify.PublicKey{key, key.Prepared()} {
				err = verify.VerifySignature(parsePayload(t, v.Payload), key, block.AppendBinary(nil), nil)
				if v.Error != "" {
					checkClass(t, err, v.Error)
				} else if err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestVectorsSignatureBlocks(t *testing.T) {
	for _, v := range loadVectors[[]refusalVector](t, "signature_blocks.json") {
		t.Run(v.Name, func(t *testing.T) {
			_, err := verify.ParseSignatureBlock(v.Bytes)
			checkClass(t, err, v.Error)
		})
	}
}

func TestVectorsStatements(t *testing.T) {
	for _, v := range loadVectors[[]statementVector](t, "statements.json") {
		t.Run(v.Name, func(t *testing.T) {
			if got := verify.PAE(verify.StatementType, v.Payload); !bytes.Equal(got, v.PAE) {
				t.Errorf("PAE %x, want %x", got, v.PAE)
			}
			leaf := verify.PayloadLeaf(v.Payload)
			if want := v.Leaf.hash(t); leaf != want {
				t.Errorf("leaf %s, want %s", leaf, want)
			}
			key, err := verify.ParsePublicKey(v.SPKI)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := verify.StatementHash(leaf, key.ID(), v.SignatureBlock), v.StatementHash.hash(t); got != want {
				t.Errorf("statement hash %s, want %s", got, want)
			}
			v.checkBlock(t)
			// The payload "abc" is no statement; everything but its form holds.
			p := &verify.Payload{Bytes: v.Payload, Leaf: leaf}
			if err := verify.VerifySignature(p, key, v.SignatureBlock, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestExampleSigned signs the worked example again.
func TestExampleSigned(t *testing.T) {
	s := signerOf(t, privateKey(t, verify.Ed25519, exampleSeed))
	p := &verify.Payload{Bytes: []byte("abc"), Leaf: verify.PayloadLeaf([]byte("abc"))}
	single, err := s.Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	vectors := loadVectors[[]statementVector](t, "statements.json")
	for i, env := range []*tracev1.Envelope{single, signBatch(t, s, []*verify.Payload{p})[0]} {
		if got, want := env.GetSignatureBlock(), vectors[i].SignatureBlock; !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", vectors[i].Name, got, []byte(want))
		}
		if got, want := verifytest.StatementHash(env), vectors[i].StatementHash.hash(t); got != want {
			t.Errorf("%s: got %s, want %s", vectors[i].Name, got, want)
		}
	}
}

func (v *statementVector) checkBlock(t *testing.T) {
	t.Helper()
	b, err := verify.ParseSignatureBlock(v.SignatureBlock)
	if err != nil {
		t.Fatal(err)
	}
	if int(b.Form) != v.Form || int(b.Algorithm) != v.Algorithm || !bytes.Equal(b.Signature, v.Signature) ||
		b.Size != v.Size || b.Position != v.Position || len(b.Path) != len(v.Path) {
		t.Fatalf("block %+v, want %+v", b, v)
	}
	for i, h := range b.Path {
		if want := v.Path[i].hash(t); h != want {
			t.Errorf("path %d is %s, want %s", i, h, want)
		}
	}
	if got := b.AppendBinary(nil); !bytes.Equal(got, v.SignatureBlock) {
		t.Errorf("block is printed %x, want %x", got, v.SignatureBlock)
	}
	message := []byte(v.PAE)
	if b.Form == verify.Batch {
		root := naiveBatchRoot(v.Leaf.hash(t), b)
		if want := v.BatchRoot.hash(t); root != want {
			t.Errorf("batch root %s, want %s", root, want)
		}
		message = verify.PAE(verify.BatchType, append(be64(b.Size), root[:]...))
	}
	if !bytes.Equal(message, v.SignedMessage) {
		t.Errorf("signed message %x, want %x", message, v.SignedMessage)
	}
}

func TestVectorsEntries(t *testing.T) {
	vectors := loadVectors[entryVectors](t, "entries.json")
	for _, v := range vectors.Accepted {
		t.Run(fmt.Sprintf("index %d", v.Index), func(t *testing.T) {
			e, err := verify.ParseEntry(v.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			want := verify.Entry{
				Index: v.Index, SequencedAtMicros: v.SequencedAtMicros,
				Previous: v.Previous.hash(t), StatementHash: v.StatementHash.hash(t),
			}
			if e != want {
				t.Errorf("entry %+v, want %+v", e, want)
			}
			if got := e.Bytes(); !bytes.Equal(got, v.Bytes) {
				t.Errorf("entry is printed %x, want %x", got, v.Bytes)
			}
			if got, want := e.LeafHash(), v.LeafHash.hash(t); got != want {
				t.Errorf("leaf hash %s, want %s", got, want)
			}
		})
	}
	for _, v := range vectors.Refused {
		t.Run(v.Name, func(t *testing.T) {
			_, err := verify.ParseEntry(v.Bytes)
			checkClass(t, err, v.Error)
		})
	}
}

func TestVectorsChain(t *testing.T) {
	v := loadVectors[chainVectors](t, "chain.json")
	roots := map[uint64]verify.Hash{0: verify.NewChain().Root()}
	chain, leaves := verify.NewChain(), []verify.Hash{}
	for _, b := range v.Entries {
		e, err := verify.ParseEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := chain.Append(e, nil); err != nil {
			t.Fatal(err)
		}
		leaves, roots[chain.Size()] = append(leaves, e.LeafHash()), chain.Root()
	}
	for size, want := range v.Roots {
		if got := roots[size]; got != want.hash(t) {
			t.Errorf("root of %d is %s, want %s", size, got, want.hash(t))
		}
	}
	for _, p := range v.Inclusion {
		if err := verify.VerifyInclusion(leaves[p.Index], p.Index, p.Size, plain(p.Path), roots[p.Size]); err != nil {
			t.Error(err)
		}
	}
	for _, p := range v.Consistency {
		older := &verify.Checkpoint{Size: p.Older, Root: roots[p.Older]}
		newer := &verify.Checkpoint{Size: p.Newer, Root: roots[p.Newer]}
		if err := verify.VerifyConsistency(older, newer, plain(p.Path)); err != nil {
			t.Error(err)
		}
	}
}

func TestVectorsCheckpoints(t *testing.T) {
	vectors := loadVectors[checkpointVectors](t, "checkpoints.json")
	log, err := verify.NewLog(verify.Hash{}, vectors.VKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors.Accepted {
		t.Run(v.Name, func(t *testing.T) {
			cp, err := log.OpenCheckpoint([]byte(v.Note))
			if err != nil {
				t.Fatal(err)
			}
			if cp.Size != v.Size || cp.Root != v.Root.hash(t) {
				t.Errorf("size %d root %s, want %d %s", cp.Size, cp.Root, v.Size, v.Root.hash(t))
			}
		})
	}
	for _, v := range vectors.Refused {
		t.Run(v.Name, func(t *testing.T) {
			_, err := log.OpenCheckpoint(v.Bytes)
			checkClass(t, err, v.Error)
		})
	}
}

func TestVectorsReceipts(t *testing.T) {
	vectors := loadVectors[receiptVectors](t, "receipts.json")
	log, err := verify.NewLog(vectors.LedgerCard.LedgerID.hash(t), vectors.LedgerCard.CheckpointVKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors.Bundles {
		t.Run(v.Name, func(t *testing.T) {
			p, err := log.VerifyBundle(bundleOf(t, v.Bundle))
			if err != nil {
				t.Fatal(err)
			}
			if p.Entry.Index != v.Index || p.Entry.StatementHash != v.StatementHash.hash(t) || p.Key.ID() != v.KeyID.hash(t) {
				t.Errorf("proven is index %d, statement %s, key %s", p.Entry.Index, p.Entry.StatementHash, p.Key.ID())
			}
		})
	}
	for _, v := range vectors.Refused {
		t.Run(v.Name, func(t *testing.T) {
			_, err := log.VerifyBundle(bundleOf(t, v.Bundle))
			checkClass(t, err, v.Error)
		})
	}
}

func bundleOf(t *testing.T, b json.RawMessage) *tracev1.ReceiptBundle {
	t.Helper()
	bundle := new(tracev1.ReceiptBundle)
	if err := protojson.Unmarshal(b, bundle); err != nil {
		t.Fatal(err)
	}
	return bundle
}

func plain(path []hexBytes) [][]byte {
	out := make([][]byte, len(path))
	for i, h := range path {
		out[i] = h
	}
	return out
}
