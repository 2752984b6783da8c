package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/replica"
	"github.com/millrun/millrun/core/transform"
)

// records are this node's partitions as Wasm consumers see them: their source and their sink.
type records struct{ store *replica.Store }

func (r records) partition(tp transform.TopicPartition) (*replica.Partition, error) {
	p, ok := r.store.Get(tp.Topic, tp.Partition)
	if !ok || !p.IsLeader() {
		return nil, fmt.Errorf("%s-%d: %w", tp.Topic, tp.Partition, transform.ErrNotHere)
	}
	return p, nil
}

// translate wraps what a partition answers in the words that transform acts on.
func translate(tp transform.TopicPartition, err error) error {
	var known error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, replica.ErrNotLeader), errors.Is(err, replica.ErrClosed):
		known = transform.ErrNotHere
	case errors.Is(err, replica.ErrOutOfRange):
		known = transform.ErrOutOfRange
	case errors.Is(err, replica.ErrMessageTooLarge), errors.Is(err, replica.ErrRecordListTooLarge):
		known = transform.ErrTooLarge
	case errors.Is(err, replica.ErrInvalidRecord), errors.Is(err, replica.ErrInvalidTimestamp), errors.Is(err, replica.ErrUnsupportedCodec):
		known = transform.ErrRefused
	default:
		return fmt.Errorf("%s-%d: %w", tp.Topic, tp.Partition, err)
	}
	return fmt.Errorf("%s-%d: %w: %w", tp.Topic, tp.Partition, known, err)
}

// Read implements transform.Source.
func (r records) Read(dst []byte, tp transform.TopicPartition, from record.Offset, maxBytes int) ([]byte, error) {
	p, err := r.partition(tp)
	if err != nil {
		return dst, err
	}
	result, err := p.ReadInto(dst, replica.ReadQuery{From: from, MaxBytes: maxBytes, MinOne: true, Committed: true,
		CurrentLeaderEpoch: record.NoLeaderEpoch, LastFetchedEpoch: record.NoLeaderEpoch})
	if err != nil {
		return dst, translate(tp, err)
	}
	return result.Records, nil
}

// Offsets implements transform.Source.
func (r records) Offsets(tp transform.TopicPartition) (start, end record.Offset, err error) {
	p, err := r.partition(tp)
	if err != nil {
		return 0, 0, err
	}
	if err := p.Failed(); err != nil {
		return 0, 0, translate(tp, err) // its offsets say nothing
	}
	start, _, stable, _ := p.Offsets()
	return start, stable, nil
}

// Watch implements transform.Source.
func (r records) Watch() transform.Watch {
	return &watch{records: r, watcher: replica.NewWatcher(), on: map[transform.TopicPartition]*replica.Partition{}}
}

// Append implements transform.Sink.
func (r records) Append(_ context.Context, tp transform.TopicPartition, b record.Batch) (record.Offset, error) {
	p, err := r.partition(tp)
	if err != nil {
		return record.NoOffset, err
	}
	appended, err := p.Append(b, replica.AppendOptions{Acks: replica.AcksAll, Origin: replica.FromTransform})
	if err != nil {
		return record.NoOffset, translate(tp, err)
	}
	return appended.Last, nil
}

// Wait implements transform.Sink.
func (r records) Wait(ctx context.Context, tp transform.TopicPartition, last record.Offset) error {
	p, err := r.partition(tp)
	if err != nil {
		return err
	}
	return translate(tp, p.WaitAcked(ctx, last, replica.AcksAll))
}

// watch implements transform.Watch. It remembers the replicas themselves: by the time of a Remove the topic's name may
// stand for others.
type watch struct {
	records records
	watcher *replica.Watcher
	on      map[transform.TopicPartition]*replica.Partition
}

func (w *watch) C() <-chan struct{} { return w.watcher.C() }

func (w *watch) Add(tp transform.TopicPartition) error {
	p, err := w.records.partition(tp)
	if err != nil {
		return err
	}
	w.Remove(tp)
	p.Watch(w.watcher)
	w.on[tp] = p
	return nil
}

func (w *watch) Remove(tp transform.TopicPartition) {
	if p := w.on[tp]; p != nil {
		p.Unwatch(w.watcher)
		delete(w.on, tp)
	}
}

func (w *watch) Close() {
	for tp := range w.on {
		w.Remove(tp)
	}
}
