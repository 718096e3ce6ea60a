package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/backup"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// history is a log with its statements.
type history struct {
	t     *testing.T
	made  *verifytest.Ledger
	chain *verify.Chain
	list  []logged
}

type logged struct {
	entry verify.Entry
	env   *tracev1.Envelope
}

func newHistory(t *testing.T) *history {
	h := &history{t: t, made: verifytest.NewLedger(t), chain: verify.NewChain()}
	h.add(h.made.Genesis)
	h.add(h.made.Register("acme", tracev1.Role_ROLE_PRODUCER)...)
	return h
}

func (h *history) add(envs ...*tracev1.Envelope) {
	for _, env := range envs {
		hash := verify.StatementHash(verify.PayloadLeaf(env.GetPayload()), verify.Hash(env.GetKeyId()), env.GetSignatureBlock())
		e := h.chain.Next(hash, h.made.Now.UnixMicro()+int64(len(h.list)))
		if err := h.chain.Append(e, nil); err != nil {
			h.t.Fatal(err)
		}
		h.list = append(h.list, logged{e, env})
	}
}

// sell adds n transactions.
func (h *history) sell(n int) {
	var sts []*tracev1.Statement
	for i := range n {
		sts = append(sts, h.made.TransactionStatement("acme", uint64(i+1)))
	}
	h.add(h.made.SignBatch(verifytest.Key("acme"), sts...)...)
}

func (h *history) checkpoint() *verify.Checkpoint {
	h.t.Helper()
	cp, err := verify.SignCheckpoint(h.made.Checkpoints, h.chain.Size(), h.chain.Root())
	if err != nil {
		h.t.Fatal(err)
	}
	return cp
}

// write adds what a writer does not have, and finishes it.
func (h *history) write(w *backup.Writer) error {
	for _, l := range h.list[w.Size():] {
		if err := w.Add(l.entry, l.env); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return errors.Join(w.Finish(h.checkpoint()), w.Close())
}

// backUp runs a backup into a directory.
func (h *history) backUp(dir string, recipients ...string) {
	h.t.Helper()
	w, err := backup.OpenDir(dir, h.made.Log, backup.Options{Recipients: recipients})
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.write(w); err != nil {
		h.t.Fatal(err)
	}
}

// read reads a backup and compares it with the beginning of the log.
func (h *history) read(path, identities string) (size uint64, err error) {
	b, err := backup.Open(path, identities)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	chain := verify.NewChain()
	err = b.Visit(context.Background(), backup.Visitor{
		Statement: func(timeMicros int64, env *tracev1.Envelope) error {
			want := h.list[chain.Size()]
			if timeMicros != want.entry.SequencedAtMicros || !proto.Equal(env, want.env) {
				return fmt.Errorf("entry %d differs", chain.Size())
			}
			return chain.Append(want.entry, nil)
		},
		Checkpoint: func(cp *verify.Checkpoint) error {
			if cp.Size != chain.Size() || cp.Root != chain.Root() {
				return fmt.Errorf("the checkpoint of %d came at %d", cp.Size, chain.Size())
			}
			return nil
		},
	})
	return chain.Size(), err
}

// wantWhole tests that a backup holds the whole log.
func (h *history) wantWhole(path, identities string) {
	h.t.Helper()
	if size, err := h.read(path, identities); err != nil || size != h.chain.Size() {
		h.t.Errorf("read %d entries, %v; want %d", size, err, h.chain.Size())
	}
}

// files returns the files of a directory.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(dir, n.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[n.Name()] = b
	}
	return all
}

func TestIncremental(t *testing.T) {
	h, dir := newHistory(t), filepath.Join(t.TempDir(), "a", "b")
	h.backUp(dir)
	h.wantWhole(dir, "")
	h.backUp(dir) // nothing new
	if n := len(files(t, dir)); n != 2 {
		t.Errorf("%d files after a run without anything new", n)
	}
	before := files(t, dir)
	h.sell(500)
	h.backUp(dir)
	h.sell(1)
	h.backUp(dir)
	h.wantWhole(dir, "")
	for name, content := range before {
		if name != "manifest" && !bytes.Equal(files(t, dir)[name], content) {
			t.Errorf("%s was written again", name)
		}
	}
}

// TestSegments: a segment ends at 65,536 entries, and the run after one that was
// interrupted goes on behind the last one that was sealed.
func TestSegments(t *testing.T) {
	h, dir := newHistory(t), t.TempDir()
	h.backUp(dir)
	for range 17 {
		h.sell(4096)
	}
	interrupted, err := backup.OpenDir(dir, h.made.Log, backup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range h.list[interrupted.Size():] {
		if err := interrupted.Add(l.entry, l.env); err != nil {
			t.Fatal(err)
		}
	}
	if err := interrupted.Close(); err != nil {
		t.Fatal(err)
	}
	if size, err := h.read(dir, ""); size != 3 || err != nil {
		t.Errorf("of an interrupted run %d entries are read, %v: no checkpoint covers them", size, err)
	}
	w, err := backup.OpenDir(dir, h.made.Log, backup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if w.Size() != 3+65536 {
		t.Errorf("goes on at %d", w.Size())
	}
	if err := h.write(w); err != nil {
		t.Fatal(err)
	}
	h.wantWhole(dir, "")
}

func TestStream(t *testing.T) {
	h, dir := newHistory(t), t.TempDir()
	h.sell(300)
	var out bytes.Buffer
	w, err := backup.NewStream(&out, h.made.Log, backup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.write(w); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "stream")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	h.wantWhole(path, "")
}

func TestEncrypted(t *testing.T) {
	h, dir := newHistory(t), t.TempDir()
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key, wrong := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "wrong")
	if err := errors.Join(os.WriteFile(key, []byte(own.String()+"\n"), 0o600), os.WriteFile(wrong, []byte(other.String()+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	h.backUp(dir, own.Recipient().String())
	h.sell(50)
	h.backUp(dir) // to the same recipient
	h.wantWhole(dir, key)
	for _, identities := range []string{"", wrong} {
		if _, err := h.read(dir, identities); !errors.Is(err, backup.ErrIdentity) {
			t.Errorf("with %q: %v, want %v", identities, err, backup.ErrIdentity)
		}
	}
	for name, content := range files(t, dir) {
		if bytes.Contains(content, []byte("acme")) && name != "manifest" {
			t.Errorf("%s is not encrypted", name)
		}
	}
	if _, err := backup.OpenDir(dir, h.made.Log, backup.Options{Recipients: []string{"age1nonsense"}}); err == nil {
		t.Error("took a recipient that is none")
	}
}

// TestDamageIsRefused: of a directory and of a stream, whatever bit is flipped and
// wherever they are cut.
func TestDamageIsRefused(t *testing.T) {
	h, dir := newHistory(t), t.TempDir()
	h.sell(100)
	h.backUp(dir)
	h.sell(100)
	h.backUp(dir)
	var out bytes.Buffer
	w, err := backup.NewStream(&out, h.made.Log, backup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.write(w); err != nil {
		t.Fatal(err)
	}
	stream := filepath.Join(t.TempDir(), "stream")
	refused := func(what, path string) {
		t.Helper()
		if _, err := h.read(path, ""); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v, want %v", what, err, backup.ErrDamaged)
		}
	}
	put := func(path string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	all := map[string][]byte{stream: out.Bytes()}
	for name, content := range files(t, dir) {
		all[filepath.Join(dir, name)] = content
	}
	for path, whole := range all {
		for range 100 {
			bit := random.IntN(8 * len(whole))
			b := bytes.Clone(whole)
			b[bit/8] ^= 1 << (bit % 8)
			put(path, b)
			refused(fmt.Sprintf("%s: bit %d", filepath.Base(path), bit), path[:len(path)-trim(path, stream)])
		}
		for range 20 {
			n := random.IntN(len(whole))
			put(path, whole[:n])
			refused(fmt.Sprintf("%s: %d of %d bytes", filepath.Base(path), n, len(whole)), path[:len(path)-trim(path, stream)])
		}
		put(path, append(bytes.Clone(whole), 0))
		refused(filepath.Base(path)+": a byte more", path[:len(path)-trim(path, stream)])
		if path != stream {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			refused(filepath.Base(path)+": removed", dir)
		}
		put(path, whole)
	}
	h.wantWhole(dir, "")
	h.wantWhole(stream, "")
}

// trim returns how much of a path names a file in a directory.
func trim(path, stream string) int {
	if path == stream {
		return 0
	}
	return len(filepath.Base(path)) + 1
}

// TestEveryBitOfManifest flips each.
func TestEveryBitOfManifest(t *testing.T) {
	h, dir := newHistory(t), t.TempDir()
	h.backUp(dir)
	path := filepath.Join(dir, "manifest")
	whole := files(t, dir)["manifest"]
	for bit := range 8 * len(whole) {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Open(dir, ""); err == nil {
			t.Fatalf("bit %d", bit)
		}
	}
}

// TestNotLog: nothing is backed up that is not what the checkpoint is of, and the
// backup can be gone on with.
func TestNotLog(t *testing.T) {
	h, dir := newHistory(t), t.TempDir()
	h.backUp(dir)
	h.sell(10)
	open := func() *backup.Writer {
		w, err := backup.OpenDir(dir, h.made.Log, backup.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for name, edit := range map[string]func(*verify.Entry, *tracev1.Envelope){
		"another payload":   func(_ *verify.Entry, env *tracev1.Envelope) { env.Payload[3] ^= 1 },
		"another signature": func(_ *verify.Entry, env *tracev1.Envelope) { env.SignatureBlock[9] ^= 1 },
		"another key":       func(_ *verify.Entry, env *tracev1.Envelope) { env.KeyId = env.KeyId[1:] },
		"another link":      func(e *verify.Entry, _ *tracev1.Envelope) { e.Previous[0] ^= 1 },
		"another index":     func(e *verify.Entry, _ *tracev1.Envelope) { e.Index++ },
		"another time":      func(e *verify.Entry, _ *tracev1.Envelope) { e.SequencedAtMicros++ },
	} {
		w := open()
		l := h.list[w.Size()]
		e, env := l.entry, proto.CloneOf(l.env)
		edit(&e, env)
		err := w.Add(e, env)
		if err == nil { // a time is found out by the root
			err = w.Finish(h.checkpoint())
		}
		if !errors.Is(err, backup.ErrNotLog) {
			t.Errorf("%s: %v, want %v", name, err, backup.ErrNotLog)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	w := open()
	if _, err := backup.OpenDir(dir, h.made.Log, backup.Options{}); !errors.Is(err, backup.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	h.backUp(dir)
	h.wantWhole(dir, "")
	other, err := verify.NewLog(verify.Hash{1}, h.made.Log.CheckpointVKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.OpenDir(dir, other, backup.Options{}); !errors.Is(err, backup.ErrOtherLedger) {
		t.Errorf("another ledger: %v", err)
	}
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.OpenDir(empty, h.made.Log, backup.Options{}); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a directory of something else: %v", err)
	}
}
