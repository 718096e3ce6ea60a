package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// anchorSize is the size of a record in an anchor file.
const anchorSize = 80

// point returns a point of its own for each size.
func point(size uint64) ledger.AnchorPoint {
	return ledger.AnchorPoint{
		Size: size, Root: sha256.Sum256(fmt.Append(nil, "root", size)), Last: sha256.Sum256(fmt.Append(nil, "last", size)),
	}
}

// encoded returns an anchor file with points of sizes from 1 to n, as the layout
// of records is documented.
func encoded(n uint64) []byte {
	var file []byte
	for size := range n {
		p := point(size + 1)
		record := binary.BigEndian.AppendUint64(nil, p.Size)
		record = append(append(record, p.Root[:]...), p.Last[:]...)
		sum := sha256.Sum256(record)
		file = append(append(file, record...), sum[:8]...)
	}
	return file
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// wantPoint opens an anchor file, tests its last point, 0 for none, and that it
// goes on from there.
func wantPoint(t *testing.T, path string, size uint64) {
	t.Helper()
	for n := range uint64(2) {
		a, err := ledger.OpenAnchor(path)
		if err != nil {
			t.Fatal(err)
		}
		want := ledger.AnchorPoint{}
		if size+n > 0 {
			want = point(size + n)
		}
		if got, ok := a.Last(); got != want || ok != (size+n > 0) {
			t.Errorf("last point %+v, %t; want size %d", got, ok, size+n)
		}
		if n == 0 {
			if err := a.Append(point(size + 1)); err != nil {
				t.Error(err)
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnchorFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	for size := range uint64(3) {
		wantPoint(t, path, size)
	}
	if got := readFile(t, path); !bytes.Equal(got, encoded(3)) {
		t.Errorf("the file is\n%x, want\n%x", got, encoded(3))
	}
}

// TestAnchorTorn cuts the last record off at every byte, and leaves zeros where
// it did not get to the disk.
func TestAnchorTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	last := func(file []byte, size uint64) {
		t.Helper()
		writeFile(t, path, file)
		a, err := ledger.OpenAnchor(path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if got, ok := a.Last(); !ok || got != point(size) {
			t.Errorf("%d bytes: last point %+v, want size %d", len(file), got, size)
		}
	}
	file := encoded(3)
	for kept := range anchorSize {
		cut := file[:2*anchorSize+kept]
		last(cut, 2)
		last(append(cut[:len(cut):len(cut)], make([]byte, anchorSize-kept)...), 2)
	}
	for _, kept := range []int{0, 1, anchorSize - 1} { // and goes on from there
		for _, whole := range []uint64{0, 1, 2} {
			writeFile(t, path, file[:int(whole)*anchorSize+kept])
			wantPoint(t, path, whole)
		}
	}
}

// TestAnchorDamaged changes every byte of a record that others follow, whole or
// torn, and puts records out of order.
func TestAnchorDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	damaged := func(file []byte, what string, at int) {
		t.Helper()
		writeFile(t, path, file)
		a, err := ledger.OpenAnchor(path)
		if err == nil {
			a.Close()
		}
		if !errors.Is(err, ledger.ErrAnchor) {
			t.Errorf("%s %d: %v", what, at, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, file) {
			t.Errorf("%s %d: the file was changed, %v", what, at, err)
		}
	}
	for at := range 2 * anchorSize {
		file := encoded(3)
		file[at] ^= 0x40
		damaged(file, "byte", at)
	}
	for kept := 8; kept < anchorSize; kept++ { // what is zero may not have been written yet
		file := encoded(3)[:2*anchorSize+kept]
		file[anchorSize+kept] ^= 1
		damaged(file, "before a torn record of", kept)
	}
	file := encoded(3)
	damaged(append(file[anchorSize:], file[:anchorSize]...), "order", 0)
	file = encoded(3)
	clear(file[anchorSize : 2*anchorSize])
	damaged(file, "zeros at", anchorSize)
}

// TestAnchorZeros opens a file of zeros, as a crash leaves that was made ready for
// the first record: it has no point, and a ledger that has more than its founding
// does not open with it.
func TestAnchorZeros(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	for _, n := range []int{1, anchorSize, 4*anchorSize + 7} {
		writeFile(t, path, make([]byte, n))
		wantPoint(t, path, 0)
		file := append(encoded(2), make([]byte, n)...)
		writeFile(t, path, file)
		wantPoint(t, path, 2)
	}
	s := newSite(t, "acme")
	i := s.start()
	i.record(transactions(s.made, "acme", 1)...)
	i.close()
	writeFile(t, path, make([]byte, 4096))
	s.anchor = openAnchor(t, path)
	s.refused(ledger.ErrBehindAnchor)
}

// TestAnchorRenewed goes past the size from which the file begins anew, with
// what a crash while renewing may leave beside it.
func TestAnchorRenewed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	const records = 1<<20/anchorSize + 1
	writeFile(t, path, encoded(records))
	writeFile(t, path+".next", encoded(7)[:99])
	wantPoint(t, path, records)
	if got := readFile(t, path); len(got) != 2*anchorSize {
		t.Errorf("%d bytes after renewing", len(got))
	}
	if _, err := os.Stat(path + ".next"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left of a renewal: %v", err)
	}
	wantPoint(t, path, records+1)
}

func TestAnchorErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := ledger.OpenAnchor(filepath.Join(dir, "none", "anchor")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	path := filepath.Join(dir, "anchor")
	a := openAnchor(t, path)
	if err := a.Append(point(1)); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Append(point(2)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("append to a closed file: %v", err)
	}
	if got, ok := a.Last(); got != point(1) || !ok {
		t.Errorf("last point %+v", got)
	}
	wantPoint(t, path, 1)
	// One that cannot be renewed.
	writeFile(t, path, encoded(1<<20/anchorSize+1))
	if err := os.Mkdir(path+".next", 0o700); err != nil {
		t.Fatal(err)
	}
	a = openAnchor(t, path)
	if err := a.Append(point(20_000)); err == nil {
		t.Error("appended without renewing")
	}
}

// TestTornAnchorOpens opens a ledger whose last commit was not anchored in full.
func TestTornAnchorOpens(t *testing.T) {
	s := newSite(t, "acme")
	path := filepath.Join(t.TempDir(), "anchor")
	envs := transactions(s.made, "acme", 3)
	s.anchor = openAnchor(t, path)
	i := s.start()
	i.record(envs[0])
	i.record(envs[1])
	i.close()
	file := readFile(t, path)
	for _, kept := range []int{0, 1, anchorSize - 1} {
		writeFile(t, path, file[:len(file)-anchorSize+kept])
		s.anchor = openAnchor(t, path)
		s.wantAnchored(s.founded() + 2)
		s.anchor = openAnchor(t, path)
		s.wantAnchored(s.founded() + 2)
	}
	// Two records less is what no crash leaves, and no harm either.
	writeFile(t, path, file[:len(file)-2*anchorSize])
	s.anchor = openAnchor(t, path)
	s.wantAnchored(s.founded() + 2)
	// A file of another ledger is.
	writeFile(t, path, encoded(4))
	s.anchor = openAnchor(t, path)
	s.refused(ledger.ErrBehindAnchor)
}

// FuzzAnchor opens files: an anchor that opens has a point that is in the file.
func FuzzAnchor(f *testing.F) {
	f.Add(encoded(3))
	f.Add(encoded(2)[:100])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "anchor")
		writeFile(t, path, file)
		a, err := ledger.OpenAnchor(path)
		if err != nil {
			if !errors.Is(err, ledger.ErrAnchor) {
				t.Errorf("%v", err)
			}
			return
		}
		defer a.Close()
		p, ok := a.Last()
		if ok && !bytes.Contains(file, p.Root[:]) {
			t.Errorf("point %+v", p)
		}
		kept, err := os.ReadFile(path)
		if err != nil || len(kept)%anchorSize != 0 || !bytes.HasPrefix(file, kept) {
			t.Errorf("%d of %d bytes kept, %v", len(kept), len(file), err)
		}
	})
}
