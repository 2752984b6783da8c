//go:build !linux && !darwin

package wasmhost

// These systems have memory allocated and copied as it grows.
func reserve(int64) []byte { return nil }
func usable([]byte) bool   { return false }
func unreserve([]byte)     {}
