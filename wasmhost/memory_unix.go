//go:build linux || darwin

package wasmhost

import "syscall"

// reserve takes addresses for so many bytes, none of which may be touched. It returns nil if the system has none.
func reserve(bytes int64) []byte {
	if int64(int(bytes)) != bytes {
		return nil
	}
	pages := (int(bytes) + pageBytes - 1) / pageBytes * pageBytes
	b, err := syscall.Mmap(-1, 0, pages, syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil
	}
	return b
}

// usable makes the beginning of a reservation memory: zero where it was none before. It reports whether it could.
func usable(b []byte) bool {
	return len(b) == 0 || syscall.Mprotect(b, syscall.PROT_READ|syscall.PROT_WRITE) == nil
}

// unreserve gives a whole reservation back. Touching it from then on ends the process.
func unreserve(b []byte) {
	if err := syscall.Munmap(b); err != nil {
		panic("unmapping a guest's memory: " + err.Error()) // it is no mapping of ours, or not whole
	}
}
