package main

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
	badgeroptions "github.com/dgraph-io/badger/v4/options"
)

// badgerTxn is how many envelopes one transaction holds.
const badgerTxn = 2048

// badgerOptions are those of the ledger's store.
func badgerOptions(dir string) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(nil).
		WithSyncWrites(true).
		WithChecksumVerificationMode(badgeroptions.OnTableRead).
		WithVerifyValueChecksum(true).
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(2 << 20).
		WithNumVersionsToKeep(1).
		WithCompression(badgeroptions.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMemTableSize(16 << 20).
		WithNumMemtables(3).
		WithDetectConflicts(false)
}

// measureBadger writes envelopes in synced transactions, one after the other: a
// number of envelopes in each value.
func measureBadger(f form, perValue int) measure {
	return func(ctx context.Context, b *bench) (out sample, err error) {
		dir, remove, err := b.scratch()
		if err != nil {
			return sample{}, err
		}
		defer func() { err = errors.Join(err, remove()) }()
		envelopes, err := wire(b.statements, f)
		if err != nil {
			return sample{}, err
		}
		db, err := badger.Open(badgerOptions(dir))
		if err != nil {
			return sample{}, err
		}
		out, err = badgerAll(ctx, db, envelopes, perValue, b.opts.limit)
		return out, errors.Join(err, db.Close())
	}
}

func badgerAll(ctx context.Context, db *badger.DB, envelopes [][]byte, perValue int, limit time.Duration) (sample, error) {
	work := newFeed(len(envelopes), limit)
	began := time.Now()
	for ctx.Err() == nil {
		from, to := work.take(badgerTxn)
		if from == to {
			break
		}
		err := db.Update(func(txn *badger.Txn) error {
			for i := from; i < to; i += perValue {
				if err := txn.Set(key(i), value(envelopes[i:min(i+perValue, to)])); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return sample{}, err
		}
	}
	return rate(work.taken(), began), ctx.Err()
}

func key(i int) []byte { return binary.BigEndian.AppendUint64([]byte("e"), uint64(i)) }

// value joins envelopes, each behind its length.
func value(envelopes [][]byte) []byte {
	if len(envelopes) == 1 {
		return envelopes[0]
	}
	size := 0
	for _, e := range envelopes {
		size += 4 + len(e)
	}
	b := make([]byte, 0, size)
	for _, e := range envelopes {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(e))), e...)
	}
	return b
}
