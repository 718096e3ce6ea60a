package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrReadOnly says that the ledger records nothing, and answers what it can prove.
// The error that wraps it is a *ReadOnlyError, which says why.
var ErrReadOnly = errors.New("the ledger takes no submissions")

// Reason is why a ledger is read-only.
type Reason string

// Reasons. After Damaged and CommitFailed nothing is recorded until the ledger is
// opened again; the others end by themselves, with their cause.
const (
	// Stopped: the writer does not run, because it was told to end.
	Stopped Reason = "stopped"
	// CommitFailed: the outcome of a commit is unknown.
	CommitFailed Reason = "commit failed"
	// Damaged: stored data is not what was written.
	Damaged Reason = "damaged"
	// ClockBehind: the clock is too far behind the last entry.
	ClockBehind Reason = "clock"
	// NoSpace: the store refuses to write while space is short, ahead of a full disk.
	NoSpace Reason = "no space"
)

// text says a reason to those who submit: nothing of the machine.
func (r Reason) text() string {
	return map[Reason]string{
		Stopped:      "it is stopping",
		CommitFailed: "a commit failed, and its outcome is unknown; the operator has been told",
		Damaged:      "stored data is damaged; the operator has been told",
		ClockBehind:  ErrClock.Error(),
		NoSpace:      "there is too little space to record; send the same bytes again later",
	}[r]
}

// ReadOnlyError says why a ledger is read-only. It wraps ErrReadOnly, and ErrStopped
// or ErrClock where these are the reason. Its text may be shown to participants.
type ReadOnlyError struct {
	Reason Reason
	// Cause is for the operator. It may name files.
	Cause error
	// Since is when it began, by the clock of the ledger.
	Since time.Time
}

// Error implements error.
func (e *ReadOnlyError) Error() string { return ErrReadOnly.Error() + ": " + e.Reason.text() }

// Unwrap says what the error is, not what caused it.
func (e *ReadOnlyError) Unwrap() []error {
	switch e.Reason {
	case Stopped, CommitFailed:
		return []error{ErrReadOnly, ErrStopped}
	case ClockBehind:
		return []error{ErrReadOnly, ErrClock}
	}
	return []error{ErrReadOnly}
}

// Detail is the error with its cause, for the operator.
func (e *ReadOnlyError) Detail() string {
	return fmt.Sprintf("%v (since %s: %v)", e, e.Since.UTC().Format(time.RFC3339), e.Cause)
}

// ReadOnly says why nothing would be recorded now, or nil. Safe for concurrent use.
func (l *Ledger) ReadOnly() *ReadOnlyError {
	if e := l.doubt.Load(); e != nil {
		return e
	}
	select {
	case <-l.stopped:
		return &ReadOnlyError{Reason: Stopped, Cause: ErrStopped, Since: l.now()}
	default:
	}
	if e := l.full.Load(); e != nil {
		return e
	}
	now := l.now()
	if behind := l.latest.Load().head.lastTime - now.UnixMicro(); behind > l.limits.ClockBehind.Microseconds() {
		return &ReadOnlyError{Reason: ClockBehind, Cause: fmt.Errorf("%w by %d s", ErrClock, behind/1_000_000), Since: now}
	}
	return nil
}

// Doubt makes the ledger read-only until it is opened again, because stored data was
// found damaged: nothing more is signed on top of it. What is sound is still
// answered. Of several causes the first stays. Safe for concurrent use.
func (l *Ledger) Doubt(cause error) { l.turnReadOnly(Damaged, cause) }

func (l *Ledger) turnReadOnly(r Reason, cause error) {
	e := &ReadOnlyError{Reason: r, Cause: cause, Since: l.now()}
	if l.doubt.CompareAndSwap(nil, e) {
		l.logger.Error("the ledger is read-only until it is opened again", slog.String("reason", string(r)), slog.Any("error", cause))
	}
}

// refusing returns what every submission is refused with, or nil. It is asked for
// each statement.
func (l *Ledger) refusing() *ReadOnlyError {
	if e := l.doubt.Load(); e != nil {
		return e
	}
	return l.full.Load()
}

// fillUp notes that the store refuses to write while space is short.
func (l *Ledger) fillUp(cause error) *ReadOnlyError {
	e := &ReadOnlyError{Reason: NoSpace, Cause: cause, Since: l.now()}
	if l.full.CompareAndSwap(nil, e) {
		l.logger.Error("the store has no space: submissions are refused until it has", slog.Any("error", cause))
		return e
	}
	return l.full.Load()
}

// makeRoom notes that the store writes again.
func (l *Ledger) makeRoom() {
	if l.full.Swap(nil) != nil {
		l.logger.Info("the store has space again: submissions are recorded")
	}
}
