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
	if errors.As(err, &f) {
		p.counters.erredAt(part.tp, f.first, f.err)
	} else {
		p.counters.erredAt(part.tp, part.position, err)
	}
	switch {
	case f != nil:
		p.handleFailure(ctx, part, f)
	case errors.Is(err, ErrOutOfRange):
		p.relocate(part, err)
	case errors.Is(err, errNoCounterpart):
		p.stop(fmt.Sprintf("records of %s from offset %d on: %v", part.tp, part.position, err))
	default:
		p.wait(part, err)
	}
}

// handleFailure tries a failed chunk again whole, as often as the policy says, then its records one by one; a record that
// fails alone falls to the policy. So does one whose output is refused, which is not tried again.
func (p *processor) handleFailure(ctx context.Context, part *partition, f *failure) {
	alone := f.first <= part.aloneUntil
	switch {
	case f.cause == causeDamaged:
		p.giveUp(ctx, part, f, 1, "the stored batch is damaged: %v", f.err)
	case f.cause == causeOutput && f.unclear:
		part.singlyUntil = f.last
	case f.cause == causeOutput:
		f.first = f.last // there may be a gap before it
		p.giveUp(ctx, part, f, 1, "%v", f.err)
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
		attempts := p.retries + 1
		if alone {
			attempts++ // with others before
		}
		p.giveUp(ctx, part, f, attempts, "%v (after %d retries)", f.err, p.retries)
	}
}

// giveUp applies the policy to what failed for good, after so many attempts.
func (p *processor) giveUp(ctx context.Context, part *partition, f *failure, attempts int, format string, args ...any) {
	reason := fmt.Sprintf("record %s offset %d: ", part.tp, f.first) + fmt.Sprintf(format, args...)
	switch {
	case p.skip:
		p.passedOver(reason)
	case p.dead != nil && f.cause == causeDamaged:
		p.counters.failed.Add(int64(f.n))
		p.stop(reason + "; its records cannot be told apart, so that they cannot be dead-lettered")
		return
	case p.dead != nil:
		if err := p.bury(ctx, part, f, attempts); err != nil {
			p.unburied(ctx, part, reason, err)
			return
		}
		p.passedOver(reason)
	default:
		p.counters.failed.Add(int64(f.n))
		p.stop(reason)
		return
	}
	p.counters.failed.Add(int64(f.n))
	p.counters.in.Add(int64(f.n))
	part.position, part.attempts = max(part.position, f.last+1), 0
}

// passedOver logs that a deployment goes on without some records: once a second, as all of them may fail.
func (p *processor) passedOver(reason string) {
	what := "records were skipped"
	if p.dead != nil {
		what = "records were dead-lettered"
	}
	p.unsaid++
	if now := time.Now(); now.Sub(p.saidAt) >= time.Second {
		p.logger.Warn(what, "times", p.unsaid, "reason", reason)
		p.unsaid, p.saidAt = 0, now
	}
}

// unburied keeps a record that could not be dead-lettered where it is: it is never lost.
func (p *processor) unburied(ctx context.Context, part *partition, reason string, err error) {
	p.outputs.discard()
	if errors.Is(err, errUnburied) {
		p.counters.failed.Add(1)
		p.stop(reason + "; " + err.Error())
		return
	}
	p.handle(ctx, part, err)
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
	part.position, part.moved, part.attempts = to, true, 0
	part.aloneUntil, part.singlyUntil = record.NoOffset, record.NoOffset
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
