//go:build wasip1

package filter

import (
	"unsafe"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
)

//go:wasmexport millrun_filter
func wasmFilter(p unsafe.Pointer, size, n uint32) unsafe.Pointer {
	bits, err := run(unsafe.Slice((*byte)(p), size), int(n))
	if err != nil {
		millrun.Log(millrun.Error, err.Error())
		return nil
	}
	return unsafe.Pointer(unsafe.SliceData(bits))
}
