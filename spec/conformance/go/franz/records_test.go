package franz

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRecordsComeBackAsTheyWereInEveryCodec(t *testing.T) {
	for _, codec := range target.Codecs {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			ctx, topic := target.Context(t), target.Topic(t, 1)
			sent := target.Odd()
			produce(t, ctx, client(t, kgo.ProducerBatchCompression(codecs[codec])), toKgo(topic, 0, sent)...)
			got := read(t, ctx, client(t, direct(topic, 0, kgo.NewOffset().AtStart())), len(sent))
			target.CheckSame(t, fromKgo(got), sent)
			for i, r := range got {
				if r.Offset != int64(i) || r.Attrs.TimestampType() != 0 {
					t.Fatalf("record %d has offset %d and timestamp type %d", i, r.Offset, r.Attrs.TimestampType())
				}
			}
		})
	}
}

func TestCodecsMixInOnePartition(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1)
	sent := target.Odd()
	producers := make([]*kgo.Client, len(target.Codecs))
	for i, codec := range target.Codecs {
		producers[i] = client(t, kgo.ProducerBatchCompression(codecs[codec]))
	}
	for i, r := range toKgo(topic, 0, sent[:50]) {
		produce(t, ctx, producers[i%len(producers)], r)
	}
	target.CheckSame(t, fromKgo(read(t, ctx, client(t, direct(topic, 0, kgo.NewOffset().AtStart())), 50)), sent[:50])
}

func TestLogAppendTimeIsTheBrokers(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1, "message.timestamp.type", "LogAppendTime")
	sent := toKgo(topic, 0, target.Odd()[:10])
	before := time.Now().Truncate(time.Millisecond)
	produce(t, ctx, client(t), sent...)
	after := time.Now()
	for i, r := range read(t, ctx, client(t, direct(topic, 0, kgo.NewOffset().AtStart())), len(sent)) {
		if r.Attrs.TimestampType() != 1 || r.Timestamp.Before(before) || r.Timestamp.After(after) {
			t.Errorf("record %d: timestamp type %d, %v, appended between %v and %v", i, r.Attrs.TimestampType(), r.Timestamp, before, after)
		}
	}
}

func TestSeeksByOffsetAndByTimestamp(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1)
	sent := target.Odd()
	cl := client(t)
	for half := range 2 { // two batches, so that both a batch's start and its middle are sought
		produce(t, ctx, cl, toKgo(topic, 0, sent)[half*len(sent)/2:(half+1)*len(sent)/2]...)
	}
	end := int64(len(sent))
	for name, c := range map[string]struct {
		from kgo.Offset
		want int64
	}{
		"start": {kgo.NewOffset().AtStart(), 0}, "middle": {kgo.NewOffset().At(77), 77}, "last": {kgo.NewOffset().At(end - 1), end - 1},
		"end less three": {kgo.NewOffset().AtEnd().Relative(-3), end - 3}, "start and four": {kgo.NewOffset().AtStart().Relative(4), 4},
		"time of a record":     {kgo.NewOffset().AfterMilli(sent[120].Time.UnixMilli()), 120},
		"time between records": {kgo.NewOffset().AfterMilli(sent[120].Time.UnixMilli() + 1), 121},
		"time before all":      {kgo.NewOffset().AfterMilli(1), 0},
	} {
		if got := read(t, ctx, client(t, direct(topic, 0, c.from)), 1); got[0].Offset != c.want {
			t.Errorf("%s: the first record has offset %d, want %d", name, got[0].Offset, c.want)
		}
	}
	listed, err := target.Admin(t).ListOffsetsAfterMilli(ctx, time.Now().UnixMilli(), topic)
	if o, _ := listed.Lookup(topic, 0); err != nil || o.Offset != end {
		t.Errorf("a time after all records: %+v, %v; want offset %d", o, err, end)
	}
	seek := client(t, direct(topic, 0, kgo.NewOffset().At(200)))
	read(t, ctx, seek, 1)
	seek.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 5}}})
	if got := read(t, ctx, seek, 1); got[0].Offset != 5 {
		t.Errorf("after a seek back to 5 the next record has offset %d", got[0].Offset)
	}
}

func TestIdempotentProducersKeepOrderWithManyRequestsInFlight(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 3)
	cl := client(t, kgo.ProducerBatchMaxBytes(2000), kgo.ProducerLinger(0))
	const n = 6000
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: int32(i % 3), Value: target.Value(i)})
	}
	produce(t, ctx, cl, rs...)
	for p := range int32(3) {
		for i, r := range read(t, ctx, client(t, direct(topic, p, kgo.NewOffset().AtStart())), n/3) {
			if !bytes.Equal(r.Value, target.Value(i*3+int(p))) || r.ProducerID < 0 || r.Offset != int64(i) {
				t.Fatalf("partition %d: record %d at offset %d of producer %d is %.20q", p, i, r.Offset, r.ProducerID, r.Value)
			}
		}
	}
}

func TestAcksOfOneAndOfNoneAreServed(t *testing.T) {
	t.Parallel()
	ctx := target.Context(t)
	for name, acks := range map[string]kgo.Acks{"leader": kgo.LeaderAck(), "none": kgo.NoAck()} {
		topic := target.Topic(t, 1)
		cl := client(t, kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite())
		for i := range 100 {
			produce(t, ctx, cl, &kgo.Record{Topic: topic, Value: target.Value(i)})
		}
		for i, r := range read(t, ctx, client(t, direct(topic, 0, kgo.NewOffset().AtStart())), 100) {
			if !bytes.Equal(r.Value, target.Value(i)) {
				t.Fatalf("%s: record %d is %.20q", name, i, r.Value)
			}
		}
	}
}

func TestLargeMessagesUpToTheTopicsLimit(t *testing.T) {
	t.Parallel()
	ctx := target.Context(t)
	small, large := target.Topic(t, 1), target.Topic(t, 1, "max.message.bytes", "5242880")
	cl := client(t, kgo.ProducerBatchMaxBytes(16<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	value := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	for _, c := range []struct {
		topic string
		bytes int
		want  error
	}{
		{small, 1_000_000, nil}, {small, 1 << 20, kerr.MessageTooLarge}, {small, 1048588 - 72, nil}, {small, 1048588 - 71, kerr.MessageTooLarge},
		{large, 5_000_000, nil}, {large, 5242880, kerr.MessageTooLarge}, {large, 2 << 20, nil},
	} {
		// max.message.bytes bounds the batch: a header of 61 bytes, and 11 of the record's own
		err := cl.ProduceSync(ctx, &kgo.Record{Topic: c.topic, Value: value(c.bytes)}).FirstErr()
		if !errors.Is(err, c.want) {
			t.Errorf("%d bytes to %s: %v, want %v", c.bytes, c.topic, err, c.want)
		}
	}
	for topic, sizes := range map[string][]int{small: {1_000_000, 1048588 - 72}, large: {5_000_000, 2 << 20}} {
		got := read(t, ctx, client(t, direct(topic, 0, kgo.NewOffset().AtStart()), kgo.FetchMaxPartitionBytes(100_000)), len(sizes))
		for i, n := range sizes {
			if !bytes.Equal(got[i].Value, value(n)) {
				t.Errorf("%s: record %d has %d bytes, want %d", topic, i, len(got[i].Value), n)
			}
		}
	}
}

func TestAWaitingFetchWakesForEachRecord(t *testing.T) {
	t.Parallel()
	ctx, topic := target.Context(t), target.Topic(t, 1)
	reader, writer := client(t, direct(topic, 0, kgo.NewOffset().AtStart()), kgo.FetchMaxWait(30*time.Second)), client(t, kgo.ProducerLinger(0))
	began := time.Now()
	for i := range 100 {
		produce(t, ctx, writer, &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)})
		if got := read(t, ctx, reader, 1)[0]; string(got.Value) != fmt.Sprint(i) {
			t.Fatalf("record %d is %q", i, got.Value)
		}
	}
	if d := time.Since(began); d > 25*time.Second {
		t.Errorf("100 records went round in %v: a fetch waited for its time to run out", d)
	}
}
