package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// sharedLedger is a ledger of whose queue each participant has its share.
type sharedLedger struct {
	*ledger.Ledger
	peers *peers
}

// errShare says that a participant has its share of the queue; a client is told
// as of a full queue.
var errShare = fmt.Errorf("%w: limit %s: the participant has its share of the queue", ledger.ErrQueueFull, limitQueue)

// Submit is as that of ledger.Ledger. The error may be errShare, too.
func (l sharedLedger) Submit(ctx context.Context, items []*ledger.Item) ([]ledger.Result, error) {
	c := callOf(ctx)
	if c == nil || len(items) == 0 {
		return l.Ledger.Submit(ctx, items)
	}
	var bytes int64
	for _, it := range items {
		bytes += it.Bytes()
	}
	party, n := c.connection.party, int64(len(items))
	if !l.peers.enter(party, n, bytes) {
		l.peers.server.metrics.limited.WithLabelValues(string(limitQueue)).Inc()
		return nil, errShare
	}
	defer l.peers.leave(party, n, bytes)
	results, err := l.Ledger.Submit(ctx, items)
	if errors.Is(err, ledger.ErrQueueFull) {
		l.peers.turnAway(party)
	}
	return results, err
}
