package replica

import (
	"context"
	"fmt"
	"testing"

	"github.com/millrun/millrun/core/record"
)

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 128 << 10} {
		for _, pid := range []record.ProducerID{0, 7} {
			b.Run(fmt.Sprintf("%dKiB/producer=%d", size>>10, pid), func(b *testing.B) {
				p := newPartition(b, map[string]string{"internal.segment.bytes": "67108864", "retention.bytes": "134217728", "file.delete.delay.ms": "0"})
				batch := shape{n: max(1, size>>10), size: 1000, pid: pid}.build(b)
				b.SetBytes(int64(len(batch)))
				b.ReportAllocs()
				sequence := int32(0)
				for i := 0; b.Loop(); i++ {
					if pid > 0 {
						setSequence(batch, sequence)
						sequence += int32(max(1, size>>10))
					}
					a, err := p.Append(batch, AppendOptions{Acks: AcksAll})
					if err != nil || !p.AckedNow(a.Last, AcksAll) {
						b.Fatal(err)
					}
					if i%2000 == 1999 {
						b.StopTimer()
						if _, err := p.Retain(); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
					}
				}
			})
		}
	}
}

// setSequence makes the batch the producer's next one.
func setSequence(b record.Batch, sequence int32) {
	b[53], b[54], b[55], b[56] = byte(sequence>>24), byte(sequence>>16), byte(sequence>>8), byte(sequence)
	b.SetMaxTimestamp(b.MaxTimestamp()) // renews the checksum
}

func BenchmarkReadInto(b *testing.B) {
	p := newPartition(b, nil)
	batch := shape{n: 16, size: 1000}.build(b)
	const batches = 4096
	for range batches {
		if _, err := p.Append(batch, AppendOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	end := p.HighWatermark()
	for _, max := range []int{16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", max>>10), func(b *testing.B) {
			q := query(0)
			q.MaxBytes = max
			buf := make([]byte, 0, 2<<20)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				r, err := p.ReadInto(buf, q)
				if err != nil {
					b.Fatal(err)
				}
				n += len(r.Records)
				q.From += record.Offset(len(r.Records) / len(batch) * 16)
				if q.From >= end {
					q.From = 0
				}
			}
			b.SetBytes(int64(n / b.N))
		})
	}
}

// BenchmarkDurableAppend is flush.messages=1 with 16 producers: how many share an fsync.
func BenchmarkDurableAppend(b *testing.B) {
	p := newPartition(b, map[string]string{"flush.messages": "1"})
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		batch := shape{size: 1000}.build(b)
		for pb.Next() {
			a, err := p.Append(batch, AppendOptions{Acks: AcksAll})
			if err == nil {
				err = p.WaitAcked(context.Background(), a.Last, AcksAll)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkStoreGet(b *testing.B) {
	w := newWorld(b, nil).start()
	for i := range 100 {
		w.create(fmt.Sprintf("topic-%d", i), 1, nil)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := w.store.Get("topic-57", 0); !ok {
			b.Fatal("not there")
		}
	}
}
