package verify_test

import (
	"testing"

	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func BenchmarkStatementHash(b *testing.B) {
	p := oneLinePayload(b)
	env, err := verifytest.Key("acme").Sign(p)
	if err != nil {
		b.Fatal(err)
	}
	keyID, block := verify.Hash(env.GetKeyId()), env.GetSignatureBlock()
	b.ReportAllocs()
	for b.Loop() {
		verify.StatementHash(p.Leaf, keyID, block)
	}
}

func BenchmarkPayloadLeaf(b *testing.B) {
	payload := oneLinePayload(b).Bytes
	b.ReportAllocs()
	for b.Loop() {
		verify.PayloadLeaf(payload)
	}
}

// BenchmarkParsePayload parses a transaction of one line.
func BenchmarkParsePayload(b *testing.B) {
	payload := oneLinePayload(b).Bytes
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verify.ParsePayload(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifySingle(b *testing.B) {
	for _, s := range bothSigners() {
		for name, key := range map[string]*verify.PublicKey{"": s.Public(), "/prepared": s.Public().Prepared()} {
			b.Run(key.Algorithm().String()+name, func(b *testing.B) {
				p := oneLinePayload(b)
				env, err := s.Sign(p)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := verify.VerifySignature(p, key, env.GetSignatureBlock(), nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkPrepared(b *testing.B) {
	key := verifytest.Key("acme").Public()
	for b.Loop() {
		key.Prepared()
	}
}

// BenchmarkVerifyBatch verifies batches of 256 as a server does, with a memory;
// figures are per statement.
func BenchmarkVerifyBatch(b *testing.B) {
	for _, s := range bothSigners() {
		b.Run(s.Public().Algorithm().String(), func(b *testing.B) {
			payloads := batchOf(b, 256)
			envs := signBatch(b, s, payloads)
			memory, i := verify.NewBatchMemory(16), 0
			b.ReportAllocs()
			for b.Loop() {
				if i == len(envs) {
					memory, i = verify.NewBatchMemory(16), 0
				}
				if err := verify.VerifySignature(payloads[i], s.Public(), envs[i].GetSignatureBlock(), memory); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func BenchmarkSignBatch(b *testing.B) {
	s, payloads := verifytest.Key("acme"), batchOf(b, 256)
	b.ReportAllocs()
	for b.Loop() {
		signBatch(b, s, payloads)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/statement")
}

// BenchmarkChainAppend takes entries as an auditor does, who wants no nodes.
func BenchmarkChainAppend(b *testing.B) {
	c, hash := verify.NewChain(), verify.Hash{1}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Append(c.Next(hash, 1), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePublicKey(b *testing.B) {
	for _, s := range bothSigners() {
		b.Run(s.Public().Algorithm().String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verify.ParsePublicKey(s.Public().SPKI()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyBundle(b *testing.B) {
	s := newSample(b)
	bundle := s.Bundle(boltBatch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Log.VerifyBundle(bundle); err != nil {
			b.Fatal(err)
		}
	}
}
