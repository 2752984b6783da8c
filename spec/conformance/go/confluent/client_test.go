//go:build cgo

package confluent

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

// settings are librdkafka's, over which a case puts its own.
func settings(t testing.TB, base, own kafka.ConfigMap) *kafka.ConfigMap {
	m := kafka.ConfigMap{"bootstrap.servers": target.Bootstrap(t), "client.id": "conformance", "broker.address.family": "v4"}
	maps.Copy(m, base)
	maps.Copy(m, own)
	return &m
}

// producer does not retry, but for an idempotent one, which must be allowed to.
func producer(t testing.TB, own kafka.ConfigMap) *kafka.Producer {
	t.Helper()
	p, err := kafka.NewProducer(settings(t, kafka.ConfigMap{"message.send.max.retries": 0, "topic.metadata.propagation.max.ms": 0, "linger.ms": 2}, own))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func consumer(t testing.TB, own kafka.ConfigMap) *kafka.Consumer {
	t.Helper()
	c, err := kafka.NewConsumer(settings(t, kafka.ConfigMap{
		"group.id": target.Name(t), "auto.offset.reset": "error", "enable.auto.commit": false, "heartbeat.interval.ms": 200, "fetch.wait.max.ms": 200,
	}, own))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !c.IsClosed() {
			c.Close()
		}
	})
	return c
}

func admin(t testing.TB) *kafka.AdminClient {
	t.Helper()
	a, err := kafka.NewAdminClient(settings(t, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// send produces and waits for every answer; it returns the first error.
func send(p *kafka.Producer, ms ...*kafka.Message) error {
	answers := make(chan kafka.Event, len(ms))
	for _, m := range ms {
		if err := p.Produce(m, answers); err != nil {
			return err
		}
	}
	var first error
	for range ms {
		if m := (<-answers).(*kafka.Message); m.TopicPartition.Error != nil && first == nil {
			first = m.TopicPartition.Error
		}
	}
	return first
}

func messages(topic string, partition int32, rs []target.Record) []*kafka.Message {
	out := make([]*kafka.Message, len(rs))
	for i, r := range rs {
		out[i] = &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: partition}, Key: r.Key, Value: r.Value, Timestamp: r.Time}
		for _, h := range r.Headers {
			out[i].Headers = append(out[i].Headers, kafka.Header(h))
		}
	}
	return out
}

func records(ms []*kafka.Message) []target.Record {
	out := make([]target.Record, len(ms))
	for i, m := range ms {
		out[i] = target.Record{Key: m.Key, Value: m.Value, Time: m.Timestamp}
		for _, h := range m.Headers {
			out[i].Headers = append(out[i].Headers, target.Header(h))
		}
	}
	return out
}

// next waits for a message or an error.
func next(ctx context.Context, c *kafka.Consumer) (*kafka.Message, error) {
	for ctx.Err() == nil {
		switch e := c.Poll(100).(type) {
		case *kafka.Message:
			return e, e.TopicPartition.Error
		case kafka.Error:
			return nil, e
		}
	}
	return nil, ctx.Err()
}

// read takes n messages of one partition from an offset.
func read(t testing.TB, topic string, partition int32, from kafka.Offset, n int) []*kafka.Message {
	t.Helper()
	ctx, c := target.Context(t), consumer(t, nil)
	if err := c.Assign([]kafka.TopicPartition{{Topic: &topic, Partition: partition, Offset: from}}); err != nil {
		t.Fatal(err)
	}
	var got []*kafka.Message
	for len(got) < n {
		m, err := next(ctx, c)
		if err != nil {
			t.Fatalf("after %d of %d messages: %v", len(got), n, err)
		}
		got = append(got, m)
	}
	return got
}

// is says whether the error, nil being none, has this code of librdkafka's or of the protocol's.
func is(err error, code kafka.ErrorCode) bool {
	var k kafka.Error
	if errors.As(err, &k) {
		return k.Code() == code
	}
	return err == nil && code == kafka.ErrNoError
}
