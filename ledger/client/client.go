package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/magnet-ledger/magnet-ledger/certs"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// Message sizes: what the server takes, and what it sends at most.
const (
	maxSendBytes    = 4 << 20
	maxReceiveBytes = 16 << 20
)

// Config is what a client is made of.
type Config struct {
	// Card is the ledger. Required.
	Card *tracev1.LedgerCard
	// Certificate is the participant's TLS certificate and key.
	Certificate tls.Certificate
	// Reloader takes the place of Certificate and of the card's authorities, in
	// a client that lives longer than a certificate.
	Reloader *certs.Reloader
	// Address, host:port, takes the place of the card's. The server's
	// certificate must be valid for that host.
	Address string
	// Window is how many statements SubmitAll lets wait for their outcome; 0
	// stands for 4,096. A server takes 8,192 on a stream.
	Window int
	// Timeout is how long one attempt of a unary call may take, and for how long
	// a stream may be silent; 0 stands for 30 s.
	Timeout time.Duration
	// Patience is for how long after a failure a call is repeated without any
	// progress; 0 stands for 1 min. Submissions that must outlast a longer outage
	// set more.
	Patience time.Duration
	// Logger is told when a stream broke and is resumed; nil discards.
	Logger *slog.Logger
	// Options are added to those of the connection.
	Options []grpc.DialOption
}

// Client is a connection to the ledger. It is safe for concurrent use.
type Client struct {
	conn       *grpc.ClientConn
	handshakes handshakes
	history    *history
	log        *verify.Log
	window     int
	timeout    time.Duration
	patience   time.Duration
	logger     *slog.Logger
}

// Dial returns a client. It does not wait for the server: connections are made,
// and made again, when calls need them. Both ends prove who they are (package
// certs).
func Dial(cfg Config) (*Client, error) {
	log, err := Pin(cfg.Card)
	if err != nil {
		return nil, fmt.Errorf("dialling: %w", err)
	}
	config, err := cfg.tls()
	if err != nil {
		return nil, fmt.Errorf("dialling: %w", err)
	}
	c := &Client{
		log: log, history: newHistory(log), logger: orElse(cfg.Logger, slog.New(slog.DiscardHandler)),
		window: orElse(cfg.Window, 4096), timeout: orElse(cfg.Timeout, 30*time.Second), patience: orElse(cfg.Patience, time.Minute),
	}
	c.handshakes = handshakes{credentials.NewTLS(config), new(atomic.Pointer[error])}
	options := append(c.options(), cfg.Options...)
	if c.conn, err = grpc.NewClient(orElse(cfg.Address, cfg.Card.GetAddress()), options...); err != nil {
		return nil, fmt.Errorf("dialling: %w", err)
	}
	return c, nil
}

// tls returns the participant's end of a connection.
func (cfg *Config) tls() (*tls.Config, error) {
	domain := cfg.Card.GetTrustDomain()
	if cfg.Reloader != nil {
		return cfg.Reloader.ClientConfig(domain, ""), nil
	}
	authorities, err := certs.ParseCertificates([]byte(cfg.Card.GetCaPem()))
	if err != nil {
		return nil, err
	}
	pool, err := certs.NewPool(authorities...)
	if err != nil {
		return nil, err
	}
	return certs.ClientConfig(cfg.Certificate, pool, domain, ""), nil
}

func (c *Client) options() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(c.handshakes),
		grpc.WithChainUnaryInterceptor(c.unary),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(maxSendBytes), grpc.MaxCallRecvMsgSize(maxReceiveBytes)),
		// The server closes connections that ping more often than every 30 s, or
		// without a call.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: shortestWait, Multiplier: 2, Jitter: 0.5, MaxDelay: longestWait},
			MinConnectTimeout: 10 * time.Second,
		}),
		grpc.WithDisableServiceConfig(), // nothing that DNS says
	}
}

// orElse returns v, or other if v is the zero value.
func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// Close ends the connection, and the calls that use it.
func (c *Client) Close() error { return c.conn.Close() }

// Log returns what is pinned of the ledger.
func (c *Client) Log() *verify.Log { return c.log }

// Submissions returns the stub of the submission service. What stubs return is
// not checked; unary calls are repeated and bear a *RefusalError.
func (c *Client) Submissions() ledgerv1.SubmissionServiceClient {
	return ledgerv1.NewSubmissionServiceClient(c.conn)
}

// Queries returns the stub of the query service; see Submissions.
func (c *Client) Queries() ledgerv1.QueryServiceClient { return ledgerv1.NewQueryServiceClient(c.conn) }

// Audits returns the stub of the audit service; see Submissions.
func (c *Client) Audits() ledgerv1.AuditServiceClient { return ledgerv1.NewAuditServiceClient(c.conn) }

// handshakes are the credentials of the connection. They remember that the last
// server was not believed, because grpc tells its callers only that there is no
// connection, as if waiting would help.
type handshakes struct {
	credentials.TransportCredentials
	last *atomic.Pointer[error]
}

// ClientHandshake implements credentials.TransportCredentials.
func (h handshakes) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	var chain *tls.CertificateVerificationError
	switch {
	case err == nil:
		h.last.Store(nil)
	case errors.As(err, &chain), errors.Is(err, certs.ErrNotLedger):
		h.last.Store(&err)
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.last}
}

// rejected returns why the last server was not believed, or nil.
func (h handshakes) rejected() error {
	if err := h.last.Load(); err != nil {
		return *err
	}
	return nil
}
