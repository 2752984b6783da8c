package machine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/millrun/millrun/core/record"
)

// The limits of a loop.
const (
	maxBatchBytes = 256 << 10 // a batch is appended when it would grow beyond this (or what the log takes), or when no operation is queued
	recordRoom    = 64        // what a record takes in a batch besides its key and value, at most
	queuedOps     = 1024      // operations that wait to be decided; beyond it callers wait to queue
	queuedAnswers = 1024      // decided batches that wait for their commit; beyond it the loop waits
	opsPerRound   = 512       // operations decided before deadlines are looked at and answers let out
)

// Config is what a loop works with. All fields must be set, but those with a default.
type Config[O, R any] struct {
	Log      Log
	NewShard func() Shard[O, R]
	Name     string // what log lines call the shard
	Now      func() time.Time
	Logger   *slog.Logger

	// AfterLoad, if set, is an operation that is decided whenever the state has been loaded, before any other. Its reply
	// goes nowhere.
	AfterLoad func() O
	// LoadWait bounds how long an operation waits for the state to be loaded, before ErrLoading. Default 10 s.
	LoadWait time.Duration
	// AckTimeout bounds how long an answer waits for its commit, before ErrUnavailable. Default 5 s.
	AckTimeout time.Duration
	// RewriteAfter is the number of records in the log below which it is never rewritten. Default 100,000.
	RewriteAfter int
}

func (c *Config[O, R]) check() error {
	if c.Log == nil || c.NewShard == nil || c.Now == nil || c.Logger == nil {
		return errors.New("machine: Log, NewShard, Now and Logger must be set")
	}
	if c.LoadWait <= 0 {
		c.LoadWait = 10 * time.Second
	}
	if c.AckTimeout <= 0 {
		c.AckTimeout = 5 * time.Second
	}
	if c.RewriteAfter <= 0 {
		c.RewriteAfter = 100_000
	}
	return nil
}

// The states of a call: who has it first, the loop or a caller that gives up, decides whether it is carried out.
const (
	callQueued int32 = iota
	callTaken
	callAbandoned
)

type result[R any] struct {
	reply R
	err   error
}

type call[O, R any] struct {
	op    O
	state atomic.Int32
	done  chan result[R] // capacity 1: whoever answers never waits
}

// Loop drives one shard over one log. Its methods may be called from any goroutine.
type Loop[O, R any] struct {
	cfg    Config[O, R]
	in     chan *call[O, R]
	quit   context.CancelFunc
	ctx    context.Context // ends with Close
	done   chan struct{}   // closed when the loop has ended
	loaded atomic.Bool     // there is a shard
	// what follows is owned by the run loop
	shard      Shard[O, R] // nil until loaded and after a failure
	fx         Effects[R]
	batch      *record.Builder
	memory     []byte // the builder's
	lastTicket Ticket
	waiting    map[Ticket]*call[O, R]
	held       []decided[O, R] // answers of this round
	appended   record.Offset   // offset of the last record appended, NoOffset before the first
	logged     int             // records in the log
	rewriteAt  int             // value of logged at which a rewrite is considered
	scratch    []byte
	failure    error // why the shard was thrown away
	retryAt    time.Time
	backoff    time.Duration

	releaser *releaser[O, R]
}

type decided[O, R any] struct {
	call  *call[O, R]
	reply R
}

// Start makes a loop and its goroutine. The log is read when the first operation comes.
func Start[O, R any](cfg Config[O, R]) (*Loop[O, R], error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	ctx, quit := context.WithCancel(context.Background())
	l := &Loop[O, R]{
		cfg: cfg, ctx: ctx, quit: quit,
		in: make(chan *call[O, R], queuedOps), done: make(chan struct{}),
		batch: record.NewBuilder(nil), waiting: make(map[Ticket]*call[O, R]), appended: record.NoOffset,
	}
	l.releaser = newReleaser(l)
	go l.run()
	return l, nil
}

// Close stops the loop. Requests that wait get ErrClosed.
func (l *Loop[O, R]) Close() {
	l.quit()
	<-l.done
}

// Do has the shard decide op and returns the reply once everything that it rests on is committed. The error is one of
// this package's, or ctx's; an operation whose ctx ends after it was decided is not taken back.
func (l *Loop[O, R]) Do(ctx context.Context, op O) (R, error) {
	var none R
	c := &call[O, R]{op: op, done: make(chan result[R], 1)}
	select {
	case l.in <- c:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-l.ctx.Done():
		return none, ErrClosed
	}
	return l.await(ctx, c)
}

func (l *Loop[O, R]) await(ctx context.Context, c *call[O, R]) (R, error) {
	var none R
	var loadWait <-chan time.Time
	if !l.loaded.Load() {
		t := time.NewTimer(l.cfg.LoadWait)
		defer t.Stop()
		loadWait = t.C
	}
	for {
		select {
		case r := <-c.done:
			return r.reply, r.err
		case <-l.done:
			select {
			case r := <-c.done:
				return r.reply, r.err
			default:
				return none, ErrClosed
			}
		case <-ctx.Done():
			c.state.CompareAndSwap(callQueued, callAbandoned)
			return none, ctx.Err()
		case <-loadWait:
			if c.state.CompareAndSwap(callQueued, callAbandoned) {
				return none, ErrLoading
			}
			loadWait = nil
		}
	}
}

func (l *Loop[O, R]) run() {
	defer close(l.done)
	defer l.releaser.stop()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		select {
		case c := <-l.in:
			l.round(c)
		case <-timer.C:
			l.round(nil)
		case err := <-l.releaser.broken:
			l.fail(err)
		case <-l.ctx.Done():
			l.fail(ErrClosed)
			return
		}
		l.arm(timer)
	}
}

// arm sets the timer to the shard's next deadline.
func (l *Loop[O, R]) arm(timer *time.Timer) {
	timer.Stop()
	if l.shard == nil {
		return
	}
	at := l.shard.NextWake()
	if at == Never {
		return
	}
	wait := time.UnixMilli(at).Sub(l.cfg.Now())
	timer.Reset(max(wait, 0))
}

// round decides first, which may be nil, and what is queued behind it, then carries out what is due, appends what is left
// of the batch and lets the answers out.
func (l *Loop[O, R]) round(first *call[O, R]) {
	if !l.ready() {
		l.refuse(first)
		return
	}
	for n, c := 0, first; c != nil; n++ {
		l.decide(c)
		if c = nil; n < opsPerRound && l.shard != nil {
			c = l.next()
		}
	}
	if l.shard == nil {
		return
	}
	if now := l.now(); l.shard.NextWake() <= now {
		l.fx.Reset()
		l.shard.Wake(now, &l.fx)
		l.carry(now)
	}
	if l.shard == nil || !l.flush() {
		return
	}
	l.release()
	l.maybeRewrite()
}

func (l *Loop[O, R]) next() *call[O, R] {
	select {
	case c := <-l.in:
		return c
	default:
		return nil
	}
}

func (l *Loop[O, R]) now() int64 { return l.cfg.Now().UnixMilli() }

// decide takes one call to the shard.
func (l *Loop[O, R]) decide(c *call[O, R]) {
	if !c.state.CompareAndSwap(callQueued, callTaken) {
		return
	}
	l.lastTicket++
	t := l.lastTicket
	l.waiting[t] = c
	l.fx.Reset()
	now := l.now()
	l.shard.Decide(now, t, c.op, &l.fx)
	l.carry(now)
}

// carry applies the effects that were decided at now: records to the shard and the batch, answers to those held for this
// round.
func (l *Loop[O, R]) carry(now int64) {
	for _, r := range l.fx.Records {
		if err := l.shard.Replay(r); err != nil {
			l.fail(fmt.Errorf("%w: a record of our own: %w", ErrUnavailable, err))
			return
		}
		if !l.put(now, r) {
			return
		}
	}
	for _, a := range l.fx.Answers {
		if c, ok := l.waiting[a.To]; ok {
			delete(l.waiting, a.To)
			l.held = append(l.held, decided[O, R]{c, a.Reply})
		}
	}
}

// put adds a record to the batch, which is appended first if it would grow too large. False: that failed.
func (l *Loop[O, R]) put(now int64, r Record) bool {
	size := l.batch.Size() + len(r.Key) + len(r.Value) + recordRoom
	if l.batch.Len() > 0 && size > min(maxBatchBytes, l.cfg.Log.MaxBatchBytes()) && !l.flush() {
		return false
	}
	l.batch.Append(now, r.Key, r.Value, nil)
	return true
}

// flush appends the batch. It returns false if that failed, and the shard with it.
func (l *Loop[O, R]) flush() bool {
	n := l.batch.Len()
	if n == 0 {
		return true
	}
	b, err := l.batch.Build()
	if err == nil {
		var last record.Offset
		if last, err = l.cfg.Log.Append(b); err == nil {
			l.appended = last
			l.logged += n
			l.backoff = 0
		}
	}
	l.renewBatch(b)
	if err != nil {
		l.fail(fmt.Errorf("%s: append: %w", l.cfg.Name, classify(err)))
		return false
	}
	return true
}

// renewBatch empties the batch. The memory of the one that was built is used again, unless it was unusually large.
func (l *Loop[O, R]) renewBatch(built record.Batch) {
	if cap(built) > cap(l.memory) && cap(built) <= 2*maxBatchBytes {
		l.memory = built
	}
	l.batch.Reset(l.memory[:0])
}

// classify makes any error one of the package's.
func classify(err error) error {
	for _, known := range []error{ErrNotLeader, ErrClosed, ErrLoading, ErrUnavailable} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// release lets this round's answers out, now or when their records are committed.
func (l *Loop[O, R]) release() {
	if len(l.held) == 0 {
		return
	}
	if l.releaser.idle() && (l.appended == record.NoOffset || l.cfg.Log.Acked(l.appended)) {
		for i := range l.held {
			l.held[i].call.done <- result[R]{reply: l.held[i].reply}
		}
		clear(l.held)
		l.held = l.held[:0]
		return
	}
	l.releaser.add(l.held, l.appended)
	l.held = nil
}

// fail throws the shard away. Whoever waits on it is told why; the state is loaded again with the next operation, after
// a pause that grows while failures follow each other.
func (l *Loop[O, R]) fail(err error) {
	if !errors.Is(err, ErrClosed) {
		l.cfg.Logger.Warn("state thrown away", "shard", l.cfg.Name, "error", err)
	}
	for _, c := range l.waiting {
		c.done <- result[R]{err: err}
	}
	for i := range l.held {
		l.held[i].call.done <- result[R]{err: err}
	}
	clear(l.waiting)
	l.held = nil
	l.loaded.Store(false)
	l.shard, l.failure = nil, err
	l.batch.Reset(l.memory[:0])
	l.backoff = min(max(2*l.backoff, 50*time.Millisecond), 5*time.Second)
	l.retryAt = l.cfg.Now().Add(l.backoff)
}

// refuse answers a call, and those queued behind it, while there is no shard.
func (l *Loop[O, R]) refuse(c *call[O, R]) {
	for ; c != nil; c = l.next() {
		if c.state.CompareAndSwap(callQueued, callTaken) {
			c.done <- result[R]{err: l.failure}
		}
	}
}
