package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a server is made of.
type Config struct {
	Handler Handler
	Limits  Limits
	Logger  *slog.Logger
	// ListenerName is told to the handler with each request ("PLAINTEXT").
	ListenerName string
	// Authenticate holds connections to the limits before authentication until [Conn.SetAuthenticated].
	Authenticate bool
}

// Server accepts connections and serves them. Make it with [New].
type Server struct {
	cfg    Config
	budget *budget
	pool   Pool
	ctx    context.Context // ends when Close has given up waiting
	cancel context.CancelFunc

	closing atomic.Bool
	tick    atomic.Int64 // from 1 on, advanced by the sweep: the clock by which connections are idle
	loops   sync.WaitGroup

	began      time.Time    // immutable
	complained atomic.Int64 // the second of the last complaint

	mu        sync.Mutex
	listeners map[net.Listener]struct{} // guarded by mu, as are the following
	conns     map[*Conn]struct{}
	perIP     map[string]int
	limits    ConnectionLimits
	second    int64 // the second since began that the last connection counts for, and how many do
	accepted  int
	sweeping  bool
	stop      chan struct{} // closed by Close
}

// ErrClosed is returned by Serve after Close.
var ErrClosed = errors.New("server is closed")

// New returns a server that serves nothing yet.
func New(cfg Config) (*Server, error) {
	if cfg.Handler == nil || cfg.Logger == nil {
		return nil, errors.New("server: a handler and a logger are needed")
	}
	if err := cfg.Limits.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:       cfg,
		budget:    newBudget(cfg.Limits.QueuedBytes),
		limits:    cfg.Limits.ConnectionLimits,
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[*Conn]struct{}),
		perIP:     make(map[string]int),
		stop:      make(chan struct{}),
	}
	s.began = time.Now()
	s.tick.Store(1)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Serve accepts connections from ln until Close, which closes ln and makes Serve return ErrClosed.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	if s.closing.Load() {
		s.mu.Unlock()
		ln.Close()
		return ErrClosed
	}
	s.listeners[ln] = struct{}{}
	if !s.sweeping {
		s.sweeping = true
		s.loops.Add(1)
		go s.sweep()
	}
	s.mu.Unlock()
	for failures := 0; ; {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			failures = 0
			s.pause(s.tooFast(time.Since(s.began)))
			s.admit(nc)
		case s.closing.Load():
			return ErrClosed
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("server: accept: %w", err)
		default: // out of files, or the peer left before it was accepted: go on, not too fast
			failures++
			s.cfg.Logger.Warn("cannot accept a connection", "err", err)
			s.pause(time.Duration(min(failures, 100)) * 10 * time.Millisecond)
		}
	}
}

// pause waits, unless the server stops.
func (s *Server) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-s.stop:
	case <-time.After(d):
	}
}

// tooFast counts a connection that comes at a time since the server began, and returns how long it has to wait for its
// rate's sake. It must not be a time of day: one that is set back would keep connections out for as long.
func (s *Server) tooFast(now time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := int64(now / time.Second); second > s.second {
		s.second, s.accepted = second, 0
	}
	if s.accepted >= s.limits.ConnectionRate {
		s.second, s.accepted = s.second+1, 0
	}
	s.accepted++
	return time.Duration(s.second)*time.Second - now
}

// SetConnectionLimits replaces the limits for connections from now on.
func (s *Server) SetConnectionLimits(l ConnectionLimits) {
	s.mu.Lock()
	s.limits = l
	s.mu.Unlock()
}

// mayConnect reports whether there is room for one more connection from host. mu held.
func (s *Server) mayConnect(host string) bool {
	perIP := s.limits.ConnectionsPerIP
	if n, ok := s.limits.PerIP[host]; ok {
		perIP = n
	}
	return !s.closing.Load() && len(s.conns) < s.limits.Connections && s.perIP[host] < perIP
}

// admit starts serving nc, or closes it if there are too many already.
func (s *Server) admit(nc net.Conn) {
	host := nc.RemoteAddr().String()
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	s.mu.Lock()
	if !s.mayConnect(host) {
		n, perIP := len(s.conns), s.perIP[host]
		s.mu.Unlock()
		nc.Close()
		s.cfg.Logger.Debug("refused a connection", "remote", host, "connections", n, "from the address", perIP)
		return
	}
	c := newConn(s, nc, host)
	s.conns[c] = struct{}{}
	s.perIP[host]++
	s.loops.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.loops.Done()
		defer s.forget(c)
		c.serve()
	}()
}

func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.perIP[c.host]--; s.perIP[c.host] <= 0 {
		delete(s.perIP, c.host)
	}
}

// sweeps is how finely idleness is measured: so often within the shorter of the limits.
const sweeps = 8

// sweep closes the connections that have made no progress for the idle limit: silent ones, and those whose peer does not take
// its responses. One timer for all keeps deadlines off the path of a request.
func (s *Server) sweep() {
	defer s.loops.Done()
	l := &s.cfg.Limits
	every := l.PartialFrame / sweeps
	if l.Idle > 0 {
		every = min(every, l.Idle/sweeps)
	}
	every = max(every, time.Millisecond)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		now := s.tick.Add(1)
		idle := now - int64(l.Idle/every)
		if l.Idle <= 0 {
			idle = -1
		}
		stuck := int64(-1)
		if s.cfg.Handler.Starved() {
			stuck = now - int64(l.PartialFrame/every)
		}
		for _, c := range s.stale(idle, stuck) {
			c.kill()
		}
	}
}

// stale returns the connections that were last seen before one tick, or whose write began before another.
func (s *Server) stale(idle, stuck int64) []*Conn {
	var list []*Conn
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		write := c.stuck.Load()
		if c.seen.Load() < idle && !c.waiting.Load() || write > 0 && write < stuck {
			list = append(list, c)
		}
	}
	return list
}

// Connections returns the number of connections that are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// QueuedBytes returns the request bytes that are held now.
func (s *Server) QueuedBytes() int64 { return s.budget.held() }

// Close stops accepting and reading, lets requests in progress finish (those that wait are told to end), and closes all
// connections; when ctx is done, at once. It returns when every goroutine of the server has ended or ctx is done.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closing.Swap(true) {
		s.mu.Unlock()
		return ErrClosed
	}
	close(s.stop)
	for ln := range s.listeners {
		ln.Close()
	}
	for c := range s.conns {
		c.cancel()
		c.nc.SetReadDeadline(time.Unix(1, 0)) // ends a read in progress; later ones see closing
	}
	s.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		s.loops.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		s.cancel()
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	left := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		left = append(left, c)
	}
	s.mu.Unlock()
	for _, c := range left {
		c.kill()
	}
	select { // a handler that does not heed its context must not hold the caller for ever
	case <-ended:
		return nil
	case <-time.After(time.Second):
		return fmt.Errorf("server: close: %w", context.Cause(ctx))
	}
}
