package tesseratest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger/witness"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// key returns a new note key.
func key(t *testing.T, name string) (skey, vkey string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	return skey, vkey
}

// appendTo appends entries to a log of Tessera's, which publishes no checkpoint that
// its policy is not satisfied with, and returns the checkpoint that covers the last.
func appendTo(ctx context.Context, dir, skey string, policy []byte, entries ...string) (checkpoint []byte, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end() // what runs behind an appender goes on until then
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, err
	}
	witnesses, err := tessera.NewWitnessGroupFromPolicy(policy)
	if err != nil {
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return nil, err
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithCheckpointInterval(100*time.Millisecond).WithBatching(8, 10*time.Millisecond).
		WithWitnesses(witnesses, &tessera.WitnessOptions{Timeout: time.Second}))
	if err != nil {
		return nil, err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 50*time.Millisecond)
	for _, e := range entries {
		if _, checkpoint, err = awaiter.Await(ctx, appender.Add(ctx, tessera.NewEntry([]byte(e)))); err != nil {
			return nil, err
		}
	}
	return checkpoint, shutdown(ctx)
}

// TestWitness: Tessera appends under a policy that names our witness, and has its
// cosignature. A second history of the same log has none, and leaves the proof.
func TestWitness(t *testing.T) {
	logKey, logVKey := key(t, "tessera.test/log")
	skey, plain := key(t, "witness.test/w1")
	signer, err := f_note.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := f_note.VKeyToCosignatureV1(plain)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w, err := witness.NewServer(witness.ServerConfig{Signer: signer, Logs: []string{logVKey}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan int, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		w.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes())
		if answer.Code == http.StatusUnprocessableEntity {
			refused <- answer.Code
		}
	}))
	defer s.Close()
	text := fmt.Appendf(nil, "witness w1 %s %s\nquorum w1\n", vkey, s.URL)
	policy, err := verify.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	log, err := verify.NewLog(verify.Hash{}, logVKey)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	signed, err := appendTo(ctx, t.TempDir(), logKey, text, "a", "b", "c")
	if err != nil {
		t.Fatal(err)
	}
	cp, err := log.OpenCheckpoint(signed)
	if err == nil {
		err = policy.Check(log, cp)
	}
	if err != nil || cp.Size != 3 {
		t.Fatalf("%v\n%s", err, signed)
	}

	other := t.TempDir()
	if _, err := appendTo(ctx, other, logKey, []byte("quorum none\n"), "x", "y", "z", "0", "1", "2"); err != nil {
		t.Fatal(err)
	}
	forked, end := context.WithCancel(ctx)
	appended := make(chan error, 1)
	go func() {
		_, err := appendTo(forked, other, logKey, text, "3")
		appended <- err
	}()
	select {
	case <-refused:
	case err := <-appended:
		t.Fatalf("the second history was not refused: %v", err)
	}
	end()
	if err := <-appended; err == nil {
		t.Error("the second history was published")
	}
	b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%x.fork.json", sha256.Sum256([]byte(log.Origin())))))
	if err != nil {
		t.Fatal(err)
	}
	if _, fork, err := verify.OpenFork(b); err != nil || fork.Older.Size != 3 {
		t.Errorf("the proof of fork: %v", err)
	}
}
