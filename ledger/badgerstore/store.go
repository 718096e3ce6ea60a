// Package badgerstore keeps a ledger on the local disk, in Badger. It is the
// only importer of Badger.
//
// # What it promises
//
// A [Store] keeps the contract of [ledger.Store] on Linux with ext4 or xfs,
// through the death of the process at any instant, and through the loss of power
// if the disk keeps what it was told to sync. Other file systems get a warning.
// macOS is for development. On other systems Open refuses: Badger's syncs do
// nothing on Windows.
//
// What holds between two calls:
//
//   - A commit is one Badger transaction, synced before Commit returns. Names of
//     new files are synced, too.
//   - Snapshots show a commit after it returned nil, and never before. One whose
//     outcome is unknown is not seen until the store is opened again, if at all.
//   - Values from 12 KiB on are in Badger's value log, which is written once, where
//     a table is written again at each level. Badger only logs it when that log
//     cannot be synced; any error that it logs during a commit fails the commit.
//   - After an error of unknown outcome nothing is written any more.
//   - Nothing is written while the file system has less than
//     [Options].MinFreeBytes: Badger writes through memory maps, and a full disk
//     kills the process.
//
// # What it cannot promise
//
// Badger does not notice all damage to its files. A log that lost its tail and a
// MANIFEST that lost its end open without an error, with less in them. A table is
// checked in full when it is opened, which takes time in proportion to what is
// stored, and not again: damage that comes later can be read as wrong bytes, and
// a scan can end early, without an error. So whoever uses a store has to know
// from elsewhere what its head was, has to hash what it reads, and has to count
// what it scans.
//
// Before Badger sees a directory that was not closed, or whose MANIFEST does not
// name all tables, what Badger would shorten or remove is kept in its folder
// set-aside: in a folder pending until an opening succeeds, then in a numbered
// one, of which the newest five are kept. The store never reads them.
//
// A failure in one of Badger's own goroutines, a full or broken disk above all,
// ends the process. Nothing in this package can change that; the next start finds
// all that was committed.
//
// What is overwritten or removed leaves its bytes in the value log: nothing takes
// them away while the store is in use. A ledger removes pages of its state when it
// merges them, some 200 bytes for each statement in all. A store that is made anew
// from a backup has none.
//
// # Limits
//
// A value has less than 1 MiB. One commit has less than 15 % of MemTableSize in
// keys and values below 12 KiB, with 12 bytes for each record added, and less than one record
// per 640 bytes of MemTableSize: with 16 MiB that is 2,516,582 bytes and 26,214
// records. More is [ledger.ErrTooLarge]. A key does not begin with "!badger!".
package badgerstore

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// Errors of a Store, beside those of package ledger.
var (
	// ErrLocked says that the directory is in use: by another process, or by
	// another Store of this one.
	ErrLocked = errors.New("directory is in use")
	// ErrNoSpace says that the file system has less than MinFreeBytes. Nothing
	// was written, and the store can go on when there is space again.
	// It is a ledger.ErrTryAgain.
	ErrNoSpace = fmt.Errorf("too little free space; %w", ledger.ErrTryAgain)

	errClosed = errors.New("store is closed")
)

const (
	defaultMemTableSize = 16 << 20
	// minMemTableSize leaves room for a value of maxValueSize in one commit.
	minMemTableSize = 8 << 20
	// valueThreshold is the size from which on Badger puts a value in its value
	// log, where a damaged one is read as an empty one without an error: whole
	// finds that. Tiles, which are written again and again until they are full,
	// stay below it: nothing takes away what is obsolete there.
	valueThreshold = 12 << 10
	maxValueSize   = 1<<20 - 1
	// valueLogSize is small: the last file is copied when a directory is opened that
	// was not closed.
	valueLogSize = 64 << 20
	minFreeBytes = 1 << 30
)

// Options of a Store. The zero value is ready to use.
type Options struct {
	// Logger gets what Badger logs, its INFO as DEBUG, and what Open had to put
	// right. Keys may be logged, values are not. Nil discards.
	Logger *slog.Logger

	// MemTableSize, in bytes, bounds one commit (see the package's limits) and
	// memory: with commits without a pause, some 17 times as much is in use,
	// most of it to write one table, and twice that is resident unless the
	// process has a memory limit. Files are mapped and do not count. It may
	// change from one opening to the next; a larger one stays in force until the
	// store was closed. The default is 16 MiB; less than 8 MiB is raised to it.
	MemTableSize int64

	// MinFreeBytes is what the file system must have free for Open and Commit to
	// write. The default is the larger of 1 GiB and four times MemTableSize: what
	// flushes and compactions may need beside the commits. Set less only in
	// tests.
	MinFreeBytes int64
}

// Store is a ledger.Store in a directory.
type Store struct {
	db     *badger.DB
	errors *atomic.Int64 // that Badger logged

	// committing serializes Commit and Close, and guards what follows.
	committing sync.Mutex
	dir        *directory
	space      spaceGate
	failed     error // of the commit whose outcome is unknown

	// mu guards what follows. It is never held during input or output, so that
	// no reader waits for a commit.
	mu        sync.Mutex
	closed    bool
	current   *view // as of the last commit that returned nil
	snapshots int   // that are open
}

// Open opens the store in a directory, and makes it if there is none. Nothing
// else may be kept in it. The error is ErrLocked while another Store has it open,
// and ErrNoSpace, before anything is written to it, if there is too little space.
func Open(path string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	dir, err := openDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	s, err := open(dir, opts)
	if err != nil {
		dir.close()
		return nil, fmt.Errorf("opening store in %s: %w", dir.path, err)
	}
	return s, nil
}

func open(dir *directory, opts Options) (*Store, error) {
	space := newSpaceGate(dir, opts)
	if err := space.pass(0); err != nil {
		return nil, err
	}
	if !dir.promised() {
		opts.Logger.Warn("durability is promised on ext4 and xfs only", "directory", dir.path)
	}
	left, err := inspect(dir.path)
	if err != nil {
		return nil, err
	}
	if err := left.setAside(opts.Logger); err != nil {
		return nil, fmt.Errorf("setting aside what an unclean stop left: %w", err)
	}
	// A log is replayed into a table of the configured size, and one that does
	// not fit ends the process.
	opts.MemTableSize = max(opts.MemTableSize, left.memTableSize())
	said := new(atomic.Int64)
	db, err := badger.Open(badgerOptions(dir.path, opts, said))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(fileAway(dir.path), dir.sync()); err != nil {
		db.Close()
		return nil, err
	}
	return &Store{db: db, dir: dir, space: space, errors: said, current: newView(db)}, nil
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = defaultMemTableSize
	}
	o.MemTableSize = max(o.MemTableSize, minMemTableSize)
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = max(minFreeBytes, 4*o.MemTableSize)
	}
	return o
}

// badgerOptions departs from Badger's defaults where they trade durability or
// the discovery of damage for speed.
func badgerOptions(path string, opts Options, said *atomic.Int64) badger.Options {
	return badger.DefaultOptions(path).
		WithLogger(logger{opts.Logger, said}).
		WithSyncWrites(true).
		// OnBlockRead and OnTableAndBlockRead panic on damage, or end a scan
		// early.
		WithChecksumVerificationMode(options.OnTableRead).
		WithVerifyValueChecksum(true).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(valueLogSize).
		WithNumVersionsToKeep(1).
		// A damaged block that is not compressed gives wrong bytes, which a hash
		// discovers. A compressed one ends a scan early, in compactions, too,
		// which then drop the rest of the table, and panics when it is opened.
		WithCompression(options.None).
		// The caches serve compressed and encrypted tables. These are read from
		// mapped files, and a cache of blocks makes that slower by a third.
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMemTableSize(opts.MemTableSize).
		WithNumMemtables(3).
		// Tables from memory reach over all keys, so that merging them rewrites all
		// of the first level: fewer times with more of them, and with room before
		// writing has to wait for it.
		WithNumLevelZeroTables(10).
		WithNumLevelZeroTablesStall(40).
		// There is one writer: committing in this process, the lock among
		// processes. Detection would keep the keys of every commit for as long
		// as a snapshot is open.
		WithDetectConflicts(false).
		// The directory has the same lock, taken earlier: what is set aside must
		// not be that of a running process.
		WithBypassLockGuard(true)
}

// CommitBytes returns what one commit holds at most: keys and values, with 12 bytes
// for each. Values of 12 KiB and more count little; whatever they are, it holds that.
func (s *Store) CommitBytes() int64 { return s.db.MaxBatchSize() }

// Size returns the bytes in tables and in the value log, as of a minute ago at
// most.
func (s *Store) Size() (lsm, vlog int64) {
	return s.db.Size()
}

// Close releases the store, after a running commit. While snapshots are open it
// returns an error and does nothing: Badger would take the memory away from
// under them. Closing twice is fine.
func (s *Store) Close() error {
	s.committing.Lock()
	defer s.committing.Unlock()
	if done, err := s.startClosing(); done || err != nil {
		return err
	}
	s.current.txn.Discard()
	err := s.db.Close()
	// The lock goes last.
	if err := errors.Join(err, s.dir.close()); err != nil {
		return fmt.Errorf("closing store: %w", err)
	}
	return nil
}

func (s *Store) startClosing() (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return true, nil
	}
	if s.snapshots > 0 {
		return false, fmt.Errorf("closing store: %d snapshots are open", s.snapshots)
	}
	s.closed = true
	return false, nil
}

var _ ledger.Store = (*Store)(nil)
