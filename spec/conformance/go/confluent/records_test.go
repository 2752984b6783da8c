//go:build cgo

package confluent

import (
	"bytes"
	"testing"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

func TestRecordsComeBackAsTheyWereInEveryCodec(t *testing.T) {
	for _, codec := range target.Codecs {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			topic, sent := target.Topic(t, 1), target.Odd()
			if err := send(producer(t, kafka.ConfigMap{"compression.type": codec}), messages(topic, 0, sent)...); err != nil {
				t.Fatal(err)
			}
			got := read(t, topic, 0, kafka.OffsetBeginning, len(sent))
			target.CheckSame(t, records(got), sent)
			if got[0].TimestampType != kafka.TimestampCreateTime {
				t.Errorf("timestamp type %v", got[0].TimestampType)
			}
		})
	}
}

func TestLogAppendTimeIsTheBrokers(t *testing.T) {
	t.Parallel()
	topic := target.Topic(t, 1, "message.timestamp.type", "LogAppendTime")
	before := time.Now().Truncate(time.Millisecond)
	if err := send(producer(t, nil), messages(topic, 0, target.Odd()[:10])...); err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	for i, m := range read(t, topic, 0, kafka.OffsetBeginning, 10) {
		if m.TimestampType != kafka.TimestampLogAppendTime || m.Timestamp.Before(before) || m.Timestamp.After(after) {
			t.Errorf("record %d: %v, %v, appended between %v and %v", i, m.TimestampType, m.Timestamp, before, after)
		}
	}
}

func TestSeeksByOffsetAndByTimestamp(t *testing.T) {
	t.Parallel()
	ctx, topic, sent := target.Context(t), target.Topic(t, 1), target.Odd()
	if err := send(producer(t, nil), messages(topic, 0, sent)...); err != nil {
		t.Fatal(err)
	}
	end := kafka.Offset(len(sent))
	for from, want := range map[kafka.Offset]kafka.Offset{kafka.OffsetBeginning: 0, 77: 77, kafka.OffsetTail(3): end - 3} {
		if m := read(t, topic, 0, from, 1)[0]; m.TopicPartition.Offset != want {
			t.Errorf("from %v: offset %v, want %v", from, m.TopicPartition.Offset, want)
		}
	}
	c := consumer(t, nil)
	if low, high, err := c.QueryWatermarkOffsets(topic, 0, 30_000); err != nil || low != 0 || high != int64(end) {
		t.Errorf("watermarks %d, %d, %v", low, high, err)
	}
	for at, want := range map[int64]kafka.Offset{sent[120].Time.UnixMilli(): 120, sent[120].Time.UnixMilli() + 1: 121, 1: 0, time.Now().UnixMilli(): kafka.OffsetEnd} {
		got, err := c.OffsetsForTimes([]kafka.TopicPartition{{Topic: &topic, Offset: kafka.Offset(at)}}, 30_000)
		if err != nil || got[0].Error != nil || got[0].Offset != want {
			t.Errorf("time %d: %v, %v; want %v", at, got, err, want)
		}
	}
	if err := c.Assign([]kafka.TopicPartition{{Topic: &topic, Offset: 150}}); err != nil {
		t.Fatal(err)
	}
	if m, err := next(ctx, c); err != nil || m.TopicPartition.Offset != 150 {
		t.Fatalf("%v, %v", m, err)
	}
	if _, err := c.SeekPartitions([]kafka.TopicPartition{{Topic: &topic, Offset: 5}}); err != nil {
		t.Fatal(err)
	}
	if m, err := next(ctx, c); err != nil || m.TopicPartition.Offset != 5 {
		t.Errorf("after a seek back to 5: %v, %v", m, err)
	}
}

func TestAnIdempotentProducerKeepsOrderWithFiveRequestsInFlight(t *testing.T) {
	t.Parallel()
	topic := target.Topic(t, 2)
	p := producer(t, kafka.ConfigMap{"enable.idempotence": true, "message.send.max.retries": 1, "max.in.flight": 5, "batch.num.messages": 50, "linger.ms": 0})
	const n = 4000
	var ms []*kafka.Message
	for i := range n {
		ms = append(ms, messages(topic, int32(i%2), []target.Record{{Value: target.Value(i)}})...)
	}
	if err := send(p, ms...); err != nil {
		t.Fatal(err)
	}
	for part := range int32(2) {
		for i, m := range read(t, topic, part, 0, n/2) {
			if !bytes.Equal(m.Value, target.Value(i*2+int(part))) || m.TopicPartition.Offset != kafka.Offset(i) {
				t.Fatalf("partition %d: record %d at offset %v is %.20q", part, i, m.TopicPartition.Offset, m.Value)
			}
		}
	}
}

func TestAcksOfOneAndOfNoneAreServed(t *testing.T) {
	t.Parallel()
	for _, acks := range []int{0, 1} {
		topic := target.Topic(t, 1)
		p := producer(t, kafka.ConfigMap{"acks": acks, "linger.ms": 0})
		for i := range 50 {
			if err := send(p, messages(topic, 0, []target.Record{{Value: target.Value(i)}})...); err != nil {
				t.Fatal(err)
			}
		}
		for i, m := range read(t, topic, 0, 0, 50) {
			if !bytes.Equal(m.Value, target.Value(i)) {
				t.Fatalf("acks %d: record %d is %.20q", acks, i, m.Value)
			}
		}
	}
}

func TestLargeMessagesUpToTheTopicsLimit(t *testing.T) {
	t.Parallel()
	small, large := target.Topic(t, 1), target.Topic(t, 1, "max.message.bytes", "5242880")
	p := producer(t, kafka.ConfigMap{"message.max.bytes": 16 << 20})
	value := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	for _, c := range []struct {
		topic string
		bytes int
		want  kafka.ErrorCode
	}{{small, 1_000_000, kafka.ErrNoError}, {small, 1 << 20, kafka.ErrMsgSizeTooLarge}, {large, 5_000_000, kafka.ErrNoError}, {large, 5242880, kafka.ErrMsgSizeTooLarge}} {
		if err := send(p, messages(c.topic, 0, []target.Record{{Value: value(c.bytes)}})...); !is(err, c.want) {
			t.Errorf("%d bytes to %s: %v, want %v", c.bytes, c.topic, err, c.want)
		}
	}
	if m := read(t, large, 0, 0, 1)[0]; !bytes.Equal(m.Value, value(5_000_000)) {
		t.Errorf("read %d bytes", len(m.Value))
	}
}
