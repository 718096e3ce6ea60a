package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNoFork says that something proves no fork.
var ErrNoFork = errors.New("it proves no fork")

// Fork proves that the checkpoint key signed two logs: the log of the newer
// checkpoint has, at the size of the older, another root. It convinces whoever
// knows the key; nothing else needs to be believed or asked.
type Fork struct {
	// Older is not larger than Newer.
	Older, Newer *Checkpoint
	// Root is the root, at the size of Older, of the log of Newer. It is not the
	// root of Older.
	Root Hash
	// Path proves that: the log of Newer extends Root (RFC 9162, section 2.1.4). It
	// is empty if the sizes are the same.
	Path [][]byte
}

// NewFork checks a proof of fork. The error wraps ErrNoFork, or ErrCheckpoint if a
// checkpoint is not one of the log.
func (l *Log) NewFork(older, newer []byte, root Hash, path [][]byte) (*Fork, error) {
	f := &Fork{Root: root, Path: path}
	var err error
	if f.Older, err = l.OpenCheckpoint(older); err != nil {
		return nil, err
	}
	if f.Newer, err = l.OpenCheckpoint(newer); err != nil {
		return nil, err
	}
	switch {
	case f.Older.Size == 0:
		return nil, fmt.Errorf("%w: every log extends an empty one", ErrNoFork)
	case f.Older.Size > f.Newer.Size:
		return nil, fmt.Errorf("%w: the older checkpoint is of the larger log", ErrNoFork)
	case f.Older.Root == root:
		return nil, fmt.Errorf("%w: both logs have the same root at size %d", ErrNoFork, f.Older.Size)
	}
	if err := VerifyConsistency(&Checkpoint{Size: f.Older.Size, Root: root}, f.Newer, path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoFork, err)
	}
	return f, nil
}

// forkForm is the first field of a file that proves a fork.
const forkForm = "magnet-ledger fork v1"

// forkFile is a proof of fork in a file.
type forkFile struct {
	Format string   `json:"format"`
	VKey   string   `json:"checkpoint_vkey"`
	Older  string   `json:"older"`
	Newer  string   `json:"newer"`
	Root   []byte   `json:"root"`
	Path   [][]byte `json:"consistency"`
}

// MarshalFork returns the proof as JSON, for a file that proves it to others.
func (l *Log) MarshalFork(f *Fork) ([]byte, error) {
	b, err := json.MarshalIndent(forkFile{forkForm, l.vkey, string(f.Older.Note), string(f.Newer.Note), f.Root[:], f.Path}, "", "  ")
	return append(b, '\n'), err
}

// OpenFork reads and checks a file that MarshalFork made. The checkpoint key is
// the one that the file names: that it is the ledger's, the reader must know,
// from the log returned. The error is as that of NewFork.
func OpenFork(b []byte) (*Log, *Fork, error) {
	var file forkFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil || file.Format != forkForm || d.More() {
		return nil, nil, fmt.Errorf("%w: the file is no proof of fork", ErrNoFork)
	}
	root, err := ParseHash(file.Root)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: root: %w", ErrNoFork, err)
	}
	log, err := NewLog(Hash{}, file.VKey)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoFork, err)
	}
	f, err := log.NewFork([]byte(file.Older), []byte(file.Newer), root, file.Path)
	return log, f, err
}
