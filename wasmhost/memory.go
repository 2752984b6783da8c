package wasmhost

import "github.com/tetratelabs/wazero/experimental"

// linearMemory is one instance's memory, held to the limit of its deployment: the
// runtime's own limit is one for all. It allocates as the guest grows.
type linearMemory struct {
	limit  int64
	denied bool // a growth was refused since the call began
	b      []byte
}

// Allocate implements experimental.MemoryAllocator. A module has one memory, and
// its minimum was checked against the limit before it was compiled.
func (m *linearMemory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory: nil makes memory.grow answer -1.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(m.limit) {
		m.denied = true
		return nil
	}
	if size > uint64(cap(m.b)) {
		room := min(max(size, uint64(cap(m.b))*5/4), uint64(m.limit))
		grown := make([]byte, size, room)
		copy(grown, m.b)
		m.b = grown
	}
	m.b = m.b[:size]
	return m.b
}

// Free implements experimental.LinearMemory.
func (m *linearMemory) Free() { m.b = nil }
