package verify_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

var update = flag.Bool("update", false, "make the frozen vectors in testdata anew; ECDSA signatures will differ")

// hexBytes are bytes that stand in JSON as lower-case hexadecimal.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func (h hexBytes) hash(t testing.TB) verify.Hash {
	t.Helper()
	sum, err := verify.ParseHash(h)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// The forms of the files, which testdata/README.md describes.
type (
	refusalVector struct {
		Name  string   `json:"name"`
		Bytes hexBytes `json:"bytes"`
		Error string   `json:"error"`
	}

	canonicalVectors struct {
		Accepted []canonicalVector  `json:"accepted"`
		Refused  []canonicalRefusal `json:"refused"`
	}
	canonicalVector struct {
		Name      string          `json:"name"`
		Bytes     hexBytes        `json:"bytes"`
		Statement json.RawMessage `json:"statement"`
	}
	canonicalRefusal struct {
		refusalVector
		Offset int `json:"offset"`
	}

	keyVectors struct {
		Accepted   []keyVector        `json:"accepted"`
		Refused    []refusalVector    `json:"refused"`
		Possession []possessionVector `json:"possession"`
	}
	keyVector struct {
		Name      string   `json:"name"`
		Algorithm string   `json:"algorithm"`
		Private   hexBytes `json:"private"`
		SPKI      hexBytes `json:"spki"`
		KeyID     hexBytes `json:"key_id"`
	}
	possessionVector struct {
		SPKI          hexBytes `json:"spki"`
		LedgerID      hexBytes `json:"ledger_id"`
		ParticipantID string   `json:"participant_id"`
		Message       hexBytes `json:"message"`
		Signature     hexBytes `json:"signature"`
	}

	signatureVector struct {
		Name      string   `json:"name"`
		SPKI      hexBytes `json:"spki"`
		Payload   hexBytes `json:"payload"`
		Signature hexBytes `json:"signature"`
		Error     string   `json:"error,omitempty"`
	}

	statementVector struct {
		Name           string     `json:"name"`
		SPKI           hexBytes   `json:"spki"`
		Payload        hexBytes   `json:"payload"`
		PAE            hexBytes   `json:"pae"`
		Leaf           hexBytes   `json:"leaf"`
		BatchRoot      hexBytes   `json:"batch_root,omitempty"`
		SignedMessage  hexBytes   `json:"signed_message"`
		SignatureBlock hexBytes   `json:"signature_block"`
		Form           int        `json:"form"`
		Algorithm      int        `json:"algorithm"`
		Signature      hexBytes   `json:"signature"`
		Size           uint64     `json:"size,omitempty"`
		Position       uint64     `json:"position,omitempty"`
		Path           []hexBytes `json:"path,omitempty"`
		StatementHash  hexBytes   `json:"statement_hash"`
	}

	entryVectors struct {
		Accepted []entryVector   `json:"accepted"`
		Refused  []refusalVector `json:"refused"`
	}
	entryVector struct {
		Bytes             hexBytes `json:"bytes"`
		Index             uint64   `json:"index,string"`
		SequencedAtMicros int64    `json:"sequenced_at_micros,string"`
		Previous          hexBytes `json:"previous"`
		StatementHash     hexBytes `json:"statement_hash"`
		LeafHash          hexBytes `json:"leaf_hash"`
	}

	chainVectors struct {
		Entries     []hexBytes          `json:"entries"`
		Roots       map[uint64]hexBytes `json:"roots"`
		Inclusion   []inclusionVector   `json:"inclusion"`
		Consistency []consistencyVector `json:"consistency"`
	}
	inclusionVector struct {
		Index uint64     `json:"index"`
		Size  uint64     `json:"size"`
		Path  []hexBytes `json:"path"`
	}
	consistencyVector struct {
		Older uint64     `json:"older"`
		Newer uint64     `json:"newer"`
		Path  []hexBytes `json:"path"`
	}

	checkpointVectors struct {
		VKey     string             `json:"vkey"`
		Accepted []checkpointVector `json:"accepted"`
		Refused  []refusalVector    `json:"refused"`
	}
	checkpointVector struct {
		Name string   `json:"name"`
		Note string   `json:"note"`
		Size uint64   `json:"size,string"`
		Root hexBytes `json:"root"`
	}

	receiptVectors struct {
		LedgerCard cardVector      `json:"ledger_card"`
		Bundles    []bundleVector  `json:"bundles"`
		Refused    []bundleRefusal `json:"refused"`
	}
	cardVector struct {
		LedgerID       hexBytes `json:"ledger_id"`
		CheckpointVKey string   `json:"checkpoint_vkey"`
	}
	bundleVector struct {
		Name          string          `json:"name"`
		Bundle        json.RawMessage `json:"bundle"`
		Index         uint64          `json:"index,string"`
		KeyID         hexBytes        `json:"key_id"`
		StatementHash hexBytes        `json:"statement_hash"`
	}
	bundleRefusal struct {
		Name   string          `json:"name"`
		Bundle json.RawMessage `json:"bundle"`
		Error  string          `json:"error"`
	}
)

var updateOnce sync.Once

// loadVectors reads a file of testdata; with -update all are made anew before
// the first is read.
func loadVectors[T any](t testing.TB, name string) T {
	t.Helper()
	if *update {
		updateOnce.Do(func() { updateVectors(t) })
	}
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var v T
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// errorClasses are the names of errors in the vectors.
var errorClasses = map[string]error{
	"malformed":     verify.ErrMalformed,
	"not canonical": verify.ErrNotCanonical,
	"key-form":      verify.ErrKeyForm,
	"signature":     verify.ErrSignature,
	"checkpoint":    verify.ErrCheckpoint,
	"receipt":       verify.ErrReceipt,
}

func checkClass(t *testing.T, err error, class string) {
	t.Helper()
	want, ok := errorClasses[class]
	if !ok {
		t.Fatalf("no error class is called %q", class)
	}
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}
