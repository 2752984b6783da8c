// Package wasmhost compiles WebAssembly modules of ABI version 1, or of Redpanda's
// (wasmhost/abi, spec/wasm-abi.md), and runs them inside limits: bytes in, bytes out. It knows
// nothing of Kafka.
//
// Compiling is what a module can make most costly. A Host compiles by itself, unbounded in time and memory but for
// limits on a module's structure, unless it is given a CompileChild: then a process of its own does it, within limits,
// and the host takes the code from a folder (compile.go, cache.go, child.go).
//
// A Host holds one runtime, made when the first module is loaded. Host.Load checks
// a module's structure, compiles it, checks what it imports and exports, and starts
// it once on trial; what comes out is a Program. Program.Instance starts it again.
// An Instance belongs to one goroutine; after any error it is good for nothing but
// Close. A guest of Redpanda's ABI asks for its records itself: pull.go makes calls
// of that.
//
// Nothing in a guest can reach beyond its own memory: the functions it may import
// are in imports.go and wasi.go, the limits in limits.go, the kinds of failure in
// errors.go. Every module is rewritten before it is compiled (wasmhost/meter), so
// that it stops by itself: deadline.go decides when, and nothing else does.
package wasmhost
