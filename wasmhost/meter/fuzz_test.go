package meter

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// pair is a module twice: metered under the compiler, as it was under the interpreter.
type pair struct{ metered, plain *driver }

func newPair(t testing.TB) pair {
	ctx := context.Background()
	p := pair{
		newDriver(ctx, t, wazero.NewRuntimeConfigCompiler()),
		newDriver(ctx, t, wazero.NewRuntimeConfigInterpreter().WithCloseOnContextDone(true)),
	}
	h := func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = uint64(uint32(stack[0])*3 + 1) }
	for _, d := range []*driver{p.metered, p.plain} {
		i32 := []api.ValueType{api.ValueTypeI32}
		_, err := d.runtime.NewHostModuleBuilder("env").NewFunctionBuilder().
			WithGoModuleFunction(api.GoModuleFunc(h), i32, i32).Export("h").Instantiate(ctx)
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// outcome is what a call returned, or the first line of how it failed.
func outcome(results []uint64, err error) string {
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return line
	}
	return fmt.Sprintf("%x", results)
}

// run calls every function of the module twice on both sides and compares all that can be
// seen of them. It tells whether there was anything to compare.
func (p pair) run(t testing.TB, wasm []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	plain, err := p.plain.runtime.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName(""))
	metered, meteredErr := p.metered.load(ctx, wasm, "")
	if metered != nil {
		defer metered.Close(ctx)
	}
	if ctx.Err() != nil {
		return false
	}
	if (err == nil) != (meteredErr == nil) {
		t.Fatalf("instantiated: %v, metered: %v\n%x", err, meteredErr, wasm)
	}
	if err != nil {
		return false
	}
	defer plain.Close(ctx)
	for n := range 2 * len(plain.ExportedFunctionDefinitions()) {
		name := fmt.Sprint("f", 1+n/2)
		f := plain.ExportedFunction(name)
		if f == nil {
			break
		}
		var args []uint64
		for i, kind := range f.Definition().ParamTypes() {
			args = append(args, uint64(n*7+i))
			if kind == tV128 {
				args = append(args, 99)
			}
		}
		want := outcome(f.Call(ctx, args...))
		got := outcome(p.metered.call(ctx, metered.ExportedFunction(name), args...))
		if ctx.Err() != nil {
			return false
		}
		if isReference(f) {
			continue // an address
		}
		if got != want {
			t.Fatalf("%s(%x): %s, metered: %s\n%x", name, args, want, got, wasm)
		}
	}
	p.compareState(t, plain, metered, wasm)
	return true
}

func isReference(f api.Function) bool {
	types := f.Definition().ResultTypes()
	return len(types) == 1 && types[0] == tRef
}

func (p pair) compareState(t testing.TB, plain, metered api.Module, wasm []byte) {
	for _, g := range []string{"g0", "g1"} {
		if a, b := plain.ExportedGlobal(g).Get(), metered.ExportedGlobal(g).Get(); a != b {
			t.Fatalf("%s is %x, metered: %x\n%x", g, a, b, wasm)
		}
	}
	a, _ := plain.ExportedMemory("m").Read(0, plain.ExportedMemory("m").Size())
	b, _ := metered.ExportedMemory("m").Read(0, metered.ExportedMemory("m").Size())
	if !bytes.Equal(a, b) {
		t.Fatalf("memories of %d and %d bytes differ\n%x", len(a), len(b), wasm)
	}
}

func TestRandomModulesDoTheSameWhenMetered(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(1, 2))
	compared, n := 0, 1000
	if testing.Short() {
		n = 100
	}
	for range n {
		data := make([]byte, 50+r.IntN(1500))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		if p.run(t, randomModule(data)) {
			compared++
		}
	}
	if compared < n*2/3 {
		t.Errorf("of %d modules only %d could be compared", n, compared)
	}
}

// FuzzMeter looks for a module that does something else when it is metered.
func FuzzMeter(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{5, 1, 7, 3, 7, 2, 1, 1, 11, 2, 3, 4, 5, 6, 7, 8, 9})
	p := newPair(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 4<<10 {
			p.run(t, randomModule(data))
		}
	})
}
