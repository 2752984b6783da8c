package server

import "context"

// Handler answers requests. Its methods are called by many connections at once.
type Handler interface {
	// Inspect tells how to read a request of this key and version; it is asked as soon as the first bytes of a frame are there,
	// before the rest is taken.
	Inspect(key, version int16) Shape

	// Handle takes the request's place in order. It is called on the connection's read loop, one request at a time, and must not
	// block. ctx ends with the connection or the server. r and r.Body are valid until the response has been written (or, without
	// a response, until Handle or Pending.Wait has returned).
	Handle(ctx context.Context, r *Request) Pending

	// Starved reports whether requests wait for memory that unwritten responses hold. Connections whose peers have not taken a
	// response within [Limits.PartialFrame] are then closed, instead of after [Limits.Idle].
	Starved() bool
}

// Shape is what a [Handler] says about a key and version.
type Shape struct {
	// Served is false for what nobody can answer: the connection is closed without a word.
	Served bool
	// Flexible requests have a header of version 2, with a client id and tagged fields; the others of version 1.
	Flexible bool
	// Opaque requests are answered without being understood: nothing behind the correlation id is parsed.
	Opaque bool
	// MaxBytes bounds the frame further than [Limits.FrameBytes] does; 0 does not.
	MaxBytes int
	// Weight is how many bytes of the budget each byte of the frame takes; 0 means 1. For requests whose decoded form is larger.
	Weight int
}

// Request is one framed request.
type Request struct {
	Key, Version  int16
	CorrelationID int32
	ClientID      string
	ClientIDNull  bool
	Flexible      bool   // as [Shape] said
	Body          []byte // behind the header; a view of the frame
	Conn          *Conn

	frame  *Buffer // owned by the request until it is released
	held   int64   // what is reserved in the budget
	weight int64   // of one byte of the frame
}

// Pending is a request's place in the order of responses. Exactly one of its forms is set: Wait, or a Response.
type Pending struct {
	Response Response
	// Wait, if set, is run when all earlier responses of the connection have been written. It may block; ctx ends with the
	// connection or the server.
	Wait func(ctx context.Context) Response
}

// Response is what a request is answered with. The zero Response answers nothing (as acks=0 demands).
type Response struct {
	// Frame begins with four bytes for the length, which the server fills in, followed by the response header and body. The server
	// releases it after writing. Nil: no response.
	Frame *Buffer
	// Parts are written behind Frame, in order, as parts of the same frame.
	Parts [][]byte
	// Held are buffers that Parts refer to; the server releases them too.
	Held []*Buffer
	// Done, if set, is called once the response has been written or dropped.
	Done func()
	// Close ends the connection once the response, if any, has been written.
	Close bool
	// Err, with Close, is what the client did wrong. It is logged, at most once a second.
	Err error
}

// Ready is the Pending of a response that is there already.
func Ready(r Response) Pending { return Pending{Response: r} }

// CloseConn is the Pending of a request that is answered by closing the connection, and why.
func CloseConn(err error) Pending { return Pending{Response: Response{Close: true, Err: err}} }

func (r *Response) release(p *Pool) {
	if r.Frame != nil {
		p.Put(r.Frame)
	}
	for _, b := range r.Held {
		p.Put(b)
	}
	if r.Done != nil {
		r.Done()
	}
}
