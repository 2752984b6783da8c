package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/transform"
)

// handler answers requests. It is immutable.
type handler struct {
	Config
}

// newHandler returns the whole HTTP side. local says that it listens on loopback only.
func newHandler(c Config, local bool) http.Handler {
	h := &handler{c}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/deployments", h.deploy)
	mux.HandleFunc("GET /v1/deployments", h.list)
	mux.HandleFunc("GET /v1/deployments/{name}", h.describe)
	mux.HandleFunc("DELETE /v1/deployments/{name}", h.remove)
	mux.HandleFunc("POST /v1/deployments/{name}/replay", h.replay)
	mux.HandleFunc("GET /v1/deployments/{name}/module", h.module)
	mux.HandleFunc("POST /v1/deployments/{name}/pause", h.pause)
	mux.HandleFunc("POST /v1/deployments/{name}/resume", h.resume)
	mux.HandleFunc("POST /v1/deployments/{name}/upgrade", h.upgrade)
	mux.HandleFunc("POST /v1/deployments/{name}/rollback", h.rollback)
	h.redpandaRoutes(mux)
	mux.HandleFunc("GET /metrics", h.metrics)
	mux.HandleFunc("GET /healthz", h.healthy)
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { notFound(w, r, mux) })
	return guard(mux, local)
}

// guard keeps web pages away. There are no passwords here: a browser on the same machine must not become a stranger's
// hand, neither by a form that is sent across origins nor by a name that is made to resolve to this address.
func guard(next http.Handler, local bool) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusForbidden, errors.New("requests of web pages from elsewhere are refused"))
	}))
	inner := origins.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local && !isLocalName(r.Host) {
			writeError(w, http.StatusForbidden, fmt.Errorf("host %q is not this machine: ask for localhost or an address", r.Host))
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		inner.ServeHTTP(w, r)
	})
}

// isLocalName accepts what cannot be a name of somebody else's: addresses and localhost.
func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" || host == "" {
		return true
	}
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// notFound answers what no path of the mux is about: 405 if one is with another method, else 404.
func notFound(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		methods := strings.Join(allowed, ", ")
		w.Header().Set("Allow", methods)
		writeError(w, http.StatusMethodNotAllowed, fmt.Errorf("%s is not for %s, which takes %s; see spec/http.md", r.Method, r.URL.Path, methods))
		return
	}
	writeError(w, http.StatusNotFound, fmt.Errorf("there is no %s %s; see spec/http.md", r.Method, r.URL.Path))
}

func (h *handler) healthy(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *handler) ready(w http.ResponseWriter, _ *http.Request) {
	if err := h.Ready(); err != nil {
		writeError(w, http.StatusServiceUnavailable, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// refuse answers with the status that belongs to an error about deployments.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, err := h.statusOf(r, err)
	writeError(w, status, err)
}

// statusOf is the status that belongs to an error about deployments, and the error to be told; one that is the broker's own
// trouble is logged.
func (h *handler) statusOf(r *http.Request, err error) (int, error) {
	status := http.StatusInternalServerError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		status, err = http.StatusRequestEntityTooLarge, fmt.Errorf("the request is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, transform.ErrInvalid), errors.Is(err, errBadRequest):
		status = http.StatusBadRequest
	case errors.Is(err, transform.ErrUnknown), errors.Is(err, meta.ErrUnknownDeployment):
		status = http.StatusNotFound
	case errors.Is(err, transform.ErrExists), errors.Is(err, transform.ErrBusy), errors.Is(err, meta.ErrDeploymentExists),
		errors.Is(err, transform.ErrUnchanged), errors.Is(err, transform.ErrRegression):
		status = http.StatusConflict
	case errors.Is(err, transform.ErrUnsupported):
		status = http.StatusNotImplemented
	case r.Context().Err() == nil:
		h.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	return status, err
}

func writeError(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that is gone does not need the answer.
	_, _ = w.Write(append(body, '\n'))
}
