//go:build wasip1

package transform

import (
	"unsafe"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
)

//go:wasmexport millrun_transform
func wasmTransform(p unsafe.Pointer, size, n uint32) int64 {
	rows, err := run(unsafe.Slice((*byte)(p), size), int(n))
	if err != nil {
		millrun.Log(millrun.Error, err.Error())
		return -1
	}
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(rows))))<<32 | int64(len(rows))
}
