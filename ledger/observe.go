package ledger

import (
	"github.com/klauspost/compress/s2"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Waiting returns how many statements, and bytes of them, wait to be sequenced or
// to be durable.
func (l *Ledger) Waiting() (statements, bytes int64) {
	return l.queuedStatements.Load(), l.queuedBytes.Load()
}

// MostBytes returns what one commit writes at most under the limits, in keys and
// values with 12 bytes for each, whatever is submitted: a store must hold that much
// at once. Beside CommitBytes that is one more statement, and the tiles.
func (l Limits) MostBytes() int64 {
	l = l.withDefaults()
	const tile = tileWidth*verify.HashSize + 32
	tiles := int64(l.CommitStatements/tileWidth+2) + 2*int64(len(edgeTiles{}.levels))
	writes := int64(l.CommitStatements)/chunkRecords + int64(l.CommitBytes)/chunkBytes + tiles
	const statement = 516 << 10 // the largest payload that a genesis may allow, and its signature
	packed := int64(s2.MaxEncodedLen(l.CommitBytes + statement))
	return max(packed+tiles*tile+writes*64+4<<10, mergeBytes+mergeBytes/2)
}

// Limits returns the limits in force.
func (l *Ledger) Limits() Limits { return l.limits }

// Writable says why nothing would be recorded now, as ReadOnly does; nil if
// something would.
func (l *Ledger) Writable() error {
	if e := l.ReadOnly(); e != nil {
		return e
	}
	return nil
}

// Bytes returns what the item counts in the queue.
func (it *Item) Bytes() int64 {
	return int64(len(it.envelope.GetPayload()) + len(it.envelope.GetSignatureBlock()))
}
