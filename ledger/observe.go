package ledger

import "fmt"

// Waiting returns how many statements, and bytes of them, wait to be sequenced or
// to be durable.
func (l *Ledger) Waiting() (statements, bytes int64) {
	return l.queuedStatements.Load(), l.queuedBytes.Load()
}

// Limits returns the limits in force.
func (l *Ledger) Limits() Limits { return l.limits }

// Writable says why nothing would be recorded now: ErrStopped or ErrClock; nil
// if something would.
func (l *Ledger) Writable() error {
	select {
	case <-l.stopped:
		return ErrStopped
	default:
	}
	if behind := l.latest.Load().head.lastTime - l.now().UnixMicro(); behind > l.limits.ClockBehind.Microseconds() {
		return fmt.Errorf("%w by %d s", ErrClock, behind/1_000_000)
	}
	return nil
}

// Bytes returns what the item counts in the queue.
func (it *Item) Bytes() int64 {
	return int64(len(it.envelope.GetPayload()) + len(it.envelope.GetSignatureBlock()))
}
