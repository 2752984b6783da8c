package server

import (
	"context"
	"math"
	"sync"
)

// budget is the bytes that all connections' requests may hold together. Bytes are reserved before they are read.
//
// A reservation that does not fit waits. So that frames which have each got a part cannot wait for each other for ever, one
// owner at a time, the giant, may pass the limit; and so that a few large frames cannot shut out everybody else, the last
// quarter of the limit is kept for owners that hold little.
type budget struct {
	limit int64

	mu    sync.Mutex
	used  int64 // guarded by mu
	giant any   // the owner that may pass the limit; guarded by mu
	freed chan struct{}
	// waiting counts the reservations in line; guarded by mu. freed is closed and replaced when it is not 0 and bytes come back.
	waiting int
}

// smallOwner is what an owner may hold and still use the whole limit.
const smallOwner = 64 << 10

// newBudget returns a budget of limit bytes; 0 or less is no limit.
func newBudget(limit int64) *budget {
	if limit <= 0 {
		limit = math.MaxInt64
	}
	return &budget{limit: limit, freed: make(chan struct{})}
}

// reserve takes n more bytes for owner, who holds held already. It waits until they fit or ctx is done, and reports whether
// it got them.
func (b *budget) reserve(ctx context.Context, owner any, held, n int64) bool {
	for {
		freed, ok := b.try(owner, held, n)
		if ok {
			return true
		}
		select {
		case <-freed:
			b.leaveLine()
		case <-ctx.Done():
			b.leaveLine()
			return false
		}
	}
}

func (b *budget) try(owner any, held, n int64) (freed <-chan struct{}, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	limit := b.limit
	if held+n > smallOwner {
		limit -= limit / 4
	}
	switch {
	case b.used+n <= limit, b.giant == owner:
	case b.giant == nil && held+n > smallOwner:
		b.giant = owner
	case b.used == 0:
	default:
		b.waiting++
		return b.freed, false
	}
	b.used += n
	return nil, true
}

func (b *budget) leaveLine() {
	b.mu.Lock()
	b.waiting--
	b.mu.Unlock()
}

// release gives n bytes of owner back; they must be all that it holds for one frame.
func (b *budget) release(owner any, n int64) {
	b.mu.Lock()
	b.used -= n
	if b.giant == owner {
		b.giant = nil
	}
	if b.waiting > 0 {
		close(b.freed)
		b.freed = make(chan struct{})
	}
	b.mu.Unlock()
}

// held returns the bytes that are reserved now.
func (b *budget) held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
