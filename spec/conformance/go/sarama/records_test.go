package sarama_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

func TestRecordsComeBackAsTheyWereInEveryCodecAndVersion(t *testing.T) {
	// sarama picks request versions by the version that it is told: these walk through old and new ones
	for _, version := range []sarama.KafkaVersion{sarama.V2_1_0_0, sarama.V2_8_0_0, sarama.MaxVersion} {
		for _, codec := range target.Codecs {
			t.Run(codec+"-"+version.String(), func(t *testing.T) {
				t.Parallel()
				topic, sent, c := target.Topic(t, 1), target.Odd(), config(t)
				c.Version, c.Producer.Compression = version, codecs[codec]
				if err := producer(t, c).SendMessages(messages(topic, 0, sent)); err != nil {
					t.Fatal(err)
				}
				target.CheckSame(t, records(read(t, c, topic, 0, sarama.OffsetOldest, len(sent))), sent)
			})
		}
	}
}

func TestLogAppendTimeIsTheBrokers(t *testing.T) {
	t.Parallel()
	topic := target.Topic(t, 1, "message.timestamp.type", "LogAppendTime")
	before := time.Now().Truncate(time.Millisecond)
	if err := producer(t, config(t)).SendMessages(messages(topic, 0, target.Odd()[:10])); err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	for i, m := range read(t, config(t), topic, 0, sarama.OffsetOldest, 10) {
		if m.Timestamp.Before(before) || m.Timestamp.After(after) {
			t.Errorf("record %d: %v, appended between %v and %v", i, m.Timestamp, before, after)
		}
	}
}

func TestSeeksByOffsetAndByTimestamp(t *testing.T) {
	t.Parallel()
	topic, sent := target.Topic(t, 1), target.Odd()
	if err := producer(t, config(t)).SendMessages(messages(topic, 0, sent)); err != nil {
		t.Fatal(err)
	}
	end := int64(len(sent))
	for _, from := range []int64{0, 77, end - 1} {
		if m := read(t, config(t), topic, 0, from, 1)[0]; m.Offset != from {
			t.Errorf("from %d: the first has offset %d", from, m.Offset)
		}
	}
	cl := dial(t, config(t))
	for what, c := range map[string]struct{ at, want int64 }{
		"oldest": {sarama.OffsetOldest, 0}, "newest": {sarama.OffsetNewest, end}, "a record's time": {sent[120].Time.UnixMilli(), 120},
		"between": {sent[120].Time.UnixMilli() + 1, 121}, "after all": {time.Now().UnixMilli(), -1},
	} {
		if got, err := cl.GetOffset(topic, 0, c.at); err != nil || got != c.want {
			t.Errorf("%s: offset %d, %v; want %d", what, got, err, c.want)
		}
	}
}

func TestAnIdempotentProducerKeepsOrder(t *testing.T) {
	t.Parallel()
	topic, c := target.Topic(t, 2), config(t)
	c.Producer.Idempotent, c.Producer.Retry.Max, c.Net.MaxOpenRequests = true, 1, 1
	c.Producer.Flush.MaxMessages = 50
	p := producer(t, c)
	const n = 4000
	ms := make([]*sarama.ProducerMessage, n)
	for i := range ms {
		ms[i] = message(topic, int32(i%2), target.Record{Value: target.Value(i)})
	}
	if err := p.SendMessages(ms); err != nil {
		t.Fatal(err)
	}
	for part := range int32(2) {
		for i, m := range read(t, config(t), topic, part, 0, n/2) {
			if !bytes.Equal(m.Value, target.Value(i*2+int(part))) || m.Offset != int64(i) {
				t.Fatalf("partition %d: record %d at offset %d is %.20q", part, i, m.Offset, m.Value)
			}
		}
	}
}

func TestAcksOfOneAndOfNoneAreServed(t *testing.T) {
	t.Parallel()
	for what, acks := range map[string]sarama.RequiredAcks{"leader": sarama.WaitForLocal, "none": sarama.NoResponse} {
		topic, c := target.Topic(t, 1), config(t)
		c.Producer.RequiredAcks = acks
		p := producer(t, c)
		for i := range 100 {
			if _, _, err := p.SendMessage(message(topic, 0, target.Record{Value: target.Value(i)})); err != nil {
				t.Fatal(err)
			}
		}
		for i, m := range read(t, config(t), topic, 0, 0, 100) {
			if !bytes.Equal(m.Value, target.Value(i)) {
				t.Fatalf("%s: record %d is %.20q", what, i, m.Value)
			}
		}
	}
}

func TestLargeMessagesUpToTheTopicsLimit(t *testing.T) {
	t.Parallel()
	small, large := target.Topic(t, 1), target.Topic(t, 1, "max.message.bytes", "5242880")
	c := config(t)
	c.Producer.MaxMessageBytes = 16 << 20 // so that the broker decides
	p := producer(t, c)
	value := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	for _, c := range []struct {
		topic string
		bytes int
		want  error
	}{{small, 1_000_000, nil}, {small, 1 << 20, sarama.ErrMessageSizeTooLarge}, {large, 5_000_000, nil}, {large, 5242880, sarama.ErrMessageSizeTooLarge}} {
		if _, _, err := p.SendMessage(message(c.topic, 0, target.Record{Value: value(c.bytes)})); !errors.Is(err, c.want) {
			t.Errorf("%d bytes to %s: %v, want %v", c.bytes, c.topic, err, c.want)
		}
	}
	c.Consumer.Fetch.Default = 10_000 // smaller than the record: it comes all the same
	if m := read(t, c, large, 0, 0, 1)[0]; !bytes.Equal(m.Value, value(5_000_000)) {
		t.Errorf("read %d bytes", len(m.Value))
	}
}
