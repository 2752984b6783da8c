package transform

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

// idle is a guest that costs nothing: what is measured is all that stands around a guest.
type idle struct {
	filter bool
	wants  abi.Wants
	bitmap []byte
	rows   []byte
}

func (g *idle) Filter() bool                                            { return g.filter }
func (g *idle) Redpanda() bool                                          { return false }
func (g *idle) Wants() abi.Wants                                        { return g.wants }
func (g *idle) Close(context.Context) error                             { return nil }
func (g *idle) Instance(context.Context, abi.LogFunc) (Instance, error) { return idleInstance{g}, nil }

type idleInstance struct{ *idle }

func (i idleInstance) Fuel() uint64       { return 0 }
func (i idleInstance) MemoryBytes() int64 { return 0 }

func (i idleInstance) Filter(_ context.Context, _ abi.Call, _ []byte, n int) ([]byte, error) {
	return i.bitmap, nil
}

func (i idleInstance) Transform(_ context.Context, _ abi.Call, _ []byte, n int) ([]byte, error) {
	if len(i.rows) == 0 {
		for at := range n {
			row := copied(at)
			i.rows = abi.AppendOutputRow(i.rows, &row, nil)
		}
	}
	return i.rows[:n*32], nil
}

// oneBatch is a Source that always has the same batch, and a Sink that takes everything.
type oneBatch struct{ batch record.Batch }

func (o *oneBatch) Read(dst []byte, _ TopicPartition, _ record.Offset, _ int) ([]byte, error) {
	return append(dst, o.batch...), nil
}
func (o *oneBatch) Offsets(TopicPartition) (record.Offset, record.Offset, error) { return 0, 0, nil }
func (o *oneBatch) Watch() Watch                                                 { return &memoryWatch{m: newMemory(nil), c: make(chan struct{})} }
func (o *oneBatch) Wait(context.Context, TopicPartition, record.Offset) error    { return nil }
func (o *oneBatch) Append(_ context.Context, _ TopicPartition, b record.Batch) (record.Offset, error) {
	return b.LastOffset(), nil
}

// BenchmarkStep measures one batch of 1,000 records of 100 bytes from the source through a guest that does nothing to the
// sink: divide by 1,000 for the cost a record.
func BenchmarkStep(b *testing.B) {
	const n = 1000
	for _, codec := range []record.Codec{record.CodecNone, record.CodecLZ4} {
		builder := record.NewBuilder(nil)
		builder.SetCodec(codec)
		for i := range n {
			builder.Append(int64(i), []byte("key"), []byte(fmt.Sprintf("%06d%s", i, strings.Repeat("v", 90))), nil)
		}
		batch, err := builder.Build()
		if err != nil {
			b.Fatal(err)
		}
		all, half := make([]byte, abi.BitmapLen(n)), make([]byte, abi.BitmapLen(n))
		for i := range all {
			all[i], half[i] = 0xff, 0x55
		}
		for name, g := range map[string]*idle{
			"filter-all":    {filter: true, wants: abi.WantRaw, bitmap: all},
			"filter-none":   {filter: true, wants: abi.WantRaw, bitmap: make([]byte, len(all))},
			"filter-half":   {filter: true, wants: abi.WantRaw, bitmap: half},
			"filter-values": {filter: true, wants: abi.WantValue, bitmap: all},
			"transform":     {wants: abi.WantRows},
		} {
			b.Run(name+"-"+codec.String(), func(b *testing.B) { benchmarkStep(b, &oneBatch{batch}, g) })
		}
	}
}

func benchmarkStep(b *testing.B, node *oneBatch, g *idle) {
	counters := newCounters()
	p := newProcessor(processorConfig{
		source: node, sink: node, pool: &pool{program: g, counters: counters}, filter: g.filter, wants: g.wants, outputTopics: []string{"out"},
		counters: counters, partitionCount: func(string) int32 { return 1 }, logger: quiet(),
	})
	part := &partition{tp: TopicPartition{"in", 0}, aloneUntil: record.NoOffset, singlyUntil: record.NoOffset}
	b.SetBytes(int64(len(node.batch)))
	b.ReportAllocs()
	for b.Loop() {
		part.position = 0
		if err := p.step(b.Context(), part); err != nil {
			b.Fatal(err)
		}
	}
}
