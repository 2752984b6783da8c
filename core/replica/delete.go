package replica

import (
	"fmt"

	"github.com/millrun/millrun/core/record"
)

// DeleteRecords makes to the first offset that may be read, and removes the segments before it; NoOffset stands for the
// high watermark. It returns where the log now starts, which is later than to if it did so before. The log's start must be
// checkpointed before that is told to anybody.
func (p *Partition) DeleteRecords(to record.Offset) (record.Offset, error) {
	if _, err := p.checkLeader(record.NoLeaderEpoch); err != nil {
		return record.NoOffset, err
	}
	if c := p.settings.Load(); c.Compact && !c.Delete {
		return record.NoOffset, fmt.Errorf("%w: %s is compacted only", ErrPolicy, p.topic)
	}
	if to == record.NoOffset {
		to = p.HighWatermark()
	}
	return p.Trim(to)
}

// started does what is to be done when the log's start may have moved.
func (p *Partition) started(before record.Offset) (record.Offset, error) {
	start := p.log.StartOffset()
	if start == before {
		return start, nil
	}
	p.mu.Lock()
	var err error
	if !p.closed.Load() && p.epochs.advance(p.log.Segments()[0].Base) {
		err = p.writeEpochs()
	}
	p.mu.Unlock()
	p.watchers.wakeAll()
	return start, p.storage(err)
}

// Retain deletes the segments that retention.ms and retention.bytes give up, and returns how many.
func (p *Partition) Retain() (int, error) {
	if err := p.Failed(); err != nil {
		return 0, err
	}
	before, end := p.log.StartOffset(), p.log.EndOffset()
	n, err := p.log.Retain(p.HighWatermark())
	if err != nil {
		return n, p.storage(err)
	}
	if n == 0 {
		return 0, nil
	}
	// An empty log keeps its producers, by a snapshot of where it starts anew: the older ones went with their segments.
	p.mu.Lock()
	if p.log.EndOffset() == p.log.StartOffset() && !p.closed.Load() {
		if err := p.saveProducers(end); err != nil {
			p.logger.Warn("no producer snapshot was taken", "partition", p.name, "error", err)
		}
	}
	p.mu.Unlock()
	_, err = p.started(before)
	return n, err
}

// ExpireProducers forgets the producers that were silent for expiration (ms), and returns how many.
func (p *Partition) ExpireProducers(expiration int64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.producers.expire(p.now().UnixMilli(), expiration)
}
