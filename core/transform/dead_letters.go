package transform

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// deadLetters writes a deployment's dead letters.
type deadLetters struct {
	topic          string
	deployment     string
	module         meta.ModuleRef
	partitionCount func(topic string) int32
}

// errUnburied is wrapped when a dead letter cannot be written and never will be.
var errUnburied = errors.New("it cannot be dead-lettered")

// deadLettersOf returns nil for a deployment with another policy.
func (n *node) deadLettersOf(d *meta.Deployment) *deadLetters {
	if d.OnError != OnErrorDLQ {
		return nil
	}
	return &deadLetters{d.DLQ, d.Name, d.Module, n.partitionCount}
}

// write appends a record with its letter to the topic, in the partition with the number that it was read from as far as
// there are so many. Like every output it is durable before its input is committed: outputs remembers it. An error that
// wraps errUnburied stays; any other may pass.
func (d *deadLetters) write(ctx context.Context, out *outputs, codec record.Codec, timestamp int64, rec *record.Record, l DeadLetter) error {
	to, ok := d.target(&l)
	if !ok {
		return fmt.Errorf("%w: topic %s does not exist; create it, and resume the deployment", errUnburied, d.topic)
	}
	err := d.append(ctx, out, to, codec, timestamp, rec, &l)
	if errors.Is(err, ErrTooLarge) && l.Stack != "" {
		// Better without a stack than not at all.
		l.Stack = ""
		err = d.append(ctx, out, to, codec, timestamp, rec, &l)
	}
	switch {
	case errors.Is(err, ErrTooLarge):
		return fmt.Errorf("%w: %w; raise max.message.bytes of topic %s, and resume the deployment", errUnburied, err, d.topic)
	case errors.Is(err, ErrRefused):
		return fmt.Errorf("%w: %w", errUnburied, err)
	}
	return err
}

// target is where a letter goes; ok is false if the topic does not exist.
func (d *deadLetters) target(l *DeadLetter) (to TopicPartition, ok bool) {
	n := d.partitionCount(d.topic)
	if n == 0 {
		return TopicPartition{}, false
	}
	return TopicPartition{d.topic, l.Partition % n}, true
}

// queue adds a letter to the outputs, to be appended with the others.
func (d *deadLetters) queue(out *outputs, to TopicPartition, codec record.Codec, timestamp int64, rec *record.Record, l *DeadLetter) error {
	return out.add(to, codec, timestamp, rec.Key, rec.Value, l.appendHeaders(append([]record.Header(nil), rec.Headers...)))
}

func (d *deadLetters) append(ctx context.Context, out *outputs, to TopicPartition, codec record.Codec, timestamp int64, rec *record.Record, l *DeadLetter) error {
	if err := d.queue(out, to, codec, timestamp, rec, l); err != nil {
		return err
	}
	_, _, err := out.append(ctx)
	return err
}

// passOver applies skip or dlq to a record that has failed alone, in the middle of a step: where all records fail, a step
// for each of them would read its batch again and again. It reports whether the step may go on; if not, the failure has to
// be handled with all care when the step has ended. So has that of a letter which cannot be appended with the others.
func (p *processor) passOver(ctx context.Context, part *partition, b record.Batch, k *chunk, err error) bool {
	var f *failure
	if ctx.Err() != nil || p.single || k.n != 1 || k.first > part.aloneUntil || !errors.As(err, &f) || f.cause != causeGuest {
		return false
	}
	if p.dead != nil {
		l := newDeadLetter(p.dead.deployment, p.dead.module, part.tp, f, p.retries+2) // together with others, then alone
		to, ok := p.dead.target(&l)
		rec := &p.chunks.recs[0]
		if !ok || p.dead.queue(p.outputs, to, b.Codec(), timestampOf(b, rec), rec, &l) != nil {
			return false
		}
	} else if !p.skip {
		return false
	}
	p.counters.erredAt(part.tp, f.first, f.err)
	p.passedOver(fmt.Sprintf("record %s offset %d: %v (after %d retries)", part.tp, f.first, f.err, p.retries))
	p.taken.records++
	p.taken.failed++
	p.taken.bytes += k.bytes
	p.taken.last = k.last
	part.attempts = 0
	part.cursor = k.last + 1
	return true
}

// bury writes the record that failed alone to the dead letters.
func (p *processor) bury(ctx context.Context, part *partition, f *failure, attempts int) error {
	b, rec, err := p.find(part.tp, f.first)
	if err != nil {
		return fmt.Errorf("input %s: %w", part.tp, err)
	}
	l := newDeadLetter(p.dead.deployment, p.dead.module, part.tp, f, attempts)
	return p.dead.write(ctx, p.outputs, b.Codec(), timestampOf(b, rec), rec, l)
}

// find reads one record again. It is valid until the next step.
func (p *processor) find(tp TopicPartition, offset record.Offset) (record.Batch, *record.Record, error) {
	data, err := p.source.Read(p.buf[:0], tp, offset, 1)
	p.buf = keep(data)
	if err != nil {
		return nil, nil, err
	}
	b, _, err := record.Next(data)
	if err != nil {
		return nil, nil, err
	}
	section, err := b.Records(p.section[:0], maxSectionBytes)
	if b.Codec() != record.CodecNone {
		p.section = keep(section)
	}
	if err != nil {
		return nil, nil, err
	}
	r := record.NewReader(section, int(b.NumRecords()))
	for {
		ok, err := r.Next(&p.rec)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			return nil, nil, fmt.Errorf("the record at offset %d is gone", offset)
		}
		if b.BaseOffset()+record.Offset(p.rec.OffsetDelta) == offset {
			return b, &p.rec, nil
		}
	}
}
