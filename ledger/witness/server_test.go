package witness_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger/witness"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// histories returns two histories of one ledger that part after three entries.
func histories(t *testing.T) (made *verifytest.Ledger, one, other *verifytest.History) {
	made = verifytest.NewLedger(t)
	common := made.Register("acme")
	one, other = made.NewHistory(common...), made.NewHistory(common...)
	for i := range uint64(9) {
		one.Record(made.Transaction("acme", 1+i))
		other.Record(made.Transaction("acme", 100+i))
	}
	return made, one, other
}

func (o *own) add(t *testing.T, body []byte) (*http.Response, string) {
	t.Helper()
	resp, err := http.Post(o.URL+"/add-checkpoint", "text/plain", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// TestServer: status by status as C2SP tlog-witness demands, in an order in which
// each refusal leaves the witness as it was.
func TestServer(t *testing.T) {
	made, one, other := histories(t)
	o := newOwn(t, "witness.test/1", made.Log.CheckpointVKey())
	verifier, err := f_note.NewVerifierForCosignatureV1(o.vkey)
	if err != nil {
		t.Fatal(err)
	}
	of := func(h *verifytest.History, old, size uint64) []byte {
		r := witness.Request{Old: old, Checkpoint: h.Checkpoint(size).Note}
		if 0 < old && old < size {
			r.Proof = h.Tree.Consistency(old, size)
		}
		return r.Bytes()
	}
	sign := func(size uint64, root verify.Hash, signer note.Signer) []byte {
		cp, err := verify.SignCheckpoint(signer, size, root)
		if err != nil {
			t.Fatal(err)
		}
		return cp.Note
	}
	forged := bytes.Replace(of(one, 0, 5), []byte("\n5\n"), []byte("\n6\n"), 1)
	stranger := verifytest.CheckpointSigner("other.test/2026")
	unsigned, err := note.Sign(&note.Note{Text: "ledger.test/2026\n5\nAAAA\n"}, stranger)
	if err != nil {
		t.Fatal(err)
	}
	many := witness.Request{Checkpoint: one.Checkpoint(5).Note}
	for range 64 {
		many.Proof = append(many.Proof, make([]byte, 32))
	}
	empty := verify.NewChain().Root()
	for _, test := range []struct {
		name string
		body []byte
		code int
		text string // of the answer; "" for any, "cosignature" for one
	}{
		{"nothing", nil, 400, ""},
		{"no old size", one.Checkpoint(5).Note, 400, ""},
		{"leading zero", bytes.Replace(of(one, 0, 5), []byte("old 0"), []byte("old 00"), 1), 400, ""},
		{"sign", bytes.Replace(of(one, 0, 5), []byte("old 0"), []byte("old +0"), 1), 400, ""},
		{"too many hashes", many.Bytes(), 400, ""},
		{"a hash that is none", bytes.Replace(of(one, 3, 5), []byte("\n\n"), []byte("\nAAAA\n\n"), 1), 400, ""},
		{"too long", append(of(one, 0, 5), bytes.Repeat([]byte("x"), 1<<17)...), 400, ""},
		{"unknown origin", witness.Request{Checkpoint: sign(5, one.Tree.Root(5), stranger)}.Bytes(), 404, ""},
		{"another's signature", witness.Request{Checkpoint: unsigned}.Bytes(), 403, ""},
		{"bad signature", forged, 403, ""},
		{"old size too large", of(one, 6, 5), 400, ""},
		{"a first size that is not 0", of(one, 3, 5), 409, "0\n"},
		{"a proof from 0", witness.Request{Proof: [][]byte{make([]byte, 32)}, Checkpoint: one.Checkpoint(5).Note}.Bytes(), 422, ""},
		{"size 0 with a root", witness.Request{Checkpoint: sign(0, one.Tree.Root(1), made.Checkpoints)}.Bytes(), 422, ""},
		{"size 0", witness.Request{Checkpoint: sign(0, empty, made.Checkpoints)}.Bytes(), 200, "cosignature"},
		{"first", of(one, 0, 5), 200, "cosignature"},
		{"again", of(one, 5, 5), 200, "cosignature"},
		{"from 0 again", of(one, 0, 5), 409, "5\n"},
		{"from another size", of(one, 4, 7), 409, "5\n"},
		{"backwards", of(one, 4, 4), 409, "5\n"},
		{"the same size, another root", of(other, 5, 5), 422, ""},
		{"a fork", of(other, 5, 8), 422, ""},
		{"no proof", witness.Request{Old: 5, Checkpoint: one.Checkpoint(8).Note}.Bytes(), 422, ""},
		{"a proof at the same size", witness.Request{Old: 5, Proof: [][]byte{make([]byte, 32)}, Checkpoint: one.Checkpoint(5).Note}.Bytes(), 422, ""},
		{"more", of(one, 5, 8), 200, "cosignature"},
		{"more yet", of(one, 8, 12), 200, "cosignature"},
	} {
		resp, text := o.add(t, test.body)
		if resp.StatusCode != test.code || test.text != "" && test.text != "cosignature" && text != test.text {
			t.Errorf("%s: %s %q, want %d %q", test.name, resp.Status, text, test.code, test.text)
		}
		if test.code == 409 && resp.Header.Get("Content-Type") != "text/x.tlog.size" {
			t.Errorf("%s: %v", test.name, resp.Header)
		}
		if test.text != "cosignature" || resp.StatusCode != 200 {
			continue
		}
		_, signed, _ := strings.Cut(string(test.body), "\n\n")
		if n, err := note.Open([]byte(signed+text), note.VerifierList(verifier)); err != nil || len(n.Sigs) != 1 {
			t.Errorf("%s: %q: %v", test.name, text, err)
		}
	}
	if resp, err := http.Get(o.URL + "/add-checkpoint"); err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v %v", resp.Status, err)
	}
	o.checkKept(t, made, 12)
	// What it refused was evidence.
	b, err := os.ReadFile(filepath.Join(o.dir, fmt.Sprintf("%x.fork.json", sha256.Sum256([]byte(made.Log.Origin())))))
	if err != nil {
		t.Fatal(err)
	}
	if _, fork, err := verify.OpenFork(b); err != nil || fork.Older.Size != 5 {
		t.Errorf("the proof of fork: %v", err)
	}
}

// checkKept checks what the witness shows, and that it goes on there after a
// restart.
func (o *own) checkKept(t *testing.T, made *verifytest.Ledger, size uint64) {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("%s/%x/checkpoint", o.URL, sha256.Sum256([]byte(made.Log.Origin()))))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	shown, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := made.Log.OpenCheckpoint(shown)
	if err == nil {
		err = policyOf(t, 1, o).Check(made.Log, cp)
	}
	if err != nil || cp.Size != size {
		t.Fatalf("shown: %v\n%s", err, shown)
	}
	signer, _ := cosigner(t, "witness.test/1")
	again, err := witness.NewServer(witness.ServerConfig{Signer: signer, Logs: []string{made.Log.CheckpointVKey()}, Dir: o.dir})
	if err != nil {
		t.Fatal(err)
	}
	o.answer(again.ServeHTTP)
	if resp, text := o.add(t, witness.Request{Checkpoint: cp.Note}.Bytes()); resp.StatusCode != 409 || text != fmt.Sprintf("%d\n", size) {
		t.Errorf("after a restart: %s %q", resp.Status, text)
	}
}

// TestServerRace: of requests at once from one size, one is cosigned.
func TestServerRace(t *testing.T) {
	made, one, other := histories(t)
	o := newOwn(t, "witness.test/1", made.Log.CheckpointVKey())
	if resp, _ := o.add(t, witness.Request{Checkpoint: one.Checkpoint(3).Note}.Bytes()); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	var requests sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for size := uint64(4); size <= 12; size++ {
		for _, h := range []*verifytest.History{one, other} {
			body := witness.Request{Old: 3, Proof: h.Tree.Consistency(3, size), Checkpoint: h.Checkpoint(size).Note}.Bytes()
			requests.Go(func() {
				resp, err := http.Post(o.URL+"/add-checkpoint", "", bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				mu.Lock()
				defer mu.Unlock()
				codes[resp.StatusCode]++
			})
		}
	}
	requests.Wait()
	if codes[200] != 1 || codes[409] != 17 {
		t.Errorf("answers: %v", codes)
	}
}

// TestServerDamaged: a witness that lost what it cosigned does not begin anew.
func TestServerDamaged(t *testing.T) {
	made, one, _ := histories(t)
	o := newOwn(t, "witness.test/1", made.Log.CheckpointVKey())
	if resp, _ := o.add(t, witness.Request{Checkpoint: one.Checkpoint(3).Note}.Bytes()); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	path := filepath.Join(o.dir, fmt.Sprintf("%x", sha256.Sum256([]byte(made.Log.Origin()))))
	signer, _ := cosigner(t, "witness.test/1")
	for _, content := range []string{"", "ledger.test/2026\n3\nAAAA\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := witness.NewServer(witness.ServerConfig{Signer: signer, Logs: []string{made.Log.CheckpointVKey()}, Dir: o.dir}); err == nil {
			t.Errorf("%q is gone on with", content)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte("old 1\n" + strings.Repeat("A", 43) + "=\n\nx"))
	f.Add([]byte("old 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := witness.ParseRequest(b)
		if err == nil && !bytes.Equal(r.Bytes(), b) {
			t.Errorf("%q is read as %q", b, r.Bytes())
		}
		if err != nil && !errors.Is(err, witness.ErrRequest) {
			t.Errorf("%q: %v", b, err)
		}
	})
}
