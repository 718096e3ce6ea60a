// Package badgertest changes what a closed badgerstore has stored, behind the
// ledger's back, for tests of whether that is found out.
package badgertest

import (
	"errors"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Edit opens the store in a directory with Badger's own means and has fn change
// it, in one transaction. Any error ends the test, also that another has the
// store open.
func Edit(t testing.TB, dir string, fn func(*Txn)) {
	t.Helper()
	db, err := badger.Open(badger.DefaultOptions(dir).
		WithLogger(nil).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithValueLogFileSize(2 << 20))
	if err != nil {
		t.Fatalf("opening store to edit: %v", err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing edited store: %v", err)
		}
	}()
	err = db.Update(func(txn *badger.Txn) error {
		fn(&Txn{t, txn})
		return nil
	})
	if err != nil {
		t.Fatalf("editing store: %v", err)
	}
}

// Txn is a store that is being edited. Errors end the test.
type Txn struct {
	t   testing.TB
	txn *badger.Txn
}

// Get returns the value of a key, or nil if it has none.
func (x *Txn) Get(key []byte) []byte {
	x.t.Helper()
	item, err := x.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		x.t.Fatalf("reading %q: %v", key, err)
	}
	value, err := item.ValueCopy([]byte{})
	if err != nil {
		x.t.Fatalf("reading %q: %v", key, err)
	}
	return value
}

// Set sets a key to a value.
func (x *Txn) Set(key, value []byte) {
	x.t.Helper()
	if err := x.txn.Set(key, value); err != nil {
		x.t.Fatalf("setting %q: %v", key, err)
	}
}

// Delete removes a key.
func (x *Txn) Delete(key []byte) {
	x.t.Helper()
	if err := x.txn.Delete(key); err != nil {
		x.t.Fatalf("deleting %q: %v", key, err)
	}
}

// Keys returns all keys that begin with a prefix, in ascending order.
func (x *Txn) Keys(prefix []byte) [][]byte {
	opts := badger.DefaultIteratorOptions
	opts.Prefix, opts.PrefetchValues = prefix, false
	it := x.txn.NewIterator(opts)
	defer it.Close()
	var keys [][]byte
	for it.Rewind(); it.Valid(); it.Next() {
		keys = append(keys, it.Item().KeyCopy(nil))
	}
	return keys
}
