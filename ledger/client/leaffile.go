package client

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ErrLeafFile says that a leaf file does not hold the entries that an auditor has
// read: it is of another log, older, or younger than the audit.
var ErrLeafFile = errors.New("the leaf file does not go with the audit")

// LeafFile is an auditor's own memory of the log: the leaf hash of each entry, 32
// bytes each, in order, in a file. An audit needs no such memory to see that the
// log was changed; with it, Locate tells where. It is trusted as it is found. It
// is not safe for concurrent use; the file is locked against other processes.
type LeafFile struct {
	file   *os.File
	out    *bufio.Writer
	length uint64
}

// OpenLeafFile opens a leaf file, or makes one, and its directory. What it holds
// beyond kept entries, the size that the last finished audit kept, is removed: an
// audit that did not finish wrote it. The error is ErrLocked if another process
// has it open, ErrLeafFile if it holds fewer.
func OpenLeafFile(path string, kept uint64) (*LeafFile, error) {
	l := &LeafFile{length: kept}
	if err := l.open(path); err != nil {
		return nil, fmt.Errorf("opening leaf file %s: %w", path, err)
	}
	return l, nil
}

func (l *LeafFile) open(path string) (err error) {
	if l.file, err = openLocked(path); err != nil {
		return err
	}
	if err = l.cut(filepath.Dir(path)); err != nil {
		return errors.Join(err, l.file.Close())
	}
	l.out = bufio.NewWriterSize(l.file, 1<<16)
	return nil
}

// cut removes what lies beyond the length, and goes to the end.
func (l *LeafFile) cut(dir string) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if held := uint64(info.Size()) / verify.HashSize; held < l.length {
		return fmt.Errorf("%w: it holds %d entries, the audit kept %d", ErrLeafFile, held, l.length)
	}
	end := int64(l.length) * verify.HashSize
	if err := l.file.Truncate(end); err != nil {
		return err
	}
	if _, err := l.file.Seek(end, 0); err != nil {
		return err
	}
	return syncDir(dir)
}

// Len returns the number of entries.
func (l *LeafFile) Len() uint64 { return l.length }

// Append adds the leaf hash of the next entry. It is durable after Sync.
func (l *LeafFile) Append(leaf verify.Hash) error {
	if _, err := l.out.Write(leaf[:]); err != nil {
		return fmt.Errorf("writing leaf file: %w", err)
	}
	l.length++
	return nil
}

// At returns the leaf hash of an entry, whose index is below Len.
func (l *LeafFile) At(index uint64) (verify.Hash, error) {
	var leaf verify.Hash
	if index >= l.length {
		return leaf, fmt.Errorf("reading leaf file: it has %d entries, none with index %d", l.length, index)
	}
	if err := l.out.Flush(); err != nil {
		return leaf, fmt.Errorf("writing leaf file: %w", err)
	}
	if _, err := l.file.ReadAt(leaf[:], int64(index)*verify.HashSize); err != nil {
		return leaf, fmt.Errorf("reading leaf file: %w", err)
	}
	return leaf, nil
}

// Sync makes what was appended durable.
func (l *LeafFile) Sync() error {
	if err := errors.Join(l.out.Flush(), l.file.Sync()); err != nil {
		return fmt.Errorf("writing leaf file: %w", err)
	}
	return nil
}

// Close writes what was appended and releases the file.
func (l *LeafFile) Close() error { return errors.Join(l.out.Flush(), l.file.Close()) }
