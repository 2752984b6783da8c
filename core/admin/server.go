// Package admin is the HTTP side of a broker: deployments of Wasm consumers as REST, metrics for Prometheus, and health.
// spec/http.md describes every path.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/transform"
)

// Deployments is what the HTTP side needs of transform.Deployments.
type Deployments interface {
	Deploy(ctx context.Context, spec transform.DeploySpec, wasm []byte) (*transform.Status, error)
	Describe(ctx context.Context, name string) (*transform.Status, error)
	List(ctx context.Context) ([]transform.Summary, error)
	DescribeAll(ctx context.Context) ([]transform.Status, error)
	Pause(ctx context.Context, name string) error
	Resume(ctx context.Context, name string) error
	Upgrade(ctx context.Context, name string, spec transform.UpgradeSpec, wasm []byte) (*transform.Upgraded, error)
	Rollback(ctx context.Context, name string) (*transform.Upgraded, error)
	Delete(ctx context.Context, name string, purge bool) (*transform.Deleted, error)
	Replay(ctx context.Context, name string, until map[int32]int64) (*transform.Replay, error)
	Module(ctx context.Context, name, sha256 string) ([]byte, meta.ModuleRef, error)
}

// Config is what a Server serves. Every field is required.
type Config struct {
	Deployments Deployments
	NodeID      meta.NodeID
	// Shipped returns a module that ships with the program.
	Shipped func(name string) (wasm []byte, ok bool)
	// Stats returns the broker's numbers for /metrics.
	Stats func() Stats
	// Ready says why requests are not served yet, nil if they are.
	Ready  func() error
	Logger *slog.Logger
}

// The limits of the HTTP side, listed in spec/limits.md.
const (
	maxHeaderBytes = 64 << 10
	maxSpecBytes   = 256 << 10
	// maxFormBytes is what a multipart form may have around the spec and the module.
	maxFormBytes  = 16 << 10
	maxBodyBytes  = transform.MaxModuleBytes + maxSpecBytes + maxFormBytes
	headerTimeout = 10 * time.Second
	readTimeout   = 60 * time.Second
	writeTimeout  = 3 * time.Minute // a large module takes a while to compile
	idleTimeout   = 2 * time.Minute
)

// Server is an HTTP listener. Make it with [Listen], begin with [Server.Serve].
type Server struct {
	listener net.Listener
	http     *http.Server
	served   chan error // what Serve's goroutine ended with; nil before Serve
	logger   *slog.Logger
}

// Listen takes the address, so that it is known before there is anything to serve. Nobody is answered until Serve.
func Listen(addr string) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("HTTP listen address %s: %w: name another with --http", addr, reason(err))
	}
	return &Server{listener: l}, nil
}

// reason takes the system's own words out of a network error, which repeats the address.
func reason(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Addr is where the server listens, host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve begins to answer, on goroutines of its own. It is called once.
func (s *Server) Serve(c Config) {
	local := false
	if tcp, ok := s.listener.Addr().(*net.TCPAddr); ok {
		local = tcp.IP.IsLoopback()
	}
	s.logger = c.Logger
	s.http = &http.Server{
		Handler: newHandler(c, local), MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	s.served = make(chan error, 1)
	go func() { s.served <- s.http.Serve(s.listener) }()
}

// Close lets requests that are under way end, until ctx does, and ends the rest then.
func (s *Server) Close(ctx context.Context) error {
	if s.http == nil {
		return s.listener.Close()
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
