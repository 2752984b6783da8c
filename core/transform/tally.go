package transform

import (
	"sync"
	"sync/atomic"
	"time"
)

// rateSeconds is how many seconds a rate looks back.
const rateSeconds = 10

// tally counts something, and how much of it there was in each of the last seconds. It needs nobody who ticks: a second that
// is over is overwritten when its place comes round again. Its zero value is good; it may be used by many goroutines.
type tally struct {
	total atomic.Int64

	mu      sync.Mutex
	seconds [rateSeconds]second // guarded by mu; second s of the clock is at s modulo rateSeconds
}

type second struct{ at, n int64 }

// Add counts n more.
func (t *tally) Add(n int64) {
	if n == 0 {
		return
	}
	t.total.Add(n)
	now := time.Now().Unix()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.seconds[now%rateSeconds]
	if s.at != now {
		*s = second{at: now}
	}
	s.n += n
}

// Load returns the sum of all that was added.
func (t *tally) Load() int64 { return t.total.Load() }

// perSecond is the mean over the last seconds, the one that has begun included, but none before began.
func (t *tally) perSecond(began, now time.Time) float64 {
	end := now.Unix()
	var sum int64
	t.mu.Lock()
	for _, s := range t.seconds {
		if s.at > end-rateSeconds && s.at <= end {
			sum += s.n
		}
	}
	t.mu.Unlock()
	if sum == 0 {
		return 0
	}
	window := now.Sub(time.Unix(end-rateSeconds+1, 0))
	return float64(sum) / max(min(window, now.Sub(began)), time.Second).Seconds()
}
