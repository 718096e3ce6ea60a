package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// updateVectors writes every file of testdata.
func updateVectors(t testing.TB) {
	t.Helper()
	for name, v := range map[string]any{
		"canonical.json":        makeCanonical(t),
		"keys.json":             makeKeys(t),
		"signatures.json":       makeSignatures(t),
		"signature_blocks.json": makeBlocks(t),
		"statements.json":       makeStatements(t),
		"entries.json":          makeEntries(t),
		"chain.json":            makeChain(t),
		"checkpoints.json":      makeCheckpoints(t),
		"receipts.json":         makeReceipts(t),
	} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", name), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// protoJSON returns a message as protobuf JSON in which white space does not
// vary from build to build.
func protoJSON(t testing.TB, m proto.Message) json.RawMessage {
	t.Helper()
	b, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func makeBlocks(t testing.TB) []refusalVector {
	single := cat([]byte{1, 1, 0, 64}, bytes.Repeat([]byte{0xaa}, 64))
	batch := func(size, position uint64, hashes int) []byte {
		return cat([]byte{2, 1, 0, 64}, single[4:], be64(size), be64(position), bytes.Repeat([]byte{0xbb}, 32*hashes))
	}
	set := func(b []byte, at int, v byte) []byte {
		out := bytes.Clone(b)
		out[at] = v
		return out
	}
	var out []refusalVector
	for _, c := range []keyCase{
		{"nothing", nil},
		{"67 bytes", single[:67]},
		{"single with a trailing byte", append(bytes.Clone(single), 0)},
		{"single with the place of a batch", set(batch(1, 0, 0), 0, 1)},
		{"form 0", set(single, 0, 0)},
		{"form 3", set(single, 0, 3)},
		{"algorithm 0", set(single, 1, 0)},
		{"algorithm 3, reserved", set(single, 1, 3)},
		{"algorithm 4, reserved", set(single, 1, 4)},
		{"algorithm 255", set(single, 1, 255)},
		{"signature length 63", set(single, 3, 63)},
		{"signature length 65", set(single, 3, 65)},
		{"signature length 64 + 2^8", set(single, 2, 1)},
		{"signature length 0", set(single, 3, 0)},
		{"batch without a place", set(single, 0, 2)},
		{"batch of 83 bytes", batch(1, 0, 0)[:83]},
		{"batch of size 0", batch(0, 0, 0)},
		{"batch of size 4097", batch(4097, 0, 13)},
		{"batch of size 2^64-1", batch(minusOne, 0, 64)},
		{"position = size", batch(1, 1, 0)},
		{"position = size, path as long as the formula has it", batch(2, 2, 2)},
		{"position 2^63", batch(2, 1<<63, 1)},
		{"path for a batch of one", batch(1, 0, 1)},
		{"path missing", batch(2, 0, 0)},
		{"path too short", batch(8, 5, 2)},
		{"path too long", batch(8, 5, 4)},
		{"path as long as for position 0 of 3", batch(3, 2, 2)},
		{"path cut within a hash", batch(2, 1, 1)[:115]},
		{"batch with a trailing byte", append(batch(2, 1, 1), 0)},
	} {
		out = append(out, refusalVector{c.name, c.bytes, "malformed"})
	}
	return out
}

func makeStatements(t testing.TB) []statementVector {
	example := signerOf(t, privateKey(t, verify.Ed25519, exampleSeed))
	abc := &verify.Payload{Bytes: []byte("abc"), Leaf: verify.PayloadLeaf([]byte("abc"))}
	var out []statementVector
	add := func(name string, s *verify.Signer, env *tracev1.Envelope) {
		out = append(out, makeStatement(t, fmt.Sprintf("%s, %v", name, s.Public().Algorithm()), s, env))
	}
	env, err := example.Sign(abc)
	if err != nil {
		t.Fatal(err)
	}
	add(`"abc", single`, example, env)
	batch, err := example.SignBatch([]*verify.Payload{abc})
	if err != nil {
		t.Fatal(err)
	}
	add(`"abc", batch of 1`, example, batch[0])

	l := verifytest.NewLedger(t)
	for _, s := range []*verify.Signer{verifytest.Key("acme"), verifytest.P256Key("acme")} {
		add("single", s, l.Sign(s, l.TransactionStatement("acme", 125_000)))
		for _, size := range []int{1, 2, 3, 5, 8, verify.MaxBatch} {
			sts := make([]*tracev1.Statement, size)
			for i := range sts {
				sts[i] = l.Complete("acme", &tracev1.Statement{Stated: &tracev1.Statement_Void{Void: &tracev1.Void{Reason: fmt.Sprint(i)}}})
			}
			for i, env := range l.SignBatch(s, sts...) {
				if size < 10 || i == 0 || i == 1 || i == 1234 || i == size-1 {
					add(fmt.Sprintf("batch of %d, position %d", size, i), s, env)
				}
			}
		}
	}
	return out
}

func makeStatement(t testing.TB, name string, s *verify.Signer, env *tracev1.Envelope) statementVector {
	t.Helper()
	b, err := verify.ParseSignatureBlock(env.GetSignatureBlock())
	if err != nil {
		t.Fatal(err)
	}
	leaf, hash := verify.PayloadLeaf(env.GetPayload()), verifytest.StatementHash(env)
	v := statementVector{
		Name: name, SPKI: s.Public().SPKI(), Payload: env.GetPayload(),
		PAE: verify.PAE(verify.StatementType, env.GetPayload()), Leaf: leaf[:],
		SignatureBlock: env.GetSignatureBlock(), Form: int(b.Form), Algorithm: int(b.Algorithm), Signature: b.Signature,
		Size: b.Size, Position: b.Position, StatementHash: hash[:],
	}
	v.SignedMessage = v.PAE
	if b.Form == verify.Batch {
		root := naiveBatchRoot(leaf, b)
		v.BatchRoot, v.SignedMessage = root[:], verify.PAE(verify.BatchType, cat(be64(b.Size), root[:]))
	}
	for _, h := range b.Path {
		v.Path = append(v.Path, h[:])
	}
	return v
}

// exampleEntries are the two entries of the worked example.
func exampleEntries(t testing.TB) []verify.Entry {
	t.Helper()
	chain := verify.NewChain()
	var out []verify.Entry
	for _, v := range makeStatements(t)[:2] {
		e := chain.Next(v.StatementHash.hash(t), verifytest.Founded.UnixMicro())
		if err := chain.Append(e, nil); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func makeEntries(t testing.TB) entryVectors {
	var v entryVectors
	largest := verify.Entry{
		Index: 1<<64 - 1, SequencedAtMicros: 1<<63 - 1,
		Previous: sha256.Sum256([]byte("p")), StatementHash: sha256.Sum256([]byte("s")),
	}
	for _, e := range append(exampleEntries(t), largest) {
		leaf := e.LeafHash()
		v.Accepted = append(v.Accepted, entryVector{e.Bytes(), e.Index, e.SequencedAtMicros, e.Previous[:], e.StatementHash[:], leaf[:]})
	}
	sound := v.Accepted[1].Bytes
	set := func(at int, b byte) []byte {
		out := bytes.Clone(sound)
		out[at] = b
		return out
	}
	for _, c := range []keyCase{
		{"nothing", nil}, {"81 bytes", sound[:81]}, {"83 bytes", append(bytes.Clone(sound), 0)},
		{"version 0", set(1, 0)}, {"version 2", set(1, 2)}, {"version 257", set(0, 1)},
		{"time of 2^63 or more", set(10, 0x80)},
	} {
		v.Refused = append(v.Refused, refusalVector{c.name, c.bytes, "malformed"})
	}
	return v
}

// chainSize is the number of entries of the chain in the vectors.
const chainSize = 257

func makeChain(t testing.TB) chainVectors {
	v := chainVectors{Roots: make(map[uint64]hexBytes)}
	tree := verifytest.NewTree()
	for _, e := range plainEntries(chainSize) {
		v.Entries = append(v.Entries, e.Bytes())
		tree.Append(e.LeafHash())
	}
	root := func(size uint64) {
		h := tree.Root(size)
		v.Roots[size] = h[:]
	}
	inclusion := func(index, size uint64) {
		root(size)
		v.Inclusion = append(v.Inclusion, inclusionVector{index, size, hexPath(tree.Inclusion(index, size))})
	}
	consistency := func(older, newer uint64) {
		root(older)
		root(newer)
		v.Consistency = append(v.Consistency, consistencyVector{older, newer, hexPath(tree.Consistency(older, newer))})
	}
	for _, size := range []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 255, 256, 257} {
		root(size)
	}
	for size := range uint64(9) {
		for i := range size {
			inclusion(i, size)
		}
		for older := range size + 1 {
			consistency(older, size)
		}
	}
	for _, size := range []uint64{255, 256, 257} {
		for _, at := range []uint64{0, 127, 128, size - 2, size - 1} {
			inclusion(at, size)
			consistency(at+1, size)
		}
	}
	return v
}

// plainEntries are linked entries; four share each time, as in one commit.
func plainEntries(n int) []verify.Entry {
	chain := verify.NewChain()
	var out []verify.Entry
	for i := range n {
		at := verifytest.Founded.UnixMicro() + int64(i/4)
		e := chain.Next(sha256.Sum256(fmt.Appendf(nil, "statement %d", i)), at)
		if err := chain.Append(e, nil); err != nil {
			panic(err)
		}
		out = append(out, e)
	}
	return out
}

func hexPath(path [][]byte) []hexBytes {
	out := make([]hexBytes, len(path))
	for i, h := range path {
		out[i] = h
	}
	return out
}

func makeReceipts(t testing.TB) receiptVectors {
	s := newSample(t)
	id := s.Log.ID()
	v := receiptVectors{LedgerCard: cardVector{id[:], s.Log.CheckpointVKey()}}
	for _, c := range []struct {
		name  string
		index uint64
	}{
		{"Ed25519, single, key registered by a founding key", acmeSale},
		{"P-256, batch of three, two registrations", boltBatch + 1},
		{"signed by a founding key", acmeAdmitted},
		{"the genesis itself", 0},
	} {
		hash := s.Entries[c.index].StatementHash
		v.Bundles = append(v.Bundles, bundleVector{
			c.name, protoJSON(t, s.Bundle(c.index)), c.index, s.Envelopes[c.index].GetKeyId(), hash[:],
		})
	}
	for _, c := range []struct {
		name   string
		change func(*tracev1.ReceiptBundle)
	}{
		{"no registration", func(b *tracev1.ReceiptBundle) { b.KeyRegistrations = nil }},
		{"no genesis", func(b *tracev1.ReceiptBundle) { b.Genesis = nil }},
		{"mass changed", func(b *tracev1.ReceiptBundle) {
			env := b.Statement.Envelope
			env.Payload = bytes.Replace(env.Payload, protowire.AppendVarint(nil, 125_000), protowire.AppendVarint(nil, 125_001), 1)
		}},
		{"index changed", func(b *tracev1.ReceiptBundle) {
			binary.BigEndian.PutUint64(b.Statement.Receipt.Entry[2:], acmeSale+1)
		}},
		{"receipt of another statement", func(b *tracev1.ReceiptBundle) { b.Statement.Receipt = s.Receipt(acmeBatch, sampleSize) }},
		{"path shortened", func(b *tracev1.ReceiptBundle) {
			p := &b.Statement.Receipt.InclusionPath
			*p = (*p)[:len(*p)-1]
		}},
	} {
		b := s.Bundle(acmeSale)
		b = proto.Clone(b).(*tracev1.ReceiptBundle)
		c.change(b)
		v.Refused = append(v.Refused, bundleRefusal{c.name, protoJSON(t, b), "receipt"})
	}
	return v
}
