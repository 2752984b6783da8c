package wasmhost

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// CompileFunc compiles a module that was checked and metered into the folder of compiled code, as CompileInto does. An
// error that is the module's fault is a *CompileError. It returns soon after ctx ends.
type CompileFunc func(ctx context.Context, cacheDir string, wasm []byte) error

// CompileError is why a module cannot be compiled, whoever compiles it.
type CompileError struct{ Reason string }

func (e *CompileError) Error() string { return e.Reason }

// runtimeConfig is the same for every runtime: code that one has compiled another can run.
func runtimeConfig(cache wazero.CompilationCache) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigCompiler().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithCompilationCache(cache).
		WithDebugInfoEnabled(false)
}

// compile compiles a module here and now. A panic of the compiler is the module's fault and nobody else's.
func compile(ctx context.Context, runtime wazero.Runtime, wasm []byte) (c wazero.CompiledModule, err error) {
	defer func() {
		if r := recover(); r != nil {
			if r == errNotCached {
				c, err = nil, errNotCached
				return
			}
			err = &CompileError{fmt.Sprintf("the compiler gave up: %v", r)}
		}
	}()
	c, err = runtime.CompileModule(ctx, wasm)
	if err != nil {
		return nil, &CompileError{trapOf(err)}
	}
	return c, nil
}

// compiled returns the compiled form of a module that has passed check: from the folder of compiled code, where somebody
// may have to put it first. One module is compiled at a time; those whose code is there do not wait for it.
func (h *Host) compiled(ctx context.Context, wasm []byte) (wazero.CompiledModule, error) {
	runtime, err := h.running(ctx)
	if err != nil {
		return nil, err
	}
	if h.config.CacheDir != "" {
		if c, err := h.cached(ctx, runtime, wasm); !errors.Is(err, errNotCached) {
			return c, err
		}
	}
	select {
	case h.compile <- struct{}{}:
		defer func() { <-h.compile }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if h.config.CacheDir == "" {
		return compile(ctx, runtime, wasm)
	}
	// Whoever had the turn before may have compiled the same module.
	if c, err := h.cached(ctx, runtime, wasm); !errors.Is(err, errNotCached) {
		return c, err
	}
	if err := h.build(ctx, wasm); err != nil {
		return nil, err
	}
	c, err := h.cached(ctx, runtime, wasm)
	if errors.Is(err, errNotCached) {
		return nil, fmt.Errorf("its compiled code is gone from %s, or does not fit this program: try again", h.config.CacheDir)
	}
	return c, err
}

// cached takes a module's code from the folder, and never compiles it. Without code that fits it is errNotCached.
func (h *Host) cached(ctx context.Context, runtime wazero.Runtime, wasm []byte) (wazero.CompiledModule, error) {
	h.loading.Lock()
	defer h.loading.Unlock()
	if err := h.code.verify(wasm); err != nil {
		return nil, err
	}
	c, err := compile(onlyCached{ctx, workersKey()}, runtime, wasm)
	if err != nil {
		// It was made for another processor or by another version, or it is not what a runtime writes.
		return nil, errors.Join(errNotCached, h.code.drop(wasm))
	}
	return c, nil
}

// build has a module's code put into the folder. The caller holds the turn to compile.
func (h *Host) build(ctx context.Context, wasm []byte) error {
	into := h.config.Compile
	if into == nil {
		into = CompileInto
	}
	if err := into(ctx, h.config.CacheDir, wasm); err != nil {
		_ = h.code.sweep() // what cannot be removed now is when the next host opens the folder
		return err
	}
	return h.code.prune()
}

// onlyCached is a context under which the runtime finds a module in its cache or gives up: just before it begins to
// compile it asks its context how many workers may take part, and gets errNotCached as a panic.
type onlyCached struct {
	context.Context
	workers any
}

func (c onlyCached) Value(key any) any {
	if key == c.workers {
		panic(errNotCached)
	}
	return c.Context.Value(key)
}

// workersKey is what the runtime asks that by, which it does not export.
func workersKey() any {
	var probe keyProbe
	experimental.GetCompilationWorkers(&probe)
	return probe.key
}

// keyProbe remembers what it was asked for.
type keyProbe struct {
	context.Context
	key any
}

func (p *keyProbe) Value(key any) any {
	p.key = key
	return nil
}
