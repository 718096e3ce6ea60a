package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// bothSigners are an Ed25519 and a P-256 signer.
func bothSigners() []*verify.Signer {
	return []*verify.Signer{verifytest.Key("acme"), verifytest.P256Key("acme")}
}

// batchOf returns n small payloads, each different.
func batchOf(t testing.TB, n int) []*verify.Payload {
	t.Helper()
	l := verifytest.NewLedger(t)
	out := make([]*verify.Payload, n)
	for i := range out {
		var err error
		out[i], err = verify.NewPayload(l.Complete("acme", &tracev1.Statement{Stated: &tracev1.Statement_Void{Void: &tracev1.Void{}}}))
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func signBatch(t testing.TB, s *verify.Signer, payloads []*verify.Payload) []*tracev1.Envelope {
	t.Helper()
	envs, err := s.SignBatch(payloads)
	if err != nil {
		t.Fatal(err)
	}
	return envs
}

// TestTamperedSignature flips each byte of payload and signature block, in each
// form and algorithm.
func TestTamperedSignature(t *testing.T) {
	t.Parallel()
	payloads := batchOf(t, 5)
	for _, s := range bothSigners() {
		single, err := s.Sign(payloads[2])
		if err != nil {
			t.Fatal(err)
		}
		envs := map[string]*tracev1.Envelope{"single": single}
		for i, env := range signBatch(t, s, payloads) {
			envs[fmt.Sprintf("batch position %d", i)] = env
		}
		for name, env := range envs {
			t.Run(fmt.Sprintf("%v %s", s.Public().Algorithm(), name), func(t *testing.T) {
				checkTampered(t, s.Public(), env)
			})
		}
	}
}

func checkTampered(t *testing.T, key *verify.PublicKey, env *tracev1.Envelope) {
	t.Helper()
	verifyBytes := func(payload, block []byte) error {
		p := &verify.Payload{Bytes: payload, Leaf: verify.PayloadLeaf(payload)}
		return verify.VerifySignature(p, key, block, nil)
	}
	if err := verifyBytes(env.GetPayload(), env.GetSignatureBlock()); err != nil {
		t.Fatal(err)
	}
	for i := range env.GetPayload() {
		if err := verifyBytes(flipped(env.GetPayload(), i), env.GetSignatureBlock()); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("payload byte %d: got error %v", i, err)
		}
	}
	for i := range env.GetSignatureBlock() {
		err := verifyBytes(env.GetPayload(), flipped(env.GetSignatureBlock(), i))
		if !errors.Is(err, verify.ErrSignature) && !errors.Is(err, verify.ErrMalformed) {
			t.Errorf("block byte %d: got error %v", i, err)
		}
	}
	for n := range env.GetSignatureBlock() {
		if err := verifyBytes(env.GetPayload(), env.GetSignatureBlock()[:n]); !errors.Is(err, verify.ErrMalformed) {
			t.Errorf("block cut to %d bytes: got error %v", n, err)
		}
	}
}

// TestSignatureIsForOnePurpose checks that no signature counts in another form,
// for another key or another algorithm.
func TestSignatureIsForOnePurpose(t *testing.T) {
	p := batchOf(t, 1)[0]
	for _, s := range bothSigners() {
		single, err := s.Sign(p)
		if err != nil {
			t.Fatal(err)
		}
		one := signBatch(t, s, []*verify.Payload{p})[0]
		reform := func(block []byte, change func(*verify.SignatureBlock)) []byte {
			b, err := verify.ParseSignatureBlock(block)
			if err != nil {
				t.Fatal(err)
			}
			change(b)
			return b.AppendBinary(nil)
		}
		other := verify.Ed25519 + verify.ECDSAP256 - s.Public().Algorithm()
		for name, block := range map[string][]byte{
			"single as a batch of one":    reform(single.GetSignatureBlock(), func(b *verify.SignatureBlock) { b.Form, b.Size = verify.Batch, 1 }),
			"batch of one as single":      reform(one.GetSignatureBlock(), func(b *verify.SignatureBlock) { b.Form = verify.Single }),
			"single, the other algorithm": reform(single.GetSignatureBlock(), func(b *verify.SignatureBlock) { b.Algorithm = other }),
			"batch, the other algorithm":  reform(one.GetSignatureBlock(), func(b *verify.SignatureBlock) { b.Algorithm = other }),
		} {
			if err := verify.VerifySignature(p, s.Public(), block, nil); !errors.Is(err, verify.ErrSignature) {
				t.Errorf("%v: %s: got error %v", s.Public().Algorithm(), name, err)
			}
		}
		for _, key := range []*verify.PublicKey{verifytest.Key("bolt").Public(), verifytest.P256Key("bolt").Public()} {
			if err := verify.VerifySignature(p, key, single.GetSignatureBlock(), nil); !errors.Is(err, verify.ErrSignature) {
				t.Errorf("%v by another key: got error %v", s.Public().Algorithm(), err)
			}
		}
	}
}

// TestBatchPaths compares the place of each statement of a batch with the
// definitions of RFC 9162.
func TestBatchPaths(t *testing.T) {
	s := verifytest.Key("acme")
	all := batchOf(t, 300)
	leaves := make([]verify.Hash, len(all))
	for i, p := range all {
		leaves[i] = p.Leaf
	}
	tree := verifytest.NewTree(leaves...)
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 255, 256, 257, 300} {
		memory := verify.NewBatchMemory(1)
		for i, env := range signBatch(t, s, all[:n]) {
			b, err := verify.ParseSignatureBlock(env.GetSignatureBlock())
			if err != nil {
				t.Fatal(err)
			}
			if b.Size != uint64(n) || b.Position != uint64(i) {
				t.Fatalf("position %d of %d, want %d of %d", b.Position, b.Size, i, n)
			}
			want := tree.Inclusion(uint64(i), uint64(n))
			if len(b.Path) != len(want) {
				t.Fatalf("position %d of %d: path of %d, want %d", i, n, len(b.Path), len(want))
			}
			for j := range want {
				if !bytes.Equal(b.Path[j][:], want[j]) {
					t.Fatalf("position %d of %d: path %d is %s, want %x", i, n, j, b.Path[j], want[j])
				}
			}
			if got, want := naiveBatchRoot(all[i].Leaf, b), tree.Root(uint64(n)); got != want {
				t.Fatalf("position %d of %d: the path leads to %s, want %s", i, n, got, want)
			}
			if err := verify.VerifySignature(all[i], s.Public(), env.GetSignatureBlock(), memory); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestSignBatchRefuses(t *testing.T) {
	s, p := verifytest.Key("acme"), batchOf(t, 1)[0]
	for _, n := range []int{0, verify.MaxBatch + 1} {
		if _, err := s.SignBatch(slices.Repeat([]*verify.Payload{p}, n)); err == nil {
			t.Errorf("a batch of %d is signed", n)
		}
	}
	if got := len(signBatch(t, s, slices.Repeat([]*verify.Payload{p}, verify.MaxBatch))); got != verify.MaxBatch {
		t.Errorf("%d envelopes, want %d", got, verify.MaxBatch)
	}
}

// TestBatchMemory checks that a remembered batch vouches for its own statements
// and for nothing else, and that old batches are forgotten.
func TestBatchMemory(t *testing.T) {
	s, payloads := verifytest.Key("acme"), batchOf(t, 6)
	first, second := signBatch(t, s, payloads[:3]), signBatch(t, s, payloads[3:])
	memory := verify.NewBatchMemory(1)
	check := func(p *verify.Payload, key *verify.PublicKey, block []byte) error {
		t.Helper()
		return verify.VerifySignature(p, key, block, memory)
	}
	for range 2 {
		for i := range 3 {
			if err := check(payloads[i], s.Public(), first[i].GetSignatureBlock()); err != nil {
				t.Error(err)
			}
			if err := check(payloads[3+i], s.Public(), second[i].GetSignatureBlock()); err != nil {
				t.Error(err)
			}
		}
	}
	if err := check(payloads[1], s.Public(), first[1].GetSignatureBlock()); err != nil {
		t.Fatal(err)
	}
	for i := range first[1].GetSignatureBlock() {
		if check(payloads[1], s.Public(), flipped(first[1].GetSignatureBlock(), i)) == nil {
			t.Errorf("byte %d flipped: the memory vouches for it", i)
		}
	}
	// Position 0 of 3 and of 4 have paths of the same length.
	larger, err := verify.ParseSignatureBlock(first[0].GetSignatureBlock())
	if err != nil {
		t.Fatal(err)
	}
	larger.Size++
	if err := check(payloads[0], s.Public(), larger.AppendBinary(nil)); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("another size with the same root: got error %v", err)
	}
	if memory.Len() != 1 {
		t.Errorf("%d batches are remembered, not 1", memory.Len())
	}
	if check(payloads[0], s.Public(), first[1].GetSignatureBlock()) == nil {
		t.Error("the memory vouches for another statement of the batch at this place")
	}
	if check(payloads[1], verifytest.Key("bolt").Public(), first[1].GetSignatureBlock()) == nil {
		t.Error("the memory vouches for another key")
	}
}

// TestBatchMemoryKeeps checks that a batch is remembered once, and only after
// its signature verified.
func TestBatchMemoryKeeps(t *testing.T) {
	s, payloads, memory := verifytest.Key("acme"), batchOf(t, 6), verify.NewBatchMemory(9)
	for i, p := range payloads {
		batch := signBatch(t, s, payloads[i:])
		for range 2 {
			_ = verify.VerifySignature(p, s.Public(), flipped(batch[0].GetSignatureBlock(), 20), memory)
			if memory.Len() != i {
				t.Errorf("%d batches are remembered, not %d", memory.Len(), i)
			}
		}
		for j := range batch {
			if err := verify.VerifySignature(payloads[i+j], s.Public(), batch[j].GetSignatureBlock(), memory); err != nil {
				t.Error(err)
			}
		}
		if memory.Len() != i+1 {
			t.Errorf("%d batches are remembered, not %d", memory.Len(), i+1)
		}
	}
}

// TestBatchMemoryConcurrently lets many goroutines share a memory that is too
// small for their batches.
func TestBatchMemoryConcurrently(t *testing.T) {
	s, memory := verifytest.Key("acme"), verify.NewBatchMemory(2)
	payloads := batchOf(t, 8)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range len(payloads) - 1 {
				for j, env := range signBatch(t, s, payloads[i:i+2]) {
					if err := verify.VerifySignature(payloads[i+j], s.Public(), env.GetSignatureBlock(), memory); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestBatchMemoryIsExact verifies statements of batches in any order, sound and
// altered in every part, with memories of several states: each says of every
// block what a verifier without a memory says.
func TestBatchMemoryIsExact(t *testing.T) {
	s := verifytest.Key("acme")
	all := batchOf(t, 70)
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17, 21, 33, 64, 70} {
		envs := signBatch(t, s, all[:n])
		memory := verify.NewBatchMemory(2)
		for range 2 { // not remembered at first, then in part, then fully
			for _, i := range r.Perm(n) {
				block := envs[i].GetSignatureBlock()
				for range 6 {
					sameWithMemory(t, all[r.IntN(n)], s.Public(), altered(r, block, envs[r.IntN(n)].GetSignatureBlock()), memory)
				}
				sameWithMemory(t, all[i], s.Public(), block, memory)
				for range 6 {
					sameWithMemory(t, all[i], s.Public(), altered(r, block, envs[r.IntN(n)].GetSignatureBlock()), memory)
				}
			}
		}
	}
}

// altered returns a block with something else in it: a flipped bit of the place or
// path, hashes of the path in another order or out of another block, zeros, or
// the place of another block.
func altered(r *rand.Rand, block, other []byte) []byte {
	const place, path = 68, 84
	b := bytes.Clone(block)
	hashes := (len(b) - path) / verify.HashSize
	at := func() int { return path + r.IntN(hashes)*verify.HashSize }
	switch kind := r.IntN(6); {
	case kind == 0:
		b[place+r.IntN(len(b)-place)] ^= 1 << r.IntN(8)
	case kind == 1:
		copy(b[place:path], other[place:path])
	case kind == 2 && len(other) == len(b):
		copy(b[place:], other[place:])
	case hashes == 0:
	case kind == 3:
		i, j := at(), at()
		was := bytes.Clone(b[i : i+verify.HashSize])
		copy(b[i:], b[j:j+verify.HashSize])
		copy(b[j:], was)
	case kind == 4:
		clear(b[at():][:verify.HashSize])
	case kind == 5 && len(other) == len(b):
		i := at()
		copy(b[i:], other[i:i+verify.HashSize])
	}
	return b
}

func sameWithMemory(t *testing.T, p *verify.Payload, key *verify.PublicKey, block []byte, memory *verify.BatchMemory) {
	t.Helper()
	want, got := verify.VerifySignature(p, key, block, nil), verify.VerifySignature(p, key, block, memory)
	if (want == nil) != (got == nil) || errors.Is(want, verify.ErrMalformed) != errors.Is(got, verify.ErrMalformed) {
		t.Fatalf("block %x: with a memory %v, without %v", block, got, want)
	}
}

// TestBatchMemoryForgetsTrees has more batches in memory than trees: their
// statements verify none the less, and others do not.
func TestBatchMemoryForgetsTrees(t *testing.T) {
	s, memory := verifytest.Key("acme"), verify.NewBatchMemory(1000)
	payloads := slices.Repeat(batchOf(t, 3), verify.MaxBatch/3)
	var firsts, lasts [][]byte
	for i := range 70 { // of which 64 have room
		envs := signBatch(t, s, payloads[:len(payloads)-i])
		firsts, lasts = append(firsts, envs[0].GetSignatureBlock()), append(lasts, envs[1].GetSignatureBlock())
	}
	for _, b := range firsts {
		if err := verify.VerifySignature(payloads[0], s.Public(), b, memory); err != nil {
			t.Fatal(err)
		}
	}
	if batches, trees := memory.Len(), memory.Trees(); batches != 70 || trees < 60 || trees > 66 {
		t.Errorf("%d batches are remembered, %d trees", batches, trees)
	}
	for _, b := range lasts {
		if err := verify.VerifySignature(payloads[1], s.Public(), b, memory); err != nil {
			t.Fatal(err)
		}
		sameWithMemory(t, payloads[0], s.Public(), b, memory)
		sameWithMemory(t, payloads[1], s.Public(), flipped(b, len(b)-1), memory)
	}
}
