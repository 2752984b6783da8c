// Package server is the listener: connections, framing, limits, order and back-pressure. It knows how a Kafka request is
// framed and what a request header is; what a request means is its [Handler]'s business.
//
// A connection is a read loop, a bounded FIFO of [Pending] responses and a write loop:
//
//	socket -> read loop -> Handler.Handle (takes the request's place in order, does not block) -> FIFO -> write loop -> socket
//
// The write loop exists only while the FIFO holds something: a response that is ready while the FIFO is empty is written by
// the read loop itself, so that the common request costs no goroutine switch, and an idle connection costs one goroutine and
// one small buffer. When the FIFO is full, or the bytes of all queued requests meet their limit, the read loop stops reading
// and TCP pushes back.
//
// Every length that comes from the socket is hostile: see [Limits].
package server
