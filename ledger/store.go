package ledger

import (
	"context"
	"errors"
)

// Errors of a Store.
var (
	// ErrNotFound says that a key has no value.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that the head is not the expected one: somebody else
	// committed. Nothing was written.
	ErrConflict = errors.New("head moved")
	// ErrTooLarge says that the writes exceed what one commit can hold. Nothing
	// was written.
	ErrTooLarge = errors.New("commit too large")
	// ErrTryAgain says that the store cannot write at present, for want of space
	// above all. Nothing was written, and the same commit may succeed later.
	ErrTryAgain = errors.New("nothing was written; it may be tried again")
)

// HeadKey is where a Store keeps the head. It sorts before every other key.
var HeadKey = []byte{0}

// Store is an ordered, durable map of byte strings with snapshots. It knows
// nothing of what it holds, except that HeadKey holds the head, which guards
// every commit.
//
// A Store is safe for concurrent use, except that its user commits from one
// goroutine at a time; while a commit runs, snapshots show the state before it.
type Store interface {
	// Snapshot returns the state as of the last commit. The caller closes it,
	// soon: a store may keep old data for as long as a snapshot is open.
	Snapshot() (Snapshot, error)

	// Commit carries out all of writes, or none, if the value of HeadKey equals
	// expected (nil: there is none yet); one of writes sets HeadKey to the next
	// head, which is never empty. A key stands in writes at most once. The slices are not kept after
	// the call and not changed.
	//
	// When Commit returns nil, the writes are durable and visible to new
	// snapshots. ErrConflict, ErrTooLarge and ErrTryAgain mean that
	// nothing was written, and the store goes on. After any other error the outcome is unknown: the writes may be there, now
	// or after the store is opened again, and the store must be closed.
	// A context that ends while a commit runs does not stop it.
	Commit(ctx context.Context, expected []byte, writes []Write) error

	// Close releases the store. Snapshots must be closed before; otherwise it
	// is an error and the store stays open.
	Close() error
}

// Snapshot is the state of a Store as of one commit. It is safe for concurrent
// use.
type Snapshot interface {
	// Get returns the value of a key, or ErrNotFound. The caller owns the value.
	Get(key []byte) ([]byte, error)

	// Scan calls visit for each key in [from, to) in ascending order, until
	// visit returns false. A nil from means from the beginning, a nil to to the
	// end. Key and value are valid
	// only during the call. An error of the store ends the scan and is
	// returned; a scan that returns nil has seen every key.
	Scan(from, to []byte, visit func(key, value []byte) bool) error

	// Close releases the snapshot.
	Close()
}

// Write sets a key to a value. Values may be empty and are below 1 MiB; keys are
// 1 to 1,024 bytes and do not begin with "!".
type Write struct {
	Key, Value []byte
	// Remove takes the key away instead, with its value. It need not be there.
	Remove bool
}
