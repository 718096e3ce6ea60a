package witness_test

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger/ledgertest"
	"github.com/magnet-ledger/magnet-ledger/ledger/witness"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// cosigner returns a new witness key.
func cosigner(t *testing.T, name string) (signer note.Signer, vkey string) {
	t.Helper()
	skey, plain, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := f_note.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	if vkey, err = f_note.VKeyToCosignatureV1(plain); err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

// own is a witness of our own, behind something that may answer in its place.
type own struct {
	*httptest.Server
	vkey     string
	dir      string
	requests atomic.Int64
	instead  atomic.Pointer[http.HandlerFunc]
}

func newOwn(t *testing.T, name string, logs ...string) *own {
	t.Helper()
	signer, vkey := cosigner(t, name)
	o := &own{vkey: vkey, dir: t.TempDir()}
	s, err := witness.NewServer(witness.ServerConfig{Signer: signer, Logs: logs, Dir: o.dir})
	if err != nil {
		t.Fatal(err)
	}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.requests.Add(1)
		if h := o.instead.Load(); h != nil {
			(*h)(w, r)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

// answer has the witness answer in another way; nil ends that.
func (o *own) answer(h http.HandlerFunc) {
	if h == nil {
		o.instead.Store(nil)
		return
	}
	o.instead.Store(&h)
}

// fed is a ledger with a feeder.
type fed struct {
	*ledgertest.Ledger
	*witness.Feeder
	policy *verify.Policy
	ahead  atomic.Pointer[verify.Checkpoint]
	path   string
}

func policyOf(t *testing.T, least int, witnesses ...*own) *verify.Policy {
	t.Helper()
	var text, names strings.Builder
	for i, w := range witnesses {
		fmt.Fprintf(&text, "witness w%d %s %s\n", i, w.vkey, w.URL)
		fmt.Fprintf(&names, " w%d", i)
	}
	fmt.Fprintf(&text, "group all-of-them %d%s\nquorum all-of-them\n", least, names.String())
	p, err := verify.ParsePolicy([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (f *fed) config() witness.FeederConfig {
	return witness.FeederConfig{
		Log: f.Made.Log, Policy: f.policy, Latest: f.Ledger.Checkpoint, Path: f.path,
		Consistency: func(from, to uint64) ([][]byte, error) {
			v := f.View()
			defer v.Close()
			return v.ConsistencyPath(from, to)
		},
		Ahead:    func(cp *verify.Checkpoint) { f.ahead.Store(cp) },
		Interval: 2 * time.Millisecond, Timeout: time.Second, Patience: 100 * time.Millisecond, Backoff: 2 * time.Millisecond,
	}
}

// feed runs a feeder until the test ends.
func feed(t *testing.T, l *ledgertest.Ledger, p *verify.Policy) *fed {
	t.Helper()
	f := &fed{Ledger: l, policy: p, path: filepath.Join(t.TempDir(), "cosigned")}
	f.start(t)
	return f
}

func (f *fed) start(t *testing.T) {
	t.Helper()
	var err error
	if f.Feeder, err = witness.NewFeeder(f.config()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx := t.Context()
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// until waits for something.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("waited for %s", what)
		}
	}
}

// covers waits until a size is cosigned, and checks what is cosigned and published.
func (f *fed) covers(t *testing.T, size uint64) {
	t.Helper()
	until(t, fmt.Sprintf("a cosigned checkpoint of size %d", size), func() bool { return f.Cosigned() != nil && f.Cosigned().Size >= size })
	cp, err := f.Made.Log.OpenCheckpoint(f.Cosigned().Note)
	if err == nil {
		err = f.policy.Check(f.Made.Log, cp)
	}
	if err != nil {
		t.Fatal(err)
	}
	if f.Published().Size < size {
		t.Errorf("published size %d, cosigned %d", f.Published().Size, size)
	}
}

// TestFeeder: a ledger and witnesses of our own; the cosignatures are there after a
// restart.
func TestFeeder(t *testing.T) {
	l := ledgertest.New(t, verifytest.NewLedger(t))
	vkey := l.Made.Log.CheckpointVKey()
	one, two := newOwn(t, "witness.test/1", vkey), newOwn(t, "witness.test/2", vkey)
	f := feed(t, l, policyOf(t, 2, one, two))
	for _, size := range []uint64{1, 2, 3, 10, 300} {
		l.Grow(size)
		f.covers(t, size)
	}
	again, err := witness.NewFeeder(f.config())
	if err != nil {
		t.Fatal(err)
	}
	if again.Cosigned() == nil || again.Cosigned().Size != 300 || string(again.Published().Note) != string(again.Cosigned().Note) {
		t.Errorf("after a restart: %+v", again.Cosigned())
	}
}

// TestFeederStatuses: whatever one witness answers, the other cosigns, what is wrong
// is not taken over, and the witness is asked again until it is well.
func TestFeederStatuses(t *testing.T) {
	l := ledgertest.New(t, verifytest.NewLedger(t))
	good, bad := newOwn(t, "witness.test/good", l.Made.Log.CheckpointVKey()), newOwn(t, "witness.test/bad", l.Made.Log.CheckpointVKey())
	f := feed(t, l, policyOf(t, 1, good, bad))
	both := policyOf(t, 2, good, bad)
	stranger, _ := cosigner(t, "witness.test/bad")
	size := uint64(3)
	code := func(code int, text string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			_, _ = w.Write([]byte(text))
		}
	}
	for _, test := range []struct {
		name string
		bad  http.HandlerFunc
	}{
		{"400", code(400, "malformed")},
		{"403", code(403, "no trusted key")},
		{"404", code(404, "unknown origin")},
		{"409 without a size", code(409, "no")},
		{"409 with a size of another type", code(409, "1\n", "Content-Type", "text/plain")},
		{"409 for ever", code(409, "1\n", "Content-Type", "text/x.tlog.size")},
		{"409 that is ahead", code(409, "1000000\n", "Content-Type", "text/x.tlog.size")},
		{"409 with leading zeros", code(409, "01\n", "Content-Type", "text/x.tlog.size")},
		{"422", code(422, "bad proof")},
		{"429", code(429, "")},
		{"500", code(500, "")},
		{"200 with nothing", code(200, "")},
		{"200 with rubbish", code(200, "— witness.test/bad AAAA\n")},
		{"200 without a newline", code(200, "— witness.test/bad AAAAAAAA")},
		{"200 with another's", func(w http.ResponseWriter, r *http.Request) {
			signed, err := note.Sign(&note.Note{Text: "ledger.test/2026\n1\nAAAA\n"}, stranger)
			if err == nil {
				_, _ = w.Write(signed[strings.Index(string(signed), "\n\n")+2:])
			}
		}},
		{"redirect", code(302, "", "Location", "/")},
		{"down", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }},
		{"slow", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that nobody waits any more
			<-r.Context().Done()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bad.answer(test.bad)
			asked := bad.requests.Load()
			l.Grow(size)
			start := time.Now()
			f.covers(t, size)
			if d := time.Since(start); d > 800*time.Millisecond {
				t.Errorf("the good witness was held up for %v", d)
			}
			until(t, "a second try", func() bool { return bad.requests.Load() >= asked+2 })
			if err := both.Check(f.Made.Log, f.Cosigned()); !errors.Is(err, verify.ErrPolicy) {
				t.Errorf("the bad witness is said to have cosigned: %v", err)
			}
			bad.answer(nil)
			size++
			l.Grow(size)
			until(t, "the witness that is well again", func() bool { return both.Check(f.Made.Log, f.Cosigned()) == nil && f.Cosigned().Size >= size })
			size++
		})
	}
	if cp := f.ahead.Load(); cp != nil {
		t.Errorf("a claim without a signature was believed: size %d", cp.Size)
	}
}

// TestFeederWithoutQuorum: when witnesses stay away the published checkpoint goes on
// without them, and never back.
func TestFeederWithoutQuorum(t *testing.T) {
	l := ledgertest.New(t, verifytest.NewLedger(t))
	w := newOwn(t, "witness.test/1", l.Made.Log.CheckpointVKey())
	f := feed(t, l, policyOf(t, 1, w))
	l.Grow(3)
	f.covers(t, 3)
	w.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	l.Grow(5)
	until(t, "size 5 to be published", func() bool { return f.Published().Size == 5 })
	if f.Cosigned().Size != 3 {
		t.Errorf("cosigned %d", f.Cosigned().Size)
	}
	w.answer(nil)
	l.Grow(6)
	f.covers(t, 5)
}

// TestFeederBehind: a witness that was fed by another before, or has lost what it
// had cosigned, tells its size and is fed from there.
func TestFeederBehind(t *testing.T) {
	l := ledgertest.New(t, verifytest.NewLedger(t))
	w := newOwn(t, "witness.test/1", l.Made.Log.CheckpointVKey())
	f := feed(t, l, policyOf(t, 1, w))
	l.Grow(9)
	f.covers(t, 9)
	second := feed(t, l, policyOf(t, 1, w)) // knows nothing of it
	l.Grow(20)
	second.covers(t, 20)
	f.covers(t, 20)
}

// TestFeederRolledBack: a witness that has a later checkpoint with the ledger's own
// signature is believed, and so is the ledger's own file.
func TestFeederRolledBack(t *testing.T) {
	made := verifytest.NewLedger(t)
	l := ledgertest.New(t, made)
	w := newOwn(t, "witness.test/1", made.Log.CheckpointVKey())
	f := feed(t, l, policyOf(t, 1, w))
	l.Grow(9)
	f.covers(t, 9)

	restored := ledgertest.New(t, made)
	restored.Grow(4)
	back := feed(t, restored, policyOf(t, 1, w))
	until(t, "the witness to be believed", func() bool { return back.ahead.Load() != nil })
	if cp := back.ahead.Load(); cp.Size != 9 || back.Cosigned() != nil {
		t.Errorf("size %d", cp.Size)
	}
	for _, size := range []uint64{4, 9, 12} {
		restored.Grow(size)
		kept := &fed{Ledger: restored, policy: f.policy, path: f.path}
		if _, err := witness.NewFeeder(kept.config()); !errors.Is(err, witness.ErrRolledBack) {
			t.Errorf("size %d: %v, want ErrRolledBack", size, err)
		}
	}
	// The witness refuses the other history, and keeps the proof.
	until(t, "the proof of fork", func() bool {
		b, err := os.ReadFile(filepath.Join(w.dir, fmt.Sprintf("%x.fork.json", sha256.Sum256([]byte(made.Log.Origin())))))
		if err != nil {
			return false
		}
		_, fork, err := verify.OpenFork(b)
		return err == nil && fork.Older.Size == 9
	})
}
