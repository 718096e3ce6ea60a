package tlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Source is a log to be read. It need not be trusted.
type Source interface {
	// Checkpoint returns the latest checkpoint.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Entries calls visit for the entries from start up to, not including, end, in
	// order, until it returns an error, which is returned. The log has a checkpoint
	// of size end.
	Entries(ctx context.Context, start, end uint64, visit func(verify.Entry) error) error
}

// ErrUnavailable says that a log could not be read: its server does not answer, or
// not as the specification says.
var ErrUnavailable = errors.New("the log cannot be read")

// Site is the Source of a log that is served as tlog-tiles.
type Site struct {
	// URL is the prefix of the log, without a slash at its end.
	URL string
	// Client asks; nil stands for http.DefaultClient.
	Client *http.Client
}

// maxResource is more than any resource of this log has.
const maxResource = 1 << 20

// Checkpoint implements Source.
func (s *Site) Checkpoint(ctx context.Context) ([]byte, error) { return s.get(ctx, CheckpointPath) }

// Entries implements Source.
func (s *Site) Entries(ctx context.Context, start, end uint64, visit func(verify.Entry) error) error {
	for start < end {
		t := Tile{Entries: true, Number: start / Width, Width: int(min(end-start/Width*Width, Width))}
		entries, err := readBundle(t, func(path string) ([]byte, error) { return s.get(ctx, path) })
		if err != nil {
			return err
		}
		for _, e := range entries[start%Width:] {
			if err := visit(e); err != nil {
				return err
			}
			start++
		}
	}
	return nil
}

// readBundle reads the entries of a bundle, from the full one if the partial one
// is gone, as the specification allows.
func readBundle(t Tile, get func(path string) ([]byte, error)) ([]verify.Entry, error) {
	b, err := get(t.String())
	if width := t.Width; width < Width && errors.Is(err, ErrNotFound) {
		t.Width = Width
		if b, err = get(t.String()); err == nil {
			b = b[:min(len(b), width*(2+verify.EntrySize))]
			t.Width = width
		}
	}
	if err != nil {
		return nil, err
	}
	entries, err := ParseBundle(b, t.Width)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, t, err)
	}
	return entries, nil
}

func (s *Site) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.URL, "/")+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	client := s.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, req.URL, ErrNotFound)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s: %s", ErrUnavailable, req.URL, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxResource))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, req.URL, err)
	}
	return b, nil
}
