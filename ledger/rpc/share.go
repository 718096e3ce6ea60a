package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// sharedLedger is a ledger of whose queue each participant has its share.
type sharedLedger struct {
	*ledger.Ledger
	peers *peers

	// checking has for each participant a semaphore, which holds one for every
	// statement that is checked. There are as many as have submitted.
	checking *sync.Map
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

// Check is as that of ledger.Ledger. A participant has no more statements
// checked at once than there are cores: the scheduler gives every goroutine the
// same, and a flood in a thousand of them would leave others next to nothing.
func (l sharedLedger) Check(env *tracev1.Envelope, caller string) (*ledger.Item, error) {
	known, ok := l.checking.Load(caller)
	if !ok {
		known, _ = l.checking.LoadOrStore(caller, make(chan struct{}, runtime.GOMAXPROCS(0)))
	}
	semaphore := known.(chan struct{})
	semaphore <- struct{}{}
	defer func() { <-semaphore }()
	return l.Ledger.Check(env, caller)
}
