package transform

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

const (
	// commitInterval and commitBytes bound what is processed twice after a crash.
	commitInterval = time.Second
	commitBytes    = 64 << 20
	// idleCommitInterval is how soon a processor that has caught up commits.
	idleCommitInterval = 200 * time.Millisecond
	// commitRetry is how soon a commit that did not go through is made again.
	commitRetry = 100 * time.Millisecond
	// durableTimeout bounds the wait for outputs to become durable.
	durableTimeout = 10 * time.Second
	// longRest is how long a processor waits that has nothing to wait for but a signal.
	longRest = time.Hour
)

// partition is an input partition in the hands of a processor.
type partition struct {
	tp        TopicPartition
	position  record.Offset // all outputs of what is before it have been appended
	cursor    record.Offset // within a step: the next record for the guest
	committed record.Offset // where a restart would begin
	moved     bool          // the position is to be committed even if nothing was processed
	idle      bool          // nothing to read until the watch tells

	attempts   int           // failures of the chunk at the position
	trouble    int           // failures in a row that are not the guest's
	retryAt    time.Time     // not to be touched before
	aloneUntil record.Offset // up to here records are given to the guest one by one, as it failed on one of them
	// singlyUntil: up to here one record's outputs are appended before the next record, as an output was refused
	singlyUntil record.Offset
}

// alone tells whether the next record has to be tried by itself.
func (p *partition) alone() bool { return p.cursor <= max(p.aloneUntil, p.singlyUntil) }

func (p *partition) dirty() bool { return p.moved || p.position != p.committed }

// processorConfig is what a processor is given by its worker.
type processorConfig struct {
	source         Source
	sink           Sink
	pool           *pool
	filter         bool
	wants          abi.Wants
	outputTopics   []string
	byKey, skip    bool         // --partition key, --on-error skip
	dead           *deadLetters // --on-error dlq, else nil
	retries        int
	counters       *counters
	partitionCount func(topic string) int32
	halt           func(failed bool, reason string) // the deployment cannot go on; does not block
	commit         func(ctx context.Context, offsets map[TopicPartition]record.Offset) error
	logger         *slog.Logger
}

// processor works on the partitions of one member. All fields but the channels and asked belong to the goroutine that
// runs run; the member changes them through do.
type processor struct {
	processorConfig
	calls chan func()
	asked atomic.Int32 // how many calls of do are waiting
	done  chan struct{}

	parts     []*partition // in the order they take turns
	turn      int
	watch     Watch
	outputs   *outputs
	guest     *guest // nil between steps
	suspended bool   // the group may be giving the partitions to others
	halted    bool   // by the error policy, for good

	saidAt time.Time // when it was logged last that records are passed over
	unsaid int       // how often that has happened since

	uncommitted  int64 // bytes read since the last commit
	lastCommit   time.Time
	nextCommitAt time.Time // after a commit that failed

	taken        taken   // by the guest since outputs were appended last
	single       bool    // this step ends after one call of the guest
	outputCounts []int32 // partitions of each output, as of this step
	buf, section []byte
	chunks       chunker
	rec          record.Record
	headers      []record.Header
}

func newProcessor(c processorConfig) *processor {
	p := &processor{
		processorConfig: c, calls: make(chan func()), done: make(chan struct{}), watch: c.source.Watch(), outputs: newOutputs(c.sink),
		lastCommit: time.Now(),
	}
	if c.dead != nil {
		p.outputs.uncounted = c.dead.topic
	}
	return p
}

// do has f run between two calls of the guest and waits for it. It reports whether f was run.
func (p *processor) do(ctx context.Context, f func()) bool {
	p.asked.Add(1)
	ran := make(chan struct{})
	select {
	case p.calls <- func() { p.asked.Add(-1); f(); close(ran) }:
	case <-p.done:
		p.asked.Add(-1)
		return false
	case <-ctx.Done():
		p.asked.Add(-1)
		return false
	}
	<-ran
	return true
}

// interrupted tells that somebody waits in do.
func (p *processor) interrupted() bool { return p.asked.Load() > 0 }

// paused tells that a step that has got somewhere has to end.
func (p *processor) paused() bool { return p.single || p.interrupted() }

// run processes until ctx ends. The guest sees the same ctx.
func (p *processor) run(ctx context.Context) {
	defer close(p.done)
	defer p.watch.Close()
	for ctx.Err() == nil {
		select {
		case f := <-p.calls:
			f()
			continue
		default:
		}
		worked := false
		if part := p.next(time.Now()); part != nil {
			worked = true
			if err := p.step(ctx, part); err != nil {
				p.outputs.discard()
				p.handle(ctx, part, err)
			}
		}
		// A commit may have been what the partitions were waiting for.
		if committed := p.commitIfDue(ctx, !worked); !worked && !committed {
			p.rest(ctx)
		}
	}
}

// next returns the partition whose turn it is, nil if none can go on.
func (p *processor) next(now time.Time) *partition {
	if p.suspended || p.halted || p.uncommitted >= commitBytes && p.dirty() {
		return nil
	}
	for range p.parts {
		p.turn = (p.turn + 1) % len(p.parts)
		part := p.parts[p.turn]
		if !part.idle && !part.retryAt.After(now) {
			return part
		}
	}
	return nil
}

func (p *processor) dirty() bool { return slices.ContainsFunc(p.parts, (*partition).dirty) }

// rest waits until there may be something to do.
func (p *processor) rest(ctx context.Context) {
	due := p.untilDue(time.Now())
	trim := false
	if due >= longRest {
		p.shrink()
		if trim = p.pool.hasSurplus(); trim {
			due = keepIdleFor
		}
	}
	timer := time.NewTimer(due)
	defer timer.Stop()
	select {
	case f := <-p.calls:
		f()
	case <-p.watch.C():
		for _, part := range p.parts {
			part.idle = false
		}
	case <-timer.C:
		if trim {
			p.pool.trim(ctx)
		}
	case <-ctx.Done():
	}
}

// shrink gives back memory that only work needs: a node may have many deployments, most of them idle.
func (p *processor) shrink() {
	p.buf, p.section, p.headers, p.chunks, p.outputs.free = nil, nil, nil, chunker{}, nil
}

// untilDue is how long it is to the next retry or commit.
func (p *processor) untilDue(now time.Time) time.Duration {
	due := longRest
	if !p.suspended && !p.halted {
		for _, part := range p.parts {
			if part.retryAt.After(now) {
				due = min(due, part.retryAt.Sub(now))
			}
		}
	}
	if p.dirty() {
		at := p.lastCommit.Add(idleCommitInterval)
		if p.nextCommitAt.After(at) {
			at = p.nextCommitAt
		}
		due = min(due, max(at.Sub(now), time.Millisecond))
	}
	return due
}

// add takes over partitions, each from its position on. A partition that is not on this node is tried again.
func (p *processor) add(positions map[TopicPartition]record.Offset) {
	for tp, offset := range positions {
		part := &partition{tp: tp, position: offset, committed: offset, aloneUntil: record.NoOffset, singlyUntil: record.NoOffset}
		p.parts = append(p.parts, part)
		p.watchPartition(part)
	}
	slices.SortFunc(p.parts, func(a, b *partition) int { return compareTopicPartitions(a.tp, b.tp) })
}

// watchPartition begins to watch what can be watched; of the rest the next read tells what is wrong.
func (p *processor) watchPartition(part *partition) {
	if err := p.watch.Add(part.tp); err != nil {
		p.logger.Warn("input partition cannot be watched", "partition", part.tp, "error", err)
	}
}

// drop gives partitions up.
func (p *processor) drop(tps []TopicPartition) {
	p.parts = slices.DeleteFunc(p.parts, func(part *partition) bool {
		if !slices.Contains(tps, part.tp) {
			return false
		}
		p.watch.Remove(part.tp)
		return true
	})
	p.turn = 0
}

// dropAll gives everything up and goes on from there unsuspended.
func (p *processor) dropAll() {
	for _, part := range p.parts {
		p.watch.Remove(part.tp)
	}
	p.parts, p.turn, p.suspended, p.uncommitted = nil, 0, false, 0
}
