package api

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// fetchRequestFrom asks for partitions 0, 1, ... of a topic from these offsets, without a session and without waiting.
func fetchRequestFrom(t *meta.Topic, offsets ...int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MinBytes, req.MaxBytes = -1, 1, 50<<20
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = t.Name, t.ID
	for i, o := range offsets {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(i), o, 1<<20
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

func (b *testBroker) produce(t *meta.Topic, partition int32, values ...string) {
	b.t.Helper()
	p, ok := b.Get(t.Name, partition)
	if !ok {
		b.t.Fatalf("no partition %s-%d", t.Name, partition)
	}
	if _, err := p.Append(batch(values...), appendOptions); err != nil {
		b.t.Fatal(err)
	}
}

func TestFetchReadsAtEveryVersionAsKmsgWrites(t *testing.T) {
	b := startBroker(t)
	topic, other := b.createTopic("orders", 3), b.createTopic("other", 1)
	b.produce(topic, 0, "a", "b")
	b.produce(topic, 0, string(bytes.Repeat([]byte("large"), 10_000))) // beyond what is copied
	b.produce(topic, 1, "c")
	b.produce(other, 0, "d")
	for version := int16(4); version <= 18; version++ {
		for _, isolation := range []int8{0, 1} {
			req := fetchRequestFrom(topic, 0, 0, 0)
			req.Topics = append(req.Topics, fetchRequestFrom(other, 0, 99).Topics...)
			req.IsolationLevel = isolation
			resp := do[*kmsg.FetchResponse](b.dial(), req, version)
			if len(resp.Topics) != 2 || len(resp.Topics[0].Partitions) != 3 || len(resp.Topics[1].Partitions) != 2 {
				t.Fatalf("v%d: %+v", version, resp)
			}
			p := resp.Topics[0].Partitions
			if p[0].HighWatermark != 3 || p[0].LastStableOffset != 3 || len(p[0].RecordBatches) < 50_000 || len(p[1].RecordBatches) == 0 ||
				p[2].RecordBatches == nil || len(p[2].RecordBatches) != 0 || (p[0].AbortedTransactions != nil) != (isolation == 1) {
				t.Fatalf("v%d: %+v", version, p)
			}
			if last := resp.Topics[1].Partitions[1]; last.ErrorCode != codeUnknownTopicOrPartition || last.HighWatermark != -1 {
				t.Fatalf("v%d: %+v", version, last)
			}
		}
	}
}

func TestFetchGivesWholeBatchesWithinItsLimits(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 3)
	one := len(batch(string(make([]byte, 1000))))
	for p := range int32(3) {
		for range 5 {
			b.produce(topic, p, string(make([]byte, 1000)))
		}
	}
	for _, test := range []struct {
		name      string
		max, part int
		want      [3]int // batches
	}{
		{"all", 1 << 20, 1 << 20, [3]int{5, 5, 5}},
		{"two for a partition", 1 << 20, 2*one + 5, [3]int{2, 2, 2}},
		{"seven in all", 7*one + 5, 1 << 20, [3]int{5, 2, 0}},
		{"less than one: one", 10, 1 << 20, [3]int{1, 0, 0}},
		{"less than one for a partition: one of the first", 1 << 20, 10, [3]int{1, 0, 0}},
		{"nothing", 0, 0, [3]int{1, 0, 0}},
		{"negative", -5, -5, [3]int{1, 0, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := fetchRequestFrom(topic, 0, 0, 0)
			req.MaxBytes = int32(test.max)
			for i := range req.Topics[0].Partitions {
				req.Topics[0].Partitions[i].PartitionMaxBytes = int32(test.part)
			}
			resp := do[*kmsg.FetchResponse](b.dial(), req, 12)
			for i, p := range resp.Topics[0].Partitions {
				if len(p.RecordBatches) != test.want[i]*one || p.HighWatermark != 5 {
					t.Errorf("partition %d: %d bytes, not %d batches of %d", i, len(p.RecordBatches), test.want[i], one)
				}
			}
		})
	}
}

func TestFetchInsideABatchGivesAllOfIt(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	b.produce(topic, 0, "a")
	b.produce(topic, 0, "b", "c", "d")
	resp := do[*kmsg.FetchResponse](b.dial(), fetchRequestFrom(topic, 2), 12)
	if got := record.Batch(resp.Topics[0].Partitions[0].RecordBatches); got.BaseOffset() != 1 || got.NumRecords() != 3 {
		t.Fatalf("batch at %d of %d records", got.BaseOffset(), got.NumRecords())
	}
}

func TestFetchErrorsOfOnePartition(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	b.produce(topic, 0, "a", "b")
	nowhere := &meta.Topic{Name: "nowhere", ID: randomTopicID()}
	for _, test := range []struct {
		name    string
		topic   *meta.Topic
		version int16
		change  func(*kmsg.FetchRequestTopicPartition)
		want    int16
	}{
		{"at the end", topic, 12, func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 2 }, codeNone},
		{"beyond the end", topic, 12, func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 3 }, codeOffsetOutOfRange},
		{"before the start", topic, 12, func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = -1 }, codeOffsetOutOfRange},
		{"an unknown topic", nowhere, 12, func(*kmsg.FetchRequestTopicPartition) {}, codeUnknownTopicOrPartition},
		{"an unknown topic id", nowhere, 13, func(*kmsg.FetchRequestTopicPartition) {}, codeUnknownTopicID},
		{"an unknown partition", topic, 12, func(p *kmsg.FetchRequestTopicPartition) { p.Partition = 7 }, codeUnknownTopicOrPartition},
		{"a negative partition", topic, 13, func(p *kmsg.FetchRequestTopicPartition) { p.Partition = -7 }, codeUnknownTopicOrPartition},
		{"a newer leader epoch", topic, 12, func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 5 }, codeUnknownLeaderEpoch},
		{"the leader epoch", topic, 12, func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 0 }, codeNone},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := fetchRequestFrom(test.topic, 0)
			test.change(&req.Topics[0].Partitions[0])
			resp := do[*kmsg.FetchResponse](b.dial(), req, test.version)
			if p := resp.Topics[0].Partitions[0]; p.ErrorCode != test.want {
				t.Fatalf("%+v", p)
			}
		})
	}
}

func TestFetchWaitsUntilThereIsEnough(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 2)
	for _, test := range []struct {
		min    int32
		writes int
	}{{1, 1}, {3000, 3}} {
		c := b.dial()
		req := fetchRequestFrom(topic, b.end(topic, 0), b.end(topic, 1))
		req.SetVersion(12)
		req.MaxWaitMillis, req.MinBytes = 15_000, test.min
		began := time.Now()
		c.send(req)
		for i := range test.writes {
			time.Sleep(5 * time.Millisecond)
			b.produce(topic, int32(i%2), string(make([]byte, 1000)))
		}
		resp := c.receive(req).(*kmsg.FetchResponse)
		got := 0
		for _, p := range resp.Topics[0].Partitions {
			got += len(p.RecordBatches)
		}
		if got < int(test.min) || time.Since(began) > 10*time.Second {
			t.Fatalf("%d bytes after %v", got, time.Since(began))
		}
	}
}

func (b *testBroker) end(t *meta.Topic, partition int32) int64 {
	p, _ := b.Get(t.Name, partition)
	_, _, _, end := p.Offsets()
	return int64(end)
}

func TestFetchAnswersWithTooLittleWhenItsTimeIsOver(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	b.produce(topic, 0, "a")
	req := fetchRequestFrom(topic, 0)
	req.MaxWaitMillis, req.MinBytes = 30, 1<<20
	began := time.Now()
	resp := do[*kmsg.FetchResponse](b.dial(), req, 12)
	if len(resp.Topics[0].Partitions[0].RecordBatches) == 0 || time.Since(began) < 30*time.Millisecond {
		t.Fatalf("%+v after %v", resp, time.Since(began))
	}
}

func TestAnUnknownTopicDoesNotEndTheWaitForOthers(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	nowhere := &meta.Topic{Name: "nowhere", ID: randomTopicID()}
	req := fetchRequestFrom(topic, 0)
	req.Topics = append(req.Topics, fetchRequestFrom(nowhere, 0).Topics...)
	req.MaxWaitMillis = 30
	began := time.Now()
	resp := do[*kmsg.FetchResponse](b.dial(), req, 12)
	if code := resp.Topics[1].Partitions[0].ErrorCode; code != codeUnknownTopicOrPartition || time.Since(began) < 30*time.Millisecond {
		t.Fatalf("code %d after %v", code, time.Since(began))
	}
}

func TestFetchRefusesReplicas(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	for _, version := range []int16{4, 6, 7, 12, 14, 15, 18} {
		req := fetchRequestFrom(topic, 0)
		req.ReplicaID, req.ReplicaState.ID = 1, 1
		resp := do[*kmsg.FetchResponse](b.dial(), req, version)
		code := resp.ErrorCode
		if version < 7 {
			code = resp.Topics[0].Partitions[0].ErrorCode
		}
		if code != codeClusterAuthorizationFailed {
			t.Fatalf("v%d: %+v", version, resp)
		}
	}
}

func TestFetchBeforeVersion10IsRefusedWhereTheTopicIsZstd(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1, "compression.type", "zstd")
	for version, want := range map[int16]int16{9: codeUnsupportedCompressionType, 10: codeNone} {
		resp := do[*kmsg.FetchResponse](b.dial(), fetchRequestFrom(topic, 0), version)
		if code := resp.Topics[0].Partitions[0].ErrorCode; code != want {
			t.Fatalf("v%d: code %d", version, code)
		}
	}
}

func TestManyFetchesReadMoreThanFitsIntoMemoryAtOnce(t *testing.T) {
	b := startBroker(t)
	b.handler.memory.limit = 2 << 20
	topic := b.createTopic("orders", 4)
	for p := range int32(4) {
		for range 3 {
			b.produce(topic, p, string(make([]byte, 300_000)))
		}
	}
	var conns []*testConn
	req := fetchRequestFrom(topic, 0, 0, 0, 0)
	req.SetVersion(12)
	req.MaxWaitMillis = 5000
	for range 20 {
		c := b.dial()
		c.send(req)
		conns = append(conns, c)
	}
	for i, c := range conns {
		resp := c.receive(req).(*kmsg.FetchResponse)
		if len(resp.Topics[0].Partitions[0].RecordBatches) < 900_000 {
			t.Fatalf("response %d holds %d bytes", i, len(resp.Topics[0].Partitions[0].RecordBatches))
		}
	}
	eventually(t, "all memory is given back", func() bool {
		b.handler.memory.mu.Lock()
		defer b.handler.memory.mu.Unlock()
		return b.handler.memory.held == 0
	})
}

func TestAFetchThatGetsNoMemoryIsAnsweredWithoutRecords(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 2)
	b.produce(topic, 0, "a")
	b.produce(topic, 1, "b")
	if !b.handler.memory.take(nil, fetchMemory) {
		t.Fatal("there is no memory")
	}
	resp := do[*kmsg.FetchResponse](b.dial(), fetchRequestFrom(topic, 0, 0), 12)
	for _, p := range resp.Topics[0].Partitions {
		if p.ErrorCode != 0 || p.HighWatermark != 1 || len(p.RecordBatches) != 0 {
			t.Fatalf("%+v", p)
		}
	}
	b.handler.memory.release(fetchMemory)
	resp = do[*kmsg.FetchResponse](b.dial(), fetchRequestFrom(topic, 0, 0), 12)
	if len(resp.Topics[0].Partitions[1].RecordBatches) == 0 {
		t.Fatalf("%+v", resp)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestAWaitingFetchEndsWithItsConnection(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	for i := range 50 {
		c := b.dial()
		req := fetchRequestFrom(topic, 0)
		req.SetVersion(12)
		req.MaxWaitMillis = 1<<31 - 1
		c.send(req)
		if i%2 == 0 {
			time.Sleep(time.Millisecond)
		}
		c.Close()
	}
	eventually(t, "every connection ends", func() bool { return b.server.Connections() == 0 })
}

func TestFetchSeesRecordsInTheOrderOfTheRequest(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 10)
	offsets := make([]int64, 10)
	for p := range int32(10) {
		b.produce(topic, p, fmt.Sprint("record of ", p))
	}
	resp := do[*kmsg.FetchResponse](b.dial(), fetchRequestFrom(topic, offsets...), 13)
	for i, p := range resp.Topics[0].Partitions {
		if p.Partition != int32(i) || !bytes.Contains(p.RecordBatches, fmt.Append(nil, "record of ", i)) {
			t.Fatalf("%d: %+v", i, p)
		}
	}
}
