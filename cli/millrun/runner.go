//go:build !windows

package main

import (
	"context"

	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/wasmhost"
	"github.com/millrun/millrun/wasmhost/abi"
)

// newRunner joins the Wasm host to the broker: the one place that knows both.
func newRunner(cacheDir string) transform.Runner {
	host := wasmhost.New(wasmhost.Config{CacheDir: cacheDir})
	return func(ctx context.Context, s transform.Spec) (transform.Program, error) {
		p, err := host.Load(ctx, wasmhost.Spec{Wasm: s.Wasm, Name: s.Name, Config: s.Config, Inputs: s.Inputs, Outputs: s.Outputs, Topics: s.Topics,
			MemoryBytes: s.MemoryBytes, Timeout: s.Timeout, Log: s.Log})
		if err != nil {
			return nil, err
		}
		return program{p}, nil
	}
}

type program struct{ *wasmhost.Program }

func (p program) Instance(ctx context.Context, log abi.LogFunc) (transform.Instance, error) {
	i, err := p.Program.Instance(ctx, log)
	if err != nil {
		return nil, err
	}
	return i, nil
}
