package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

const maxKeySize = 1024

// Commit is that of ledger.Store. It does not look at the context: it takes
// milliseconds, and stopping halfway would leave the outcome unknown.
//
// ErrNoSpace, and the error for a write that no Store takes, mean that nothing
// was written, like ErrConflict and ErrTooLarge. After any other error Commit
// writes nothing and returns the same error until the store is opened again.
func (s *Store) Commit(_ context.Context, expected []byte, writes []ledger.Write) error {
	s.committing.Lock()
	defer s.committing.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	size, err := checkWrites(writes)
	if err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	if err := s.space.pass(size); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	if err := stage(txn, expected, writes); err != nil {
		return err
	}

	// A crash up to here leaves nothing of the writes. From here on it leaves
	// all of them or none, and so does an error.
	before := s.errors.Load()
	err = txn.Commit()
	if errors.Is(err, badger.ErrTxnTooBig) {
		return ledger.ErrTooLarge // found out before the log was touched
	}
	if err == nil && s.errors.Load() != before {
		err = errors.New("badger logged an error")
	}
	if err == nil {
		// The log may be a new file. Without its name it would be lost with the
		// power, and the commit with it.
		err = s.dir.sync()
	}
	if err != nil {
		s.failed = fmt.Errorf("committing, outcome unknown: %w", err)
		return s.failed
	}
	s.advance()
	return nil
}

// writable returns why nothing may be written, if so.
func put(txn *badger.Txn, w ledger.Write) error {
	if w.Remove {
		return txn.Delete(w.Key)
	}
	return txn.Set(w.Key, w.Value)
}

func (s *Store) writable() error {
	if s.failed != nil {
		return s.failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	return nil
}

// checkWrites returns the number of bytes in keys and values.
func checkWrites(writes []ledger.Write) (size int64, err error) {
	guarded := false
	for _, w := range writes {
		if len(w.Key) == 0 || len(w.Key) > maxKeySize {
			return 0, fmt.Errorf("a key of %d bytes", len(w.Key))
		}
		if len(w.Value) > maxValueSize {
			return 0, fmt.Errorf("%w: a value of %d bytes", ledger.ErrTooLarge, len(w.Value))
		}
		guarded = guarded || bytes.Equal(w.Key, ledger.HeadKey)
		size += int64(len(w.Key) + len(w.Value))
	}
	if !guarded {
		return 0, errors.New("no head among the writes")
	}
	return size, nil
}

// stage compares the head and puts the writes in txn, where they stay until it
// is committed.
func stage(txn *badger.Txn, expected []byte, writes []ledger.Write) error {
	head, err := get(txn, ledger.HeadKey)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("reading head: %w", err)
	}
	if (head == nil) != (expected == nil) || !bytes.Equal(head, expected) {
		return ledger.ErrConflict
	}
	for _, w := range writes {
		err := put(txn, w)
		if errors.Is(err, badger.ErrTxnTooBig) {
			return ledger.ErrTooLarge
		}
		if err != nil {
			return fmt.Errorf("committing: %w", err)
		}
	}
	return nil
}
