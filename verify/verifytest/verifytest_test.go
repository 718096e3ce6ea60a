package verifytest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// TestSameLedger checks that a ledger is a function of its arguments.
func TestSameLedger(t *testing.T) {
	one, two := verifytest.NewLedger(t), verifytest.NewLedger(t)
	if one.Log.ID() != two.Log.ID() {
		t.Error("two ledgers of one name differ")
	}
	if other := verifytest.NewLedgerAt(t, verifytest.Origin, verifytest.Founded.AddDate(1, 0, 0)); other.Log.ID() == one.Log.ID() {
		t.Error("a ledger that was founded later is the same")
	}
	a, b := one.Transaction("acme", 1), two.Transaction("acme", 1)
	if verifytest.StatementHash(a) != verifytest.StatementHash(b) {
		t.Error("the first transactions differ")
	}
	if verifytest.StatementHash(a) == verifytest.StatementHash(one.Transaction("acme", 1)) {
		t.Error("two transactions of one ledger are the same")
	}
}

// TestHistory checks that everything a history gives verifies.
func TestHistory(t *testing.T) {
	l := verifytest.NewLedger(t)
	h := l.NewHistory(l.Register("acme", tracev1.Role_ROLE_PRODUCER)...)
	l.Now = l.Now.Add(time.Hour)
	h.Record(l.Transaction("acme", 1))
	h.Record(l.SignBatch(verifytest.Key("acme"), l.TransactionStatement("acme", 2), l.TransactionStatement("acme", 3))...)
	a := verify.NewAuditor(l.Log, true)
	var older *verify.Checkpoint
	for _, size := range []uint64{2, 2, 5, h.Size()} {
		cp := h.Checkpoint(size)
		for _, f := range verifytest.Audit(a, cp, h.All(a.Size())) {
			t.Errorf("size %d: %v", size, f)
		}
		if older != nil {
			if err := verify.VerifyConsistency(older, cp, h.Tree.Consistency(older.Size, cp.Size)); err != nil {
				t.Error(err)
			}
		}
		older = cp
	}
	for i := range h.Size() {
		if _, err := l.Log.VerifyBundle(h.Bundle(i)); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	if h.Chain().Size() != h.Size() || h.Chain().Root() != h.Tree.Root(h.Size()) {
		t.Error("chain and tree differ")
	}
}

// TestTree compares roots with those that the certificate transparency project
// publishes for eight leaves.
func TestTree(t *testing.T) {
	tree := verifytest.NewTree()
	for i, v := range []struct{ leaf, root string }{
		{"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
		{"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
		{"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
		{"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
		{"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
		{"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
		{"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
	} {
		b, err := hex.DecodeString(v.leaf)
		if err != nil {
			t.Fatal(err)
		}
		tree.Append(verify.Hash(sha256.Sum256(append([]byte{0}, b...))))
		if got := tree.Root(uint64(i + 1)).String(); got != v.root {
			t.Errorf("size %d: root %s, want %s", i+1, got, v.root)
		}
	}
}
