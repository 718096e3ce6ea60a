package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/transparency-dev/merkle/compact"

	"github.com/magnet-ledger/magnet-ledger/ledger/durable"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ErrFolder says that a folder does not hold what its checkpoint promises.
var ErrFolder = errors.New("the folder does not hold the log of its checkpoint")

// ErrBehind says that a source is behind the folder: it has an older checkpoint of
// the same log.
var ErrBehind = errors.New("the source is behind the folder")

// Folder is a published log in files, which any web server can serve. It is itself
// a Source. It is not safe for concurrent use, and two must not write to one
// directory.
type Folder struct {
	dir        string
	log        *verify.Log
	checkpoint *verify.Checkpoint // nil in a new one
	edge       *edge
}

// OpenFolder opens a folder, or makes it. If there is a checkpoint, the folder must
// hold the tiles at its edge: the error is ErrFolder if not, and wraps
// verify.ErrCheckpoint if it is another log's.
func OpenFolder(dir string, log *verify.Log) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening folder: %w", err)
	}
	f := &Folder{dir: dir, log: log, edge: newEdge(verify.NewChain())}
	signed, err := os.ReadFile(f.path(CheckpointPath))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening folder: %w", err)
	}
	if f.checkpoint, err = log.OpenCheckpoint(signed); err != nil {
		return nil, fmt.Errorf("opening folder %s: %w", dir, err)
	}
	if err := f.load(); err != nil {
		return nil, fmt.Errorf("opening folder %s: %w: %w", dir, ErrFolder, err)
	}
	return f, nil
}

// Size returns the size of the checkpoint in the folder, 0 if there is none.
func (f *Folder) Size() uint64 {
	if f.checkpoint == nil {
		return 0
	}
	return f.checkpoint.Size
}

// Log returns the log that the folder is of.
func (f *Folder) Log() *verify.Log { return f.log }

func (f *Folder) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// get reads a resource.
func (f *Folder) get(name string) ([]byte, error) {
	b, err := os.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return b, err
}

// Checkpoint implements Source.
func (f *Folder) Checkpoint(context.Context) ([]byte, error) { return f.get(CheckpointPath) }

// Entries implements Source.
func (f *Folder) Entries(ctx context.Context, start, end uint64, visit func(verify.Entry) error) error {
	for start < end && ctx.Err() == nil {
		entries, err := readBundle(Tile{Entries: true, Number: start / Width, Width: int(min(end-start/Width*Width, Width))}, f.get)
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
	return ctx.Err()
}

// load reads the edge of the log, so that it can go on, and checks that it leads to
// the checkpoint.
func (f *Folder) load() error {
	size := f.checkpoint.Size
	if size == 0 {
		return nil
	}
	// Of the last bundle everything is hashed: if it is not full, it will be
	// written again with more behind it.
	var last verify.Entry
	err := f.Entries(context.Background(), (size-1)/Width*Width, size, func(e verify.Entry) error {
		leaf, err := f.node(compact.NewNodeID(0, e.Index))
		if last = e; err == nil && e.LeafHash() != leaf {
			err = fmt.Errorf("entry %d is not the one in the tree", e.Index)
		}
		return err
	})
	if err != nil {
		return err
	}
	var hashes []verify.Hash
	for _, id := range compact.RangeNodes(0, size, nil) {
		h, err := f.node(id)
		if err != nil {
			return err
		}
		hashes = append(hashes, h)
	}
	chain, err := verify.RestoreChain(size, last.LeafHash(), last.SequencedAtMicros, hashes)
	if err != nil {
		return err
	}
	if chain.Root() != f.checkpoint.Root {
		return errors.New("its tiles lead to another root")
	}
	f.edge = newEdge(chain)
	for level := range f.edge.tiles {
		if f.edge.tiles[level], err = f.partial(Tile{Level: level}); err != nil {
			return err
		}
	}
	f.edge.bundle, err = f.partial(Tile{Entries: true})
	return err
}

// node returns a perfect subtree of the log, from the tile that it is in.
func (f *Folder) node(id compact.NodeID) (verify.Hash, error) {
	k := id.Level % 8
	first := id.Index << k % Width
	t := Tile{Level: int(id.Level / 8), Number: id.Index << k / Width}
	t.Width = t.available(f.checkpoint.Size)
	b, err := f.tile(t)
	if err != nil {
		return verify.Hash{}, err
	}
	subtree := factory.NewEmptyRange(0)
	for i := first; i < first+1<<k; i++ {
		if err := subtree.Append(b[i*verify.HashSize:(i+1)*verify.HashSize], nil); err != nil {
			return verify.Hash{}, err
		}
	}
	return rootOf(subtree)
}

// tile reads a tile, from the full one if the partial one is gone.
func (f *Folder) tile(t Tile) ([]byte, error) {
	size := verify.HashSize
	if t.Entries {
		size += 2 + verify.EntrySize - verify.HashSize
	}
	b, err := f.get(t.String())
	if full := (Tile{t.Entries, t.Level, t.Number, Width}); errors.Is(err, ErrNotFound) {
		b, err = f.get(full.String())
	}
	if err == nil && len(b) < t.Width*size {
		return nil, fmt.Errorf("%s has %d bytes", t, len(b))
	}
	return b[:min(len(b), t.Width*size)], err
}

// partial reads the last tile of a level, if it is not full.
func (f *Folder) partial(t Tile) ([]byte, error) {
	t.Number = f.checkpoint.Size >> (8 * t.Level) / Width
	if t.Width = t.available(f.checkpoint.Size); t.Width == 0 {
		return nil, nil
	}
	b, err := f.tile(t)
	return slices.Clone(b), err
}

// Update publishes the latest checkpoint of a source, after everything that it
// stands for. It returns the sizes before and after.
//
// What is written was computed from the entries, which follow the chain and lead to
// the root of the checkpoint. The error is a *ForkError if the checkpoint does not
// extend that of the folder, a *NotLogError if the source's entries are not those
// of its own checkpoint, ErrBehind, wraps verify.ErrCheckpoint, or is that of the
// source or of the disk. After any error the folder is as it was: files that are
// ahead of its checkpoint are written again.
func (f *Folder) Update(ctx context.Context, src Source) (from, to uint64, err error) {
	from = f.Size()
	signed, err := src.Checkpoint(ctx)
	if err != nil {
		return from, from, err
	}
	cp, err := f.log.OpenCheckpoint(signed)
	if err != nil {
		return from, from, err
	}
	if f.checkpoint != nil && cp.Size <= from {
		if err := f.compare(ctx, cp); err != nil {
			return from, from, err
		}
	}
	if f.checkpoint != nil && bytes.Equal(f.checkpoint.Note, signed) {
		return from, from, nil
	}
	if err := f.extend(ctx, cp, src); err != nil {
		return from, from, err
	}
	return from, cp.Size, nil
}

// compare judges a checkpoint that is not larger than that of the folder.
func (f *Folder) compare(ctx context.Context, cp *verify.Checkpoint) error {
	if cp.Size == f.checkpoint.Size {
		if cp.Root == f.checkpoint.Root {
			return nil
		}
		fork, err := f.log.NewFork(f.checkpoint.Note, cp.Note, cp.Root, nil)
		if err != nil {
			return err
		}
		return &ForkError{fork}
	}
	if cp.Size == 0 {
		return ErrBehind
	}
	return f.prove(ctx, cp, f.checkpoint, f, ErrBehind)
}

// prove returns a *ForkError if a log does not extend an older checkpoint, and
// otherwise what it is given.
func (f *Folder) prove(ctx context.Context, older, newer *verify.Checkpoint, src Source, otherwise error) error {
	fork, err := FindFork(ctx, f.log, older, newer, src)
	switch {
	case err != nil:
		return err
	case fork != nil:
		return &ForkError{fork}
	}
	return otherwise
}

// extend writes what a checkpoint adds, and then the checkpoint.
func (f *Folder) extend(ctx context.Context, cp *verify.Checkpoint, src Source) error {
	next, err := f.edge.clone()
	if err != nil {
		return err
	}
	w := &writer{folder: f, dirs: map[string]bool{}}
	err = src.Entries(ctx, f.Size(), cp.Size, func(e verify.Entry) error { return next.append(e, w) })
	finding := verify.AsFinding(err)
	if err != nil && finding == nil {
		return err
	}
	if finding != nil || next.chain.Size() != cp.Size || next.chain.Root() != cp.Root {
		wrong := &NotLogError{Size: cp.Size, Finding: finding}
		if f.checkpoint == nil || f.checkpoint.Size == 0 {
			return wrong
		}
		return f.prove(ctx, f.checkpoint, cp, src, wrong)
	}
	if err := next.flush(w); err != nil {
		return err
	}
	if err := w.sync(); err != nil {
		return err
	}
	if err := durable.Write(f.path(CheckpointPath), cp.Note, 0o644); err != nil {
		return fmt.Errorf("publishing checkpoint: %w", err)
	}
	f.checkpoint, f.edge = cp, next
	return w.removePartials()
}

// writer writes tiles, whose names are durable after sync.
type writer struct {
	folder *Folder
	dirs   map[string]bool // that have new names
	full   []Tile
}

func (w *writer) put(t Tile, b []byte) error {
	path := w.folder.path(t.String())
	if t.Width == Width {
		w.full = append(w.full, t)
	}
	dir := filepath.Dir(path)
	if err := w.makeDir(dir); err != nil {
		return fmt.Errorf("publishing %s: %w", t, err)
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b) {
		w.dirs[dir] = true // it need not be durable
		return nil
	}
	if err := durable.Rename(path, b, 0o644); err != nil {
		return fmt.Errorf("publishing %s: %w", t, err)
	}
	w.dirs[dir] = true
	return nil
}

// makeDir makes a directory and those above it, whose names are then to be synced.
func (w *writer) makeDir(dir string) error {
	if w.dirs[dir] {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for above := filepath.Dir(dir); len(above) >= len(filepath.Clean(w.folder.dir)); above = filepath.Dir(above) {
		w.dirs[above] = true
		if above == filepath.Dir(above) {
			break
		}
	}
	return nil
}

func (w *writer) sync() error {
	for dir := range w.dirs {
		if err := durable.SyncDir(dir); err != nil {
			return fmt.Errorf("publishing tiles: %w", err)
		}
	}
	return nil
}

// removePartials takes the partial tiles away whose full one was written.
func (w *writer) removePartials() error {
	for _, t := range w.full {
		if err := os.RemoveAll(w.folder.path(t.String()) + ".p"); err != nil {
			return fmt.Errorf("removing partial tiles: %w", err)
		}
	}
	return nil
}
