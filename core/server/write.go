package server

import (
	"encoding/binary"
	"net"
	"time"
)

// place puts r's response into the order of responses: written at once if it is ready and none is due before it, else queued.
// It waits while the FIFO is full. It reports whether the connection goes on.
func (c *Conn) place(r *Request, p Pending) bool {
	c.mu.Lock()
	if p.Wait == nil && !c.writing {
		dead := c.dead
		c.mu.Unlock()
		ok := !dead && c.write(p.Response)
		if dead {
			p.Response.release(&c.srv.pool)
		}
		c.release(r)
		c.spare = r
		return ok
	}
	for len(c.queue) >= c.srv.cfg.Limits.QueuedRequests && !c.dead {
		c.room.Wait()
	}
	if c.dead {
		c.mu.Unlock()
		p.Response.release(&c.srv.pool)
		c.release(r)
		return false
	}
	c.queue = append(c.queue, queued{r, p})
	if !c.writing {
		c.writing = true
		c.srv.loops.Add(1)
		go c.writeLoop()
	}
	c.mu.Unlock()
	return !p.Response.Close
}

// writeLoop answers the FIFO in order and ends when it is empty.
func (c *Conn) writeLoop() {
	defer c.srv.loops.Done()
	if !c.answerAll() {
		c.abandon()
	}
}

// answerAll returns true when the FIFO is empty, and false when responses are left that cannot be written.
func (c *Conn) answerAll() (emptied bool) {
	defer c.recover("waiting request")
	for {
		c.mu.Lock()
		if c.dead {
			c.mu.Unlock()
			return false
		}
		q := c.queue[0]
		c.mu.Unlock()

		ok := c.answer(q)
		if !ok {
			c.kill()
		}
		if c.next() {
			return true
		}
	}
}

// next drops the answered head of the FIFO and reports whether it was the last. If so the write loop is over, as of the same
// lock: whoever places a response next starts a new one.
func (c *Conn) next() (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue[0] = queued{}
	c.queue = c.queue[1:]
	if len(c.queue) == 0 {
		c.queue, c.writing, last = nil, false, true
	}
	c.room.Broadcast()
	return last
}

// abandon ends the write loop of a dead connection with responses left.
func (c *Conn) abandon() {
	c.mu.Lock()
	left := c.queue
	c.queue, c.dead, c.writing = nil, true, false
	c.room.Broadcast()
	c.mu.Unlock()
	for _, q := range left {
		q.p.Response.release(&c.srv.pool)
		c.release(q.r)
	}
}

// answer resolves and writes one response.
func (c *Conn) answer(q queued) bool {
	resp := q.p.Response
	if q.p.Wait != nil {
		c.waiting.Store(true)
		resp = q.p.Wait(c.ctx)
		c.seen.Store(c.srv.tick.Load())
		c.waiting.Store(false)
	}
	ok := c.write(resp)
	c.release(q.r)
	return ok
}

// write fills in the frame's length, writes it and releases it. It reports whether the connection goes on.
func (c *Conn) write(r Response) bool {
	if r.Err != nil {
		c.complain(r.Err)
	}
	if r.Frame == nil {
		r.release(&c.srv.pool)
		return !r.Close
	}
	defer r.release(&c.srv.pool)
	size := len(r.Frame.B)
	for _, part := range r.Parts {
		size += len(part)
	}
	binary.BigEndian.PutUint32(r.Frame.B, uint32(size-4))
	var err error
	c.stuck.Store(c.srv.tick.Load())
	if len(r.Parts) == 0 {
		_, err = c.nc.Write(r.Frame.B)
	} else {
		parts := append(make(net.Buffers, 0, 1+len(r.Parts)), r.Frame.B)
		parts = append(parts, r.Parts...)
		_, err = parts.WriteTo(c.nc)
	}
	c.stuck.Store(0)
	c.seen.Store(c.srv.tick.Load())
	return err == nil && !r.Close
}

// kill ends the connection at once: the socket closes, and with it whatever waits on it.
func (c *Conn) kill() {
	c.cancel()
	c.nc.Close()
	c.mu.Lock()
	c.dead = true
	c.room.Broadcast()
	c.mu.Unlock()
}

// finish ends the connection after the read loop. If the peer has gone, or the server is stopping, whatever waits is told so;
// else (the last response closes the connection, or the peer broke the protocol) what was asked before is still answered.
func (c *Conn) finish(gone bool) {
	if gone {
		c.kill()
	} else if c.srv.closing.Load() {
		c.cancel()
	} else {
		c.linger()
	}
	c.awaitWriter()
	c.kill()
}

func (c *Conn) awaitWriter() {
	c.mu.Lock()
	for c.writing {
		c.room.Wait()
	}
	c.mu.Unlock()
}

// linger reads on, and uses nothing of it, until the responses that are still due have been written: a peer that goes
// meanwhile ends what waits, as ever.
func (c *Conn) linger() {
	if !c.Busy() {
		return
	}
	written := make(chan struct{})
	go func() {
		c.awaitWriter()
		close(written)
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}()
	for {
		if _, err := c.nc.Read(c.buf); err != nil {
			break
		}
	}
	select {
	case <-written:
	default:
		if c.srv.closing.Load() {
			c.cancel()
		} else {
			c.kill()
		}
		<-written
	}
}
