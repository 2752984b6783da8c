package transform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrun/millrun/core/record"
)

// handle decides what happens after a step that failed.
func (p *processor) handle(ctx context.Context, part *partition, err error) {
	if ctx.Err() != nil {
		return
	}
	var f *failure
	switch {
	case errors.As(err, &f):
		p.handleFailure(part, f)
	case errors.Is(err, ErrOutOfRange):
		p.relocate(part, err)
	case errors.Is(err, errNoCounterpart), errors.Is(err, ErrRefused), errors.Is(err, ErrTooLarge):
		p.stop(fmt.Sprintf("records of %s from offset %d on: %v", part.tp, part.position, err))
	default:
		p.wait(part, err)
	}
}

// handleFailure tries a failed chunk again whole, as often as the policy says, then its records one by one; a record that
// fails alone falls to the policy.
func (p *processor) handleFailure(part *partition, f *failure) {
	alone := f.first <= part.aloneUntil
	switch {
	case f.cause == causeDamaged:
		p.giveUp(part, f, "the stored batch is damaged: %v", f.err)
	case !alone && part.attempts < p.retries:
		part.attempts++
		p.counters.retries.Add(1)
		part.retryAt = time.Now().Add(backoff(part.attempts))
		p.logger.Warn("a call of the guest failed and is tried again", "partition", part.tp, "offset", f.first, "records", f.n,
			"attempt", part.attempts, "error", f.err)
	case f.cause == causeStart:
		p.halted = true
		p.halt(true, fmt.Sprintf("the module no longer starts: %v", f.err))
	case !alone && f.n > 1:
		part.aloneUntil = f.last
	default:
		p.giveUp(part, f, "%v (after %d retries)", f.err, p.retries)
	}
}

// giveUp applies the policy to what failed for good.
func (p *processor) giveUp(part *partition, f *failure, format string, args ...any) {
	p.counters.failed.Add(int64(f.n))
	reason := fmt.Sprintf("record %s offset %d: ", part.tp, f.first) + fmt.Sprintf(format, args...)
	if !p.skip {
		p.stop(reason)
		return
	}
	p.logger.Warn("records were skipped", "records", f.n, "reason", reason)
	p.counters.in.Add(int64(f.n))
	part.position, part.attempts = max(part.position, f.last+1), 0
}

func (p *processor) stop(reason string) {
	p.halted = true
	p.halt(false, reason)
}

// relocate finds a place to go on from when the position is not in the log: the start, if what was there has been deleted,
// else the end.
func (p *processor) relocate(part *partition, err error) {
	start, end, offsetsErr := p.source.Offsets(part.tp)
	if offsetsErr != nil {
		p.wait(part, offsetsErr)
		return
	}
	to := min(max(part.position, start), end)
	if to == part.position {
		p.wait(part, err)
		return
	}
	p.logger.Warn("the position is outside the log", "partition", part.tp, "position", part.position, "start", start, "end", end)
	part.position, part.moved, part.aloneUntil, part.attempts = to, true, record.NoOffset, 0
}

// wait puts a partition aside for a while: its trouble may pass, and the others go on.
func (p *processor) wait(part *partition, err error) {
	part.trouble++
	part.retryAt = time.Now().Add(backoff(part.trouble))
	p.logger.Warn("partition has to wait", "partition", part.tp, "position", part.position, "attempt", part.trouble, "error", err)
	if errors.Is(err, ErrNotHere) {
		p.watch.Remove(part.tp)
		p.watchPartition(part)
	}
}
