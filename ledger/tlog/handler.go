package tlog

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzhttp"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// How long what is served may be kept by caches. What is not there is not kept:
// it will be there.
const (
	cacheTile       = "public, max-age=31536000, immutable"
	cacheCheckpoint = "public, max-age=2"
	cacheNothing    = "no-store"
)

// HandlerOptions are what a handler may be given.
type HandlerOptions struct {
	// Checkpoint returns the checkpoint to serve, which the log extends or has;
	// nil serves that of the latest view.
	Checkpoint func() []byte
	// InFlight is how many requests are answered at once; others are told to
	// come again. The default is 32.
	InFlight int
	// Logger takes what went wrong; nil discards.
	Logger *slog.Logger
}

// NewHandler returns a handler that serves a log at its root. Tiles and bundles
// come compressed by gzip to those who ask for it.
func NewHandler(l *ledger.Ledger, opts HandlerOptions) (http.Handler, error) {
	if opts.InFlight == 0 {
		opts.InFlight = 32
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	compressed, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.ContentTypes([]string{"application/octet-stream"}))
	if err != nil {
		return nil, err
	}
	return compressed(&handler{ledger: l, opts: opts, room: make(chan struct{}, opts.InFlight)}), nil
}

type handler struct {
	ledger  *ledger.Ledger
	opts    HandlerOptions
	room    chan struct{}
	bundles bundleCache
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, "a log is only read", http.StatusMethodNotAllowed)
		return
	}
	select {
	case h.room <- struct{}{}:
		defer func() { <-h.room }()
	default:
		w.Header().Set("Retry-After", "1")
		fail(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	path, rooted := strings.CutPrefix(r.URL.EscapedPath(), "/")
	b, err := h.render(r, path)
	switch {
	case !rooted || errors.Is(err, ErrNotFound):
		fail(w, "not found", http.StatusNotFound)
		return
	case r.Context().Err() != nil:
		return
	case err != nil:
		h.opts.Logger.LogAttrs(r.Context(), slog.LevelError, "the public log could not be read", slog.String("path", path), slog.Any("error", err))
		fail(w, "the log could not be read", http.StatusInternalServerError)
		return
	}
	kind, cache := "application/octet-stream", cacheTile
	if path == CheckpointPath {
		kind, cache = "text/plain; charset=utf-8", cacheCheckpoint
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b) // who does not wait for it gets nothing
}

func (h *handler) render(r *http.Request, path string) ([]byte, error) {
	if path == CheckpointPath && h.opts.Checkpoint != nil {
		return h.opts.Checkpoint(), nil
	}
	if b := h.bundles.get(path); b != nil {
		return b, nil
	}
	v := h.ledger.View()
	defer v.Close()
	b, err := Render(r.Context(), v, path)
	if t, parsed := ParseTile(path); err == nil && parsed == nil && t.Entries && t.Width == Width {
		h.bundles.put(path, b)
	}
	return b, err
}

// bundleCache holds full bundles, by path. They cost the most to render, since the
// statements of their entries are hashed, and never change.
type bundleCache struct {
	mu      sync.Mutex
	bundles map[string][]byte
}

// cachedBundles is how many bundles are held, of 21 KiB each.
const cachedBundles = 512

func (c *bundleCache) get(path string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bundles[path]
}

func (c *bundleCache) put(path string, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bundles == nil || len(c.bundles) >= cachedBundles {
		c.bundles = make(map[string][]byte)
	}
	c.bundles[path] = b
}

func fail(w http.ResponseWriter, text string, code int) {
	w.Header().Set("Cache-Control", cacheNothing)
	http.Error(w, text, code)
}
