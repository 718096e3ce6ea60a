package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/magnet-ledger/magnet-ledger/certs"
)

// peers are those who are connected, with what each of them uses.
type peers struct {
	server *Server

	mu          sync.Mutex
	connections map[*connection]bool
	addresses   map[string]int    // connections by network address
	parties     map[string]*party // by participant id; "" is whoever has no sound identity
}

// party is what one participant uses, over all its connections. Its fields are
// guarded by the mutex of peers.
type party struct {
	connections, calls, reads int
	readRate, statementRate   *rate.Limiter
	queuedItems, queuedBytes  int64
	turnedAway                time.Time // from the queue
}

func newPeers(s *Server) *peers {
	return &peers{server: s, connections: make(map[*connection]bool), addresses: make(map[string]int), parties: make(map[string]*party)}
}

// party returns what a participant uses. The caller holds the mutex.
func (p *peers) party(id string) *party {
	known := p.parties[id]
	if known == nil {
		l := p.server.limits
		known = &party{readRate: limiter(l.ReadsPerSecond, 1), statementRate: limiter(l.StatementsPerSecond, maxItems)}
		p.parties[id] = known
	}
	return known
}

// limiter returns a limiter that lets pass a second's worth at once, and at
// least as many as are asked for at once; nil is without limit.
func limiter(perSecond float64, atOnce int) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(int(perSecond), atOnce))
}

// connected takes up a connection after its handshake.
func (p *peers) connected(c *connection) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	party := p.party(c.id)
	if party.connections >= p.server.limits.ConnectionsPerParticipant {
		p.server.metrics.limited.WithLabelValues(string(limitPeer)).Inc()
		return errors.New("limit " + string(limitPeer))
	}
	party.connections++
	c.party = party
	p.connections[c] = true
	return nil
}

func (p *peers) disconnected(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connections[c] {
		delete(p.connections, c)
		c.party.connections--
	}
}

// begin counts a call, until end, or refuses it.
func (p *peers) begin(c *connection, kind callKind) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, l := p.server, p.server.limits
	switch {
	case c.party.calls >= l.CallsPerParticipant:
		return s.exceeded(limitCalls, codes.ResourceExhausted, retryAfter, "%d calls are open", c.party.calls)
	case kind == reading && c.party.reads >= l.ReadsPerParticipant:
		return s.exceeded(limitReads, codes.ResourceExhausted, retryAfter, "%d calls that read are open", c.party.reads)
	}
	if kind == reading {
		if wait := soon(c.party.readRate); wait > 0 {
			return s.exceeded(limitReadRate, codes.ResourceExhausted, wait, "%v calls that read in a second", l.ReadsPerSecond)
		}
		c.party.reads++
	}
	if kind == submitting {
		if wait := soon(c.party.statementRate); wait > 0 {
			return s.exceeded(limitStatements, codes.ResourceExhausted, wait, "%v statements in a second", l.StatementsPerSecond)
		}
	}
	c.party.calls++
	c.running++
	return nil
}

func (p *peers) end(c *connection, kind callKind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.party.calls--
	c.running--
	if kind == reading {
		c.party.reads--
	}
}

// soon takes one from a limiter and returns 0, or how long it takes until there
// is one.
func soon(l *rate.Limiter) time.Duration {
	if l == nil {
		return 0
	}
	r := l.Reserve()
	wait := r.Delay()
	if wait > 0 {
		r.Cancel()
	}
	return wait
}

// enter takes room in the queue for statements of a participant. While half of
// the queue is free, everybody finds room. After that a participant may hold an
// equal share, of all who have something in the queue or were turned away a
// moment ago, and half at most: whoever comes next finds room, however greedy
// the others are.
func (p *peers) enter(of *party, items, bytes int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	var active, allItems, allBytes int64
	for _, other := range p.parties {
		allItems, allBytes = allItems+other.queuedItems, allBytes+other.queuedBytes
		if other == of || other.queuedItems > 0 || now.Sub(other.turnedAway) < time.Second {
			active++
		}
	}
	l, n := p.server.queue, max(active, 2)
	roomy := allItems+items <= l.QueueStatements/2 && allBytes+bytes <= l.QueueBytes/2
	fair := of.queuedItems+items <= l.QueueStatements/n && of.queuedBytes+bytes <= l.QueueBytes/n
	if of.queuedItems > 0 && !roomy && !fair {
		of.turnedAway = now
		return false
	}
	of.queuedItems, of.queuedBytes = of.queuedItems+items, of.queuedBytes+bytes
	return true
}

func (p *peers) leave(of *party, items, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of.queuedItems, of.queuedBytes = of.queuedItems-items, of.queuedBytes-bytes
}

// turnAway notes that a participant found the queue full.
func (p *peers) turnAway(of *party) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of.turnedAway = time.Now()
}

// sweep closes connections whose answers nobody takes, and forgets who uses
// nothing.
func (p *peers) sweep(now time.Time) {
	p.mu.Lock()
	var stuck []*connection
	for c := range p.connections {
		if c.stuck(now, p.server.limits.SendTimeout) {
			stuck = append(stuck, c)
		}
	}
	for id, of := range p.parties {
		if of.connections == 0 && of.calls == 0 && of.queuedItems == 0 && full(of.readRate, now) && full(of.statementRate, now) {
			delete(p.parties, id)
		}
	}
	p.mu.Unlock()
	for _, c := range stuck {
		p.server.closeSlow(c)
	}
}

// full reports whether a limiter is as good as new.
func full(l *rate.Limiter, now time.Time) bool {
	return l == nil || l.TokensAt(now) >= float64(l.Burst())
}

// closeSlow closes a connection whose client does not take answers.
func (s *Server) closeSlow(c *connection) {
	s.metrics.limited.WithLabelValues(string(limitSend)).Inc()
	s.logger.Warn("a client does not take its answers: its connection is closed", slog.Duration("send_timeout", s.limits.SendTimeout))
	c.Close()
}

// CheckPeers asks check about the certificate of every open connection, and
// closes those that it refuses, with their calls.
func (s *Server) CheckPeers(check func(tls.ConnectionState) error) {
	s.peers.mu.Lock()
	var all []*connection
	for c := range s.peers.connections {
		all = append(all, c)
	}
	s.peers.mu.Unlock()
	for _, c := range all {
		if err := check(c.state); err != nil {
			s.metrics.expelled.Inc()
			s.logger.Warn("the certificate of a peer is no longer good: its connection is closed", slog.Any("error", err))
			c.Close()
		}
	}
}

// addressListener bounds the connections from one network address.
type addressListener struct {
	net.Listener
	peers *peers
}

// Accept implements net.Listener.
func (l addressListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if from, ok := l.peers.arrived(conn); ok {
			return &countedConn{Conn: conn, gone: sync.OnceFunc(func() { l.peers.left(from) })}, nil
		}
		conn.Close()
	}
}

func (p *peers) arrived(conn net.Conn) (from string, ok bool) {
	from, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		from = "" // not a network that has addresses
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.addresses[from] >= p.server.limits.ConnectionsPerAddress {
		p.server.metrics.limited.WithLabelValues(string(limitAddress)).Inc()
		return "", false
	}
	p.addresses[from]++
	return from, true
}

func (p *peers) left(from string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.addresses[from]--; p.addresses[from] == 0 {
		delete(p.addresses, from)
	}
}

type countedConn struct {
	net.Conn
	gone func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	defer c.gone()
	return c.Conn.Close()
}

// handshakes are TLS handshakes that take up their connection among the peers.
type handshakes struct {
	credentials.TransportCredentials
	peers *peers
}

// ServerHandshake implements credentials.TransportCredentials.
func (h handshakes) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, auth, err := h.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	info, ok := auth.(credentials.TLSInfo)
	if !ok {
		return nil, nil, errors.Join(errors.New("mutual TLS is required"), conn.Close())
	}
	c := newConnection(conn, info.State, h.peers)
	// A certificate that names no participant has no calls, but may connect:
	// the client is told so by the first call.
	c.id, _ = certs.PeerParticipant(info.State, h.peers.server.trustDomain)
	if err := h.peers.connected(c); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return c, peerInfo{info, c}, nil
}

// peerInfo is what a call knows of its connection.
type peerInfo struct {
	credentials.TLSInfo
	connection *connection
}

func connectionOf(ctx context.Context) *connection {
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(peerInfo); ok {
			return info.connection
		}
	}
	return nil
}
