package api

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// newClient is a real client of the broker.
func newClient(b *testBroker, options ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.addr)}, options...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

// Topics are created by producing to them; every codec, key, header and timestamp comes back; ids and epochs are followed.
func TestAClientConsumesWhatClientsProduce(t *testing.T) {
	b := startBroker(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	const each = 2000
	var producers sync.WaitGroup
	for i, codec := range codecs {
		c := newClient(b, kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic("orders"))
		producers.Add(1)
		go func() {
			defer producers.Done()
			for n := range each {
				key := fmt.Sprint(i, "-", n)
				r := &kgo.Record{Key: []byte(key), Value: []byte("value of " + key), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte(key)}},
					Timestamp: time.UnixMilli(1_700_000_000_000 + int64(n))}
				c.Produce(ctx, r, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("%s: %v", key, err)
					}
				})
			}
			if err := c.Flush(ctx); err != nil {
				t.Error(err)
			}
		}()
	}
	producers.Wait()
	c := newClient(b, kgo.ConsumeTopics("orders"), kgo.FetchMaxPartitionBytes(20_000), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	last := map[string]int{}
	for n := 0; n < each*len(codecs); {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var producer, i int
			fmt.Sscanf(string(r.Key), "%d-%d", &producer, &i)
			if string(r.Value) != "value of "+string(r.Key) || string(r.Headers[0].Value) != string(r.Key) || r.Timestamp.UnixMilli() != 1_700_000_000_000+int64(i) {
				t.Fatalf("%+v", r)
			}
			line := fmt.Sprint(producer, " in partition ", r.Partition)
			if before, ok := last[line]; ok && before >= i {
				t.Fatalf("producer %s: %d after %d", line, i, before)
			}
			last[line] = i
			n++
		})
	}
}

func TestAClientIsWokenByARecord(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 4)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := newClient(b, kgo.ConsumeTopics("orders"), kgo.FetchMaxWait(15*time.Second), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			b.produce(topic, int32(i%4), "v")
			time.Sleep(20 * time.Millisecond)
		}
	}()
	began := time.Now()
	if fetches := c.PollFetches(ctx); fetches.Err() != nil || fetches.NumRecords() == 0 || time.Since(began) > 5*time.Second {
		t.Fatalf("%d records, %v, after %v", fetches.NumRecords(), fetches.Err(), time.Since(began))
	}
	cancel()
}
