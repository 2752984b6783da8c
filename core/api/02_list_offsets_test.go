package api

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/record"
)

func TestListOffsetsUnderstandsEveryTimestamp(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	b.createTopic("empty", 1)
	p, _ := b.Get(topic.Name, 0)
	for _, timestamp := range []int64{1000, 3000, 2000} { // offsets 0, 1, 2
		builder := record.NewBuilder(nil)
		builder.Append(timestamp, nil, []byte("v"), nil)
		made, _ := builder.Build()
		if _, err := p.Append(made, appendOptions); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name      string
		topic     string
		version   int16
		ask       int64
		code      int16
		offset    int64
		timestamp int64
	}{
		{"latest", "orders", 11, -1, 0, 3, -1},
		{"latest at version 1", "orders", 1, -1, 0, 3, -1},
		{"earliest", "orders", 5, -2, 0, 0, -1},
		{"the largest", "orders", 7, -3, 0, 1, 3000},
		{"the largest before version 7", "orders", 6, -3, codeUnsupportedVersion, -1, -1},
		{"earliest local", "orders", 8, -4, 0, 0, -1},
		{"earliest local before version 8", "orders", 7, -4, codeUnsupportedVersion, -1, -1},
		{"latest tiered", "orders", 9, -5, 0, -1, -1},
		{"earliest pending upload", "orders", 11, -6, 0, -1, -1},
		{"what nobody knows", "orders", 11, -7, codeUnsupportedVersion, -1, -1},
		{"a time", "orders", 11, 1000, 0, 0, 1000},
		{"between two", "orders", 11, 1001, 0, 1, 3000},
		{"after all", "orders", 11, 3001, 0, -1, -1},
		{"latest of nothing", "empty", 11, -1, 0, 0, -1},
		{"the largest of nothing", "empty", 11, -3, 0, -1, -1},
		{"a time of nothing", "empty", 11, 5, 0, -1, -1},
		{"an unknown topic", "nowhere", 11, -1, codeUnknownTopicOrPartition, -1, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := listOffsetsRequest(test.topic, test.ask)
			got := do[*kmsg.ListOffsetsResponse](b.dial(), req, test.version).Topics[0].Partitions[0]
			if got.ErrorCode != test.code || got.Offset != test.offset || got.Timestamp != test.timestamp {
				t.Fatalf("%+v", got)
			}
		})
	}
}

func listOffsetsRequest(topic string, timestamps ...int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = topic
	for _, ts := range timestamps {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp = ts
		asked.Partitions = append(asked.Partitions, p)
	}
	req.Topics = append(req.Topics, asked)
	return req
}

func TestListOffsetsChecksTheLeaderEpochAndRefusesRepetition(t *testing.T) {
	b := startBroker(t)
	b.createTopic("orders", 1)
	req := listOffsetsRequest("orders", -1)
	req.Topics[0].Partitions[0].CurrentLeaderEpoch = 4
	if got := do[*kmsg.ListOffsetsResponse](b.dial(), req, 5).Topics[0].Partitions[0]; got.ErrorCode != codeUnknownLeaderEpoch {
		t.Fatalf("%+v", got)
	}
	twice := do[*kmsg.ListOffsetsResponse](b.dial(), listOffsetsRequest("orders", -1, -2), 5).Topics[0].Partitions
	if twice[0].ErrorCode != codeInvalidRequest || twice[1].ErrorCode != codeInvalidRequest {
		t.Fatalf("%+v", twice)
	}
}

func TestOffsetForLeaderEpochTellsWhereAnEpochEnds(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	b.produce(topic, 0, "a", "b")
	for _, version := range []int16{2, 3, 4} {
		for _, test := range []struct {
			current, asked int32
			code           int16
			epoch          int32
			end            int64
		}{{-1, 0, 0, 0, 2}, {0, 0, 0, 0, 2}, {-1, 5, 0, -1, -1}, {3, 0, codeUnknownLeaderEpoch, -1, -1}} {
			req := kmsg.NewPtrOffsetForLeaderEpochRequest()
			asked := kmsg.NewOffsetForLeaderEpochRequestTopic()
			asked.Topic = "orders"
			p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			p.CurrentLeaderEpoch, p.LeaderEpoch = test.current, test.asked
			asked.Partitions = append(asked.Partitions, p)
			req.Topics = append(req.Topics, asked)
			got := do[*kmsg.OffsetForLeaderEpochResponse](b.dial(), req, version).Topics[0].Partitions[0]
			if got.ErrorCode != test.code || got.LeaderEpoch != test.epoch || got.EndOffset != test.end {
				t.Fatalf("v%d %+v: %+v", version, test, got)
			}
		}
	}
}
