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

//go:wasmimport millrun find
func wasmFind(p unsafe.Pointer, size uint32, needle unsafe.Pointer, needleSize uint32) int32

//go:wasmimport millrun equals
func wasmEquals(a unsafe.Pointer, aSize uint32, b unsafe.Pointer, bSize uint32) int32

//go:wasmimport millrun json_field
func wasmJSONField(p unsafe.Pointer, size uint32, path unsafe.Pointer, pathSize uint32) int64

func hostFind(text, needle []byte) int {
	return int(wasmFind(unsafe.Pointer(unsafe.SliceData(text)), uint32(len(text)), unsafe.Pointer(unsafe.SliceData(needle)), uint32(len(needle))))
}

func hostEquals(a, b []byte) bool {
	return wasmEquals(unsafe.Pointer(unsafe.SliceData(a)), uint32(len(a)), unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))) != 0
}

func hostJSONField(text []byte, dotted string) (at, size int, ok bool) {
	found := wasmJSONField(unsafe.Pointer(unsafe.SliceData(text)), uint32(len(text)), unsafe.Pointer(unsafe.StringData(dotted)), uint32(len(dotted)))
	return int(found >> 32), int(uint32(found)), found >= 0
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
