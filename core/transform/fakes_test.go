package transform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

// memory is a Source and a Sink over slices.
type memory struct {
	mu      sync.Mutex
	parts   map[TopicPartition]*memoryPartition
	watches map[*memoryWatch]bool
	refuse  func(tp TopicPartition, b record.Batch) error // what an append meets, nil nothing
	waiting func(tp TopicPartition) error                 // what a wait meets
	largest int                                           // ErrTooLarge beyond it
}

type memoryPartition struct {
	start, end record.Offset
	batches    []record.Batch
}

func newMemory(partitions map[string]int) *memory {
	m := &memory{parts: make(map[TopicPartition]*memoryPartition), watches: make(map[*memoryWatch]bool), largest: 1 << 20}
	for topic, n := range partitions {
		for p := range n {
			m.parts[TopicPartition{topic, int32(p)}] = &memoryPartition{}
		}
	}
	return m
}

func (m *memory) Read(dst []byte, tp TopicPartition, from record.Offset, maxBytes int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.parts[tp]
	if p == nil {
		return nil, ErrNotHere
	}
	if from < p.start || from > p.end {
		return nil, ErrOutOfRange
	}
	for _, b := range p.batches {
		if b.NextOffset() <= from {
			continue
		}
		if len(dst) > 0 && len(dst)+len(b) > maxBytes {
			break
		}
		dst = append(dst, b...)
	}
	return dst, nil
}

func (m *memory) Offsets(tp TopicPartition) (record.Offset, record.Offset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.parts[tp]; p != nil {
		return p.start, p.end, nil
	}
	return 0, 0, ErrNotHere
}

type memoryWatch struct {
	m   *memory
	c   chan struct{}
	tps map[TopicPartition]bool
}

func (m *memory) Watch() Watch {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &memoryWatch{m, make(chan struct{}, 1), make(map[TopicPartition]bool)}
	m.watches[w] = true
	return w
}

func (w *memoryWatch) C() <-chan struct{} { return w.c }

func (w *memoryWatch) Add(tp TopicPartition) error {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.m.parts[tp] == nil {
		return ErrNotHere
	}
	w.tps[tp] = true
	return nil
}

func (w *memoryWatch) Remove(tp TopicPartition) {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	delete(w.tps, tp)
}

func (w *memoryWatch) Close() {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	delete(w.m.watches, w)
}

func (m *memory) Append(_ context.Context, tp TopicPartition, b record.Batch) (record.Offset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.parts[tp]
	if p == nil {
		return 0, ErrNotHere
	}
	if len(b) > m.largest {
		return 0, ErrTooLarge
	}
	if m.refuse != nil {
		if err := m.refuse(tp, b); err != nil {
			return 0, err
		}
	}
	if err := errors.Join(b.CheckCRC(), b.Validate()); err != nil {
		return 0, err
	}
	b = slices.Clone(b)
	b.SetBaseOffset(p.end)
	p.batches, p.end = append(p.batches, b), b.NextOffset()
	for w := range m.watches {
		if w.tps[tp] {
			select {
			case w.c <- struct{}{}:
			default:
			}
		}
	}
	return b.LastOffset(), nil
}

func (m *memory) Wait(_ context.Context, tp TopicPartition, _ record.Offset) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting != nil {
		return m.waiting(tp)
	}
	return nil
}

// put appends a stored batch as a producer would have, compressed or numbered as it likes.
func (m *memory) put(t testing.TB, tp TopicPartition, b record.Batch) {
	t.Helper()
	if _, err := m.Append(context.Background(), tp, b); err != nil {
		t.Fatal(err)
	}
}

// values returns the values of all records of a partition.
func (m *memory) values(t testing.TB, tp TopicPartition) []string {
	t.Helper()
	var out []string
	for _, r := range m.records(t, tp) {
		out = append(out, string(r.Value))
	}
	return out
}

func (m *memory) records(t testing.TB, tp TopicPartition) []record.Record {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []record.Record
	for _, b := range m.parts[tp].batches {
		section, err := b.Records(nil, 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		r := record.NewReader(section, int(b.NumRecords()))
		for {
			var rec record.Record
			ok, err := r.Next(&rec)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			rec.TimestampDelta += b.BaseTimestamp()
			out = append(out, rec)
		}
	}
	return out
}

// batchOf makes a batch of records with these values; the key is the value's first byte.
func batchOf(t testing.TB, codec record.Codec, values ...string) record.Batch {
	t.Helper()
	b := record.NewBuilder(nil)
	b.SetCodec(codec)
	for i, v := range values {
		b.Append(1000+int64(i), []byte(v[:1]), []byte(v), []record.Header{{Key: "h", Value: []byte(v)}})
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

// goGuest is a program whose guest is a Go function.
type goGuest struct {
	filter    func(v []byte) (bool, error)                                // a filter by value
	transform func(call abi.Call, r *abi.InputRow, i int) ([]byte, error) // output rows of one record
	wants     abi.Wants
	start     func() error // nil: it starts
	memory    int64        // bytes of an instance; 0: a page

	mu     sync.Mutex
	calls  []int // records of each call
	starts int
	open   int
	closed bool
}

func (g *goGuest) Filter() bool     { return g.filter != nil }
func (g *goGuest) Wants() abi.Wants { return g.wants }
func (g *goGuest) Redpanda() bool   { return false }

func (g *goGuest) Instance(_ context.Context, log abi.LogFunc) (Instance, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.starts++
	if g.start != nil {
		if err := g.start(); err != nil {
			return nil, err
		}
	}
	g.open++
	return &goInstance{g, log, 0}, nil
}

func (g *goGuest) Close(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.open != 0 {
		return fmt.Errorf("%d instances are open", g.open)
	}
	return nil
}

func (g *goGuest) called() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

type goInstance struct {
	*goGuest
	log  abi.LogFunc
	fuel uint64 // a unit a record
}

func (i *goInstance) Fuel() uint64       { return i.fuel }
func (i *goInstance) MemoryBytes() int64 { return max(i.memory, 1<<16) }

func (i *goInstance) Close(context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open--
	return nil
}

func (i *goInstance) count(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls = append(i.calls, n)
	i.fuel += uint64(n)
}

func (i *goInstance) Filter(ctx context.Context, call abi.Call, in []byte, n int) ([]byte, error) {
	i.count(n)
	bitmap := make([]byte, abi.BitmapLen(n))
	at := 0
	one := func(value []byte) error {
		pass, err := i.filter(value)
		if pass {
			abi.SetPass(bitmap, at)
		}
		at++
		return err
	}
	if i.wants.Raw() {
		r, rec := record.NewReader(in, n), record.Record{}
		for {
			ok, err := r.Next(&rec)
			if err != nil || !ok {
				return bitmap, err
			}
			if err := one(rec.Value); err != nil {
				return nil, err
			}
		}
	}
	r, row := abi.NewInputReader(in), abi.InputRow{}
	for {
		ok, err := r.Next(&row)
		if err != nil || !ok {
			return bitmap, err
		}
		if err := one(row.Value); err != nil {
			return nil, err
		}
	}
}

func (i *goInstance) Transform(_ context.Context, call abi.Call, in []byte, n int) ([]byte, error) {
	i.count(n)
	var out []byte
	r, row := abi.NewInputReader(in), abi.InputRow{}
	for at := 0; ; at++ {
		ok, err := r.Next(&row)
		if err != nil || !ok {
			return out, err
		}
		i.log(abi.LevelInfo, "saw "+string(row.Value))
		rows, err := i.transform(call, &row, at)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
}

// copied is an output row that takes everything from the input.
func copied(i int) abi.OutputRow {
	return abi.OutputRow{Timestamp: abi.NoTimestamp, Source: uint32(i), Partition: -1, CopyKey: true, CopyValue: true, CopyHeaders: true}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
