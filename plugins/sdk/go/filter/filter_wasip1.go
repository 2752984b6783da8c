//go:build wasip1

package filter

import "unsafe"

//go:wasmexport millrun_filter
func wasmFilter(p unsafe.Pointer, size, n uint32) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(run(unsafe.Slice((*byte)(p), size), int(n))))
}
