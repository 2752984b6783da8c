package api

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// framed is a request as bytes, sent again and again.
func framed(req kmsg.Request, version int16) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, req, 1)
}

// skipResponse reads one response into a buffer.
func skipResponse(c io.Reader, buf []byte) int {
	if _, err := io.ReadFull(c, buf[:4]); err != nil {
		panic(err)
	}
	n := int(binary.BigEndian.Uint32(buf))
	if _, err := io.ReadFull(c, buf[:n]); err != nil {
		panic(err)
	}
	return n
}

func benchBatch(records, size int) record.Batch {
	b := record.NewBuilder(nil)
	for range records {
		b.Append(1_700_000_000_000, nil, bytes.Repeat([]byte{7}, size), nil)
	}
	made, err := b.Build()
	if err != nil {
		panic(err)
	}
	return made
}

// BenchmarkProduce sends batches over loopback connections, so many in flight on each.
func BenchmarkProduce(b *testing.B) {
	for _, c := range []struct{ records, conns, inFlight int }{{1, 1, 1}, {1, 64, 1}, {127, 4, 4}} {
		b.Run(fmt.Sprintf("records=%d/conns=%d/inflight=%d", c.records, c.conns, c.inFlight), func(b *testing.B) {
			broker := startBroker(b)
			topic := broker.createTopic("bench", 4, "retention.bytes", "1000000000", "segment.bytes", "200000000")
			sent := benchBatch(c.records, 1024)
			b.SetBytes(int64(len(sent)))
			b.ReportAllocs()
			work := make(chan struct{}, 1024)
			var conns sync.WaitGroup
			for i := range c.conns {
				conns.Add(1)
				frame := framed(produceRequestTo(&meta.Topic{Name: topic.Name}, -1, sent), 9)
				binary.BigEndian.PutUint32(frame[bytes.Index(frame, []byte("bench\x02"))+6:], uint32(i%4))
				go func() {
					defer conns.Done()
					produceLoop(broker.dial(), frame, c.inFlight, work)
				}()
			}
			b.ResetTimer()
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			conns.Wait()
		})
	}
}

func produceLoop(c *testConn, frame []byte, inFlight int, work <-chan struct{}) {
	buf := make([]byte, 1024)
	due := 0
	for range work {
		if _, err := c.Write(frame); err != nil {
			panic(err)
		}
		if due++; due >= inFlight {
			skipResponse(c, buf)
			due--
		}
	}
	for ; due > 0; due-- {
		skipResponse(c, buf)
	}
}

// BenchmarkFetch reads a megabyte at a time over loopback.
func BenchmarkFetch(b *testing.B) {
	for _, conns := range []int{1, 4} {
		b.Run(fmt.Sprint("conns=", conns), func(b *testing.B) {
			broker := startBroker(b)
			topic := broker.createTopic("bench", 1)
			p, _ := broker.Get("bench", 0)
			sent := benchBatch(127, 1024)
			for range 512 { // 64 MiB, which stay in the page cache
				if _, err := p.Append(bytes.Clone(sent), appendOptions); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(8 * int64(len(sent)))
			b.ReportAllocs()
			work := make(chan int, 64)
			var readers sync.WaitGroup
			for range conns {
				readers.Add(1)
				go func() {
					defer readers.Done()
					c, buf := broker.dial(), make([]byte, 2<<20)
					for i := range work {
						req := fetchRequestFrom(topic, int64(i%64*8*127))
						req.Topics[0].Partitions[0].PartitionMaxBytes = int32(8*len(sent) + 100)
						if _, err := c.Write(framed(req, 13)); err != nil {
							panic(err)
						}
						if n := skipResponse(c, buf); n < 8*len(sent) {
							panic(n)
						}
					}
				}()
			}
			b.ResetTimer()
			for i := range b.N {
				work <- i
			}
			close(work)
			readers.Wait()
		})
	}
}
