// Package durable replaces files so that a crash leaves the old content or the
// new, on ext4 or xfs and a disk that keeps what it was told to sync.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Write replaces a file, or makes it. It is durable when Write returns nil; after
// an error the file has the old content or the new.
func Write(path string, content []byte, mode os.FileMode) error {
	if err := Rename(path, content, mode); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Rename is Write, except that the content is durable and the name is not, until
// SyncDir: for many files of one directory. A reader sees whole files only.
func Rename(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
