package transform

import (
	"sync/atomic"
	"time"
)

// counters count what one running deployment did on this node since it was started. All fields may be used by many
// goroutines.
type counters struct {
	in, out, dropped, failed atomic.Int64 // records
	retries, restarts        atomic.Int64
	bytesIn, bytesOut        atomic.Int64
	guestNs                  atomic.Int64 // spent in calls of the guest
}

// Counters is what a deployment did on this node since it was started there.
type Counters struct {
	In          int64   `json:"in"`      // records given to the guest, each counted once
	Out         int64   `json:"out"`     // records written
	Dropped     int64   `json:"dropped"` // records that the guest made nothing of
	Failed      int64   `json:"failed"`  // records that failed alone
	Retries     int64   `json:"retries"`
	Restarts    int64   `json:"restarts"` // instances discarded after a failure
	BytesIn     int64   `json:"bytes_in"`
	BytesOut    int64   `json:"bytes_out"`
	NsPerRecord float64 `json:"ns_per_record"` // in the guest
}

func (c *counters) snapshot() Counters {
	out := Counters{
		In: c.in.Load(), Out: c.out.Load(), Dropped: c.dropped.Load(), Failed: c.failed.Load(),
		Retries: c.retries.Load(), Restarts: c.restarts.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
	}
	if out.In > 0 {
		out.NsPerRecord = float64(c.guestNs.Load()) / float64(out.In)
	}
	return out
}

// backoff is how long to wait before attempt n, counted from 1: 100 ms, doubled each time, 10 s at most.
func backoff(n int) time.Duration {
	const first, most = 100 * time.Millisecond, 10 * time.Second
	if n < 1 {
		n = 1
	}
	if n > 7 {
		return most
	}
	return min(first<<(n-1), most)
}
