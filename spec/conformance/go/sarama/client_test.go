// Package sarama_test runs IBM/sarama against the broker.
package sarama_test

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

// config never retries: what the broker has acknowledged, it serves.
func config(t testing.TB) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "conformance"
	c.Version = sarama.MaxVersion
	c.Metadata.Retry.Max, c.Producer.Retry.Max, c.Admin.Retry.Max = 0, 0, 0
	c.Metadata.AllowAutoTopicCreation = false
	c.Producer.Return.Successes, c.Producer.Return.Errors, c.Consumer.Return.Errors = true, true, true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	c.Consumer.Group.Rebalance.Retry.Backoff = 10 * time.Millisecond
	return c
}

func dial(t testing.TB, c *sarama.Config) sarama.Client {
	t.Helper()
	cl, err := sarama.NewClient([]string{target.Bootstrap(t)}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !cl.Closed() {
			cl.Close()
		}
	})
	return cl
}

func admin(t testing.TB) sarama.ClusterAdmin {
	t.Helper()
	a, err := sarama.NewClusterAdmin([]string{target.Bootstrap(t)}, config(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func producer(t testing.TB, c *sarama.Config) sarama.SyncProducer {
	t.Helper()
	p, err := sarama.NewSyncProducer([]string{target.Bootstrap(t)}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func encoder(b []byte) sarama.Encoder {
	if b == nil {
		return nil
	}
	return sarama.ByteEncoder(b)
}

func message(topic string, partition int32, r target.Record) *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{Topic: topic, Partition: partition, Key: encoder(r.Key), Value: encoder(r.Value), Timestamp: r.Time}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
	}
	return m
}

func messages(topic string, partition int32, rs []target.Record) []*sarama.ProducerMessage {
	out := make([]*sarama.ProducerMessage, len(rs))
	for i, r := range rs {
		out[i] = message(topic, partition, r)
	}
	return out
}

// read takes n messages of one partition from an offset.
func read(t testing.TB, c *sarama.Config, topic string, partition int32, from int64, n int) []*sarama.ConsumerMessage {
	t.Helper()
	ctx := target.Context(t)
	consumer, err := sarama.NewConsumerFromClient(dial(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	pc, err := consumer.ConsumePartition(topic, partition, from)
	if err != nil {
		t.Fatalf("%s partition %d from %d: %v", topic, partition, from, err)
	}
	defer pc.Close()
	var got []*sarama.ConsumerMessage
	for len(got) < n {
		select {
		case m := <-pc.Messages():
			got = append(got, m)
		case err := <-pc.Errors():
			t.Fatalf("after %d of %d messages: %v", len(got), n, err)
		case <-ctx.Done():
			t.Fatalf("after %d of %d messages: %v", len(got), n, ctx.Err())
		}
	}
	return got
}

func records(ms []*sarama.ConsumerMessage) []target.Record {
	out := make([]target.Record, len(ms))
	for i, m := range ms {
		out[i] = target.Record{Key: m.Key, Value: m.Value, Time: m.Timestamp}
		for _, h := range m.Headers {
			out[i].Headers = append(out[i].Headers, target.Header{Key: string(h.Key), Value: h.Value})
		}
	}
	return out
}
