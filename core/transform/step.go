package transform

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

// readBytes is how much one step reads from a partition; one batch may be larger.
const readBytes = 1 << 20

// step reads what follows the partition's position, has the guest process it and appends the outputs. The position moves
// behind everything whose outputs were appended, whatever the error. It returns early, without an error, when the member
// wants something of the processor.
func (p *processor) step(ctx context.Context, part *partition) error {
	data, err := p.source.Read(p.buf[:0], part.tp, part.position, readBytes)
	p.buf = keep(data)
	if err != nil {
		return fmt.Errorf("input %s: %w", part.tp, err)
	}
	if len(data) == 0 {
		part.idle = true
		return nil
	}
	p.countOutputs()
	before := part.position
	part.cursor = before
	p.taken, p.single = taken{}, before <= part.singlyUntil
	whole, runErr := p.process(ctx, part, data)
	p.releaseGuest()
	p.chunks.release()
	if err := p.appendOutputs(ctx, part); err != nil {
		return err
	}
	if whole && part.position == before {
		return fmt.Errorf("input %s at %d: %w", part.tp, before, errStuck)
	}
	return runErr
}

// countOutputs looks how many partitions the outputs have now.
func (p *processor) countOutputs() {
	p.outputCounts = p.outputCounts[:0]
	for _, topic := range p.outputTopics {
		p.outputCounts = append(p.outputCounts, p.partitionCount(topic))
	}
}

// process works on the batches in data up to an error or an interruption; the cursor tells how far it came, and whole that
// it came through.
func (p *processor) process(ctx context.Context, part *partition, data []byte) (whole bool, err error) {
	for len(data) > 0 {
		if p.interrupted() {
			return false, nil
		}
		b, rest, err := record.Next(data)
		if err != nil {
			return false, fmt.Errorf("input %s: %w", part.tp, err)
		}
		data = rest
		if !b.IsControl() && b.NumRecords() > 0 && b.LastOffset() >= part.cursor {
			if done, err := p.batch(ctx, part, b); err != nil || !done {
				return false, err
			}
		}
		part.cursor = max(part.cursor, b.NextOffset())
		p.uncommitted += int64(len(b))
		if p.outputs.full() {
			if err := p.appendOutputs(ctx, part); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// taken is what the guest is done with and whose outputs are not appended yet.
type taken struct {
	records, dropped, bytes int
	failed                  int // of the records, those that were passed over
	last                    record.Offset
}

// appendOutputs appends what was collected and moves the position to the cursor. An output that will never be taken is a
// failure of the records that it was made of.
func (p *processor) appendOutputs(ctx context.Context, part *partition) error {
	t := p.taken
	p.taken = taken{}
	records, bytes, err := p.outputs.append(ctx)
	if err != nil {
		part.cursor = part.position
		if t.records > 0 && (errors.Is(err, ErrRefused) || errors.Is(err, ErrTooLarge)) {
			return &failure{causeOutput, part.position, t.last, t.records, err, t.records > 1 || t.failed > 0}
		}
		return err
	}
	p.counters.in.Add(int64(t.records))
	p.counters.bytesIn.Add(int64(t.bytes))
	p.counters.dropped.Add(int64(t.dropped))
	p.counters.failed.Add(int64(t.failed))
	p.counters.out.Add(records)
	p.counters.bytesOut.Add(bytes)
	if part.cursor != part.position {
		part.position, part.trouble = part.cursor, 0
	}
	return nil
}

// batch processes one batch; done is false if it was interrupted between two chunks.
func (p *processor) batch(ctx context.Context, part *partition, b record.Batch) (done bool, err error) {
	section, err := b.Records(p.section[:0], maxSectionBytes)
	if b.Codec() != record.CodecNone {
		p.section = keep(section)
	}
	if err == nil && int(b.NumRecords()) > len(section)/minRecordBytes {
		err = fmt.Errorf("%w: %d records in %d bytes", record.ErrInvalid, b.NumRecords(), len(section))
	}
	if err != nil {
		return false, p.damaged(part, b, err)
	}
	call := abi.Call{Topic: part.tp.Topic, Partition: part.tp.Partition, BaseOffset: int64(b.BaseOffset()), BaseTimestamp: b.BaseTimestamp()}
	if b.IsLogAppendTime() {
		call.BaseTimestamp = b.MaxTimestamp()
	}
	switch {
	case !p.filter:
		return p.transformBatch(ctx, part, b, section, call)
	case p.wants.Raw() && part.cursor <= b.BaseOffset() && !part.alone() && len(section) <= wholeBytes && sound(b, section):
		return true, p.filterWhole(ctx, part, b, section, call)
	}
	return p.filterChunks(ctx, part, b, section, call)
}

func (p *processor) damaged(part *partition, b record.Batch, err error) error {
	return &failure{causeDamaged, max(part.cursor, b.BaseOffset()), b.LastOffset(), int(b.NumRecords()), err, false}
}

// sound tells whether the records are what the header says. Uncompressed ones were checked when they were produced; what
// is inside a compressed batch nobody has looked at before.
func sound(b record.Batch, section []byte) bool {
	if b.Codec() == record.CodecNone {
		return true
	}
	_, err := b.ScanRecords(section)
	return err == nil
}

// call gives a chunk to the guest. What it returns is valid until the next call.
func (p *processor) call(ctx context.Context, part *partition, c abi.Call, k *chunk) ([]byte, error) {
	if p.guest == nil {
		g, err := p.pool.get(ctx, part.tp.Partition)
		if err != nil {
			return nil, &failure{causeStart, k.first, k.last, k.n, err, false}
		}
		p.guest = g
	}
	out, err := p.guest.call(ctx, p.filter, c, k.in, k.n)
	if err != nil {
		return nil, p.guestFailed(ctx, k, err)
	}
	return out, nil
}

// guestFailed discards the instance: nothing is known of its state any more.
func (p *processor) guestFailed(ctx context.Context, k *chunk, err error) error {
	if p.guest != nil {
		_ = p.guest.Close(ctx) // it failed already, and is not used again
		p.guest = nil
		p.counters.restarts.Add(1)
	}
	return &failure{causeGuest, k.first, k.last, k.n, err, false}
}

// releaseGuest gives the instance back for others to use.
func (p *processor) releaseGuest() {
	if p.guest != nil {
		p.pool.put(p.guest)
		p.guest = nil
	}
}

// succeeded takes note of a chunk whose outputs wait to be appended; then it counts.
func (p *processor) succeeded(part *partition, k *chunk, dropped int) {
	p.taken.records += k.n
	p.taken.bytes += k.bytes
	p.taken.dropped += dropped
	p.taken.last = k.last
	part.attempts = 0
	part.cursor = k.last + 1
}

// target returns where a record for an output goes: to the partition that the guest named, by the key's hash, or to the
// same partition that it came from.
func (p *processor) target(output int, from TopicPartition, key []byte, named int32) (TopicPartition, error) {
	topic, n, to := p.outputTopics[output], p.outputCounts[output], from.Partition
	switch {
	case named >= 0:
		to = named
	case p.byKey && key != nil && n > 0:
		to = partitionOfKey(key, n)
	case p.byKey && n > 0:
		to %= n
	}
	if n == 0 {
		return TopicPartition{}, fmt.Errorf("output topic %s does not exist: %w", topic, errNoCounterpart)
	}
	if to >= n {
		return TopicPartition{}, fmt.Errorf("output topic %s has %d partitions, a record of %s goes to partition %d: %w",
			topic, n, from, to, errNoCounterpart)
	}
	return TopicPartition{topic, to}, nil
}
