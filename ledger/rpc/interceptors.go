package rpc

import (
	"context"
	"log/slog"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	protovalidatemw "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/protovalidate"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// access is the table of access rules: every method that may be called at all.
// What each returns, the method decides by the caller's rights.
var access = map[string]bool{
	ledgerv1.SubmissionService_Submit_FullMethodName:                  true,
	ledgerv1.SubmissionService_SubmitStream_FullMethodName:            true,
	ledgerv1.QueryService_GetStatement_FullMethodName:                 true,
	ledgerv1.QueryService_ListStatements_FullMethodName:               true,
	ledgerv1.QueryService_QueryVolumes_FullMethodName:                 true,
	ledgerv1.QueryService_GetParticipant_FullMethodName:               true,
	ledgerv1.QueryService_ListParticipants_FullMethodName:             true,
	ledgerv1.AuditService_GetCheckpoint_FullMethodName:                true,
	ledgerv1.AuditService_GetReceipt_FullMethodName:                   true,
	ledgerv1.AuditService_GetInclusionProof_FullMethodName:            true,
	ledgerv1.AuditService_GetConsistencyProof_FullMethodName:          true,
	ledgerv1.AuditService_ReadEntries_FullMethodName:                  true,
	healthv1.Health_Check_FullMethodName:                              true,
	healthv1.Health_Watch_FullMethodName:                              true,
	healthv1.Health_List_FullMethodName:                               true,
	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName: true,
}

// interceptors, from the outside in: a recovery that guards the others, metrics,
// logging, authentication, access, limits and the count of outcomes, the form of
// faults that validation finds, validation, and a recovery that lets the log see
// what a handler's panic became.
func (s *Server) interceptors() ([]grpc.UnaryServerInterceptor, []grpc.StreamServerInterceptor, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, nil, err
	}
	recover := recovery.WithRecoveryHandlerContext(s.panicked)
	// A malformed item of a stream is refused by itself and ends nothing.
	items := protovalidatemw.WithIgnoreMessages((*ledgerv1.SubmitStreamRequest)(nil).ProtoReflect().Type())
	return []grpc.UnaryServerInterceptor{
			recovery.UnaryServerInterceptor(recover),
			s.metrics.calls.UnaryServerInterceptor(),
			s.unaryLog,
			auth.UnaryServerInterceptor(s.authenticate),
			s.unaryAccess,
			s.countUnary,
			unaryViolations,
			protovalidatemw.UnaryServerInterceptor(validator),
			recovery.UnaryServerInterceptor(recover),
		}, []grpc.StreamServerInterceptor{
			recovery.StreamServerInterceptor(recover),
			s.metrics.calls.StreamServerInterceptor(),
			s.streamLog,
			auth.StreamServerInterceptor(s.authenticate),
			s.streamAccess,
			s.boundStream,
			streamViolations,
			protovalidatemw.StreamServerInterceptor(validator, items),
			recovery.StreamServerInterceptor(recover),
		}, nil
}

// unaryViolations and streamViolations give the faults that protovalidate finds
// the form of every other refusal.
func unaryViolations(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	resp, err := next(ctx, req)
	return resp, asRefusal(err)
}

func streamViolations(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return asRefusal(next(srv, stream))
}

// panicked logs a panic and tells the client nothing of it.
func (s *Server) panicked(ctx context.Context, p any) error {
	s.metrics.panics.Inc()
	s.logger.LogAttrs(ctx, slog.LevelError, "panic", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	return status.Error(codes.Internal, "internal error")
}

// guarded calls fn and returns an error in place of a panic. It is for goroutines
// that a call starts: a panic there is not seen by the interceptors, and ends the
// process.
func (s *Server) guarded(ctx context.Context, fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(ctx, p)
		}
	}()
	return fn()
}

func (s *Server) unaryLog(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	began := time.Now()
	resp, err := next(ctx, req)
	s.finished(ctx, info.FullMethod, began, err)
	return resp, err
}

func (s *Server) streamLog(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	began := time.Now()
	err := next(srv, stream)
	s.finished(stream.Context(), info.FullMethod, began, err)
	return err
}

// finished logs a call, without what may tell of commerce or of persons: texts of
// errors, and addresses. It costs next to nothing when nobody wants to know.
func (s *Server) finished(ctx context.Context, fullMethod string, began time.Time, err error) {
	code := status.Code(err)
	level := slog.Level(logging.DefaultServerCodeToLevel(code))
	if !s.logger.Enabled(ctx, level) {
		return
	}
	service, method := path.Split(fullMethod)
	s.logger.LogAttrs(ctx, level, "finished call",
		slog.String("grpc.service", strings.Trim(service, "/")), slog.String("grpc.method", method),
		slog.String("grpc.code", code.String()), slog.Duration("grpc.time", time.Since(began)))
}

func checkAccess(method string) error {
	if !access[method] {
		return status.Error(codes.PermissionDenied, "the method has no access rule")
	}
	return nil
}

func (s *Server) unaryAccess(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := checkAccess(info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *Server) streamAccess(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := checkAccess(info.FullMethod); err != nil {
		return err
	}
	return next(srv, stream)
}
