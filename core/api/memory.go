package api

import (
	"context"
	"sync"
)

// fetchMemory bounds the records of all fetches that are between the log and the socket: consumers that do not take what they
// asked for hold that much at most.
const fetchMemory = 256 << 20

// memory is a bound on bytes held. One taker may pass it when nothing is held, so that no size waits for ever.
type memory struct {
	limit int64

	mu    sync.Mutex
	held  int64         // guarded by mu
	freed chan struct{} // closed and replaced when bytes come back and somebody waits; nil if nobody does; guarded by mu
}

func newMemory(limit int64) *memory { return &memory{limit: limit} }

func (m *memory) tryLocked(n int64) bool {
	if m.held > 0 && m.held+n > m.limit {
		return false
	}
	m.held += n
	return true
}

// take takes n bytes, waiting for them until ctx is done; a nil ctx does not wait.
func (m *memory) take(ctx context.Context, n int64) bool {
	for {
		m.mu.Lock()
		if m.tryLocked(n) {
			m.mu.Unlock()
			return true
		}
		if m.freed == nil {
			m.freed = make(chan struct{})
		}
		freed := m.freed
		m.mu.Unlock()
		if ctx == nil {
			return false
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

// release gives n bytes back.
func (m *memory) release(n int64) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	m.held -= n
	if m.freed != nil {
		close(m.freed)
		m.freed = nil
	}
	m.mu.Unlock()
}

// starved reports whether somebody waits.
func (m *memory) starved() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.freed != nil
}
