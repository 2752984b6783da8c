//go:build wasip1

package millrun

import "unsafe"

//go:wasmimport millrun log
func wasmLog(level int32, p unsafe.Pointer, size uint32)

//go:wasmimport millrun context
func wasmContext(p unsafe.Pointer, room uint32) uint32

func hostLog(level Level, message string) {
	wasmLog(int32(level), unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}

func hostContext(buf []byte) int {
	return int(wasmContext(unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf))))
}

// input is the buffer that the host writes to; held here, so that it stays.
var input []byte

//go:wasmexport millrun_abi_v1
func wasmMarker() {}

//go:wasmexport millrun_alloc
func wasmAlloc(n uint32) unsafe.Pointer {
	const (
		alignedFrom = 1024 // Go aligns this and larger to 16 bytes and more
		slack       = 64   // may be read by code that loads many bytes at once
	)
	input = make([]byte, max(uint64(n)+slack, alignedFrom))
	return unsafe.Pointer(unsafe.SliceData(input))
}

//go:wasmexport millrun_configure
func wasmConfigure(p unsafe.Pointer, n uint32) int32 {
	return configure(unsafe.Slice((*byte)(p), n))
}

//go:wasmexport millrun_wants
func wasmWants() uint32 { return uint32(registered.Wants) }
