// Package segmentio runs segmentio/kafka-go against the broker: its Writer and Reader, its Client, and its Conn, which fixes old versions
// of most requests without asking the broker.
package segmentio

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/segmentio/kafka-go"
)

var codecs = map[string]kafka.Compression{"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}

func client(t testing.TB) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(target.Bootstrap(t)), Transport: transport(t)}
}

func transport(t testing.TB) *kafka.Transport {
	tr := &kafka.Transport{ClientID: "conformance"}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// toPartition lets a message say its partition; the Writer knows only balancers.
type toPartition struct{}

func (toPartition) Balance(m kafka.Message, _ ...int) int {
	p, _ := m.WriterData.(int)
	return p
}

// writer tries once: what the broker has acknowledged, it serves.
func writer(t testing.TB, topic, codec string) *kafka.Writer {
	w := &kafka.Writer{
		Addr: kafka.TCP(target.Bootstrap(t)), Topic: topic, Balancer: toPartition{}, MaxAttempts: 1, BatchSize: 1000, BatchTimeout: time.Millisecond,
		RequiredAcks: kafka.RequireAll, Compression: codecs[codec], Transport: transport(t), BatchBytes: 16 << 20,
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func write(t testing.TB, ctx context.Context, w *kafka.Writer, ms ...kafka.Message) {
	t.Helper()
	if err := w.WriteMessages(ctx, ms...); err != nil {
		t.Fatal(err)
	}
}

func messages(rs []target.Record) []kafka.Message {
	out := make([]kafka.Message, len(rs))
	for i, r := range rs {
		out[i] = kafka.Message{Key: r.Key, Value: r.Value, Time: r.Time}
		for _, h := range r.Headers {
			out[i].Headers = append(out[i].Headers, kafka.Header(h))
		}
	}
	return out
}

func records(ms []kafka.Message) []target.Record {
	out := make([]target.Record, len(ms))
	for i, m := range ms {
		out[i] = target.Record{Key: m.Key, Value: m.Value, Time: m.Time}
		for _, h := range m.Headers {
			out[i].Headers = append(out[i].Headers, target.Header(h))
		}
	}
	return out
}

// reader reads one partition from an offset.
func reader(t testing.TB, topic string, from int64) *kafka.Reader {
	t.Helper()
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{target.Bootstrap(t)}, Topic: topic, MaxAttempts: 1, OffsetOutOfRangeError: true, MaxWait: 200 * time.Millisecond,
		ReadLagInterval: -1, ErrorLogger: kafka.LoggerFunc(func(f string, a ...any) { t.Logf(f, a...) }),
	})
	t.Cleanup(func() { r.Close() })
	if err := r.SetOffset(from); err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t testing.TB, ctx context.Context, r *kafka.Reader, n int) []kafka.Message {
	t.Helper()
	var got []kafka.Message
	for len(got) < n {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			t.Fatalf("after %d of %d messages: %v", len(got), n, err)
		}
		got = append(got, m)
	}
	return got
}

// fetch takes n records through the Client, which keeps null and empty apart.
func fetch(t testing.TB, ctx context.Context, topic string, n int) []target.Record {
	t.Helper()
	var got []target.Record
	for len(got) < n {
		resp, err := client(t).Fetch(ctx, &kafka.FetchRequest{Topic: topic, Offset: int64(len(got)), MinBytes: 1, MaxBytes: 10 << 20, MaxWait: time.Second})
		if err == nil {
			err = resp.Error
		}
		if err != nil {
			t.Fatalf("fetch at %d: %v", len(got), err)
		}
		for {
			r, err := resp.Records.ReadRecord()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("record %d: %v", len(got), err)
			}
			if r.Offset < int64(len(got)) {
				continue // from the start of a batch, as a fetch gives it
			}
			rec := target.Record{Key: bytesOf(t, r.Key), Value: bytesOf(t, r.Value), Time: r.Time}
			for _, h := range r.Headers {
				rec.Headers = append(rec.Headers, target.Header(h))
			}
			got = append(got, rec)
		}
	}
	return got
}

func bytesOf(t testing.TB, b kafka.Bytes) []byte {
	t.Helper()
	if b == nil {
		return nil
	}
	out, err := kafka.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if out == nil {
		out = []byte{}
	}
	return out
}

func conn(t testing.TB, ctx context.Context, topic string) *kafka.Conn {
	t.Helper()
	c, err := kafka.DialLeader(ctx, "tcp", target.Bootstrap(t), topic, 0)
	if err != nil {
		t.Fatalf("dial the leader of %s: %v", topic, err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(target.Patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func only(m map[string]error) error {
	for k, err := range m {
		if err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	return nil
}
