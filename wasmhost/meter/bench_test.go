package meter

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/millrun/millrun/plugins"
	"github.com/millrun/millrun/wasmhost/abi"
)

// way is how a guest is kept from running for ever, if at all.
type way struct {
	name    string
	metered bool
	config  wazero.RuntimeConfig
}

func ways() []way {
	compiler := wazero.NewRuntimeConfigCompiler()
	return []way{{"bare", false, compiler}, {"metered", true, compiler}, {"closing", false, compiler.WithCloseOnContextDone(true)}}
}

// benchGuest is a filter that runs over the same input again and again.
type benchGuest struct {
	*driver
	filter api.Function
	args   [3]uint64
}

func newBenchGuest(ctx context.Context, b *testing.B, w way, wasm []byte, config string, in []byte, n int) *benchGuest {
	b.Helper()
	g := &benchGuest{driver: newDriver(ctx, b, w.config)}
	wasi_snapshot_preview1.MustInstantiate(ctx, g.runtime)
	zero := func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = 0 }
	i32 := api.ValueTypeI32
	_, err := g.runtime.NewHostModuleBuilder(abi.ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(zero), []api.ValueType{i32, i32}, []api.ValueType{i32}).Export(abi.ImportContext).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(zero), []api.ValueType{i32, i32, i32}, nil).Export(abi.ImportLog).
		Instantiate(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if w.metered {
		if wasm, err = rewritten(wasm); err != nil {
			b.Fatal(err)
		}
	}
	m, err := g.runtime.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions(abi.ExportInit))
	if err != nil {
		b.Fatal(err)
	}
	call := func(name string, args ...uint64) uint64 {
		results, err := m.ExportedFunction(name).Call(ctx, args...)
		if err != nil {
			b.Fatal(err)
		}
		return results[0]
	}
	put := func(bytes []byte) uint64 {
		p := call(abi.ExportAlloc, uint64(len(bytes)))
		m.Memory().Write(uint32(p), bytes)
		return p
	}
	if config != "" && call(abi.ExportConfigure, put([]byte(config)), uint64(len(config))) != 0 {
		b.Fatal("refused its configuration")
	}
	g.filter, g.args = m.ExportedFunction(abi.ExportFilter), [3]uint64{put(in), uint64(len(in)), uint64(n)}
	return g
}

// BenchmarkWays runs the same guest bare, metered and under the runtime's own check
// by turns, and reports the fastest run of each, so that a busy machine troubles all
// alike.
func BenchmarkWays(b *testing.B) {
	record := func(value []byte) (in []byte, n int) {
		for ; len(in) < abi.ChunkBytes; n++ {
			in = abi.AppendInputRow(in, abi.WantValue, 1, uint32(n), nil, value, []abi.Header(nil))
		}
		return in, n
	}
	example, err := os.ReadFile("../../spec/vectors/wasm/example.wasm")
	if err != nil {
		b.Fatal(err)
	}
	shipped, _ := plugins.Module("filter")
	pad := bytes.Repeat([]byte("n"), 100)
	json := fmt.Appendf(nil, `{"id":1234567,"customer":{"name":"Ann","country":"NL"},"total":12.5,"status":"paid","note":"%s"}`, pad)
	for _, c := range []struct {
		name, config string
		wasm, value  []byte
	}{
		{"hand-written/first byte", `{"first":"n"}`, example, pad},
		{"plain Go/text", `{"text":"ERROR"}`, shipped, pad},
		{"plain Go/JSON number", `{"field":"total","op":"ge","value":"10"}`, shipped, json},
	} {
		b.Run(c.name, func(b *testing.B) {
			in, n := record(c.value)
			race(b, c.wasm, c.config, in, n)
		})
	}
}

func race(b *testing.B, wasm []byte, config string, in []byte, n int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	all := ways()
	guests, best := make([]*benchGuest, len(all)), make([]time.Duration, len(all))
	for i, w := range all {
		guests[i], best[i] = newBenchGuest(ctx, b, w, wasm, config, in, n), time.Hour
	}
	for b.Loop() {
		for i, g := range guests {
			g.running, g.yields, g.steady = g.filter, 0, 1_000_000
			stack := g.args
			begin := time.Now()
			if err := g.filter.CallWithStack(ctx, stack[:]); err != nil {
				b.Fatal(err)
			}
			best[i] = min(best[i], time.Since(begin))
		}
	}
	for i, w := range all {
		b.ReportMetric(float64(best[i].Nanoseconds())/float64(n), w.name+"-ns/record")
	}
	b.ReportMetric(float64(guests[1].yields), "yields")
	b.ReportMetric(0, "ns/op")
}
