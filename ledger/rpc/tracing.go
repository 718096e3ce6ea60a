package rpc

import (
	"context"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// newTracing returns a handler that makes a span of every call to a method that
// there is. What a client writes, be it a trace of its own, an unknown method or
// the text of an error, gets into no span.
func newTracing(provider trace.TracerProvider) stats.Handler {
	return withoutText{otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(provider),
		otelgrpc.WithPropagators(propagation.NewCompositeTextMapPropagator()),
		otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool { return access[info.FullMethodName] }),
	)}
}

// withoutText takes the text from the errors of calls.
type withoutText struct{ stats.Handler }

// HandleRPC implements stats.Handler.
func (h withoutText) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if end, ok := event.(*stats.End); ok && end.Error != nil {
		bare := *end
		bare.Error = status.Error(status.Code(end.Error), "")
		event = &bare
	}
	h.Handler.HandleRPC(ctx, event)
}
