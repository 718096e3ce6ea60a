package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// partialName is a file under way. It means nothing to anybody.
const partialName = ".partial"

// directory is a backup in a directory, locked.
type directory struct {
	path string
	dir  *os.File
	file *os.File // under way, or nil
}

// openDirectory locks a directory, makes it if there is none, and reads its
// manifest, nil if it has none.
func openDirectory(path string) (*directory, *Manifest, error) {
	if err := makeDurable(path); err != nil {
		return nil, nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	d := &directory{path: path, dir: dir}
	if err := lock(dir); err != nil {
		return nil, nil, errors.Join(err, dir.Close())
	}
	m, err := d.manifest()
	if err != nil {
		return nil, nil, errors.Join(err, dir.Close())
	}
	return d, m, nil
}

func makeDurable(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(filepath.Clean(path)))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// manifest reads the manifest. Without one the directory must not hold anything
// but what a first run left that ended early.
func (d *directory) manifest() (*Manifest, error) {
	b, err := readFile(filepath.Join(d.path, manifestName), maxManifestBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, d.checkFresh()
	}
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(b)
	if err != nil {
		return nil, err
	}
	for _, s := range m.Segments {
		info, err := os.Stat(filepath.Join(d.path, s.name()))
		if err != nil || info.Size() != s.Bytes {
			return nil, fmt.Errorf("%w: %s is missing, or does not have %d bytes", ErrDamaged, s.name(), s.Bytes)
		}
	}
	return m, nil
}

// checkFresh refuses a directory of something else, or a backup that lost its
// manifest.
func (d *directory) checkFresh() error {
	names, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	first := Segment{}
	for _, n := range names {
		encrypted := Segment{Encrypted: true}
		if n.Name() != partialName && n.Name() != manifestName+partialName && n.Name() != first.name() && n.Name() != encrypted.name() {
			return fmt.Errorf("%w: the directory has no manifest, and holds %s: name an empty one, or put the manifest back", ErrDamaged, n.Name())
		}
	}
	return nil
}

// begin implements sink.
func (d *directory) begin() (w io.Writer, err error) {
	d.file, err = os.OpenFile(filepath.Join(d.path, partialName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	return d.file, err
}

// keep implements sink. A crash after it leaves a segment that the manifest does
// not have, which the next run replaces.
func (d *directory) keep(s Segment) error {
	file := d.file
	d.file = nil
	return d.rename(file, s.name())
}

// rename makes a file durable, then its name.
func (d *directory) rename(file *os.File, name string) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Join(d.path, name)); err != nil {
		return err
	}
	return d.dir.Sync()
}

// seal implements sink.
func (d *directory) seal(m *Manifest, _ bool) error {
	b, err := m.bytes()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(d.path, manifestName+partialName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(b); err != nil {
		return errors.Join(err, file.Close())
	}
	return d.rename(file, manifestName)
}

// close implements sink.
func (d *directory) close() error {
	var err error
	if d.file != nil {
		err = errors.Join(d.file.Close(), os.Remove(d.file.Name()))
		d.file = nil
	}
	return errors.Join(err, d.dir.Close())
}

// readFile reads a file that has at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%w: %s is too long", ErrDamaged, filepath.Base(path))
	}
	return b, err
}
