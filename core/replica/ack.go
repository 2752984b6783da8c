package replica

import (
	"context"
	"fmt"
	"sync"

	"github.com/millrun/millrun/core/record"
)

// needsFlush tells whether the record at offset last waits for the disk.
func (p *Partition) needsFlush(last record.Offset) bool {
	return int64(last) < p.mustFlush.Load() && last >= p.log.RecoveryPoint()
}

// AckedNow tells whether the records up to last may be acknowledged now.
func (p *Partition) AckedNow(last record.Offset, acks int16) bool {
	if p.log == nil || p.needsFlush(last) {
		return false
	}
	return acks != AcksAll || p.HighWatermark() > last
}

// WaitAcked returns when the records up to last may be acknowledged: at once if nothing is to be waited for; after an
// fsync, which all who wait at the time share, where flush.messages asks for one; and with AcksAll when every replica in
// sync has them. It fails with ErrTimeout when ctx ends, ErrStorage when the disk fails, ErrNotLeader when this broker
// stops to lead: the records may then still come to be committed, or not.
func (p *Partition) WaitAcked(ctx context.Context, last record.Offset, acks int16) error {
	if p.AckedNow(last, acks) {
		return nil
	}
	if err := p.Failed(); err != nil {
		return err
	}
	if p.needsFlush(last) {
		if ctx.Err() != nil {
			p.askLater()
			return p.timeout(ctx, last)
		}
		if err := p.Flush(); err != nil {
			return err
		}
	}
	if acks != AcksAll || p.HighWatermark() > last {
		return nil
	}
	return p.waitCommitted(ctx, last)
}

func (p *Partition) timeout(ctx context.Context, last record.Offset) error {
	return fmt.Errorf("%w: %s up to offset %d: %w", ErrTimeout, p.name, last, context.Cause(ctx))
}

var pooledWatchers = sync.Pool{New: func() any { return NewWatcher() }}

func (p *Partition) waitCommitted(ctx context.Context, last record.Offset) error {
	w := pooledWatchers.Get().(*Watcher)
	p.Watch(w)
	defer func() {
		p.Unwatch(w)
		w.Reset()
		pooledWatchers.Put(w)
	}()
	epoch := p.LeaderEpoch()
	for p.HighWatermark() <= last {
		if err := p.Failed(); err != nil {
			return err
		}
		if r, err := p.leading(); err != nil || r.epoch != epoch {
			return fmt.Errorf("%w: %s changed its leader", ErrNotLeader, p.name)
		}
		if p.isClosed() {
			return fmt.Errorf("%w: %s", ErrClosed, p.name)
		}
		select {
		case <-w.C():
		case <-ctx.Done():
			return p.timeout(ctx, last)
		}
	}
	return nil
}

func (p *Partition) isClosed() bool { return p.closed.Load() }

// Flush makes everything durable that was appended before the call. Calls that come at the same time share an fsync.
func (p *Partition) Flush() error {
	if err := p.Failed(); err != nil {
		return err
	}
	p.laterAsked.Store(false)
	p.mu.Lock()
	err := p.syncMetadata()
	p.mu.Unlock()
	if err == nil {
		_, err = p.log.Flush()
	}
	if err != nil {
		return p.storage(err)
	}
	p.advance()
	return nil
}
