package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/server"
)

// Call is what a request's function may know of its sender.
type Call struct {
	ClientID string
	// Host is the address the request came from, as group descriptions show it ("/127.0.0.1").
	Host     string
	Listener string // the listener's name; "" in process
	Version  int16
}

func newCall(r *server.Request) *Call {
	return &Call{ClientID: r.ClientID, Host: "/" + r.Conn.RemoteHost(), Listener: r.Conn.ListenerName(), Version: r.Version}
}

// Call answers a request in process, as if it had come over a connection of its own: at the version that is set on it, which
// must be served. It blocks until the response is there; ctx ends the wait as a closed connection would. A request that would
// have cost a client its connection returns an error.
func (h *Handler) Call(ctx context.Context, clientID, host string, req kmsg.Request) (kmsg.Response, error) {
	a := h.lookup(req.Key())
	if a == nil || req.GetVersion() < a.min || req.GetVersion() > a.max {
		return nil, fmt.Errorf("api: call: key %d version %d is not served", req.Key(), req.GetVersion())
	}
	if a.decoded != nil {
		c := &Call{ClientID: clientID, Host: host, Version: req.GetVersion()}
		resp := a.decoded(h, ctx, c, req)
		resp.SetVersion(req.GetVersion())
		return resp, nil
	}
	r := &server.Request{Key: a.key, Version: req.GetVersion(), ClientID: clientID, Flexible: req.IsFlexible(), Body: req.AppendTo(nil)}
	p := a.direct(h, ctx, r)
	out := p.Response
	if p.Wait != nil {
		out = p.Wait(ctx)
	}
	resp := req.ResponseKind()
	if out.Frame == nil {
		if out.Close {
			return nil, fmt.Errorf("api: call: %s was refused", a.name)
		}
		return resp, nil
	}
	body := out.Frame.B[responseHeaderSize(r):]
	for _, part := range out.Parts {
		body = append(body, part...)
	}
	if out.Done != nil {
		out.Done()
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("api: call: %s: %w", a.name, err)
	}
	return resp, nil
}
