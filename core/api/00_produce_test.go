package api

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// produceRequestTo asks for records to be appended to partition 0 of a topic.
func produceRequestTo(t *meta.Topic, acks int16, records ...[]byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = acks, 5000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.TopicID = t.Name, t.ID
	for i, r := range records {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = int32(i), r
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

func TestProduceAnswersWithOffsetsAtEveryVersion(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 2)
	c := b.dial()
	for version := int16(3); version <= 13; version++ {
		base := int64(version-3) * 3
		for _, acks := range []int16{1, -1} {
			if acks == -1 {
				base++
			}
			sent := batch("a")
			if acks == -1 {
				sent = batch("b", "c")
			}
			resp := do[*kmsg.ProduceResponse](c, produceRequestTo(topic, acks, sent, batch("x")), version)
			p := resp.Topics[0].Partitions[0]
			if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 2 || p.ErrorCode != 0 || p.BaseOffset != base || p.LogAppendTime != -1 {
				t.Fatalf("v%d acks %d: %+v", version, acks, resp)
			}
			if version >= 5 && p.LogStartOffset != 0 || version >= 13 && resp.Topics[0].TopicID != topic.ID {
				t.Fatalf("v%d: %+v", version, resp)
			}
		}
	}
}

func TestProduceStoresTheBytesItWasSent(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	sent := batch("one", "two")
	do[*kmsg.ProduceResponse](b.dial(), produceRequestTo(topic, 1, bytes.Clone(sent)), 9)
	resp := do[*kmsg.FetchResponse](b.dial(), fetchRequestFrom(topic, 0), 12)
	got := record.Batch(resp.Topics[0].Partitions[0].RecordBatches)
	sent.SetLeaderEpoch(0)
	if !bytes.Equal(got, sent) {
		t.Fatalf("%x became %x", sent, got)
	}
}

func TestProduceRefusesWhatItMustNotStore(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	compacted := b.createTopic("compacted", 1, "cleanup.policy", "compact")
	tiny := b.createTopic("tiny", 1, "max.message.bytes", "100")
	nowhere := &meta.Topic{Name: "nowhere", ID: randomTopicID()}
	change := func(fn func(record.Batch)) []byte {
		x := batch("value")
		fn(x)
		return x
	}
	control := record.NewBuilder(nil)
	control.SetControl(true)
	control.Append(1, []byte{0, 0, 0, 1}, []byte{0, 0, 0, 0, 0, 0}, nil)
	controlBatch, _ := control.Build()
	txn := record.NewBuilder(nil)
	txn.SetProducer(5, 0, 0)
	txn.SetTransactional(true)
	txn.Append(1, nil, []byte("v"), nil)
	txnBatch, _ := txn.Build()
	zstd := record.NewBuilder(nil)
	zstd.SetCodec(record.CodecZstd)
	zstd.Append(1, nil, bytes.Repeat([]byte("v"), 1000), nil)
	zstdBatch, _ := zstd.Build()

	for _, test := range []struct {
		name    string
		topic   *meta.Topic
		version int16
		acks    int16
		records []byte
		want    int16
	}{
		{"an unknown topic", nowhere, 9, 1, batch("v"), codeUnknownTopicOrPartition},
		{"an unknown topic id", nowhere, 13, 1, batch("v"), codeUnknownTopicID},
		{"two acks", topic, 9, 2, batch("v"), codeInvalidRequiredAcks},
		{"null records", topic, 9, 1, nil, codeInvalidRecord},
		{"no records", topic, 9, 1, []byte{}, codeInvalidRecord},
		{"two batches", topic, 9, 1, slices.Concat(batch("a"), batch("b")), codeInvalidRecord},
		{"garbage behind the batch", topic, 9, 1, append(batch("a"), 0), codeInvalidRecord},
		{"an old format", topic, 9, 1, change(func(x record.Batch) { x[16] = 1 }), codeInvalidRecord},
		{"a batch that is cut off", topic, 9, 1, batch("value")[:65], codeCorruptMessage},
		{"a few bytes", topic, 9, 1, []byte{1, 2, 3}, codeCorruptMessage},
		{"a wrong checksum", topic, 9, 1, change(func(x record.Batch) { x[len(x)-1] ^= 1 }), codeCorruptMessage},
		{"a lying length", topic, 9, 1, change(func(x record.Batch) { binary.BigEndian.PutUint32(x[8:], 1<<31-1) }), codeCorruptMessage},
		{"a negative length", topic, 9, 1, change(func(x record.Batch) { binary.BigEndian.PutUint32(x[8:], 1<<31) }), codeCorruptMessage},
		{"a control batch", topic, 9, 1, controlBatch, codeInvalidRecord},
		{"a transactional batch", topic, 9, -1, txnBatch, codeInvalidTxnState},
		{"zstd before version 7", topic, 6, 1, bytes.Clone(zstdBatch), codeUnsupportedCompressionType},
		{"no key where the topic is compacted", compacted, 9, 1, batch("v"), codeInvalidRecord},
		{"more than the topic allows", tiny, 9, 1, batch("a value of more bytes than there may be in the topic's batches"), codeMessageTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp := do[*kmsg.ProduceResponse](b.dial(), produceRequestTo(test.topic, test.acks, test.records), test.version)
			p := resp.Topics[0].Partitions[0]
			if p.ErrorCode != test.want || p.BaseOffset != -1 {
				t.Fatalf("answered %+v", p)
			}
		})
	}
	resp := do[*kmsg.ProduceResponse](b.dial(), produceRequestTo(topic, 1, zstdBatch), 7)
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != 0 {
		t.Fatalf("a good batch is answered %+v", p)
	}
	resp = do[*kmsg.ProduceResponse](b.dial(), produceRequestTo(compacted, 1, batch("a", "b")), 8)
	if errs := resp.Topics[0].Partitions[0].ErrorRecords; len(errs) != 2 || errs[1].RelativeOffset != 1 || errs[1].ErrorMessage == nil {
		t.Fatalf("record errors are %+v", errs)
	}
}

func TestProduceToAnotherLeaderSaysWhoThatIs(t *testing.T) {
	b := startBroker(t)
	rack := "r2"
	b.apply(&meta.RegisterBroker{Broker: meta.Broker{ID: 2, Incarnation: "b", Rack: rack,
		Endpoints: []meta.Endpoint{{Listener: "PLAINTEXT", Host: "elsewhere", Port: 9093, Security: "PLAINTEXT"}}}})
	topic := &meta.Topic{Name: "far", ID: randomTopicID(), Partitions: []meta.Partition{
		{ID: 0, Replicas: []meta.NodeID{2}, ISR: []meta.NodeID{2}, Leader: 2, LeaderEpoch: 7}}}
	b.apply(&meta.CreateTopics{Topics: []*meta.Topic{topic}})
	for _, version := range []int16{9, 10, 12, 13} {
		resp := do[*kmsg.ProduceResponse](b.dial(), produceRequestTo(topic, 1, batch("v")), version)
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != codeNotLeaderOrFollower {
			t.Fatalf("v%d: %+v", version, p)
		}
		if version < 10 {
			continue
		}
		if p.CurrentLeader.LeaderID != 2 || p.CurrentLeader.LeaderEpoch != 7 || len(resp.Brokers) != 1 ||
			resp.Brokers[0].Host != "elsewhere" || resp.Brokers[0].Port != 9093 || *resp.Brokers[0].Rack != rack {
			t.Fatalf("v%d: %+v", version, resp)
		}
		fetched := do[*kmsg.FetchResponse](b.dial(), fetchRequestFrom(topic, 0), version+4)
		f := fetched.Topics[0].Partitions[0]
		if f.ErrorCode != codeNotLeaderOrFollower || version+4 >= 16 && (f.CurrentLeader.LeaderID != 2 || len(fetched.Brokers) != 1) {
			t.Fatalf("fetch v%d: %+v", version+4, fetched)
		}
	}
}

func TestProduceWithoutAcksHasNoAnswerAndAnErrorClosesTheConnection(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	c := b.dial()
	req := produceRequestTo(topic, 0, batch("a"))
	req.SetVersion(9)
	c.send(req)
	resp := do[*kmsg.ProduceResponse](c, produceRequestTo(topic, 1, batch("b")), 9)
	if base := resp.Topics[0].Partitions[0].BaseOffset; base != 1 {
		t.Fatalf("the second record is at %d", base)
	}
	req = produceRequestTo(topic, 0, []byte("garbage"))
	req.SetVersion(9)
	c.send(req)
	c.expectClosed()
}

func TestProduceAnswersARepeatedBatchWithItsFirstOffset(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	c := b.dial()
	numbered := func(sequence int32) record.Batch {
		x := record.NewBuilder(nil)
		x.SetProducer(9, 0, sequence)
		x.Append(1, nil, []byte("v"), nil)
		made, _ := x.Build()
		return made
	}
	for _, step := range []struct {
		sequence int32
		code     int16
		base     int64
	}{{0, 0, 0}, {1, 0, 1}, {2, 0, 2}, {0, 0, 0}, {1, 0, 1}, {3, 0, 3}, {9, codeOutOfOrderSequenceNumber, -1}, {4, 0, 4}} {
		p := do[*kmsg.ProduceResponse](c, produceRequestTo(topic, -1, numbered(step.sequence)), 9).Topics[0].Partitions[0]
		if p.ErrorCode != step.code || p.BaseOffset != step.base {
			t.Fatalf("sequence %d: %+v", step.sequence, p)
		}
	}
}

func TestPipelinedProducesKeepTheirOrderWhileTheFirstOnesWaitForTheDisk(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("durable", 1, "flush.messages", "1")
	c := b.dial()
	const n = 30
	var reqs []kmsg.Request
	for i := range n {
		req := produceRequestTo(topic, -1, batch(string(rune('a'+i))))
		req.SetVersion(9)
		reqs = append(reqs, req)
		c.send(req)
	}
	for i, req := range reqs {
		p := c.receive(req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.BaseOffset != int64(i) {
			t.Fatalf("response %d: %+v", i, p)
		}
	}
}

func TestClientsMayNotWriteToInternalTopics(t *testing.T) {
	b := startBroker(t)
	topic := &meta.Topic{Name: "__consumer_offsets", ID: randomTopicID(), Internal: true, Partitions: []meta.Partition{
		{ID: 0, Replicas: []meta.NodeID{1}, ISR: []meta.NodeID{1}, Leader: 1}}}
	b.apply(&meta.CreateTopics{Topics: []*meta.Topic{topic}})
	for _, version := range []int16{9, 13} {
		resp := do[*kmsg.ProduceResponse](b.dial(), produceRequestTo(topic, 1, batch("v")), version)
		if code := resp.Topics[0].Partitions[0].ErrorCode; code != codeInvalidTopic {
			t.Fatalf("v%d: code %d", version, code)
		}
	}
}
