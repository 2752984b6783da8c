package segmentio

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
)

func TestRecordsComeBackAsTheyWereInEveryCodec(t *testing.T) {
	for _, codec := range target.Codecs {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			ctx, topic, sent := target.Context(t), target.Topic(t, 1), target.Odd()
			write(t, ctx, writer(t, topic, codec), messages(sent)...)
			target.CheckSame(t, fetch(t, ctx, topic, len(sent)), sent)
			got := records(read(t, ctx, reader(t, topic, kafka.FirstOffset), len(sent)))
			for i := range got { // the Reader gives an empty slice for null: Fetch above has told them apart
				if len(got[i].Key) == 0 {
					got[i].Key = sent[i].Key
				}
				if len(got[i].Value) == 0 {
					got[i].Value = sent[i].Value
				}
			}
			target.CheckSame(t, got, sent)
		})
	}
}

func TestAConnWritesAndReadsWithItsFixedVersions(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1)
	c := conn(t, ctx, topic)
	sent := messages(target.Odd()[:9])
	for i, codec := range []kafka.CompressionCodec{nil, compress.Gzip.Codec(), compress.Snappy.Codec(), compress.Lz4.Codec(), compress.Zstd.Codec()} {
		if _, _, offset, _, err := c.WriteCompressedMessagesAt(codec, sent...); err != nil || offset != int64(9*i) {
			t.Fatalf("codec %d: offset %d, %v", i, offset, err)
		}
	}
	if first, last, err := c.ReadOffsets(); err != nil || first != 0 || last != 45 {
		t.Errorf("offsets %d to %d, %v", first, last, err)
	}
	if _, err := c.Seek(10, kafka.SeekAbsolute); err != nil {
		t.Fatal(err)
	}
	for i := 10; i < 45; i++ {
		m, err := c.ReadMessage(1 << 20)
		if err != nil || m.Offset != int64(i) || !bytes.Equal(m.Value, sent[i%9].Value) {
			t.Fatalf("message %d: offset %d, %.20q, %v", i, m.Offset, m.Value, err)
		}
	}
	if at, err := c.ReadOffset(sent[4].Time); err != nil || at != 4 {
		t.Errorf("the offset of a time: %d, %v", at, err)
	}
	brokers, err := c.Brokers()
	controller, err2 := c.Controller()
	if err != nil || err2 != nil || len(brokers) != 1 || brokers[0].ID != controller.ID {
		t.Errorf("brokers %v, %v; controller %v, %v", brokers, err, controller, err2)
	}
	if ps, err := c.ReadPartitions(); err != nil || len(ps) != 1 || ps[0].Leader.ID != controller.ID {
		t.Errorf("partitions %v, %v", ps, err)
	}
}

func TestLogAppendTimeIsTheBrokers(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1, "message.timestamp.type", "LogAppendTime")
	before := time.Now().Truncate(time.Millisecond)
	write(t, ctx, writer(t, topic, "none"), messages(target.Odd()[:10])...)
	resp, err := client(t).Produce(ctx, &kafka.ProduceRequest{Topic: topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("v")), Time: time.UnixMilli(5)})})
	after := time.Now()
	if err != nil || resp.Error != nil || resp.BaseOffset != 10 || resp.LogAppendTime.Before(before) || resp.LogAppendTime.After(after) {
		t.Errorf("%v, %+v", err, resp)
	}
	if offsets, err := client(t).ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {kafka.TimeOffsetOf(0, before)}}}); err != nil || offsets.Topics[topic][0].Error != nil {
		t.Errorf("%v, %+v", err, offsets)
	} else if at, there := offsets.Topics[topic][0].Offsets[0]; !there || at.Before(before) {
		t.Errorf("the first record's time is %v", offsets.Topics[topic][0].Offsets)
	}
}

func TestSeeksByOffsetAndByTimestamp(t *testing.T) {
	t.Parallel()
	ctx, topic, sent := target.Context(t), target.Topic(t, 1), target.Odd()
	write(t, ctx, writer(t, topic, "lz4"), messages(sent)...)
	r := reader(t, topic, kafka.FirstOffset)
	for _, at := range []int64{100, 3, int64(len(sent)) - 1} {
		if err := r.SetOffset(at); err != nil {
			t.Fatal(err)
		}
		if m := read(t, ctx, r, 1)[0]; m.Offset != at {
			t.Errorf("at %d: offset %d", at, m.Offset)
		}
	}
	for at, want := range map[time.Time]int64{sent[120].Time: 120, sent[120].Time.Add(time.Millisecond): 121, time.UnixMilli(1): 0} {
		if err := r.SetOffsetAt(ctx, at); err != nil {
			t.Fatal(err)
		}
		if m := read(t, ctx, r, 1)[0]; m.Offset != want {
			t.Errorf("at %v: offset %d, want %d", at, m.Offset, want)
		}
	}
}

func TestAcksOfOneAndOfNoneAreServed(t *testing.T) {
	t.Parallel()
	ctx := target.Context(t)
	for _, acks := range []kafka.RequiredAcks{kafka.RequireOne, kafka.RequireNone} {
		topic := target.Topic(t, 1)
		w := writer(t, topic, "none")
		w.RequiredAcks, w.BatchSize = acks, 1
		for i := range 50 {
			write(t, ctx, w, kafka.Message{Value: target.Value(i)})
		}
		for i, m := range read(t, ctx, reader(t, topic, 0), 50) {
			if !bytes.Equal(m.Value, target.Value(i)) {
				t.Fatalf("acks %v: record %d is %.20q", acks, i, m.Value)
			}
		}
	}
}

func TestLargeMessagesUpToTheTopicsLimit(t *testing.T) {
	t.Parallel()
	ctx := target.Context(t)
	small, large := target.Topic(t, 1), target.Topic(t, 1, "max.message.bytes", "5242880")
	value := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	for _, c := range []struct {
		topic string
		bytes int
		want  error
	}{{small, 1_000_000, nil}, {small, 1 << 20, kafka.MessageSizeTooLarge}, {large, 5_000_000, nil}, {large, 5242880, kafka.MessageSizeTooLarge}} {
		err := writer(t, c.topic, "none").WriteMessages(ctx, kafka.Message{Value: value(c.bytes)})
		var each kafka.WriteErrors
		if errors.As(err, &each) {
			err = each[0]
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%d bytes to %s: %v, want %v", c.bytes, c.topic, err, c.want)
		}
	}
	if m := read(t, ctx, reader(t, large, 0), 1)[0]; !bytes.Equal(m.Value, value(5_000_000)) {
		t.Errorf("read %d bytes", len(m.Value))
	}
}
