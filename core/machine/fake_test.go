package machine

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/core/record"
)

// fakeLog keeps batches in memory. Failures are planted through its fields, under mu.
type fakeLog struct {
	mu        sync.Mutex
	batches   []record.Batch
	start     record.Offset
	end       record.Offset
	committed record.Offset // high watermark, only if manual
	manual    bool          // commits happen by commit() alone
	moved     chan struct{}
	failNext  error
	keepNext  bool // the failing append leaves its batch in the log
	failRead  error
	slowRead  chan struct{} // reads wait for it to be closed
	reads     int
}

func newFakeLog() *fakeLog { return &fakeLog{moved: make(chan struct{})} }

func (f *fakeLog) Append(b record.Batch) (record.Offset, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.failNext
	f.failNext = nil
	if err != nil && !f.keepNext {
		return 0, err
	}
	b = slices.Clone(b)
	b.SetBaseOffset(f.end)
	f.batches = append(f.batches, b)
	f.end = b.NextOffset()
	if err != nil {
		f.keepNext = false
		return 0, err
	}
	return b.LastOffset(), nil
}

func (f *fakeLog) MaxBatchBytes() int { return 200_000 }

func (f *fakeLog) Acked(last record.Offset) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.manual || last < f.committed
}

func (f *fakeLog) WaitAcked(ctx context.Context, last record.Offset) error {
	for !f.Acked(last) {
		f.mu.Lock()
		moved, failed := f.moved, f.failRead
		f.mu.Unlock()
		if failed != nil {
			return failed
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// commit moves the high watermark to the end of the log, or wakes those who wait for it to hear of failRead.
func (f *fakeLog) commit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.committed = f.end
	close(f.moved)
	f.moved = make(chan struct{})
}

func (f *fakeLog) Bounds() (start, end record.Offset, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.start, f.end, nil
}

func (f *fakeLog) ReadInto(dst []byte, from, end record.Offset) ([]byte, error) {
	f.mu.Lock()
	slow := f.slowRead
	f.mu.Unlock()
	if slow != nil {
		<-slow
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.failRead != nil {
		return dst, f.failRead
	}
	n := 0
	for _, b := range f.batches {
		if b.NextOffset() > from && b.BaseOffset() < end && n < 3 {
			dst = append(dst, b...)
			n++
		}
	}
	return dst, nil
}

func (f *fakeLog) Trim(to record.Offset) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start = to
	f.batches = slices.DeleteFunc(f.batches, func(b record.Batch) bool { return b.NextOffset() <= to })
	return nil
}

func (f *fakeLog) plant(change func(f *fakeLog)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// counters is a shard of named counters. Its operations: add to one and say what it is now; say what it is; wait until
// one reaches a value; wait for a while.
type counters struct {
	values map[string]uint64
	waits  map[Ticket]counterOp
	alarms map[Ticket]int64
	loaded int64
}

type counterOp struct {
	name   string
	add    uint64
	wait   uint64 // answer when the counter has reached this
	wakeIn int64  // answer after so many ms
	junk   bool   // ask for a record that cannot be replayed
}

func newCounters() Shard[counterOp, uint64] {
	return &counters{values: map[string]uint64{}, waits: map[Ticket]counterOp{}, alarms: map[Ticket]int64{}}
}

func (c *counters) Decide(now int64, t Ticket, op counterOp, fx *Effects[uint64]) {
	switch {
	case op.junk:
		fx.Put([]byte("junk"), []byte("not eight bytes"))
		fx.Answer(t, 0)
	case op.wait > 0:
		c.waits[t] = op
	case op.wakeIn > 0:
		c.alarms[t] = now + op.wakeIn
	case op.add > 0:
		next := c.values[op.name] + op.add
		fx.Put([]byte(op.name), binary.BigEndian.AppendUint64(nil, next))
		fx.Answer(t, next)
		for waiting, w := range c.waits {
			if w.name == op.name && next >= w.wait {
				fx.Answer(waiting, next)
				delete(c.waits, waiting)
			}
		}
	default:
		fx.Answer(t, c.values[op.name])
	}
}

func (c *counters) Wake(now int64, fx *Effects[uint64]) {
	for t, at := range c.alarms {
		if at <= now {
			fx.Put([]byte("alarms"), binary.BigEndian.AppendUint64(nil, c.values["alarms"]+1))
			fx.Answer(t, c.values["alarms"]+1)
			delete(c.alarms, t)
			return
		}
	}
}

func (c *counters) NextWake() int64 {
	next := Never
	for _, at := range c.alarms {
		next = min(next, at)
	}
	return next
}

func (c *counters) Replay(r Record) error {
	if len(r.Value) != 8 {
		return errors.New("not eight bytes")
	}
	c.values[string(r.Key)] = binary.BigEndian.Uint64(r.Value)
	return nil
}

func (c *counters) Loaded(now int64) { c.loaded = now }
func (c *counters) Len() int         { return len(c.values) }
func (c *counters) Durable() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for _, name := range slices.Sorted(maps.Keys(c.values)) {
			if !yield(Record{[]byte(name), binary.BigEndian.AppendUint64(nil, c.values[name])}) {
				return
			}
		}
	}
}

type counterLoop = Loop[counterOp, uint64]

func startCounters(t testing.TB, log Log, change ...func(*Config[counterOp, uint64])) *counterLoop {
	t.Helper()
	cfg := Config[counterOp, uint64]{
		Log: log, NewShard: newCounters, Name: "test", Now: time.Now, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	l, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// want does op and checks what comes of it.
func want(t testing.TB, l *counterLoop, op counterOp, value uint64) {
	t.Helper()
	got, err := l.Do(context.Background(), op)
	if err != nil || got != value {
		t.Fatalf("%+v: %d, %v; want %d", op, got, err, value)
	}
}

func wantError(t testing.TB, l *counterLoop, op counterOp, target error) {
	t.Helper()
	if got, err := l.Do(context.Background(), op); !errors.Is(err, target) {
		t.Fatalf("%+v: %d, %v; want %v", op, got, err, target)
	}
}
