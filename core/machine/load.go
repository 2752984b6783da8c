package machine

import (
	"fmt"
	"time"

	"github.com/millrun/millrun/core/record"
)

// maxRecordsBytes bounds what a compressed batch of the log may expand to.
const maxRecordsBytes = 64 << 20

// ready makes sure that there is a shard, loading it if need be. False: failure says why there is none.
func (l *Loop[O, R]) ready() bool {
	if l.shard != nil {
		return true
	}
	if l.failure != nil && l.cfg.Now().Before(l.retryAt) {
		return false
	}
	started := time.Now()
	shard, err := l.load()
	if err != nil {
		l.fail(fmt.Errorf("%s: load: %w", l.cfg.Name, classify(err)))
		return false
	}
	l.shard, l.failure = shard, nil
	l.loaded.Store(true)
	l.cfg.Logger.Debug("state loaded", "shard", l.cfg.Name, "records", l.logged, "took", time.Since(started))
	if l.cfg.AfterLoad != nil {
		l.fx.Reset()
		now := l.now()
		shard.Decide(now, NoTicket, l.cfg.AfterLoad(), &l.fx)
		l.carry(now)
	}
	return l.shard != nil
}

// load replays the whole log into a fresh shard.
func (l *Loop[O, R]) load() (Shard[O, R], error) {
	shard := l.cfg.NewShard()
	l.logged, l.rewriteAt = 0, l.cfg.RewriteAfter
	at, end, err := l.cfg.Log.Bounds()
	if err != nil {
		return nil, err
	}
	l.appended = end - 1
	var buf []byte
	for at < end {
		if l.ctx.Err() != nil {
			return nil, ErrClosed
		}
		if buf, err = l.cfg.Log.ReadInto(buf[:0], at, end); err != nil {
			return nil, fmt.Errorf("read at offset %d: %w", at, err)
		}
		if len(buf) == 0 {
			break
		}
		if at, err = l.replayAll(shard, buf, at, end); err != nil {
			return nil, err
		}
	}
	l.scratch = nil
	shard.Loaded(l.now())
	return shard, nil
}

// replayAll replays batches that begin at or before the offset at, up to end. It returns where to go on.
func (l *Loop[O, R]) replayAll(shard Shard[O, R], batches []byte, at, end record.Offset) (record.Offset, error) {
	for rest := batches; len(rest) > 0 && at < end; {
		b, more, err := record.Next(rest)
		if err != nil {
			return at, fmt.Errorf("batch at offset %d: %w", at, err)
		}
		if err := l.replayBatch(shard, b, at); err != nil {
			return at, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
		}
		if b.NextOffset() <= at {
			return at, fmt.Errorf("%w: a batch that ends at offset %d was read at %d", ErrUnavailable, b.LastOffset(), at)
		}
		rest, at = more, b.NextOffset()
	}
	return at, nil
}

func (l *Loop[O, R]) replayBatch(shard Shard[O, R], b record.Batch, from record.Offset) error {
	if b.IsControl() {
		return nil
	}
	section, err := b.Records(l.scratch[:0], maxRecordsBytes)
	if err != nil {
		return err
	}
	if b.Codec() != record.CodecNone {
		l.scratch = section
	}
	records := record.NewReader(section, int(b.NumRecords()))
	var rec record.Record
	for {
		ok, err := records.Next(&rec)
		if err != nil || !ok {
			return err
		}
		if b.BaseOffset()+record.Offset(rec.OffsetDelta) < from {
			continue
		}
		l.logged++
		if err := shard.Replay(Record{Key: rec.Key, Value: rec.Value}); err != nil {
			l.cfg.Logger.Warn("record passed over", "shard", l.cfg.Name,
				"offset", int64(b.BaseOffset())+int64(rec.OffsetDelta), "error", err)
		}
	}
}
