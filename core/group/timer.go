package group

import (
	"container/heap"

	"github.com/millrun/millrun/core/machine"
)

// timer is one deadline. Moving it forward costs nothing: only when its place in the queue comes up is it queued again.
type timer struct {
	at     int64 // when it is due; Never: it is not set
	queued int64 // the entry of the queue that counts; Never: none
	fire   func()
}

func newTimer(fire func()) timer {
	return timer{at: machine.Never, queued: machine.Never, fire: fire}
}

func (t *timer) cancel() { t.at = machine.Never }

// timers is the queue of a shard's deadlines, the earliest first; equal ones in the order in which they were set.
type timers struct {
	entries timerHeap
	seq     uint64
}

type timerEntry struct {
	at  int64
	seq uint64
	t   *timer
}

func (q *timers) set(t *timer, at int64) {
	t.at = at
	if at < t.queued {
		q.push(t, at)
	}
}

func (q *timers) push(t *timer, at int64) {
	t.queued = at
	q.seq++
	heap.Push(&q.entries, timerEntry{at, q.seq, t})
}

// next is when the queue has to be looked at again.
func (q *timers) next() int64 {
	if len(q.entries) == 0 {
		return machine.Never
	}
	return q.entries[0].at
}

// run fires what is due at now, also what that makes due.
func (q *timers) run(now int64) {
	for len(q.entries) > 0 && q.entries[0].at <= now {
		e := heap.Pop(&q.entries).(timerEntry)
		if e.at != e.t.queued {
			continue // an earlier entry took its place
		}
		e.t.queued = machine.Never
		switch {
		case e.t.at == machine.Never:
		case e.t.at > now:
			q.push(e.t, e.t.at)
		default:
			e.t.at = machine.Never
			e.t.fire()
		}
	}
}

type timerHeap []timerEntry

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)   { *h = append(*h, x.(timerEntry)) }
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = timerEntry{}
	*h = (*h)[:last]
	return e
}
