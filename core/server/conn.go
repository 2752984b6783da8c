package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// readBuffer is what each connection reads into while it waits: a small request arrives whole with one system call.
const readBuffer = 4 << 10

// provenBytes bounds the memory that is taken at once for a frame of a size that the connection has sent before.
const provenBytes = 1088 << 10

// firstBytes is what is taken for a larger frame before any of its bytes are there.
const firstBytes = 64 << 10

// Conn is one connection. A nil Conn stands for a request made in process.
type Conn struct {
	srv      *Server // immutable, as are the fields up to cancel
	nc       net.Conn
	host     string
	listener string
	ctx      context.Context
	cancel   context.CancelFunc

	authenticated atomic.Bool
	seen          atomic.Int64 // the server's tick when the connection last made progress
	waiting       atomic.Bool  // a Pending.Wait is running: the connection is not idle
	stuck         atomic.Int64 // the tick when the write in progress began, 0 if there is none

	// Owned by the read loop.
	buf      []byte // buf[from:to] has been read and not used
	from, to int
	clientID string   // the last client id seen: clients never change it
	spare    *Request // reused for the next request
	proven   int      // size of the largest frame that has arrived whole, at most provenBytes

	mu      sync.Mutex
	room    sync.Cond // signalled when the queue shrinks or the connection dies
	queue   []queued  // the FIFO; its head is being answered by the write loop; guarded by mu
	writing bool      // the write loop runs; guarded by mu
	dead    bool      // no response can be written any more; guarded by mu
}

type queued struct {
	r *Request
	p Pending
}

func newConn(s *Server, nc net.Conn, host string) *Conn {
	c := &Conn{srv: s, nc: nc, host: host, listener: s.cfg.ListenerName, buf: make([]byte, readBuffer)}
	c.room.L = &c.mu
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	c.authenticated.Store(!s.cfg.Authenticate)
	c.seen.Store(s.tick.Load())
	return c
}

// RemoteHost is the peer's IP address.
func (c *Conn) RemoteHost() string {
	if c == nil {
		return ""
	}
	return c.host
}

// ListenerName is the name of the listener that accepted the connection.
func (c *Conn) ListenerName() string {
	if c == nil {
		return ""
	}
	return c.listener
}

// SetAuthenticated lifts the limits that hold before authentication. For the handler that authenticates.
func (c *Conn) SetAuthenticated() { c.authenticated.Store(true) }

// Buffer returns an empty buffer with room for n bytes. As part of a Response the server releases it after writing. A request that
// did not come by a connection (its Conn is nil) gets one of its own.
func (c *Conn) Buffer(n int) *Buffer {
	if c == nil {
		return &Buffer{B: make([]byte, 0, n)}
	}
	return c.srv.pool.Get(n)
}

// Release gives back a buffer that is not going to be part of a response.
func (c *Conn) Release(b *Buffer) {
	if c != nil {
		c.srv.pool.Put(b)
	}
}

// Busy reports whether earlier responses are still due. For the handler, on the read loop: what takes much memory is then better
// made when its turn has come.
func (c *Conn) Busy() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing
}

// internClientID avoids a string per request: a connection's client id does not change.
func (c *Conn) internClientID(b []byte) string {
	if c == nil {
		return string(b)
	}
	if string(b) != c.clientID {
		c.clientID = string(b)
	}
	return c.clientID
}

// serve runs the connection to its end.
func (c *Conn) serve() {
	c.finish(c.read())
}

// read is the read loop. It reports whether the peer has gone.
func (c *Conn) read() (gone bool) {
	defer c.recover("request handler")
	for !c.srv.closing.Load() {
		r, err := c.readRequest()
		if err != nil {
			return c.explain(err)
		}
		if !c.place(r, c.srv.cfg.Handler.Handle(c.ctx, r)) {
			return false
		}
	}
	return false
}

// explain logs why no further request was read, unless that is the ordinary end of a connection. It reports whether the peer
// has gone, as against one that broke the protocol.
func (c *Conn) explain(err error) (gone bool) {
	switch {
	case c.srv.closing.Load():
		return false
	case errors.Is(err, errHeader), errors.Is(err, errTooLarge), errors.Is(err, errUnserved):
		c.complain(err)
		return false
	case !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed):
		c.srv.cfg.Logger.Debug("closed a connection", "remote", c.host, "err", err)
	}
	return true
}

// complain logs what a peer did wrong; one complaint a second, so that strangers cannot fill the log.
func (c *Conn) complain(err error) {
	now := time.Now().Unix()
	if last := c.srv.complained.Load(); last == now || !c.srv.complained.CompareAndSwap(last, now) {
		return
	}
	c.srv.cfg.Logger.Warn("closed a connection", "remote", c.host, "client", c.clientID, "err", err)
}

// recover is the last line: a handler that panics costs its connection, never the broker.
func (c *Conn) recover(what string) {
	if v := recover(); v != nil {
		c.srv.cfg.Logger.Error("panic in a "+what, "remote", c.host, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		c.kill()
	}
}

// readRequest reads the next frame and parses its header.
func (c *Conn) readRequest() (*Request, error) {
	size, shape, err := c.readPrefix()
	if err != nil {
		return nil, err
	}
	r := c.spare
	if r == nil {
		r = new(Request)
	}
	c.spare = nil
	*r = Request{Conn: c, weight: int64(max(shape.Weight, 1))}
	if err := c.readFrame(r, size); err != nil {
		c.release(r)
		return nil, err
	}
	c.seen.Store(c.srv.tick.Load())
	if err := parseHeader(r, r.frame.B, shape, c.srv.cfg.Limits.Tags); err != nil {
		c.release(r)
		return nil, err
	}
	return r, nil
}

// readPrefix waits for the next frame's length, key and version, without using up more than the length.
func (c *Conn) readPrefix() (int, Shape, error) {
	if err := c.fill(4); err != nil {
		return 0, Shape{}, err
	}
	size := int(int32(binary.BigEndian.Uint32(c.buf[c.from:])))
	if size < fixedHeader {
		return 0, Shape{}, fmt.Errorf("%w: frame of %d bytes", errHeader, size)
	}
	if limit := c.frameLimit(); size > limit {
		return 0, Shape{}, fmt.Errorf("%w: %d bytes of at most %d", errTooLarge, size, limit)
	}
	if err := c.fill(4 + fixedHeader); err != nil {
		return 0, Shape{}, noEOF(err)
	}
	head := c.buf[c.from+4:]
	key, version := int16(binary.BigEndian.Uint16(head)), int16(binary.BigEndian.Uint16(head[2:]))
	shape := c.srv.cfg.Handler.Inspect(key, version)
	if !shape.Served {
		return 0, Shape{}, fmt.Errorf("%w: key %d version %d", errUnserved, key, version)
	}
	if shape.MaxBytes > 0 && size > shape.MaxBytes {
		return 0, Shape{}, fmt.Errorf("%w: %d bytes of at most %d for key %d", errTooLarge, size, shape.MaxBytes, key)
	}
	c.from += 4
	return size, shape, nil
}

func (c *Conn) frameLimit() int {
	l := &c.srv.cfg.Limits
	if !c.authenticated.Load() {
		return min(l.FrameBytes, l.UnauthenticatedFrameBytes)
	}
	return l.FrameBytes
}

// fill reads until n bytes are buffered. The first byte may take for ever (the idle limit ends that), the others may not.
func (c *Conn) fill(n int) error {
	if c.to-c.from >= n {
		return nil
	}
	if len(c.buf)-c.from < n {
		c.to = copy(c.buf, c.buf[c.from:c.to])
		c.from = 0
	}
	partial := false
	for c.to-c.from < n {
		if c.to > c.from && !partial {
			partial = true
			if err := c.hurry(); err != nil {
				return err
			}
		} else if c.to == c.from {
			c.from, c.to = 0, 0
		}
		m, err := c.nc.Read(c.buf[c.to:])
		c.to += m
		if err != nil && c.to-c.from < n {
			if partial || c.to > c.from {
				err = noEOF(err)
			}
			return err
		}
	}
	if partial {
		return c.noHurry()
	}
	return nil
}

// readFrame takes size bytes into r's frame. Memory is reserved and allocated as the bytes arrive.
func (c *Conn) readFrame(r *Request, size int) error {
	first := size
	if size > firstBytes && size > c.proven {
		first = firstBytes
	}
	if err := c.reserve(r, first); err != nil {
		return err
	}
	r.frame = c.srv.pool.Get(first)
	b := r.frame.B[:first]
	have := copy(b, c.buf[c.from:c.to])
	c.from += have
	if have < size {
		var err error
		if b, err = c.readRest(r, b, have, size); err != nil {
			return err
		}
	}
	r.frame.B = b
	c.proven = max(c.proven, min(size, provenBytes))
	return nil
}

// readRest fills b, of which have bytes are there, growing it up to size.
func (c *Conn) readRest(r *Request, b []byte, have, size int) ([]byte, error) {
	const step = 1 << 20 // what the time limit for half a frame is for
	for have < size {
		if have == len(b) {
			grown := min(size, 4*len(b))
			if err := c.reserve(r, grown-len(b)); err != nil {
				return nil, err
			}
			next := c.srv.pool.Get(grown)
			copy(next.B[:grown], b)
			c.srv.pool.Put(r.frame)
			r.frame, b = next, next.B[:grown]
		}
		if err := c.hurry(); err != nil {
			return nil, err
		}
		n, err := io.ReadFull(c.nc, b[have:min(len(b), have+step)])
		have += n
		if err != nil {
			return nil, noEOF(err)
		}
	}
	return b, c.noHurry()
}

// reserve takes n more bytes for r's frame from the budget, waiting as long as half a frame may take.
func (c *Conn) reserve(r *Request, n int) error {
	need := int64(n) * r.weight
	if _, ok := c.srv.budget.try(c, r.held, need); ok {
		r.held += need
		return nil
	}
	c.srv.budget.leaveLine()
	ctx, cancel := context.WithTimeout(c.ctx, c.srv.cfg.Limits.PartialFrame)
	defer cancel()
	if !c.srv.budget.reserve(ctx, c, r.held, need) {
		return fmt.Errorf("%w: no room for %d bytes of requests", os.ErrDeadlineExceeded, n)
	}
	r.held += need
	return nil
}

// hurry sets the deadline for the next part of a frame that has begun.
func (c *Conn) hurry() error {
	if err := c.nc.SetReadDeadline(time.Now().Add(c.srv.cfg.Limits.PartialFrame)); err != nil {
		return err
	}
	if c.srv.closing.Load() { // Close set a deadline of its own, which must not be undone
		return net.ErrClosed
	}
	return nil
}

func (c *Conn) noHurry() error {
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if c.srv.closing.Load() {
		return net.ErrClosed
	}
	return nil
}

// release gives back what r holds. r must not be used afterwards.
func (c *Conn) release(r *Request) {
	if r.held > 0 {
		c.srv.budget.release(c, r.held)
		r.held = 0
	}
	if r.frame != nil {
		c.srv.pool.Put(r.frame)
		r.frame, r.Body = nil, nil
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
