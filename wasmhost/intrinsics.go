package wasmhost

import (
	"bytes"

	"github.com/tetratelabs/wazero/api"

	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
)

// This file is what the host does for guests whose language has no SIMD. Each is paid
// for by length, in fuel and towards the next look at the clock.

// work charges what a host function reads for the guest: a unit for eight bytes.
func (i *Instance) work(bytes int) {
	if fuel, ok := i.fuel.(api.MutableGlobal); ok {
		fuel.Set(uint64(int64(fuel.Get()) - int64(bytes>>3)))
	}
	i.allowance.handle(bytes)
}

// hostFind is millrun.find (p, len, needle, needleLen i32) -> i32.
func hostFind(i *Instance, mem api.Memory, stack []uint64) {
	text, needle := view(mem, "millrun.find", stack[0], stack[1]), view(mem, "millrun.find", stack[2], stack[3])
	i.work(len(text) + len(needle))
	stack[0] = uint64(uint32(int32(bytes.Index(text, needle))))
}

// hostEquals is millrun.equals (a, aLen, b, bLen i32) -> i32.
func hostEquals(i *Instance, mem api.Memory, stack []uint64) {
	a, b := view(mem, "millrun.equals", stack[0], stack[1]), view(mem, "millrun.equals", stack[2], stack[3])
	i.work(min(len(a), len(b)))
	stack[0] = 0
	if bytes.Equal(a, b) {
		stack[0] = 1
	}
}

// hostJSONField is millrun.json_field (p, len, path, pathLen i32) -> i64: where the
// field lies in the text, offset<<32 | length, or -1.
func hostJSONField(i *Instance, mem api.Memory, stack []uint64) {
	text, dotted := view(mem, "millrun.json_field", stack[0], stack[1]), view(mem, "millrun.json_field", stack[2], stack[3])
	i.work(8*len(text) + len(dotted)) // a byte of JSON is about a unit
	const none = ^uint64(0)
	stack[0] = none
	if len(dotted) > pathBytes {
		return
	}
	if i.path == nil || i.dotted != string(dotted) { // most guests look for one
		path, err := jsonscan.ParsePath(string(dotted))
		if err != nil {
			return
		}
		i.dotted, i.path = string(dotted), path
	}
	if offset, size, ok := jsonscan.Find(text, i.path); ok {
		stack[0] = uint64(offset)<<32 | uint64(size)
	}
}
