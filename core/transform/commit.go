package transform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrun/millrun/core/record"
)

// commitIfDue commits when the time or the bytes since the last commit call for it, sooner if there is nothing else to do.
// It reports whether it did.
func (p *processor) commitIfDue(ctx context.Context, idle bool) bool {
	interval := commitInterval
	if idle {
		interval = idleCommitInterval
	}
	now := time.Now()
	if now.Before(p.nextCommitAt) || now.Sub(p.lastCommit) < interval && p.uncommitted < commitBytes || !p.dirty() {
		return false
	}
	err := p.commitAll(ctx)
	if err != nil && ctx.Err() == nil {
		p.nextCommitAt = now.Add(commitRetry)
		p.logger.Debug("offsets are not committed yet", "error", err)
	}
	return err == nil
}

// commitAll commits the positions of all partitions after their outputs have become durable. This is where a transaction
// over outputs and offsets would end.
func (p *processor) commitAll(ctx context.Context) error {
	durable, cancel := context.WithTimeout(ctx, durableTimeout)
	err := p.outputs.wait(durable)
	cancel()
	if err != nil {
		p.rewind(err)
		return err
	}
	offsets := make(map[TopicPartition]record.Offset)
	for _, part := range p.parts {
		if part.dirty() {
			offsets[part.tp] = part.position
		}
	}
	if len(offsets) > 0 {
		if err := p.commit(ctx, offsets); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	for _, part := range p.parts {
		part.committed, part.moved = part.position, false
	}
	p.uncommitted, p.lastCommit, p.nextCommitAt = 0, time.Now(), time.Time{}
	return nil
}

// rewind goes back to what was committed, because outputs since then may be lost.
func (p *processor) rewind(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	p.logger.Warn("outputs did not become durable, their inputs are processed again", "error", err)
	for _, part := range p.parts {
		if part.dirty() {
			part.position, part.moved, part.idle = part.committed, false, false
			part.trouble++
			part.retryAt = time.Now().Add(backoff(part.trouble))
		}
	}
	p.uncommitted = 0
}
