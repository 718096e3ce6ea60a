package tlog_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/ledgertest"
	"github.com/magnet-ledger/magnet-ledger/ledger/tlog"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// served is a ledger with a server of its public log, over TLS.
type served struct {
	*ledgertest.Ledger
	*httptest.Server
	t *testing.T
}

func serve(t *testing.T, opts tlog.HandlerOptions) *served {
	t.Helper()
	l := ledgertest.New(t, verifytest.NewLedger(t))
	h, err := tlog.NewHandler(l.Ledger, opts)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{Ledger: l, Server: httptest.NewTLSServer(h), t: t}
	s.Client().Transport.(*http.Transport).DisableCompression = true
	t.Cleanup(s.Server.Close)
	return s
}

// get returns an answer. The path is sent as it is.
func (s *served) get(method, path string, header ...string) (*http.Response, []byte) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, b
}

// naive are the resources of a log as the specification defines them, computed
// from its entries without tiles: MTH(D[(n*256+i)*256^l : (n*256+i+1)*256^l]).
func naive(t *testing.T, l *ledgertest.Ledger) map[string][]byte {
	t.Helper()
	v := l.View()
	defer v.Close()
	want, tree := map[string][]byte{"checkpoint": v.Checkpoint().Note}, verifytest.NewTree()
	var entries [][]byte
	err := v.Records(context.Background(), 0, v.Size(), func(r ledger.Record) error {
		entries = append(entries, r.Entry.Bytes())
		tree.Append(r.Entry.LeafHash())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if tree.Root(v.Size()) != v.Checkpoint().Root {
		t.Fatal("the entries do not lead to the root")
	}
	put := func(kind string, n, i int, b []byte) {
		name := fmt.Sprintf("tile/%s/%03d", kind, n)
		if i < 255 {
			name += fmt.Sprintf(".p/%d", i+1)
		}
		want[name] = b
	}
	for n := 0; n*256 < len(entries); n++ {
		var bundle, row []byte
		for i, e := range entries[n*256 : min(len(entries), n*256+256)] {
			leaf := tree.Leaf(uint64(n*256 + i))
			bundle, row = append(append(bundle, 0, 82), e...), append(row, leaf[:]...)
			put("entries", n, i, slices.Clone(bundle))
			put("0", n, i, slices.Clone(row))
		}
	}
	var row []byte
	for i := range len(entries) / 256 {
		below := verifytest.NewTree()
		for j := range uint64(256) {
			below.Append(tree.Leaf(uint64(i)*256 + j))
		}
		root := below.Root(256)
		row = append(row, root[:]...)
		put("1", 0, i, slices.Clone(row))
	}
	return want
}

// TestHandler: what is served is what the specification defines, to the byte, and
// nothing else, while the log grows.
func TestHandler(t *testing.T) {
	s := serve(t, tlog.HandlerOptions{})
	for _, size := range []uint64{1, 2, 3, 255, 256, 257, 600} {
		s.Grow(size)
		want := naive(t, s.Ledger)
		for path, b := range want {
			resp, got := s.get("GET", "/"+path)
			if resp.StatusCode != http.StatusOK || !bytes.Equal(got, b) {
				t.Errorf("size %d: %s: %s, %d bytes, want %d", size, path, resp.Status, len(got), len(b))
			}
			kind, cache := "application/octet-stream", "public, max-age=31536000, immutable"
			if path == "checkpoint" {
				kind, cache = "text/plain; charset=utf-8", "public, max-age=2"
			}
			if h := resp.Header; h.Get("Content-Type") != kind || h.Get("Cache-Control") != cache {
				t.Errorf("%s: %v", path, h)
			}
		}
		for n := range 4 {
			for _, kind := range []string{"entries", "0", "1", "2", "8", "63"} {
				for _, w := range []int{1, 2, 3, 88, 254, 255, 256} {
					path := fmt.Sprintf("tile/%s/%03d", kind, n)
					if w < 256 {
						path += fmt.Sprintf(".p/%d", w)
					}
					if want[path] != nil {
						continue
					}
					if resp, _ := s.get("GET", "/"+path); resp.StatusCode != http.StatusNotFound || resp.Header.Get("Cache-Control") != "no-store" {
						t.Errorf("size %d: %s: %s, %v, want 404", size, path, resp.Status, resp.Header)
					}
				}
			}
		}
	}
}

func TestHandlerRefuses(t *testing.T) {
	s := serve(t, tlog.HandlerOptions{})
	for _, path := range []string{"/", "/tile", "//checkpoint", "/checkpoint/", "/tile/0/%3000.p/1", "/tile%2F0/000.p/1", "/tile/0/../0/000.p/1",
		"/tile/00/000.p/1", "/tile/0/x000/000.p/1", "/tile/0/000.p/01", "/metrics", "/healthz", "/debug/pprof/"} {
		if resp, b := s.get("GET", path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s %q", path, resp.Status, b)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if resp, _ := s.get(method, "/checkpoint"); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %s", method, resp.Status)
		}
	}
	if resp, b := s.get("HEAD", "/tile/0/000.p/1"); resp.StatusCode != http.StatusOK || len(b) != 0 {
		t.Errorf("HEAD: %s, %d bytes", resp.Status, len(b))
	}
}

// TestHandlerGzip: tiles come compressed to those who ask, the checkpoint never.
func TestHandlerGzip(t *testing.T) {
	s := serve(t, tlog.HandlerOptions{})
	s.Grow(256)
	_, plain := s.get("GET", "/tile/entries/000")
	resp, packed := s.get("GET", "/tile/entries/000", "Accept-Encoding", "zstd, gzip")
	if resp.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(resp.Header.Get("Vary"), "Accept-Encoding") || len(packed) >= len(plain) {
		t.Fatalf("%v, %d of %d bytes", resp.Header, len(packed), len(plain))
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if unpacked, err := io.ReadAll(r); err != nil || !bytes.Equal(unpacked, plain) {
		t.Errorf("unpacked otherwise: %v", err)
	}
	for path, accept := range map[string]string{"/tile/entries/000": "gzip;q=0, identity", "/checkpoint": "gzip"} {
		if resp, _ := s.get("GET", path, "Accept-Encoding", accept); resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s for %q: %v", path, accept, resp.Header)
		}
	}
}

// TestHandlerBounds: who comes beyond what is answered at once is told to come
// again.
func TestHandlerBounds(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	s := serve(t, tlog.HandlerOptions{InFlight: 1, Checkpoint: func() []byte {
		close(held)
		<-release
		return []byte("cosigned\n")
	}})
	answered := make(chan []byte)
	go func() {
		_, b := s.get("GET", "/checkpoint")
		answered <- b
	}()
	<-held
	if resp, _ := s.get("GET", "/tile/0/000.p/1"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("%s, %v", resp.Status, resp.Header)
	}
	close(release)
	if b := <-answered; string(b) != "cosigned\n" {
		t.Errorf("checkpoint %q", b)
	}
}

// TestRenderDamaged: what a view says of damage is not hidden.
func TestRenderDamaged(t *testing.T) {
	l := ledgertest.New(t, verifytest.NewLedger(t))
	l.Grow(3)
	v := l.View()
	defer v.Close()
	if _, err := tlog.Render(t.Context(), damaged{v}, "tile/entries/000.p/3"); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

// damaged is a view whose records cannot be read.
type damaged struct{ tlog.View }

func (damaged) Records(context.Context, uint64, uint64, func(ledger.Record) error) error {
	return fmt.Errorf("entry 0: %w", ledger.ErrDamaged)
}
