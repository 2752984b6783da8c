package api

import (
	"time"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/server"
)

// ListenerLimits are the limits of a listener by the broker's settings.
func ListenerLimits(s *config.BrokerSettings) server.Limits {
	milliseconds := func(name string) time.Duration { return time.Duration(s.Int(name)) * time.Millisecond }
	return server.Limits{
		FrameBytes:                int(s.Int("socket.request.max.bytes")),
		UnauthenticatedFrameBytes: int(s.Int("sasl.server.max.receive.size")),
		QueuedBytes:               s.Int("queued.max.request.bytes"),
		QueuedRequests:            int(s.Int("queued.max.requests.per.connection")),
		PartialFrame:              milliseconds("socket.request.read.timeout.ms"),
		Idle:                      milliseconds("connections.max.idle.ms"),
		Tags:                      int(s.Int("socket.request.max.tagged.fields")),
		ConnectionLimits:          ConnectionLimits(s),
	}
}

// ConnectionLimits are those of them that may change while the broker runs.
func ConnectionLimits(s *config.BrokerSettings) server.ConnectionLimits {
	perIP, overrides := s.ConnectionsPerIP()
	l := server.ConnectionLimits{
		Connections:      int(s.Int("max.connections")),
		ConnectionsPerIP: int(perIP),
		PerIP:            make(map[string]int, len(overrides)),
		ConnectionRate:   max(int(s.Int("max.connection.creation.rate")), 1),
	}
	for host, n := range overrides {
		l.PerIP[host] = int(n)
	}
	return l
}
