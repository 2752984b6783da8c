//go:build !linux

package quorum

import "os"

// allocate makes f a file of size bytes that are its own on the disk.
func allocate(f *os.File, size int64) error { return writeZeros(f, size) }
