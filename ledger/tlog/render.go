package tlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// View is what a log is rendered from: a *ledger.View.
type View interface {
	// Size returns the number of entries.
	Size() uint64
	// Checkpoint returns the checkpoint of that size.
	Checkpoint() *verify.Checkpoint
	// TileHashes returns the first width hashes of a tile, 32 bytes each, or
	// ledger.ErrOutOfRange if there are not so many.
	TileHashes(level int, number uint64, width int) ([]byte, error)
	// Records calls visit for the records from start up to, not including, end.
	Records(ctx context.Context, start, end uint64, visit func(ledger.Record) error) error
}

// Render returns the bytes of a path, without a slash before it. The checkpoint
// is that of the view. The error is ErrNotFound or that of the view.
func Render(ctx context.Context, v View, path string) ([]byte, error) {
	if path == CheckpointPath {
		return v.Checkpoint().Note, nil
	}
	t, err := ParseTile(path)
	if err != nil {
		return nil, err
	}
	if t.available(v.Size()) < t.Width {
		return nil, fmt.Errorf("%q: %w", path, ErrNotFound)
	}
	if t.Entries {
		return renderEntries(ctx, v, t)
	}
	b, err := v.TileHashes(t.Level, t.Number, t.Width)
	if errors.Is(err, ledger.ErrOutOfRange) {
		return nil, fmt.Errorf("%q: %w", path, ErrNotFound)
	}
	return b, err
}

func renderEntries(ctx context.Context, v View, t Tile) ([]byte, error) {
	first := t.Number * Width
	bundle := make([]byte, 0, t.Width*(2+verify.EntrySize))
	err := v.Records(ctx, first, first+uint64(t.Width), func(r ledger.Record) error {
		bundle = appendEntry(bundle, r.Entry.Bytes())
		return nil
	})
	return bundle, err
}
