package transform

import (
	"context"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

// filterWhole gives all records of a batch to a filter in one call, without looking at them before.
func (p *processor) filterWhole(ctx context.Context, part *partition, b record.Batch, section []byte, call abi.Call) error {
	k := chunk{n: int(b.NumRecords()), in: section, bytes: len(section), first: b.BaseOffset(), last: b.LastOffset()}
	bitmap, err := p.callFilter(ctx, part, call, &k)
	if err != nil {
		return err
	}
	if err := p.emitFiltered(part, b, section, bitmap, 0, k.n); err != nil {
		return err
	}
	p.succeeded(part, &k, k.n-abi.CountPassing(bitmap, k.n))
	return nil
}

// filterChunks gives the records of a batch from the cursor on to a filter, chunk by chunk. What passes is written when
// all are through, so that a batch that passes as a whole can go on as it is stored.
func (p *processor) filterChunks(ctx context.Context, part *partition, b record.Batch, section []byte, call abi.Call) (done bool, err error) {
	p.chunks.reset(b, section, p.wants)
	passing := make([]byte, abi.BitmapLen(int(b.NumRecords())))
	first, end, begin := -1, 0, part.cursor
	for !p.paused() && !p.outputs.full() || first < 0 {
		k, next := p.chunks.next(part.cursor, part.alone())
		if next != nil {
			err = p.damaged(part, b, next)
			break
		}
		if k.n == 0 {
			done = true
			break
		}
		var bitmap []byte
		if bitmap, err = p.callFilter(ctx, part, call, &k); err != nil && !p.passOver(ctx, part, b, &k, err) {
			break
		}
		if first < 0 {
			first = k.index
		}
		end = k.index + k.n
		if err != nil {
			err = nil
			continue
		}
		for i := range k.n {
			if abi.Passes(bitmap, i) {
				abi.SetPass(passing, k.index+i)
			}
		}
		p.succeeded(part, &k, k.n-abi.CountPassing(bitmap, k.n))
	}
	if first >= 0 {
		if emitErr := p.emitFiltered(part, b, section, passing, first, end); emitErr != nil {
			part.cursor = begin
			return false, emitErr
		}
	}
	return done, err
}

// callFilter checks that the bitmap covers the records.
func (p *processor) callFilter(ctx context.Context, part *partition, call abi.Call, k *chunk) ([]byte, error) {
	bitmap, err := p.call(ctx, part, call, k)
	if err != nil {
		return nil, err
	}
	if len(bitmap) < abi.BitmapLen(k.n) {
		return nil, p.guestFailed(ctx, k, abi.ErrBadOutput)
	}
	return bitmap, nil
}

// emitFiltered adds the records from first to end of a batch that pass to the one output: the stored batch itself if
// nothing of it is missing.
func (p *processor) emitFiltered(part *partition, b record.Batch, section, passing []byte, first, end int) error {
	count := 0
	for i := first; i < end; i++ {
		if abi.Passes(passing, i) {
			count++
		}
	}
	if count == 0 {
		return nil
	}
	if count == int(b.NumRecords()) && !p.byKey && canPassOn(b) {
		to, err := p.target(0, part.tp, nil, -1)
		if err != nil {
			return err
		}
		return p.outputs.pass(to, b)
	}
	if !p.byKey {
		to, err := p.target(0, part.tp, nil, -1)
		if err != nil {
			return err
		}
		return p.copyPassing(part, to, b, section, passing, first, end)
	}
	r := record.NewReader(section, int(b.NumRecords()))
	rec := &p.rec
	for i := 0; i < end; i++ {
		if _, err := r.Next(rec); err != nil {
			return p.damaged(part, b, err)
		}
		if i < first || !abi.Passes(passing, i) {
			continue
		}
		to, err := p.target(0, part.tp, rec.Key, -1)
		if err != nil {
			return err
		}
		if err := p.outputs.add(to, b.Codec(), timestampOf(b, rec), rec.Key, rec.Value, rec.Headers); err != nil {
			return err
		}
	}
	return nil
}

// copyPassing adds the records that pass as they stand: only their offsets and timestamps are counted anew.
func (p *processor) copyPassing(part *partition, to TopicPartition, b record.Batch, section, passing []byte, first, end int) error {
	r := record.NewReader(section, int(b.NumRecords()))
	base, stamped := b.BaseTimestamp(), b.IsLogAppendTime()
	out, before := p.outputs.builderOf(to, b.Codec())
	for i := 0; i < end; i++ {
		if i < first || !abi.Passes(passing, i) {
			if err := r.Skip(); err != nil {
				return p.damaged(part, b, err)
			}
			continue
		}
		timestamp, rest, err := r.NextStored()
		if err != nil {
			return p.damaged(part, b, err)
		}
		if timestamp += base; stamped {
			timestamp = b.MaxTimestamp()
		}
		out.AppendStored(timestamp, rest)
		if out.Size() >= targetBatchBytes {
			p.outputs.size += out.Size() - before
			if err := p.outputs.finish(to); err != nil {
				return err
			}
			out, before = p.outputs.builderOf(to, b.Codec())
		}
	}
	p.outputs.size += out.Size() - before
	return nil
}

// canPassOn tells whether a stored batch means the same in another partition: its offsets have no gaps, and its records
// carry their own timestamps.
func canPassOn(b record.Batch) bool {
	return b.LastOffsetDelta() == b.NumRecords()-1 && !b.IsLogAppendTime() && !b.HasDeleteHorizon()
}
