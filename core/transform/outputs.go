package transform

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrun/millrun/core/record"
)

const (
	// targetBatchBytes is how large an output batch grows before compression: well below what topics take by default.
	targetBatchBytes = 512 << 10
	// maxQueuedBytes bounds the output that waits to be appended; one call's output may come on top.
	maxQueuedBytes = 4 << 20
	// maxFreeBuilders bounds the builders that are kept with their memory.
	maxFreeBuilders = 16
)

// outputs collects what guests make until it is appended. It belongs to one processor. The order of the records that go
// to one partition is kept; nothing is promised between partitions.
type outputs struct {
	sink  Sink
	open  map[TopicPartition]*record.Builder
	order []TopicPartition // of open, as they were opened
	queue []queued
	size  int // bytes in queue and open
	free  []*record.Builder

	uncounted string // a topic whose records are none of the guest's: the dead letters

	unacked map[TopicPartition]record.Offset // appended, not known to be durable
}

type queued struct {
	tp      TopicPartition
	batch   record.Batch
	records int
	builder *record.Builder // whose memory the batch is, nil for a batch that was passed on
}

func newOutputs(sink Sink) *outputs {
	return &outputs{sink: sink, open: make(map[TopicPartition]*record.Builder), unacked: make(map[TopicPartition]record.Offset)}
}

// add appends a copy of a record to what goes to tp, to be compressed by codec.
func (o *outputs) add(tp TopicPartition, codec record.Codec, timestamp int64, key, value []byte, headers []record.Header) error {
	b, before := o.builderOf(tp, codec)
	b.Append(timestamp, key, value, headers)
	o.size += b.Size() - before
	if b.Size() >= targetBatchBytes {
		return o.finish(tp)
	}
	return nil
}

// builderOf is the builder of what goes to tp, and its size so far. Who appends to it counts what that adds to o.size.
func (o *outputs) builderOf(tp TopicPartition, codec record.Codec) (*record.Builder, int) {
	b := o.open[tp]
	if b == nil {
		b = o.builder()
		b.SetCodec(codec)
		o.open[tp] = b
		o.order = append(o.order, tp)
		o.size += b.Size()
	}
	return b, b.Size()
}

// pass queues a stored batch as it is, behind what was added before. Its bytes must stay until the next append.
func (o *outputs) pass(tp TopicPartition, b record.Batch) error {
	if err := o.finish(tp); err != nil {
		return err
	}
	b.ClearProducer()
	o.queue = append(o.queue, queued{tp, b, int(b.NumRecords()), nil})
	o.size += len(b)
	return nil
}

// finish moves what is open for tp into the queue.
func (o *outputs) finish(tp TopicPartition) error {
	b := o.open[tp]
	if b == nil {
		return nil
	}
	delete(o.open, tp)
	n := b.Len()
	batch, err := b.Build()
	if err != nil {
		return fmt.Errorf("batch for %s: %w", tp, err)
	}
	o.queue = append(o.queue, queued{tp, batch, n, b})
	return nil
}

// full tells that the queue has to be appended before more is added.
func (o *outputs) full() bool { return o.size >= maxQueuedBytes }

// append appends everything to the sink and returns how many records and bytes that was. After an error some of it may
// have been appended, and nothing is left here: what it was made of has to be processed again.
func (o *outputs) append(ctx context.Context) (records, bytes int64, err error) {
	defer o.discard()
	for _, tp := range o.order {
		if err := o.finish(tp); err != nil {
			return 0, 0, err
		}
	}
	for _, q := range o.queue {
		size := len(q.batch)
		if err := o.appendBatch(ctx, q.tp, q.batch); err != nil {
			return 0, 0, fmt.Errorf("output %s: %w", q.tp, err)
		}
		if q.tp.Topic != o.uncounted {
			records, bytes = records+int64(q.records), bytes+int64(size)
		}
	}
	return records, bytes, nil
}

// appendBatch appends a batch, in halves if it is too large for its topic.
func (o *outputs) appendBatch(ctx context.Context, tp TopicPartition, b record.Batch) error {
	last, err := o.sink.Append(ctx, tp, b)
	if err == nil {
		o.unacked[tp] = last
		return nil
	}
	if !errors.Is(err, ErrTooLarge) || b.NumRecords() < 2 {
		return err
	}
	first, second, splitErr := halves(b)
	if splitErr != nil {
		return fmt.Errorf("%w, and cannot be split: %w", err, splitErr)
	}
	if err := o.appendBatch(ctx, tp, first); err != nil {
		return err
	}
	return o.appendBatch(ctx, tp, second)
}

// halves makes two batches of one that has at least two records.
func halves(b record.Batch) (first, second record.Batch, err error) {
	section, err := b.Records(nil, maxSectionBytes)
	if err != nil {
		return nil, nil, err
	}
	n := int(b.NumRecords())
	builders := [2]*record.Builder{record.NewBuilder(nil), record.NewBuilder(nil)}
	r, rec := record.NewReader(section, n), record.Record{}
	for i := 0; ; i++ {
		ok, err := r.Next(&rec)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			break
		}
		builders[min(2*i/n, 1)].Append(b.BaseTimestamp()+rec.TimestampDelta, rec.Key, rec.Value, rec.Headers)
	}
	for _, builder := range builders {
		builder.SetCodec(b.Codec())
	}
	if first, err = builders[0].Build(); err != nil {
		return nil, nil, err
	}
	second, err = builders[1].Build()
	return first, second, err
}

// discard forgets what was not appended.
func (o *outputs) discard() {
	for _, q := range o.queue {
		o.recycle(q.builder)
	}
	for _, b := range o.open {
		o.recycle(b)
	}
	clear(o.open)
	clear(o.queue)
	o.queue, o.order, o.size = o.queue[:0], o.order[:0], 0
}

func (o *outputs) builder() *record.Builder {
	if n := len(o.free); n > 0 {
		b := o.free[n-1]
		o.free = o.free[:n-1]
		return b
	}
	return record.NewBuilder(nil)
}

func (o *outputs) recycle(b *record.Builder) {
	if b != nil && len(o.free) < maxFreeBuilders {
		b.Recycle()
		o.free = append(o.free, b)
	}
}

// wait returns when everything appended is durable. After an error none of it can be relied on.
func (o *outputs) wait(ctx context.Context) error {
	defer clear(o.unacked)
	for tp, last := range o.unacked {
		if err := o.sink.Wait(ctx, tp, last); err != nil {
			return fmt.Errorf("output %s: %w", tp, err)
		}
	}
	return nil
}
