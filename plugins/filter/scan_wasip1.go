//go:build wasip1

package main

import (
	"runtime"
	"unsafe"
)

//go:wasmimport millrun.simd scan
func simdScan(j unsafe.Pointer) int32

// run is simd/scan.c.
func (s *scanner) run(section, bits []byte) int {
	n := int(simdScan(unsafe.Pointer(&s.job)))
	runtime.KeepAlive(section)
	runtime.KeepAlive(bits)
	return n
}
