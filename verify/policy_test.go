package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// cosigner returns a witness that signs with Ed25519, or with ML-DSA-44.
func cosigner(t *testing.T, name string, mldsa bool) (note.Signer, string) {
	t.Helper()
	if mldsa {
		skey, vkey, err := f_note.GenerateMLDSAKey(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := f_note.NewMLDSASigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		return s, vkey
	}
	skey, plain := verifytest.CheckpointKey(name)
	s, err := f_note.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := f_note.VKeyToCosignatureV1(plain)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

// linesOf are the signature lines of a signer on a checkpoint.
func linesOf(t *testing.T, cp *verify.Checkpoint, s note.Signer) []byte {
	t.Helper()
	text, _, _ := strings.Cut(string(cp.Note), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	return signed[len(text)+2:]
}

// TestPolicy: the example of the specification, with every set of cosigners against
// the rule worked out by hand.
func TestPolicy(t *testing.T) {
	made := verifytest.NewLedger(t)
	cp := made.NewHistory().Checkpoint(1)
	names := []string{"X1", "X2", "X3", "Y1", "Y2", "Y3"}
	text := "# the example of tlog-policy\n\tlog " + made.Log.CheckpointVKey() + " https://log.test/\n"
	var signers []note.Signer
	for i, name := range names {
		s, vkey := cosigner(t, "witness.test/"+strings.ToLower(name), i == 5)
		signers = append(signers, s)
		text += fmt.Sprintf("witness %s %s\t\n", name, vkey)
	}
	text += " group X-witnesses 2 X1 X2 X3\n\n  # either\ngroup Y-witnesses any Y1 Y2 Y3\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
	p, err := verify.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for set := range 1 << len(signers) {
		with := cp
		for i, s := range signers {
			if set>>i&1 == 1 {
				if with, err = p.Cosign(made.Log, with, p.Witnesses()[i], linesOf(t, cp, s)); err != nil {
					t.Fatal(err)
				}
			}
		}
		x, y := set&1+set>>1&1+set>>2&1, set>>3
		if err := p.Check(made.Log, with); (err == nil) != (x >= 2 && y > 0) || err != nil && !errors.Is(err, verify.ErrPolicy) {
			t.Errorf("set %06b: %v", set, err)
		}
	}
}

// TestPolicyForged: what is no cosignature on this checkpoint does not count.
func TestPolicyForged(t *testing.T) {
	made := verifytest.NewLedger(t)
	h := made.NewHistory(made.Register("acme")...)
	cp, other := h.Checkpoint(2), h.Checkpoint(3)
	s, vkey := cosigner(t, "witness.test/1", false)
	stranger, _ := cosigner(t, "witness.test/2", false)
	skey, _ := verifytest.CheckpointKey("witness.test/1")
	plain, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	p, err := verify.ParsePolicy([]byte("witness w " + vkey + "\nquorum w"))
	if err != nil {
		t.Fatal(err)
	}
	w := p.Witnesses()[0]
	for name, answer := range map[string][]byte{
		"nothing": nil, "rubbish": []byte("hello\n"), "of another checkpoint": linesOf(t, other, s), "a stranger's": linesOf(t, cp, stranger),
		"not a cosignature": linesOf(t, cp, plain), "without its newline": bytes.TrimSpace(linesOf(t, cp, s)),
		"beside another text": append([]byte("\n"), linesOf(t, cp, s)...),
	} {
		if _, err := p.Cosign(made.Log, cp, w, answer); !errors.Is(err, verify.ErrCosignature) {
			t.Errorf("%s: %v, want ErrCosignature", name, err)
		}
		bad := &verify.Checkpoint{Size: cp.Size, Root: cp.Root, Note: append(bytes.Clone(cp.Note), answer...)}
		if err := p.Check(made.Log, bad); !errors.Is(err, verify.ErrPolicy) {
			t.Errorf("%s: %v, want ErrPolicy", name, err)
		}
	}
	with, err := p.Cosign(made.Log, cp, w, append(linesOf(t, cp, stranger), linesOf(t, cp, s)...))
	if err != nil || p.Check(made.Log, with) != nil || bytes.Contains(with.Note, []byte("witness.test/2")) {
		t.Errorf("beside a stranger's: %v\n%s", err, with.Note)
	}
	log := verifytest.NewLedgerAt(t, "other.test/2026", verifytest.Founded).Log
	named, err := verify.ParsePolicy([]byte("log " + log.CheckpointVKey() + "\nquorum none"))
	if err != nil {
		t.Fatal(err)
	}
	if err := named.Check(made.Log, cp); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("a log that is not named: %v", err)
	}
	if err := named.Check(log, cp); err != nil {
		t.Errorf("quorum none: %v", err)
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	_, a := cosigner(t, "witness.test/a", false)
	_, b := cosigner(t, "witness.test/b", false)
	_, plain := verifytest.CheckpointKey("witness.test/c")
	twice := "witness a " + a + "\nwitness b " + b + "\n"
	for name, text := range map[string]string{
		"empty": "", "no quorum": twice, "two quorums": twice + "quorum a\nquorum a", "unknown quorum": twice + "quorum c",
		"quorum of two": twice + "quorum a b", "quorum before": "quorum a\n" + twice, "key twice": "witness a " + a + "\nwitness b " + a + "\nquorum a",
		"name twice": "witness a " + a + "\nwitness a " + b + "\nquorum a", "named none": "witness none " + a + "\nquorum none",
		"plain key": "witness c " + plain + "\nquorum c", "no key": "witness c\nquorum none", "bad key": "witness c " + a[:len(a)-4] + "\nquorum none",
		"wrong hash":                 "witness c witness.test/a+00000000" + a[len("witness.test/a+00000000"):] + "\nquorum none",
		"log with a cosignature key": "log " + a + "\nquorum none", "log twice": "log " + plain + "\nlog " + plain + " https://x\nquorum none",
		"group of none": twice + "group g all\nquorum g", "zero": twice + "group g 0 a\nquorum g", "too many": twice + "group g 3 a b\nquorum g",
		"member twice": twice + "group g any a a\nquorum g", "in two groups": twice + "group g any a\ngroup h any a\nquorum g",
		"group of itself": twice + "group g any g\nquorum g", "member none": twice + "group g any none\nquorum g", "later member": "group g any a\n" + twice + "quorum g",
		"word": "witnesses a " + a + "\nquorum none", "carriage return": "quorum none\r\n", "control": "quorum none # \x01",
		"comment behind": "quorum none # nothing", "hexadecimal": twice + "group g 0x1 a\nquorum g",
	} {
		if _, err := verify.ParsePolicy([]byte(text)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte("quorum none\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = verify.ParsePolicy(b) })
}
