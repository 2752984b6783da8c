package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// Config is how a Host is made. Its zero value is good.
type Config struct {
	// CacheDir keeps compiled code from one start to the next. It belongs to this host
	// alone as long as it lives, and to this process's user: what lies there is run, so
	// a folder that others may write to is refused. Empty: in memory only.
	CacheDir string
	// Compile puts compiled code into CacheDir, which it needs: CompileChild.Compile does
	// so in a process of its own. Nil: this process compiles, unbounded in time and
	// memory but for the structural limits.
	Compile CompileFunc
	// AtOnce is how many guests run at the same time; others wait for their turn, which
	// comes within the slices of those in front of them. 0: no bound. It keeps guests
	// from taking all threads that GOMAXPROCS allows, if it is smaller.
	AtOnce int
	// Now is the clock that the rate of log lines is measured by; nil: time.Now.
	Now func() time.Time
}

// Host compiles and runs modules. It may be used by many goroutines.
type Host struct {
	config  Config
	compile chan struct{} // held by the one who compiles: a compilation takes a core and a lot of memory
	turns   *turns
	code    codeCache  // in config.CacheDir, if there is one
	loading sync.Mutex // held while compiled code is read

	mu      sync.Mutex
	runtime wazero.Runtime // guarded by mu; nil until the first module is loaded
	cache   wazero.CompilationCache
	closed  bool
}

var errClosed = errors.New("the WebAssembly host is closed")

// New makes a host. It costs nothing until a module is loaded.
func New(c Config) *Host {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Host{config: c, compile: make(chan struct{}, 1), code: codeCache{c.CacheDir}, turns: newTurns(c.AtOnce)}
}

// Close ends the runtime and all its modules. No instance may be running.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.runtime == nil {
		return nil
	}
	err := errors.Join(h.runtime.Close(ctx), h.cache.Close(ctx))
	h.runtime, h.cache = nil, nil
	return err
}

// running is the runtime, made if there is none yet.
func (h *Host) running(ctx context.Context) (wazero.Runtime, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	if h.runtime != nil {
		return h.runtime, nil
	}
	if h.config.Compile != nil && h.config.CacheDir == "" {
		return nil, errors.New("a WebAssembly host that has its modules compiled elsewhere needs a folder to find them in")
	}
	cache := wazero.NewCompilationCache()
	if h.config.CacheDir != "" {
		if err := h.code.open(); err != nil {
			return nil, err
		}
		var err error
		if cache, err = wazero.NewCompilationCacheWithDir(h.config.CacheDir); err != nil {
			return nil, fmt.Errorf("compilation cache %s: %w", h.config.CacheDir, err)
		}
	}
	runtime := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(cache))
	if err := errors.Join(provideImports(ctx, runtime), provideYield(ctx, runtime)); err != nil {
		return nil, errors.Join(err, runtime.Close(ctx), cache.Close(ctx))
	}
	h.runtime, h.cache = runtime, cache
	return runtime, nil
}
