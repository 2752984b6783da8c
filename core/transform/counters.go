package transform

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrun/millrun/core/record"
)

// counters count what one deployment did on this node since it was created, or since the node was started. They outlive
// its workers: a pause or an upgrade does not reset them. All fields may be used by many goroutines.
type counters struct {
	began                    time.Time
	in, out, dropped, failed tally // records
	retries, restarts        atomic.Int64
	bytesIn, bytesOut        atomic.Int64
	guestNs, fuel            atomic.Int64 // spent in calls of the guest
	instances, memory        atomic.Int64 // now: instances that live, and the bytes of their memories

	mu        sync.Mutex
	lastError *ErrorStatus // guarded by mu; never changed once it is here
	module    string       // guarded by mu: the SHA-256 of the module that the costs below are of
	before    costs        // guarded by mu: of the modules before it
}

// costs are what records cost.
type costs struct{ in, guestNs, fuel int64 }

func newCounters() *counters { return &counters{began: time.Now()} }

// Counters is what a deployment did on this node since it was created, or since the node was started.
type Counters struct {
	In            int64   `json:"in"`      // records given to the guest, each counted once
	Out           int64   `json:"out"`     // records written
	Dropped       int64   `json:"dropped"` // records that the guest made nothing of
	Failed        int64   `json:"failed"`  // records that failed alone
	Retries       int64   `json:"retries"`
	Restarts      int64   `json:"restarts"` // instances discarded after a failure
	BytesIn       int64   `json:"bytes_in"`
	BytesOut      int64   `json:"bytes_out"`
	Fuel          int64   `json:"fuel"`            // units of work that the guest was charged for its calls
	GuestNs       int64   `json:"guest_ns"`        // time in calls of the guest
	NsPerRecord   float64 `json:"ns_per_record"`   // in the guest, of the module that runs now
	FuelPerRecord float64 `json:"fuel_per_record"` // likewise
}

// Rates are records a second over the last ten seconds.
type Rates struct {
	In      float64 `json:"in"`
	Out     float64 `json:"out"`
	Dropped float64 `json:"dropped"`
	Failed  float64 `json:"failed"`
}

// MemoryStatus is what a deployment's guests hold on this node.
type MemoryStatus struct {
	Bytes     int64 `json:"bytes"` // linear memory of all instances
	Instances int64 `json:"instances"`
}

// ErrorStatus is the last thing that went wrong, whether or not it was overcome.
type ErrorStatus struct {
	Time    time.Time `json:"time"`
	Message string    `json:"message"`
	// Where it went wrong, if that is known.
	Topic     string `json:"topic,omitempty"`
	Partition *int32 `json:"partition,omitempty"`
	Offset    *int64 `json:"offset,omitempty"`
}

// maxErrorBytes bounds the message of an ErrorStatus: parts of it are the guest's own words.
const maxErrorBytes = 4 << 10

// runs says which module the deployment runs from now on: what a record costs is counted anew for another one.
func (c *counters) runs(sha256 string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.module != sha256 {
		c.module, c.before = sha256, c.costs()
	}
}

func (c *counters) costs() costs { return costs{c.in.Load(), c.guestNs.Load(), c.fuel.Load()} }

// erred remembers an error that is not about a certain record.
func (c *counters) erred(message string) { c.remember(ErrorStatus{Message: message}) }

// erredAt remembers an error about a record, or about whatever is at its offset.
func (c *counters) erredAt(tp TopicPartition, offset record.Offset, err error) {
	at := int64(offset)
	c.remember(ErrorStatus{Message: err.Error(), Topic: tp.Topic, Partition: &tp.Partition, Offset: &at})
}

func (c *counters) remember(e ErrorStatus) {
	e.Time = time.Now().UTC()
	if len(e.Message) > maxErrorBytes {
		e.Message = strings.ToValidUTF8(e.Message[:maxErrorBytes], "")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastError = &e
}

func (c *counters) snapshot() Counters {
	out := Counters{
		In: c.in.Load(), Out: c.out.Load(), Dropped: c.dropped.Load(), Failed: c.failed.Load(),
		Retries: c.retries.Load(), Restarts: c.restarts.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Fuel: c.fuel.Load(), GuestNs: c.guestNs.Load(),
	}
	c.mu.Lock()
	before, now := c.before, c.costs()
	c.mu.Unlock()
	if n := now.in - before.in; n > 0 {
		out.NsPerRecord = float64(now.guestNs-before.guestNs) / float64(n)
		out.FuelPerRecord = float64(now.fuel-before.fuel) / float64(n)
	}
	return out
}

func (c *counters) rates(now time.Time) Rates {
	return Rates{
		In: c.in.perSecond(c.began, now), Out: c.out.perSecond(c.began, now),
		Dropped: c.dropped.perSecond(c.began, now), Failed: c.failed.perSecond(c.began, now),
	}
}

func (c *counters) memoryStatus() MemoryStatus {
	return MemoryStatus{Bytes: c.memory.Load(), Instances: c.instances.Load()}
}

func (c *counters) last() *ErrorStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastError
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
