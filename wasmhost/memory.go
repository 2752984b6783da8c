package wasmhost

import "github.com/tetratelabs/wazero/experimental"

// linearMemory is one instance's memory, held to the limit of its deployment: the
// runtime's own limit is one for all. Where the system can, the addresses up to the
// limit are reserved when the instance starts, and growing makes more of them usable:
// nothing is copied, untouched pages cost nothing, and what was touched goes back to
// the system when the instance is closed, not when the collector comes to it. So
// nobody may look at an instance's memory after it was closed.
type linearMemory struct {
	limit  int64
	denied bool // a growth was refused since the call began
	b      []byte
	mapped []byte // the reservation, whose start b is; nil: b is allocated
}

// Allocate implements experimental.MemoryAllocator. A module has one memory, and
// its minimum was checked against the limit before it was compiled.
func (m *linearMemory) Allocate(_, _ uint64) experimental.LinearMemory {
	m.mapped = reserve(m.limit)
	return m
}

// Reallocate implements experimental.LinearMemory: nil makes memory.grow answer -1.
func (m *linearMemory) Reallocate(size uint64) []byte {
	switch {
	case size > uint64(m.limit):
		m.denied = true
		return nil
	case m.mapped == nil:
		m.b = grown(m.b, size, uint64(m.limit))
	case usable(m.mapped[:size]):
		m.b = m.mapped[:size:size]
	case m.b == nil: // the first pages cannot be refused: they may be had the other way
		m.release()
		m.b = grown(nil, size, uint64(m.limit))
	default:
		m.denied = true
		return nil
	}
	return m.b
}

// grown is b with that size, copied if need be.
func grown(b []byte, size, limit uint64) []byte {
	if size <= uint64(cap(b)) {
		return b[:size]
	}
	larger := make([]byte, size, min(max(size, uint64(cap(b))*5/4), limit))
	copy(larger, b)
	return larger
}

// Free implements experimental.LinearMemory. It may be called again.
func (m *linearMemory) Free() {
	m.b = nil
	m.release()
}

func (m *linearMemory) release() {
	if m.mapped != nil {
		unreserve(m.mapped)
		m.mapped = nil
	}
}
