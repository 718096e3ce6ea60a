package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dgraph-io/badger/v4"
)

const (
	asideName    = "set-aside"
	asidePending = "pending"
	// asideKept is how many of the numbered folders are kept.
	asideKept = 5
)

// leftovers are the files in a directory that Badger would shorten, remove or
// stumble over. A store that was closed has none.
type leftovers struct {
	path string
	// logs are those of commits that are not in tables yet. Badger cuts them
	// where it finds a fault.
	logs    []string
	longest int64 // of logs, in bytes
	// values is the newest file of the value log, which Badger cuts likewise; empty
	// if there is none.
	values string
	// empty are logs whose making or removal was interrupted. Badger refuses
	// them.
	empty []string
	// unnamed are tables that the MANIFEST does not name: made just before the
	// process died, or else it is the MANIFEST that is not whole. Badger removes
	// them.
	unnamed []string
}

// inspect changes nothing. The directory must be locked.
func inspect(path string) (*leftovers, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	left := &leftovers{path: path}
	tables := 0
	named, err := namedTables(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, fmt.Errorf("reading MANIFEST: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		switch name := entry.Name(); filepath.Ext(name) {
		case ".mem", ".vlog":
			left.addLog(name, info.Size())
		case ".sst":
			tables++
			if !named[name] {
				left.unnamed = append(left.unnamed, name)
			}
		}
	}
	if missing && tables > 0 {
		// It is replaced, never removed. Badger would make a new one, and then
		// remove all tables.
		return nil, fmt.Errorf("%d tables and no MANIFEST: it was removed, and must be put back", tables)
	}
	return left, nil
}

func (l *leftovers) addLog(name string, size int64) {
	switch {
	case size == 0:
		l.empty = append(l.empty, name)
	case filepath.Ext(name) == ".vlog":
		l.values = max(l.values, name)
	case filepath.Ext(name) == ".mem":
		l.logs = append(l.logs, name)
		l.longest = max(l.longest, size)
	}
}

// memTableSize returns the smallest MemTableSize that holds the logs: they were
// made with twice that of their time.
func (l *leftovers) memTableSize() int64 {
	return (l.longest + 1) / 2
}

// setAside keeps what Badger would change in the folder pending, and takes the
// empty files away. What pending has already is older, and stays: there were
// openings since, and none succeeded.
//
// A crash halfway is fine: nothing that holds data is moved.
func (l *leftovers) setAside(log *slog.Logger) error {
	if len(l.logs)+len(l.empty)+len(l.unnamed) == 0 {
		return nil
	}
	pending := filepath.Join(l.path, asideName, asidePending)
	if err := makeDurable(pending); err != nil {
		return err
	}
	log.Warn("the store was not closed; keeping what was found", "folder", pending,
		"logs", l.logs, "empty_files", l.empty, "unnamed_tables", l.unnamed)
	cut := append([]string{badger.ManifestFilename}, l.logs...)
	if len(l.logs) > 0 && l.values != "" {
		cut = append(cut, l.values)
	}
	for _, name := range cut {
		if err := keep(copySparse, pending, l.path, name); err != nil {
			return err
		}
	}
	for _, name := range l.unnamed {
		if err := keep(os.Link, pending, l.path, name); err != nil {
			return err
		}
	}
	for _, name := range l.empty {
		if err := keep(os.Link, pending, l.path, name); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(l.path, name)); err != nil {
			return err
		}
	}
	return syncFile(pending)
}

// keep brings a file into the folder pending by the given way, unless it is
// there already. A file has its name there only when it is whole.
func keep(bring func(from, to string) error, pending, path, name string) error {
	kept := filepath.Join(pending, name)
	if _, err := os.Stat(kept); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := kept + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := bring(filepath.Join(path, name), part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the MANIFEST of a store that nothing was written to
	}
	if err != nil {
		return err
	}
	return os.Rename(part, kept)
}

// fileAway gives the folder pending, if there is one, the next number, as the
// store was opened, and removes the oldest of the numbered ones.
func fileAway(path string) error {
	aside := filepath.Join(path, asideName)
	pending := filepath.Join(aside, asidePending)
	if _, err := os.Stat(pending); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	entries, err := os.ReadDir(aside)
	if err != nil {
		return err
	}
	var numbers []int // in ascending order, as the names are
	for _, entry := range entries {
		if n, err := strconv.Atoi(entry.Name()); err == nil {
			numbers = append(numbers, n)
		}
	}
	next := 1
	if len(numbers) > 0 {
		next = numbers[len(numbers)-1] + 1
	}
	for len(numbers) >= asideKept {
		if err := os.RemoveAll(filepath.Join(aside, numbered(numbers[0]))); err != nil {
			return err
		}
		numbers = numbers[1:]
	}
	return os.Rename(pending, filepath.Join(aside, numbered(next)))
}

func numbered(n int) string {
	return fmt.Sprintf("%06d", n)
}

// namedTables returns the names of the tables that the MANIFEST names.
func namedTables(path string) (map[string]bool, error) {
	file, err := os.Open(filepath.Join(path, badger.ManifestFilename))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	manifest, _, err := badger.ReplayManifestFile(file, 0, badger.DefaultOptions(path).WithLogger(nil))
	if err != nil {
		return nil, err
	}
	named := make(map[string]bool)
	for id := range manifest.Tables {
		named[fmt.Sprintf("%06d.sst", id)] = true
	}
	return named, nil
}

// copySparse copies a file and syncs the copy. Blocks of zeros become holes: most
// of a log is not written yet.
func copySparse(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()

	block, zeros := make([]byte, 1<<16), make([]byte, 1<<16)
	for offset := int64(0); ; {
		n, err := io.ReadFull(source, block)
		if n > 0 && !bytes.Equal(block[:n], zeros[:n]) {
			if _, err := target.WriteAt(block[:n], offset); err != nil {
				return err
			}
		}
		offset += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return errors.Join(target.Truncate(offset), target.Sync())
		}
		if err != nil {
			return err
		}
	}
}
