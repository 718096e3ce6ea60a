package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Backup is one that is read.
type Backup struct {
	manifest   *Manifest
	identities []age.Identity
	read       func(name string, limit int64) ([]byte, error)
	closer     io.Closer
}

// Open opens a backup, a directory or the file of a stream, and reads its manifest.
// The error is ErrDamaged, or ErrIncomplete if there is no checkpoint in it. The
// caller closes it. Identities is a file of age identities that decrypt it, as
// age-keygen writes it; empty for none.
func Open(path, identities string) (*Backup, error) {
	b, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("opening backup %s: %w", path, err)
	}
	if identities == "" {
		return b, nil
	}
	if b.identities, err = readIdentities(identities); err != nil {
		return nil, errors.Join(fmt.Errorf("opening backup %s: %w", path, err), b.Close())
	}
	return b, nil
}

func open(path string) (*Backup, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b := &Backup{closer: f}
	if info.IsDir() {
		b.read = func(name string, limit int64) ([]byte, error) { return readFile(filepath.Join(path, name), limit) }
	} else {
		members, err := indexStream(f, info.Size())
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		b.read = func(name string, limit int64) ([]byte, error) { return readMember(f, members, name, limit) }
	}
	if err := b.readManifest(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return b, nil
}

func readMember(f *os.File, members map[string]member, name string, limit int64) ([]byte, error) {
	m, ok := members[name]
	if !ok || m.size > limit {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	content := make([]byte, m.size)
	_, err := f.ReadAt(content, m.offset)
	return content, err
}

func (b *Backup) readManifest() error {
	content, err := b.read(manifestName, maxManifestBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the manifest is missing", ErrDamaged)
	}
	if err != nil {
		return err
	}
	if b.manifest, err = parseManifest(content); err != nil {
		return err
	}
	if b.manifest.Checkpoint() == nil {
		return fmt.Errorf("%w: run `magnet backup` once more", ErrIncomplete)
	}
	return nil
}

// Manifest returns what the backup is made of.
func (b *Backup) Manifest() *Manifest { return b.manifest }

// Close releases the backup.
func (b *Backup) Close() error { return b.closer.Close() }

// Visitor takes what a backup holds.
type Visitor struct {
	// Statement is called with each statement, from the genesis on, and the time of
	// its entry.
	Statement func(timeMicros int64, env *tracev1.Envelope) error
	// Checkpoint is called with each signed checkpoint, behind the last statement
	// that it covers. It was opened with the key in the manifest.
	Checkpoint func(*verify.Checkpoint) error
}

// Visit reads the backup up to its last checkpoint. The error is ErrDamaged, ErrIdentity, or that of the visitor. What was
// visited is proved only by a later checkpoint: whoever visits hashes it and
// compares.
func (b *Backup) Visit(ctx context.Context, v Visitor) error {
	checkpoints := b.manifest.sealed
	for _, s := range b.manifest.Segments {
		if len(checkpoints) == 0 {
			return nil // the rest is of a run that did not end
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		file, err := b.read(s.name(), maxSegmentFile)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s is missing; get another copy of it", ErrDamaged, s.name())
		}
		if err != nil {
			return err
		}
		if err := s.unpack(file, b.identities, v.Statement); err != nil {
			return err
		}
		if checkpoints[0].Size == s.end() {
			if err := v.Checkpoint(checkpoints[0]); err != nil {
				return err
			}
			checkpoints = checkpoints[1:]
		}
	}
	return nil
}

func readIdentities(path string) ([]age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := age.ParseIdentities(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}
