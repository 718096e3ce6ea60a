package rpc

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// errorDomain is the domain of google.rpc.ErrorInfo.
const errorDomain = "magnet.ledger"

// retryAfter is how long a client should wait when the queue is full.
const retryAfter = 200 * time.Millisecond

// refusalOf returns an error of a submission in the form of a refusal, or nil if
// it is not one that a client should see.
func refusalOf(err error) *tracev1.Refusal {
	var refusal *custody.Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Proto()
	case errors.Is(err, ledger.ErrQueueFull):
		return &tracev1.Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_QUEUE_FULL, Message: err.Error()}
	case errors.Is(err, ledger.ErrOutcomeUnknown):
		return &tracev1.Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_OUTCOME_UNKNOWN, Message: err.Error() + "; send the same bytes again"}
	case errors.Is(err, ledger.ErrReadOnly), errors.Is(err, ledger.ErrStopped), errors.Is(err, ledger.ErrClock):
		return &tracev1.Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_UNAVAILABLE, Message: err.Error()}
	}
	return nil
}

// codeOf returns the status code of a refusal.
func codeOf(r tracev1.RefusalReason) codes.Code {
	switch r {
	case tracev1.RefusalReason_REFUSAL_REASON_PEER_NOT_SIGNER, tracev1.RefusalReason_REFUSAL_REASON_KEY_UNKNOWN,
		tracev1.RefusalReason_REFUSAL_REASON_KEY_NOT_SIGNERS, tracev1.RefusalReason_REFUSAL_REASON_KEY_REVOKED,
		tracev1.RefusalReason_REFUSAL_REASON_ROLE, tracev1.RefusalReason_REFUSAL_REASON_SUSPENDED:
		return codes.PermissionDenied
	case tracev1.RefusalReason_REFUSAL_REASON_STATEMENT_EXISTS, tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_EXISTS,
		tracev1.RefusalReason_REFUSAL_REASON_IDENTIFIER_TAKEN, tracev1.RefusalReason_REFUSAL_REASON_KEY_EXISTS,
		tracev1.RefusalReason_REFUSAL_REASON_GENESIS_EXISTS:
		return codes.AlreadyExists
	case tracev1.RefusalReason_REFUSAL_REASON_PARTICIPANT_UNKNOWN, tracev1.RefusalReason_REFUSAL_REASON_TARGET_UNKNOWN,
		tracev1.RefusalReason_REFUSAL_REASON_TARGET_STALE, tracev1.RefusalReason_REFUSAL_REASON_TARGET_VOIDED,
		tracev1.RefusalReason_REFUSAL_REASON_NO_CHANGE:
		return codes.FailedPrecondition
	case tracev1.RefusalReason_REFUSAL_REASON_QUEUE_FULL:
		return codes.ResourceExhausted
	case tracev1.RefusalReason_REFUSAL_REASON_UNAVAILABLE, tracev1.RefusalReason_REFUSAL_REASON_OUTCOME_UNKNOWN:
		return codes.Unavailable
	case tracev1.RefusalReason_REFUSAL_REASON_INTERNAL, tracev1.RefusalReason_REFUSAL_REASON_UNSPECIFIED:
		return codes.Internal
	}
	return codes.InvalidArgument
}

// toStatus is the one place where errors become status codes. What it does not
// know becomes a constant Internal, and DATA_LOSS says no more than that; the
// detail goes to the log.
func (s *Server) toStatus(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if r := refusalOf(err); r != nil {
		return refusalStatus(r)
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the deadline passed; a statement that was sent may be on record: send the same bytes again")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the call was cancelled")
	case errors.Is(err, ledger.ErrOutOfRange):
		return status.Error(codes.OutOfRange, "the index or size lies beyond the end of the log")
	case errors.Is(err, ledger.ErrDamaged), errors.Is(err, custody.ErrState):
		s.metrics.damage.Inc()
		s.ledger.Doubt(err)
		s.logger.LogAttrs(ctx, slog.LevelError, "stored data is damaged: stop the server, restore from a backup or a follower, and keep the damaged files as evidence", slog.Any("error", err))
		return status.Error(codes.DataLoss, "stored data is damaged; the operator has been told")
	}
	s.logger.LogAttrs(ctx, slog.LevelError, "internal error", slog.Any("error", err))
	return status.Error(codes.Internal, "internal error")
}

func refusalStatus(r *tracev1.Refusal) error {
	st := status.New(codeOf(r.GetReason()), r.GetMessage())
	details := []protoadapt.MessageV1{
		protoadapt.MessageV1Of(&errdetails.ErrorInfo{
			Reason: strings.TrimPrefix(r.GetReason().String(), "REFUSAL_REASON_"), Domain: errorDomain,
		}),
		protoadapt.MessageV1Of(r),
	}
	if len(r.GetViolations()) > 0 {
		bad := new(errdetails.BadRequest)
		for _, v := range r.GetViolations() {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: v.GetField(), Description: v.GetDescription()})
		}
		details = append(details, protoadapt.MessageV1Of(bad))
	}
	if r.GetReason() == tracev1.RefusalReason_REFUSAL_REASON_QUEUE_FULL {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}))
	}
	with, err := st.WithDetails(details...)
	if err != nil {
		return st.Err() // the details are messages of ours: it cannot fail
	}
	return with.Err()
}

// asRefusal turns the error of protovalidate into that of a refusal, which names
// the fields in a BadRequest.
func asRefusal(err error) error {
	for _, detail := range status.Convert(err).Details() {
		found, ok := detail.(*validate.Violations)
		if !ok {
			continue
		}
		r := &tracev1.Refusal{Reason: tracev1.RefusalReason_REFUSAL_REASON_VALUE_MALFORMED, Message: "the request is not valid"}
		for _, v := range found.GetViolations() {
			field := protovalidate.FieldPathString(v.GetField())
			r.Violations = append(r.Violations, &tracev1.FieldViolation{Field: field, Description: v.GetMessage()})
			r.Message += "; " + strings.TrimPrefix(field+": ", ": ") + v.GetMessage()
		}
		return refusalStatus(r)
	}
	return err
}
