package replica

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Watcher is told when something moves in the partitions that it watches: the high watermark, the log's start, or who
// leads. One who waits registers it with each partition, looks at them, and only then waits for C: nothing is missed. A
// Watcher serves one goroutine and costs none.
type Watcher struct{ c chan struct{} }

// NewWatcher returns a watcher that watches nothing yet.
func NewWatcher() *Watcher { return &Watcher{c: make(chan struct{}, 1)} }

// C receives a value after a move; several moves may make one value.
func (w *Watcher) C() <-chan struct{} { return w.c }

// Reset forgets a value that waits in C, so that a watcher can be used again.
func (w *Watcher) Reset() {
	select {
	case <-w.c:
	default:
	}
}

func (w *Watcher) wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// watchers is the set of a partition's watchers.
type watchers struct {
	n  atomic.Int32 // len(ws): who moves something looks here before taking the lock
	mu sync.Mutex
	ws []*Watcher
}

func (s *watchers) add(w *Watcher) {
	s.mu.Lock()
	s.ws = append(s.ws, w)
	s.n.Store(int32(len(s.ws)))
	s.mu.Unlock()
}

func (s *watchers) remove(w *Watcher) {
	s.mu.Lock()
	if i := slices.Index(s.ws, w); i >= 0 {
		last := len(s.ws) - 1
		s.ws[i] = s.ws[last]
		s.ws[last] = nil
		s.ws = s.ws[:last]
		if last == 0 {
			s.ws = nil
		}
		s.n.Store(int32(last))
	}
	s.mu.Unlock()
}

func (s *watchers) wakeAll() {
	if s.n.Load() == 0 {
		return
	}
	s.mu.Lock()
	for _, w := range s.ws {
		w.wake()
	}
	s.mu.Unlock()
}

// Watch lets w know of the partition's moves until Unwatch. Watching twice needs unwatching twice.
func (p *Partition) Watch(w *Watcher) { p.watchers.add(w) }

// Unwatch ends a Watch.
func (p *Partition) Unwatch(w *Watcher) { p.watchers.remove(w) }
