package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

func naivePAE(payloadType string, body []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(body), body)
}

func TestPAE(t *testing.T) {
	// The example of the DSSE protocol.
	got := string(verify.PAE("http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, size := range []int{0, 1, 9, 10, 99, 100, 12345} {
		body := bytes.Repeat([]byte{' '}, size)
		for _, kind := range []string{"", verify.StatementType, verify.BatchType, verify.KeyPossessionType} {
			if got, want := verify.PAE(kind, body), naivePAE(kind, body); !bytes.Equal(got, want) {
				t.Errorf("%q and %d bytes: got %q, want %q", kind, size, got, want)
			}
		}
		want := verify.Hash(sha256.Sum256(append([]byte{0}, naivePAE(verify.StatementType, body)...)))
		if got := verify.PayloadLeaf(body); got != want {
			t.Errorf("leaf of %d bytes: got %s, want %s", size, got, want)
		}
	}
}

func TestStatementHash(t *testing.T) {
	leaf, keyID := verify.Hash{1}, verify.Hash{2}
	block := []byte("a signature block")
	inner := sha256.Sum256(block)
	in := cat([]byte("magnet-ledger statement v1\n"), leaf[:], keyID[:], inner[:])
	if len(in) != 123 {
		t.Fatalf("%d bytes go in, not 123", len(in))
	}
	if got, want := verify.StatementHash(leaf, keyID, block), verify.Hash(sha256.Sum256(in)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseHash(t *testing.T) {
	want := verify.Hash{1, 2, 3}
	got, err := verify.ParseHash(want[:])
	if err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	if want.IsZero() || !(verify.Hash{}).IsZero() {
		t.Error("IsZero is wrong")
	}
	for _, size := range []int{0, 31, 33} {
		if _, err := verify.ParseHash(make([]byte, size)); err == nil {
			t.Errorf("%d bytes are taken for a hash", size)
		}
	}
}

// TestDocumentation holds the worked example of the package documentation
// against the vectors.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	squeeze := strings.NewReplacer("\n//", "", "\n", "", "\t", "", " ", "")
	text := squeeze.Replace(string(doc))
	check := func(what string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, squeeze.Replace(part)) {
				t.Errorf("%s: the documentation does not have %s", what, part)
			}
		}
	}
	for _, v := range loadVectors[[]statementVector](t, "statements.json")[:2] {
		key, err := verify.ParsePublicKey(v.SPKI)
		if err != nil {
			t.Fatal(err)
		}
		check(v.Name, key.ID().String(), hex.EncodeToString(v.SPKI), hex.EncodeToString(v.PAE), hex.EncodeToString(v.Leaf),
			hex.EncodeToString(v.SignedMessage), hex.EncodeToString(v.SignatureBlock), hex.EncodeToString(v.StatementHash))
	}
	for i, v := range loadVectors[entryVectors](t, "entries.json").Accepted[:2] {
		check(fmt.Sprintf("entry %d", i), hex.EncodeToString(v.Bytes), hex.EncodeToString(v.LeafHash))
	}
	checkpoints := loadVectors[checkpointVectors](t, "checkpoints.json")
	check("checkpoint", checkpoints.VKey, checkpoints.Accepted[0].Note, hex.EncodeToString(checkpoints.Accepted[0].Root))
	for _, kind := range findingKinds {
		check("finding", string(kind))
	}
}
