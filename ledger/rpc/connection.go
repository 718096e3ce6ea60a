package rpc

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// connection is a connection of a peer. It follows the HTTP/2 frames, because
// grpc-go does not tell whether a client takes its answers: when a handler has
// returned, what it answered waits for the client to open its window, without a
// deadline, and nothing but the end of the connection frees it.
type connection struct {
	net.Conn
	peers *peers
	id    string // of the participant; empty without a sound identity
	state tls.ConnectionState
	gone  func()

	party   *party // guarded by the mutex of peers, like running
	running int    // calls whose handler has not returned

	in, out frames // used by the transport's reader and writer
	mu      sync.Mutex
	open    map[uint32]time.Time // streams, and when something was last sent on each
}

func newConnection(conn net.Conn, state tls.ConnectionState, p *peers) *connection {
	c := &connection{Conn: conn, state: state, peers: p, open: make(map[uint32]time.Time)}
	c.in.rest = len(http2.ClientPreface)
	c.gone = sync.OnceFunc(func() { p.disconnected(c) })
	return c
}

// Close implements net.Conn.
func (c *connection) Close() error {
	defer c.gone()
	return c.Conn.Close()
}

// Read implements net.Conn.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.follow(p[:n], func(f http2.FrameHeader) {
		switch f.Type {
		case http2.FrameHeaders:
			c.opened(f.StreamID)
		case http2.FrameRSTStream:
			c.ended(f.StreamID)
		}
	})
	return n, err
}

// Write implements net.Conn.
func (c *connection) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out.follow(p[:n], func(f http2.FrameHeader) {
		ends := (f.Type == http2.FrameHeaders || f.Type == http2.FrameData) && f.Flags.Has(http2.FlagDataEndStream)
		switch {
		case ends, f.Type == http2.FrameRSTStream:
			c.ended(f.StreamID)
		case f.Type == http2.FrameHeaders, f.Type == http2.FrameData:
			c.moved(f.StreamID)
		}
	})
	return n, err
}

func (c *connection) opened(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.open[id]; !ok { // else it is a trailer
		c.open[id] = time.Now()
	}
}

func (c *connection) moved(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.open[id]; ok {
		c.open[id] = time.Now()
	}
}

func (c *connection) ended(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, id)
}

// How many answers may wait for a short time only before their client counts as
// one that does not take them: the largest are of some MiB.
const (
	manyAnswers = 16
	shortly     = 2 * time.Second
)

// stuck reports whether answers wait that the client does not take: for timeout,
// or many of them shortly. A stream on which nothing moves may have a handler
// that still works; more of them than there are handlers have none. The caller
// holds the mutex of peers.
func (c *connection) stuck(now time.Time, timeout time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	long, short := 0, 0
	for _, moved := range c.open {
		if since := now.Sub(moved); since >= timeout {
			long++
		} else if since >= shortly {
			short++
		}
	}
	return long > c.running || long+short >= manyAnswers+c.running
}

// frames follows the frames of one direction. Whatever a peer sends in place of
// them, it loses count and does no harm: the transport ends the connection.
type frames struct {
	header [9]byte
	have   int // bytes of header
	rest   int // bytes until the next header
}

func (f *frames) follow(p []byte, frame func(http2.FrameHeader)) {
	for len(p) > 0 {
		if n := min(f.rest, len(p)); n > 0 {
			f.rest, p = f.rest-n, p[n:]
			continue
		}
		n := copy(f.header[f.have:], p)
		if f.have, p = f.have+n, p[n:]; f.have < len(f.header) {
			return
		}
		h := f.header
		f.have, f.rest = 0, int(h[0])<<16|int(h[1])<<8|int(h[2])
		frame(http2.FrameHeader{
			Type: http2.FrameType(h[3]), Flags: http2.Flags(h[4]), StreamID: binary.BigEndian.Uint32(h[5:]) &^ (1 << 31),
		})
	}
}
