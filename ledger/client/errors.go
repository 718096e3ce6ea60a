package client

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// RefusalError says that a statement was refused: nothing of it is on the log
// and its id is not used up, unless the reason is OUTCOME_UNKNOWN.
type RefusalError struct {
	// Refusal is what the server says.
	Refusal *tracev1.Refusal

	status error // that it came in, or nil
}

func (e *RefusalError) Error() string {
	name := strings.TrimPrefix(e.Refusal.GetReason().String(), "REFUSAL_REASON_")
	text := fmt.Sprintf("refused: %s: %s", name, e.Refusal.GetMessage())
	for _, v := range e.Refusal.GetViolations() {
		text += fmt.Sprintf("; %s: %s", v.GetField(), v.GetDescription())
	}
	return text
}

// Unwrap returns the gRPC status that the refusal came in, if it came in one.
func (e *RefusalError) Unwrap() error { return e.status }

// Retryable reports whether the same bytes may well be recorded after a while.
func (e *RefusalError) Retryable() bool {
	switch e.Refusal.GetReason() {
	case tracev1.RefusalReason_REFUSAL_REASON_QUEUE_FULL,
		tracev1.RefusalReason_REFUSAL_REASON_UNAVAILABLE,
		tracev1.RefusalReason_REFUSAL_REASON_OUTCOME_UNKNOWN:
		return true
	}
	return false
}

// ForkError is two checkpoints that the pinned key signed and that do not belong
// to one history of one log. Keep both: of the same size with different roots
// they prove to anybody that the operator forked the log.
type ForkError struct {
	// Kept was accepted before, or is the smaller of two.
	Kept *verify.Checkpoint
	// Shown does not go with it.
	Shown *verify.Checkpoint
	// Detail says why not.
	Detail string
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("the log was forked or cut back: sizes %d and %d: %s", e.Kept.Size, e.Shown.Size, e.Detail)
}

// errorDomain is the domain of google.rpc.ErrorInfo.
const errorDomain = "magnet.ledger"

// fromStatus returns the error of a call: a *RefusalError if the status bears a
// refusal, else err.
func fromStatus(err error) error {
	st, ok := status.FromError(err)
	var refusal *RefusalError
	if err == nil || !ok || errors.As(err, &refusal) {
		return err
	}
	var short *tracev1.Refusal // what remains of it without a detail of its own
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *tracev1.Refusal:
			return &RefusalError{Refusal: d, status: err}
		case *errdetails.ErrorInfo:
			reason, known := tracev1.RefusalReason_value["REFUSAL_REASON_"+d.GetReason()]
			if known && d.GetDomain() == errorDomain {
				short = &tracev1.Refusal{Reason: tracev1.RefusalReason(reason), Message: st.Message()}
			}
		}
	}
	if short != nil {
		return &RefusalError{Refusal: short, status: err}
	}
	return err
}

// retryInfo returns how long the server asks to wait before the next attempt.
func retryInfo(st *status.Status) (time.Duration, bool) {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}
