package server

import (
	"fmt"
	"time"
)

// Limits bound what strangers can make the server hold. All numbers must be positive but those of which something else is said.
type Limits struct {
	// FrameBytes bounds a request's frame without its length field (socket.request.max.bytes).
	FrameBytes int
	// UnauthenticatedFrameBytes bounds a frame on a connection that still has to authenticate.
	UnauthenticatedFrameBytes int
	// QueuedBytes bounds the request bytes held in all connections together (queued.max.request.bytes). One frame at a time may
	// pass it, so that a frame larger than the limit is slow instead of impossible. 0 or less: no bound.
	QueuedBytes int64
	// QueuedRequests bounds the requests of one connection whose responses are not written yet.
	QueuedRequests int
	// PartialFrame is how long each MiB of a frame, once begun, may take to arrive.
	PartialFrame time.Duration
	// Idle is how long a connection may stay silent, or not take its responses (connections.max.idle.ms). 0 or less: for ever.
	Idle time.Duration
	ConnectionLimits
	// Tags bounds the tagged fields of one header. It may be 0.
	Tags int
}

// ConnectionLimits bound who may connect. They may change while the server runs; connections that are there stay.
type ConnectionLimits struct {
	// Connections bounds the connections at one time (max.connections), ConnectionsPerIP those from one address
	// (max.connections.per.ip), with exceptions by address in PerIP. They may be 0.
	Connections      int
	ConnectionsPerIP int
	PerIP            map[string]int
	// ConnectionRate bounds the connections accepted in a second (max.connection.creation.rate); the others wait.
	ConnectionRate int
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
		Tags:                      1024,
		ConnectionLimits: ConnectionLimits{
			Connections:      10_000,
			ConnectionsPerIP: 1<<31 - 1,
			ConnectionRate:   1<<31 - 1,
		},
	}
}

func (l Limits) check() error {
	for _, f := range []struct {
		name       string
		value, min int64
	}{
		{"FrameBytes", int64(l.FrameBytes), 1},
		{"UnauthenticatedFrameBytes", int64(l.UnauthenticatedFrameBytes), 1},
		{"QueuedRequests", int64(l.QueuedRequests), 1},
		{"PartialFrame", int64(l.PartialFrame), 1},
		{"Connections", int64(l.Connections), 0},
		{"ConnectionsPerIP", int64(l.ConnectionsPerIP), 0},
		{"ConnectionRate", int64(l.ConnectionRate), 1},
		{"Tags", int64(l.Tags), 0},
	} {
		if f.value < f.min {
			return fmt.Errorf("server: limit %s is %d, it must be at least %d", f.name, f.value, f.min)
		}
	}
	return nil
}
