package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// drafts returns n signed statements with the labels INV-0 and so on.
func drafts(t testing.TB, n int) []client.Draft {
	t.Helper()
	book := verifytest.NewLedger(t)
	list := make([]client.Draft, n)
	for i := range list {
		st := book.TransactionStatement("acme", uint64(i+1))
		list[i] = client.Draft{
			Label: fmt.Sprintf("INV-%d", i), ID: client.StatementID(st.GetStatementId()), Envelope: book.Sign(verifytest.Key("acme"), st),
		}
	}
	return list
}

// smallDrafts returns drafts that are no statements but for their ids.
func smallDrafts(t testing.TB, n int) []client.Draft {
	t.Helper()
	list := make([]client.Draft, n)
	for i := range list {
		id := client.StatementID{15: byte(i + 1)}
		payload, err := proto.Marshal(&tracev1.Statement{StatementId: id[:]})
		if err != nil {
			t.Fatal(err)
		}
		list[i] = client.Draft{Label: fmt.Sprintf("INV-%d", i), ID: id, Envelope: &tracev1.Envelope{Payload: payload, KeyId: bytes.Repeat([]byte{0xff}, 32)}}
	}
	return list
}

func openOutbox(t testing.TB, path string) *client.Outbox {
	t.Helper()
	o, err := client.OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// holds checks that an outbox holds exactly these drafts, by every way in.
func holds(t *testing.T, o *client.Outbox, want []client.Draft) {
	t.Helper()
	var all []client.Draft
	for d, err := range o.All() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	if len(all) != len(want) || o.Len() != len(want) {
		t.Fatalf("holds %d and says %d, want %d", len(all), o.Len(), len(want))
	}
	for i, w := range want {
		byID, err1 := o.Get(w.ID)
		byLabel, err2 := o.Lookup(w.Label)
		for _, got := range []client.Draft{all[i], byID, byLabel} {
			if err1 != nil || err2 != nil || got.ID != w.ID || got.Label != w.Label || !proto.Equal(got.Envelope, w.Envelope) {
				t.Fatalf("draft %d: got %v, %v, %v", i, got, err1, err2)
			}
		}
	}
}

func TestOutbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "outbox")
	o, all := openOutbox(t, path), drafts(t, 6)
	holds(t, o, nil)
	for _, part := range [][]client.Draft{all[:1], all[1:4], nil, all[4:]} {
		if err := o.Append(part...); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, o, all)
	if _, err := client.OpenOutbox(path); !errors.Is(err, client.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	o = openOutbox(t, path)
	holds(t, o, all)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOutboxRefuses(t *testing.T) {
	o, all := openOutbox(t, filepath.Join(t.TempDir(), "outbox")), drafts(t, 3)
	if err := o.Append(all[0]); err != nil {
		t.Fatal(err)
	}
	broken := proto.CloneOf(all[1].Envelope)
	broken.Payload = []byte{1}
	long := client.Draft{Label: string(make([]byte, 1<<16)), Envelope: all[1].Envelope}
	for _, d := range []client.Draft{{Envelope: broken}, long, {}} {
		if err := o.Append(d); err == nil {
			t.Errorf("accepted %.20v", d)
		}
	}
	holds(t, o, all[:1])
	if _, err := o.Get(all[1].ID); !errors.Is(err, client.ErrNoDraft) {
		t.Error(err)
	}
	if _, err := o.Lookup("none"); !errors.Is(err, client.ErrNoDraft) {
		t.Error(err)
	}
}

// The last draft with a label is found, and one without a label by its id.
func TestOutboxLabels(t *testing.T) {
	o, all := openOutbox(t, filepath.Join(t.TempDir(), "outbox")), drafts(t, 3)
	all[0].Label, all[1].Label, all[2].Label = "same", "same", ""
	if err := o.Append(all...); err != nil {
		t.Fatal(err)
	}
	if d, err := o.Lookup("same"); err != nil || d.ID != all[1].ID {
		t.Errorf("got %v, %v", d.ID, err)
	}
	if _, err := o.Lookup(""); !errors.Is(err, client.ErrNoDraft) {
		t.Error(err)
	}
	if d, err := o.Get(all[2].ID); err != nil || d.ID != all[2].ID {
		t.Errorf("got %v, %v", d.ID, err)
	}
}

// A draft takes the place of an earlier one with its id, in this process and in
// the next.
func TestOutboxReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	o, all := openOutbox(t, path), drafts(t, 3)
	again := all[0]
	again.Label, again.Envelope = "corrected", proto.CloneOf(again.Envelope)
	again.Envelope.SignatureBlock[10] ^= 1
	if err := errors.Join(o.Append(all[0], all[1]), o.Append(again, all[2])); err != nil {
		t.Fatal(err)
	}
	want := []client.Draft{all[1], again, all[2]}
	holds(t, o, want)
	o.Close()
	holds(t, openOutbox(t, path), want)
}

// Killed at any byte, or with the end of the file never written, the outbox opens
// with what was whole before, and goes on.
func TestOutboxTorn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "outbox")
	all := smallDrafts(t, 3)
	o := openOutbox(t, path)
	ends := []int64{16} // of the header and of each draft
	for _, d := range all[:2] {
		if err := o.Append(d); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	o.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		n := 0
		for n < 2 && ends[n+1] <= int64(cut) {
			n++
		}
		torn := bytes.Clone(whole[:cut])
		if cut > 16 && cut%9 == 0 {
			// A file system may make a file longer before it writes.
			torn = append(torn, make([]byte, min(50, len(whole)-cut))...)
		}
		path := filepath.Join(dir, "torn")
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := client.OpenOutbox(path)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := o.Append(all[2]); err != nil {
			t.Fatal(err)
		}
		holds(t, o, append(slices.Clone(all[:n]), all[2]))
		o.Close()
	}
}

// Damage that no crash explains is told, not repaired.
func TestOutboxDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	o := openOutbox(t, path)
	if err := o.Append(drafts(t, 3)...); err != nil {
		t.Fatal(err)
	}
	o.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := bytes.LastIndex(whole, whole[16:20])
	for at := 0; at < last; at += 3 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x10
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client.OpenOutbox(path); !errors.Is(err, client.ErrOutboxDamaged) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}

func TestOutboxConcurrently(t *testing.T) {
	o, all := openOutbox(t, filepath.Join(t.TempDir(), "outbox")), drafts(t, 40)
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for _, d := range all[part*10 : part*10+10] {
				if err := o.Append(d); err != nil {
					t.Error(err)
				}
				if got, err := o.Get(d.ID); err != nil || got.Label != d.Label {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if o.Len() != 40 {
		t.Errorf("holds %d", o.Len())
	}
}

// The whole way: what was written before a crash is sent in the same bytes, and
// has one entry.
func TestResumeFromOutbox(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "outbox")
	c, o := w.dial("acme", nil), openOutbox(t, path)
	envs := w.envelopes("INV", 5, 5)
	for i, env := range envs {
		if err := o.Append(client.Draft{Label: fmt.Sprint(i), Envelope: env}); err != nil {
			t.Fatal(err)
		}
	}
	submitAll(t, c, envs[:2]) // then the process dies
	o.Close()
	o = openOutbox(t, path)
	for i := range envs {
		d, err := o.Lookup(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Submit(t.Context(), d.Envelope)
		if err != nil || got.Already != (i < 2) {
			t.Errorf("draft %d: %+v, %v", i, got, err)
		}
	}
	w.check(envs)
}

// Whatever the file holds, it is refused or it is an outbox that keeps what it
// holds and takes more.
func FuzzOpenOutbox(f *testing.F) {
	path := filepath.Join(f.TempDir(), "outbox")
	o := openOutbox(f, path)
	if err := o.Append(smallDrafts(f, 2)...); err != nil {
		f.Fatal(err)
	}
	o.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(whole[:16])
	f.Add([]byte("magnet-outbox 2\n"))
	more := smallDrafts(f, 3)[2]
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "outbox")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := client.OpenOutbox(path)
		if err != nil {
			return
		}
		n := o.Len()
		if err := errors.Join(o.Append(more), o.Close()); err != nil {
			t.Fatal(err)
		}
		o = openOutbox(t, path)
		if _, err := o.Get(more.ID); err != nil || o.Len() < n || o.Len() > n+1 {
			t.Errorf("%d drafts became %d, %v", n, o.Len(), err)
		}
	})
}
