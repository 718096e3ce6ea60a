package verify_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

func TestCheckpoint(t *testing.T) {
	l := verifytest.NewLedger(t)
	for _, size := range []uint64{0, 1, 1<<64 - 1} {
		root := verify.Hash(sha256.Sum256(be64(size)))
		made, err := verify.SignCheckpoint(l.Checkpoints, size, root)
		if err != nil {
			t.Fatal(err)
		}
		again, err := verify.SignCheckpoint(l.Checkpoints, size, root)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made.Note, again.Note) {
			t.Errorf("size %d: signed twice, it differs", size)
		}
		got, err := l.Log.OpenCheckpoint(made.Note)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(made, got); diff != "" {
			t.Errorf("size %d (-made +opened):\n%s", size, diff)
		}
	}
}

// TestTamperedCheckpoint flips each bit of a checkpoint. The only flips that
// pass are those of bits that base64 does not use: they change nothing that is
// said or signed.
func TestTamperedCheckpoint(t *testing.T) {
	l := verifytest.NewLedger(t)
	cp, err := verify.SignCheckpoint(l.Checkpoints, 12345, verify.Hash{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	spare := bytes.LastIndexByte(cp.Note, '=') - 1
	for i := range cp.Note {
		for bit := range 8 {
			b := bytes.Clone(cp.Note)
			b[i] ^= 1 << bit
			got, err := l.Log.OpenCheckpoint(b)
			if err == nil && i == spare && got.Size == cp.Size && got.Root == cp.Root {
				continue
			}
			if !errors.Is(err, verify.ErrCheckpoint) {
				t.Errorf("byte %d bit %d: got error %v", i, bit, err)
			}
		}
	}
	for n := range cp.Note {
		if _, err := l.Log.OpenCheckpoint(cp.Note[:n]); !errors.Is(err, verify.ErrCheckpoint) {
			t.Errorf("cut to %d bytes: got error %v", n, err)
		}
	}
}

func TestValidOrigin(t *testing.T) {
	for origin, want := range map[string]bool{
		"ledger.test":                true,
		"ledger.test/2026":           true,
		"a/b/c_d/e-f.g":              true,
		strings.Repeat("a", 200):     true,
		strings.Repeat("a", 201):     false,
		"":                           false,
		"/2026":                      false,
		"ledger.test/":               false,
		"ledger.test//2026":          false,
		"Ledger.test":                false,
		"ledger_test":                false,
		"ledger.test 2026":           false,
		"ledger.test\n":              false,
		"https://ledger.test":        false,
		"ledger.test/2026+x":         false,
		"ledger.test/\u00e9":         false,
		"ledger.test:443/2026":       false,
		"ledger.test/2026/\u202e2":   false,
		"ledger.test/2026?size=2026": false,
	} {
		if got := verify.ValidOrigin(origin); got != want {
			t.Errorf("%q: got %v", origin, got)
		}
	}
}

func TestNewLogRefuses(t *testing.T) {
	_, vkey := verifytest.CheckpointKey(verifytest.Origin)
	_, odd := verifytest.CheckpointKey("Ledger")
	for name, vkey := range map[string]string{
		"nothing":              "",
		"a name that is none":  odd,
		"another hash":         strings.Replace(vkey, "+1", "+2", 1),
		"another key":          vkey[:len(vkey)-4] + "AAAA",
		"another name":         "x" + vkey,
		"a secret key":         "PRIVATE+KEY+" + vkey,
		"a key that was cut":   vkey[:len(vkey)-4],
		"white space after it": vkey + "\n ",
		"a newline after it":   vkey + "\n",
		"a newline within it":  vkey[:len(vkey)-4] + "\n" + vkey[len(vkey)-4:],
		"a hash in capitals":   strings.Replace(vkey, "17fac3cf", "17FAC3CF", 1),
		"a key of small order": weakVKey(t),
	} {
		if _, err := verify.NewLog(verify.Hash{1}, vkey); err == nil {
			t.Errorf("%s is pinned", name)
		}
	}
	log, err := verify.NewLog(verify.Hash{1}, vkey)
	if err != nil {
		t.Fatal(err)
	}
	if log.ID() != (verify.Hash{1}) || log.Origin() != verifytest.Origin || log.CheckpointVKey() != vkey {
		t.Errorf("id %s, origin %s, vkey %s", log.ID(), log.Origin(), log.CheckpointVKey())
	}
}

func TestCheckpointKey(t *testing.T) {
	_, vkey := verifytest.CheckpointKey(verifytest.Origin)
	got, err := verify.CheckpointKey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	// The key of an origin is the one of that name.
	if want := verifytest.Key(verifytest.Origin).Public().ID(); got.ID() != want {
		t.Errorf("key id %s, want %s", got.ID(), want)
	}
	if _, err := verify.CheckpointKey(weakVKey(t)); !errors.Is(err, verify.ErrKeyForm) {
		t.Errorf("a key of small order: got error %v", err)
	}
	if _, err := verify.CheckpointKey("nonsense"); err == nil {
		t.Error("nonsense has a key")
	}
}

// weakVKey returns a verifier key for which everybody can sign.
func weakVKey(t *testing.T) string {
	t.Helper()
	vkey, err := note.NewEd25519VerifierKey(verifytest.Origin, append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		t.Fatal(err)
	}
	return vkey
}
