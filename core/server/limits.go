package server

import (
	"fmt"
	"time"
)

// Limits bound what strangers can make the server hold. All fields must be positive.
type Limits struct {
	// FrameBytes bounds a request's frame without its length field (socket.request.max.bytes).
	FrameBytes int
	// UnauthenticatedFrameBytes bounds a frame on a connection that still has to authenticate.
	UnauthenticatedFrameBytes int
	// QueuedBytes bounds the request bytes held in all connections together (queued.max.request.bytes). One frame at a time may
	// pass it, so that a frame larger than the limit is slow instead of impossible.
	QueuedBytes int64
	// QueuedRequests bounds the requests of one connection whose responses are not written yet.
	QueuedRequests int
	// PartialFrame is how long each MiB of a frame, once begun, may take to arrive.
	PartialFrame time.Duration
	// Idle is how long a connection may stay silent, or not take its responses (connections.max.idle.ms).
	Idle time.Duration
	// Connections bounds the connections at one time (max.connections), ConnectionsPerIP those from one address
	// (max.connections.per.ip).
	Connections      int
	ConnectionsPerIP int
	// Tags bounds the tagged fields of one header.
	Tags int
}

// DefaultLimits are the limits that hold where a setting says nothing else.
func DefaultLimits() Limits {
	return Limits{
		FrameBytes:                100 << 20,
		UnauthenticatedFrameBytes: 64 << 10,
		QueuedBytes:               64 << 20,
		QueuedRequests:            64,
		PartialFrame:              30 * time.Second,
		Idle:                      10 * time.Minute,
		Connections:               10_000,
		ConnectionsPerIP:          1<<31 - 1,
		Tags:                      1024,
	}
}

func (l Limits) check() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"FrameBytes", int64(l.FrameBytes)},
		{"UnauthenticatedFrameBytes", int64(l.UnauthenticatedFrameBytes)},
		{"QueuedBytes", l.QueuedBytes},
		{"QueuedRequests", int64(l.QueuedRequests)},
		{"PartialFrame", int64(l.PartialFrame)},
		{"Idle", int64(l.Idle)},
		{"Connections", int64(l.Connections)},
		{"ConnectionsPerIP", int64(l.ConnectionsPerIP)},
		{"Tags", int64(l.Tags)},
	} {
		if f.value <= 0 {
			return fmt.Errorf("server: limit %s is %d, it must be positive", f.name, f.value)
		}
	}
	return nil
}
