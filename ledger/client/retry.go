package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Waits between attempts: random between half and all of shortestWait times a
// power of two, up to longestWait.
const (
	shortestWait = 50 * time.Millisecond
	longestWait  = 5 * time.Second
)

// pace is the patience of one call: how long it goes on without progress.
type pace struct {
	client   *Client
	failures int       // since the last progress
	since    time.Time // of the first of them
}

// progress begins the patience anew.
func (p *pace) progress() { p.failures = 0 }

// wait waits before the next attempt after one that failed with err. It returns
// an error that wraps err if there should be none: err is final, the patience is
// at its end, or the context is.
func (p *pace) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	asked, ok := retryable(err)
	if !ok {
		return err
	}
	d := min(longestWait, shortestWait<<min(p.failures, 10))
	d = max(asked, d/2+rand.N(d/2))
	if p.failures++; p.failures == 1 {
		p.since = time.Now()
	}
	if time.Since(p.since)+d > p.client.patience {
		return fmt.Errorf("no progress for %v: %w", p.client.patience, err)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		p.client.conn.ResetConnectBackoff() // this wait is the backoff
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
}

// retryable reports whether a call may succeed when it is made again, and for
// how long the server asks to wait. ResourceExhausted alone does not say so: a
// message that is too large remains so.
func retryable(err error) (asked time.Duration, ok bool) {
	var refusal *RefusalError
	if errors.As(err, &refusal) {
		ok = refusal.Retryable()
	}
	st, isStatus := status.FromError(err)
	if !isStatus {
		return 0, ok
	}
	asked, told := retryInfo(st)
	switch st.Code() {
	case codes.Unavailable, codes.DeadlineExceeded:
		ok = true
	case codes.ResourceExhausted:
		ok = ok || told
	}
	return asked, ok
}

// unary repeats unary calls, each attempt within the time of one, and makes
// refusals of their errors. All calls of the ledger may be repeated: those that
// read, and Submit because of its statement id.
func (c *Client) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	p := &pace{client: c}
	for {
		attempt, cancel := context.WithTimeout(ctx, c.timeout)
		err := call(attempt, method, req, reply, cc, opts...)
		cancel()
		if err == nil {
			return nil
		}
		if err := p.wait(ctx, c.explain(err)); err != nil {
			return err
		}
	}
}

// explain returns the error of a call with what the client knows of it: why the
// server was not believed to be the ledger, or what was refused.
func (c *Client) explain(err error) error {
	if why := c.handshakes.rejected(); why != nil && status.Code(err) == codes.Unavailable {
		return fmt.Errorf("connecting: %w", why)
	}
	return fromStatus(err)
}

// A stream that brought nothing for the time of a call, or was not even opened.
var (
	errSilent       = status.Error(codes.Unavailable, "the server is silent")
	errNoConnection = status.Error(codes.Unavailable, "no connection in time")
)

// watch ends the context of a stream that stays silent.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	after  time.Duration
}

// open opens a stream under watch. The caller ends the watch, whatever the
// error.
func open[S any](ctx context.Context, c *Client, call func(context.Context) (S, error)) (S, *watch, error) {
	w := &watch{after: c.timeout}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(w.after, func() { w.cancel(errSilent) })
	stream, err := call(w.ctx)
	w.timer.Stop()
	if err != nil && w.silent() {
		err = errNoConnection
	}
	return stream, w, err
}

// receive is one Recv of a stream under watch. Time in which nobody waits for
// the server does not count.
func receive[M any](w *watch, recv func() (M, error)) (M, error) {
	w.timer.Reset(w.after)
	m, err := recv()
	w.timer.Stop()
	if err != nil && w.silent() {
		err = errSilent
	}
	return m, err
}

func (w *watch) silent() bool { return errors.Is(context.Cause(w.ctx), errSilent) }

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}
