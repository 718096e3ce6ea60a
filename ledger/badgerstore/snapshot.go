package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// view is a read-only transaction that the snapshots of one commit share, and
// the Store while it is the last commit.
//
// A read-only transaction of Badger's own would wait for a running commit and
// then show it. One that began earlier does not wait. Its Get and its iterators
// touch no state but an atomic counter, so that any number of goroutines may use
// it; only Discard must come last.
type view struct {
	txn  *badger.Txn
	refs int // guarded by Store.mu
}

func newView(db *badger.DB) *view {
	return &view{txn: db.NewTransaction(false), refs: 1}
}

// advance lets new snapshots show the last commit.
func (s *Store) advance() {
	next := newView(s.db)
	s.mu.Lock()
	last := s.current
	s.current = next
	s.mu.Unlock()
	s.release(last)
}

func (s *Store) release(v *view) {
	s.mu.Lock()
	v.refs--
	unused := v.refs == 0
	s.mu.Unlock()
	if unused {
		v.txn.Discard()
	}
}

// Snapshot returns the state as of the last commit, without waiting for a
// running one. A snapshot keeps Badger from dropping values that were
// overwritten since.
func (s *Store) Snapshot() (ledger.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	s.current.refs++
	s.snapshots++
	return &snapshot{store: s, view: s.current}, nil
}

type snapshot struct {
	store *Store
	view  *view
	once  sync.Once
}

func (s *snapshot) Get(key []byte) ([]byte, error) {
	return get(s.view.txn, key)
}

// Scan does not prefetch: Badger starts a goroutine for each value that it
// prefetches, which helps only with those in the value log, and makes a scan of
// 10,000 keys take twice as long, of one key 20 times.
func (s *snapshot) Scan(from, to []byte, visit func(key, value []byte) bool) error {
	it, err := newIterator(s.view.txn)
	if err != nil {
		return fmt.Errorf("scanning: %w", err)
	}
	defer it.Close()
	for it.Seek(from); it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if to != nil && bytes.Compare(key, to) >= 0 {
			return nil
		}
		more := false
		err := item.Value(func(value []byte) error {
			more = true
			if err := whole(item, value); err != nil {
				return err
			}
			more = visit(key, value)
			return nil
		})
		if err != nil {
			return fmt.Errorf("scanning: %w", err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// Close must come after the last Get and Scan have returned.
func (s *snapshot) Close() {
	s.once.Do(func() {
		s.store.mu.Lock()
		s.store.snapshots--
		s.store.mu.Unlock()
		s.store.release(s.view)
	})
}

// get returns a copy of a value, which is not nil, or ledger.ErrNotFound.
func get(txn *badger.Txn, key []byte) (value []byte, err error) {
	defer recovered(&err)
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, ledger.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	value, err = item.ValueCopy([]byte{})
	if err != nil {
		return nil, err
	}
	if err := whole(item, value); err != nil {
		return nil, err
	}
	return value, nil
}

func newIterator(txn *badger.Txn) (it *badger.Iterator, err error) {
	defer recovered(&err)
	opts := badger.DefaultIteratorOptions
	opts.PrefetchValues = false
	return txn.NewIterator(opts), nil
}

// whole returns an error for a value that Badger could not find in its value
// log: it comes back empty and without an error.
func whole(item *badger.Item, value []byte) error {
	const around = 16 // what ValueSize may be wrong by, of those in the value log
	if want := item.ValueSize(); int64(len(value)) < want-around || int64(len(value)) > want+around || want > around && len(value) == 0 {
		return fmt.Errorf("a value of about %d bytes was read as %d bytes", want, len(value))
	}
	return nil
}

// recovered turns a panic of Badger into an error: when it could not make a new
// log file, the next one who reads finds nil in its place.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("badger: %v", r)
	}
}
