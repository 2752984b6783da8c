// Package franz runs franz-go (kgo, kadm) against the broker.
package franz

import (
	"context"
	"testing"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/twmb/franz-go/pkg/kgo"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// client never retries: what the broker has acknowledged, it serves.
func client(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(target.Bootstrap(t)), kgo.RequestRetries(0), kgo.RecordRetries(0), kgo.UnknownTopicRetries(-1),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.CloseAllowingRebalance)
	return cl
}

// read takes the next n records, and fails the test on any error of a fetch.
func read(t testing.TB, ctx context.Context, cl *kgo.Client, n int) []*kgo.Record {
	t.Helper()
	var got []*kgo.Record
	for len(got) < n {
		fs := cl.PollRecords(ctx, n-len(got))
		if err := fs.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(got), n, err)
		}
		got = append(got, fs.Records()...)
	}
	return got
}

func produce(t testing.TB, ctx context.Context, cl *kgo.Client, rs ...*kgo.Record) {
	t.Helper()
	if err := cl.ProduceSync(ctx, rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func toKgo(topic string, partition int32, rs []target.Record) []*kgo.Record {
	out := make([]*kgo.Record, len(rs))
	for i, r := range rs {
		out[i] = &kgo.Record{Topic: topic, Partition: partition, Key: r.Key, Value: r.Value, Timestamp: r.Time}
		for _, h := range r.Headers {
			out[i].Headers = append(out[i].Headers, kgo.RecordHeader(h))
		}
	}
	return out
}

func fromKgo(rs []*kgo.Record) []target.Record {
	out := make([]target.Record, len(rs))
	for i, r := range rs {
		out[i] = target.Record{Key: r.Key, Value: r.Value, Time: r.Timestamp}
		for _, h := range r.Headers {
			out[i].Headers = append(out[i].Headers, target.Header(h))
		}
	}
	return out
}

// direct consumes one partition from an offset.
func direct(topic string, partition int32, o kgo.Offset) kgo.Opt {
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: o}})
}
