package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Config is how a Host is made. Its zero value is good.
type Config struct {
	// CacheDir keeps compiled code from one start to the next. It must be private
	// to this process's user: what lies there is run. Empty: in memory only.
	CacheDir string
	// Now is the clock that the rate of log lines is measured by; nil: time.Now.
	Now func() time.Time
}

// Host compiles and runs modules. It may be used by many goroutines.
type Host struct {
	config  Config
	compile chan struct{} // held by the one who compiles: a compilation takes a core and a lot of memory

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
	return &Host{config: c, compile: make(chan struct{}, 1)}
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
	cache := wazero.NewCompilationCache()
	if h.config.CacheDir != "" {
		var err error
		if cache, err = wazero.NewCompilationCacheWithDir(h.config.CacheDir); err != nil {
			return nil, fmt.Errorf("compilation cache %s: %w", h.config.CacheDir, err)
		}
	}
	config := wazero.NewRuntimeConfigCompiler().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithCompilationCache(cache).
		WithDebugInfoEnabled(false)
	runtime := wazero.NewRuntimeWithConfig(ctx, config)
	if err := errors.Join(provideImports(ctx, runtime), provideYield(ctx, runtime)); err != nil {
		return nil, errors.Join(err, runtime.Close(ctx), cache.Close(ctx))
	}
	h.runtime, h.cache = runtime, cache
	return runtime, nil
}

// compiled compiles a module that has passed check. A panic of the compiler is
// the module's fault and nobody else's.
func (h *Host) compiled(ctx context.Context, wasm []byte) (c wazero.CompiledModule, err error) {
	runtime, err := h.running(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case h.compile <- struct{}{}:
		defer func() { <-h.compile }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() {
		if r := recover(); r != nil {
			err = &guestPanic{Refused, fmt.Sprintf("the compiler gave up: %v", r)}
		}
	}()
	c, err = runtime.CompileModule(ctx, wasm)
	if err != nil {
		return nil, &guestPanic{Refused, trapOf(err)}
	}
	return c, nil
}
