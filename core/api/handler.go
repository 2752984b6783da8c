package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/server"
)

// Config is what a handler is made of.
type Config struct {
	Cluster    Cluster
	Partitions Partitions
	Groups     Groups // nil: this broker coordinates no groups
	Settings   *config.BrokerSettings
	NodeID     meta.NodeID
	Logger     *slog.Logger
	Now        func() time.Time
}

// Cluster is the metadata of the cluster.
type Cluster interface {
	// Image returns the state as far as this broker has applied it.
	Image() *meta.Image
	// Change decides on the current image, again if another command came first, and returns once this broker has applied the
	// command and acts by it: what Change acknowledges is served. decide may return meta.ErrNothing if nothing is to be changed.
	Change(ctx context.Context, decide func(*meta.Image) (meta.Command, error)) (*meta.Image, error)
}

// Handler answers requests. Make it with [New]; its methods may be called from any goroutine.
type Handler struct {
	cfg  Config
	apis []*api // by key; nil where nothing is served
	list []api  // by number
	live liveSettings

	produces      sync.Pool // of *produceRequest
	sessions      *fetchSessions
	memory        *memory // for records on their way to consumers
	fetchMaxBytes int
	fetchMaxWait  time.Duration
	maxTags       uint64
	producerIDs   *producerIDs
	traffic       traffic
}

// New returns a handler that answers at once.
func New(cfg Config) (*Handler, error) {
	if cfg.Cluster == nil || cfg.Partitions == nil || cfg.Settings == nil || cfg.Logger == nil || cfg.Now == nil {
		return nil, errors.New("api: config is incomplete")
	}
	if cfg.Groups == nil {
		cfg.Groups = noGroups{}
	}
	cfg.Logger = newSeldom(cfg.Logger)
	h := &Handler{cfg: cfg, list: table(), memory: newMemory(fetchMemory), producerIDs: newProducerIDs()}
	h.fetchMaxBytes = int(cfg.Settings.Int("fetch.max.bytes"))
	h.fetchMaxWait = time.Duration(cfg.Settings.Int("fetch.wait.max.ms")) * time.Millisecond
	h.maxTags = uint64(cfg.Settings.Int("socket.request.max.tagged.fields"))
	h.sessions = newFetchSessions(int(cfg.Settings.Int("max.incremental.fetch.session.cache.slots")), sessionProtect, cfg.Now)
	for i := range h.list {
		a := &h.list[i]
		if err := a.complete(); err != nil {
			return nil, err
		}
		for int(a.key) >= len(h.apis) {
			h.apis = append(h.apis, nil)
		}
		h.apis[a.key] = a
	}
	return h, nil
}

// complete fills in what the table leaves to kmsg and to the shapes.
func (a *api) complete() error {
	req := kmsg.RequestForKey(a.key)
	if req == nil || req.MaxVersion() < a.max {
		return fmt.Errorf("api: kmsg does not know %s up to version %d", a.name, a.max)
	}
	for a.flexibleFrom = 0; a.flexibleFrom <= a.max; a.flexibleFrom++ {
		if req.SetVersion(a.flexibleFrom); req.IsFlexible() {
			break
		}
	}
	s, err := shapeOf(a.key)
	if err != nil {
		return fmt.Errorf("api: %s: %w", a.name, err)
	}
	a.shape = s
	return nil
}

// lookup returns the served key, or nil.
func (h *Handler) lookup(key int16) *api {
	if key < 0 || int(key) >= len(h.apis) {
		return nil
	}
	return h.apis[key]
}

// The keys that are spoken of outside their own files.
const (
	keyProduce     = 0
	keyApiVersions = 18
)

// maxPlainFrame bounds the requests that carry no records. What is decoded takes a multiple of its bytes in memory: at most
// about 16 times, see shape.go.
const maxPlainFrame = 8 << 20

// plainWeight is how much more of the server's memory such a request is taken to need than its bytes.
const plainWeight = 8

// Inspect implements [server.Handler].
func (h *Handler) Inspect(key, version int16) server.Shape {
	a := h.lookup(key)
	if a == nil {
		return server.Shape{}
	}
	if version < a.min || version > a.max {
		// Clients ask for the versions at a version of their own; everything else they could have known.
		return server.Shape{Served: key == keyApiVersions, Opaque: true, MaxBytes: maxPlainFrame}
	}
	s := server.Shape{Served: true, Flexible: version >= a.flexibleFrom}
	if a.key != keyProduce {
		s.MaxBytes, s.Weight = maxPlainFrame, plainWeight
	}
	return s
}

// Handle implements [server.Handler].
func (h *Handler) Handle(ctx context.Context, r *server.Request) server.Pending {
	a := h.lookup(r.Key)
	h.traffic.requests.Add(1)
	if r.Version < a.min || r.Version > a.max {
		return server.Ready(server.Response{Frame: h.encode(r, unsupportedApiVersions(a))})
	}
	left, err := a.shape.check(r.Body, r.Version, r.Flexible, h.maxTags)
	if err == nil && left > 0 && a.key == keyProduce { // whoever loses count of records is not believed
		err = fmt.Errorf("%w: %d bytes are left over", errShape, left)
	}
	if err != nil {
		return server.CloseConn(fmt.Errorf("%s v%d: %w", a.name, r.Version, err))
	}
	if a.direct != nil {
		return a.direct(h, ctx, r)
	}
	req := kmsg.RequestForKey(r.Key)
	req.SetVersion(r.Version)
	body := r.Body
	if a.shape.bytes { // kmsg does not copy bytes, and the frame is used again
		body = bytes.Clone(body)
	}
	if err := req.ReadFrom(body); err != nil {
		return server.CloseConn(fmt.Errorf("%s v%d: %w", a.name, r.Version, err))
	}
	c := newCall(r)
	if a.inline {
		return server.Ready(h.answer(ctx, a, r, c, req))
	}
	return server.Pending{Wait: func(ctx context.Context) server.Response { return h.answer(ctx, a, r, c, req) }}
}

func (h *Handler) answer(ctx context.Context, a *api, r *server.Request, c *Call, req kmsg.Request) server.Response {
	resp := a.decoded(h, ctx, c, req)
	resp.SetVersion(r.Version)
	return server.Response{Frame: h.encode(r, resp)}
}

// Starved implements [server.Handler]: fetches wait for memory that the responses to others hold.
func (h *Handler) Starved() bool { return h.memory.starved() }

// encode makes the frame of a response.
func (h *Handler) encode(r *server.Request, resp kmsg.Response) *server.Buffer {
	b := beginResponse(r, 512)
	b.B = resp.AppendTo(b.B)
	return b
}

// beginResponse returns a buffer with room for about size bytes that begins with the frame's length (filled in by the server) and
// the response header.
func beginResponse(r *server.Request, size int) *server.Buffer {
	b := r.Conn.Buffer(size + 16)
	b.B = append(b.B, 0, 0, 0, 0)
	b.B = binary.BigEndian.AppendUint32(b.B, uint32(r.CorrelationID))
	if r.Flexible && r.Key != keyApiVersions { // ApiVersions is answered before the versions are known: always header version 0
		b.B = append(b.B, 0)
	}
	return b
}

func responseHeaderSize(r *server.Request) int {
	if r.Flexible && r.Key != keyApiVersions {
		return 9
	}
	return 8
}
