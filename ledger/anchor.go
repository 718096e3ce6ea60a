package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// AnchorPoint is the end of the log as of an acknowledged commit.
type AnchorPoint struct {
	Size uint64
	Root verify.Hash
	// Last is the leaf hash of the last entry.
	Last verify.Hash
}

// Anchor remembers the last acknowledged commit outside the store, because a
// store whose files were damaged can open with less than it held and not say
// so.
type Anchor interface {
	// Last returns the last point, and false if there never was one.
	Last() (AnchorPoint, bool)
	// Append makes a point the last one. It is durable when Append returns nil.
	Append(AnchorPoint) error
	// Close releases the anchor.
	Close() error
}

// ErrAnchor says that the anchor itself is damaged.
var ErrAnchor = errors.New("anchor is damaged")

// anchorRecordSize: size (8), root (32), last (32), and the first 8 bytes of
// the SHA-256 of those.
const anchorRecordSize = 8 + 2*verify.HashSize + 8

const (
	// anchorFileLimit is the size from which the file begins anew with its last
	// record.
	anchorFileLimit = 1 << 20
	// anchorRoom is how many zeros are written ahead of the records, so that a
	// record changes neither the length nor the blocks of the file: its sync then
	// waits for no journal of the file system.
	anchorRoom = 64 << 10
)

// FileAnchor is an Anchor in an append-only file. It is not safe for concurrent
// use.
type FileAnchor struct {
	path string
	file *os.File
	size int64 // of the records
	room int64 // size of the file, with zeros behind the records
	last AnchorPoint
	any  bool
}

// OpenAnchor opens or creates the anchor file at a path. A record that a crash
// cut off at the end was never acknowledged and is dropped, with the zeros behind
// it; any other damage is ErrAnchor.
func OpenAnchor(path string) (*FileAnchor, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening anchor: %w", err)
	}
	a := &FileAnchor{path: path, file: f}
	if err := a.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening anchor %s: %w", path, err), f.Close())
	}
	return a, nil
}

func (a *FileAnchor) load() error {
	b, err := io.ReadAll(a.file)
	if err != nil {
		return err
	}
	if err := a.parse(b); err != nil {
		return err
	}
	if err := a.file.Truncate(a.size); err != nil {
		return err
	}
	if err := a.file.Sync(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(a.path))
}

// parse reads the records of the file.
func (a *FileAnchor) parse(b []byte) error {
	for len(b) >= anchorRecordSize {
		p, ok := parseAnchor(b[:anchorRecordSize])
		if !ok {
			if len(bytes.TrimRight(b[anchorRecordSize:], "\x00")) > 0 {
				return fmt.Errorf("%w at byte %d", ErrAnchor, a.size)
			}
			break // the last record, torn
		}
		if a.any && p.Size < a.last.Size {
			return fmt.Errorf("%w at byte %d: it goes back", ErrAnchor, a.size)
		}
		a.last, a.any = p, true
		a.size += anchorRecordSize
		b = b[anchorRecordSize:]
	}
	a.room = a.size
	return nil
}

// ReadAnchor returns the last point of an anchor file, and false if it has none. It
// changes nothing, so that the file stays as evidence.
func ReadAnchor(path string) (AnchorPoint, bool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return AnchorPoint{}, false, fmt.Errorf("reading anchor: %w", err)
	}
	a := new(FileAnchor)
	if err := a.parse(b); err != nil {
		return AnchorPoint{}, false, fmt.Errorf("reading anchor %s: %w", path, err)
	}
	return a.last, a.any, nil
}

// Last implements Anchor.
func (a *FileAnchor) Last() (AnchorPoint, bool) { return a.last, a.any }

// Append implements Anchor.
func (a *FileAnchor) Append(p AnchorPoint) error {
	if a.size >= anchorFileLimit {
		if err := a.renew(); err != nil {
			return fmt.Errorf("renewing anchor: %w", err)
		}
	}
	if a.size+anchorRecordSize > a.room {
		if err := a.makeRoom(); err != nil {
			return fmt.Errorf("enlarging anchor: %w", err)
		}
	}
	if _, err := a.file.WriteAt(anchorRecord(p), a.size); err != nil {
		return fmt.Errorf("writing anchor: %w", err)
	}
	if err := syncData(a.file); err != nil {
		return fmt.Errorf("syncing anchor: %w", err)
	}
	a.size += anchorRecordSize
	a.last, a.any = p, true
	return nil
}

// makeRoom writes zeros behind the records.
func (a *FileAnchor) makeRoom() error {
	if _, err := a.file.WriteAt(make([]byte, anchorRoom), a.size); err != nil {
		return err
	}
	if err := a.file.Sync(); err != nil {
		return err
	}
	a.room = a.size + anchorRoom
	return nil
}

// renew replaces the file by one that holds the last record. A crash leaves the
// old file or the new one.
func (a *FileAnchor) renew() error {
	next, err := os.OpenFile(a.path+".next", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = next.Write(anchorRecord(a.last))
	err = errors.Join(err, next.Sync())
	if err == nil {
		err = errors.Join(os.Rename(next.Name(), a.path), syncDir(filepath.Dir(a.path)))
	}
	if err != nil {
		return errors.Join(err, next.Close())
	}
	old := a.file
	a.file, a.size, a.room = next, anchorRecordSize, anchorRecordSize
	return old.Close()
}

// Close implements Anchor.
func (a *FileAnchor) Close() error {
	return errors.Join(a.file.Truncate(a.size), a.file.Close())
}

func anchorRecord(p AnchorPoint) []byte {
	b := binary.BigEndian.AppendUint64(nil, p.Size)
	b = append(append(b, p.Root[:]...), p.Last[:]...)
	sum := sha256.Sum256(b)
	return append(b, sum[:8]...)
}

func parseAnchor(b []byte) (AnchorPoint, bool) {
	p := AnchorPoint{Size: binary.BigEndian.Uint64(b), Root: verify.Hash(b[8:]), Last: verify.Hash(b[40:])}
	return p, bytes.Equal(anchorRecord(p), b)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
