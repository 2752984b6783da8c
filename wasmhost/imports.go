package wasmhost

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/millrun/millrun/wasmhost/abi"
	structure "github.com/millrun/millrun/wasmhost/binary"
)

// hostFunc is one function that a guest may import. call finds its arguments in
// stack and leaves its result there; it panics with a *guestPanic to stop the guest.
type hostFunc struct {
	module, name    string
	params, results string // value types as in a module
	call            func(i *Instance, mem api.Memory, stack []uint64)
}

// hostFuncs is everything that a guest may import.
func hostFuncs() []hostFunc {
	return append([]hostFunc{
		{abi.ImportModule, abi.ImportContext, i32 + i32, i32, hostContext},
		{abi.ImportModule, abi.ImportLog, i32 + i32 + i32, "", hostLog},
		{abi.ImportModule, abi.ImportFind, i32 + i32 + i32 + i32, i32, hostFind},
		{abi.ImportModule, abi.ImportEquals, i32 + i32 + i32 + i32, i32, hostEquals},
		{abi.ImportModule, abi.ImportJSONField, i32 + i32 + i32 + i32, i64, hostJSONField},
		{abi.ImportEnv, abi.ImportAbort, i32 + i32 + i32 + i32, "", hostAbort},
	}, append(redpandaFuncs(), wasiFuncs()...)...)
}

// importTypes is the type of each, by its full name.
func importTypes() map[string]structure.FuncType {
	types := map[string]structure.FuncType{}
	for _, f := range hostFuncs() {
		types[f.module+"."+f.name] = structure.FuncType{Params: f.params, Results: f.results}
	}
	return types
}

// provideImports makes the modules that guests import from.
func provideImports(ctx context.Context, runtime wazero.Runtime) error {
	builders := map[string]wazero.HostModuleBuilder{}
	for _, f := range hostFuncs() {
		b, ok := builders[f.module]
		if !ok {
			b = runtime.NewHostModuleBuilder(f.module)
			builders[f.module] = b
		}
		call := f.call
		b.NewFunctionBuilder().
			WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, guest api.Module, stack []uint64) {
				call(ctx.Value(instanceKey{}).(*Instance), guest.Memory(), stack)
			}), []api.ValueType(f.params), []api.ValueType(f.results)).
			WithName(f.name).
			Export(f.name)
	}
	for name, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("import module %s: %w", name, err)
		}
	}
	return nil
}

// view is memory that a guest pointed at; a pointer outside stops the guest.
func view(mem api.Memory, what string, p, n uint64) []byte {
	b, ok := mem.Read(uint32(p), uint32(n))
	if !ok {
		panic(&guestPanic{Trap, fmt.Sprintf("%s got a pointer outside of memory: %d bytes at %#x", what, uint32(n), uint32(p))})
	}
	return b
}

// hostContext is millrun.context (p, cap i32) -> i32. Outside of a call there is
// nothing to tell: 0.
func hostContext(i *Instance, mem api.Memory, stack []uint64) {
	if i.call == nil {
		stack[0] = 0
		return
	}
	size := i.call.ContextSize()
	if room := uint32(stack[1]); uint64(room) >= uint64(size) {
		i.call.AppendContext(view(mem, "millrun.context", stack[0], uint64(size))[:0])
	}
	stack[0] = uint64(size)
}

// hostLog is millrun.log (level, p, len i32).
func hostLog(i *Instance, mem api.Memory, stack []uint64) {
	level := int(int32(stack[0]))
	if level < abi.LevelDebug || level > abi.LevelError {
		level = abi.LevelError
	}
	text := view(mem, "millrun.log", stack[1], stack[2])
	i.allowance.handle(logLineBytes)
	i.out.message(level, text[:min(len(text), logLineBytes)])
}

// hostAbort is env.abort (message, file, line, column i32), which AssemblyScript
// calls to trap. A string there is UTF-16 with its length in bytes before it.
func hostAbort(_ *Instance, mem api.Memory, stack []uint64) {
	text := func(p uint32) string {
		if p < 4 {
			return ""
		}
		size, _ := mem.ReadUint32Le(p - 4)
		b, _ := mem.Read(p, min(size, logLineBytes)&^1)
		units := make([]uint16, len(b)/2)
		for n := range units {
			units[n] = binary.LittleEndian.Uint16(b[2*n:])
		}
		return strings.ReplaceAll(string(utf16.Decode(units)), "\n", " ")
	}
	reason := "abort"
	if message := text(uint32(stack[0])); message != "" {
		reason = "abort: " + message
	}
	if file := text(uint32(stack[1])); file != "" {
		reason += fmt.Sprintf(" (%s:%d:%d)", file, uint32(stack[2]), uint32(stack[3]))
	}
	panic(&guestPanic{Trap, reason})
}
