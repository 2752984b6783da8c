//go:build !windows

package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/wasmhost"
	"github.com/millrun/millrun/wasmhost/abi"
)

// newRunner joins the Wasm host to the broker: the one place that knows both. Modules are compiled by a child process, which is this program again.
func newRunner(code *codeFolder) transform.Runner {
	newHost := sync.OnceValue(func() *wasmhost.Host {
		return wasmhost.New(wasmhost.Config{CacheDir: code.path, Compile: wasmhost.CompileChild{}.Compile, AtOnce: makeRoomForGuests()})
	})
	return func(ctx context.Context, s transform.Spec) (transform.Program, error) {
		select {
		case <-code.known:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		host := newHost()
		p, err := host.Load(ctx, wasmhost.Spec{Wasm: s.Wasm, Name: s.Name, Config: s.Config, Inputs: s.Inputs, Outputs: s.Outputs, Topics: s.Topics,
			MemoryBytes: s.MemoryBytes, Timeout: s.Timeout, Log: s.Log})
		if err != nil {
			return nil, err
		}
		return program{p}, nil
	}
}

// makeRoomForGuests gives the Go scheduler a place for each guest that may run, besides those for the broker's own work, and
// returns how many guests those are: one for each processor. With fewer places a broker's goroutine waits while guests have
// them all, and nobody looks at the network. Whoever sets GOMAXPROCS has decided otherwise.
func makeRoomForGuests() int {
	processors := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * processors)
	}
	return processors
}

// codeFolder is where compiled modules lie: in the broker's data, whose folder an ephemeral broker chooses as it starts.
type codeFolder struct {
	known chan struct{} // closed when path is set
	path  string
}

func newCodeFolder() *codeFolder { return &codeFolder{known: make(chan struct{})} }

// in says which folder the broker's data is in; it is called once.
func (f *codeFolder) in(dataDir string) {
	f.path = filepath.Join(dataDir, "compiled")
	close(f.known)
}

type program struct{ *wasmhost.Program }

func (p program) Instance(ctx context.Context, log abi.LogFunc) (transform.Instance, error) {
	i, err := p.Program.Instance(ctx, log)
	if err != nil {
		return nil, err
	}
	return i, nil
}
