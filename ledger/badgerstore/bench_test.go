package badgerstore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
)

const recordSize = 600

// filler commits records with keys of ascending numbers.
type filler struct {
	store *badgerstore.Store
	rand  *rand.ChaCha8
	head  []byte
	count uint64
}

func newFiller(b *testing.B) *filler {
	return &filler{store: open(b, b.TempDir(), badgerstore.Options{MinFreeBytes: 1}), rand: rand.NewChaCha8([32]byte{})}
}

func (f *filler) commit(b *testing.B, records int) {
	b.Helper()
	next := binary.BigEndian.AppendUint64(nil, f.count+uint64(records))
	writes := []ledger.Write{{Key: ledger.HeadKey, Value: next}}
	values := make([]byte, records*recordSize)
	f.rand.Read(values)
	for i := range records {
		writes = append(writes, ledger.Write{Key: recordKey(f.count), Value: values[i*recordSize:][:recordSize]})
		f.count++
	}
	if err := f.store.Commit(context.Background(), f.head, writes); err != nil {
		b.Fatal(err)
	}
	f.head = next
}

func recordKey(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte("r"), n)
}

func BenchmarkCommit(b *testing.B) {
	for _, records := range []int{1, 256, 2048} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			f := newFiller(b)
			for b.Loop() {
				f.commit(b, records)
			}
			b.ReportMetric(float64(f.count)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// stored is how many records there are to read: more than one memtable, so that
// most are in files.
const stored = 200_000

func filled(b *testing.B) (*filler, ledger.Snapshot) {
	f := newFiller(b)
	for f.count < stored {
		f.commit(b, 2000)
	}
	snapshot, err := f.store.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(snapshot.Close)
	return f, snapshot
}

func BenchmarkGet(b *testing.B) {
	_, snapshot := filled(b)
	for b.Loop() {
		value, err := snapshot.Get(recordKey(rand.Uint64N(stored)))
		if err != nil || len(value) != recordSize {
			b.Fatal(len(value), err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	_, snapshot := filled(b)
	for _, records := range []uint64{1, 100, 10_000} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			visited := 0
			for b.Loop() {
				from := rand.Uint64N(stored - records)
				err := snapshot.Scan(recordKey(from), recordKey(from+records), func(_, value []byte) bool {
					visited++
					return true
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(visited)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
