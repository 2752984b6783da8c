package wasmhost

import (
	"context"
	"sync/atomic"
)

// turns bounds how many guests run at once. Who has a turn keeps it to the end of its call, or to its next yield if
// others wait: they come in the order in which they asked. A nil turns bounds nothing.
type turns struct {
	taken   chan struct{}
	waiting atomic.Int32
}

func newTurns(most int) *turns {
	if most <= 0 {
		return nil
	}
	return &turns{taken: make(chan struct{}, most)}
}

// take waits for a turn; it reports false if ctx ended first.
func (t *turns) take(ctx context.Context) bool {
	if t == nil {
		return true
	}
	select {
	case t.taken <- struct{}{}: // nobody waits where there is room
		return true
	default:
	}
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	select {
	case t.taken <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t *turns) give() {
	if t != nil {
		<-t.taken
	}
}

// wanted tells whether others wait.
func (t *turns) wanted() bool { return t != nil && t.waiting.Load() > 0 }
