package api

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

// metadataRequest asks for topics by name; without names it asks for none.
func metadataRequest(create bool, names ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = create
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range names {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	return req
}

func TestMetadataListsAllNoneOrNamedTopics(t *testing.T) {
	b := startBroker(t)
	b.createTopic("b", 2)
	b.createTopic("a", 1)
	c := b.dial()
	for version := int16(0); version <= 13; version++ {
		all := metadataRequest(false)
		if version > 0 {
			all.Topics = nil
		}
		resp := do[*kmsg.MetadataResponse](c, all, version)
		if len(resp.Topics) != 2 || *resp.Topics[0].Topic != "a" || len(resp.Topics[1].Partitions) != 2 || resp.Topics[1].Partitions[1].Leader != 1 {
			t.Fatalf("v%d: all topics are %+v", version, resp.Topics)
		}
		if len(resp.Brokers) != 1 || resp.Brokers[0].NodeID != 1 || resp.Brokers[0].Host != "127.0.0.1" ||
			version >= 1 && resp.ControllerID != 1 || version >= 2 && *resp.ClusterID != testClusterID {
			t.Fatalf("v%d: %+v", version, resp)
		}
		if version > 0 {
			if none := do[*kmsg.MetadataResponse](c, metadataRequest(false), version); len(none.Topics) != 0 {
				t.Fatalf("v%d: no topics are %+v", version, none.Topics)
			}
		}
		named := do[*kmsg.MetadataResponse](c, metadataRequest(false, "b", "a", "b"), version)
		if len(named.Topics) != 2 || *named.Topics[0].Topic != "b" || version >= 10 && named.Topics[0].TopicID == [16]byte{} {
			t.Fatalf("v%d: named topics are %+v", version, named.Topics)
		}
	}
}

// TestMetadataTakesWhatLibrdkafkaSends: it writes "all topics" as a null array of four bytes, three too many, and what follows
// moves behind the end of the request.
func TestMetadataTakesWhatLibrdkafkaSends(t *testing.T) {
	b := startBroker(t)
	b.createTopic("a", 1)
	c := b.dial()
	sent := "\x00\x03\x00\x0d\x00\x00\x00\x01\x00\x07rdkafka\x00" + "\x00\x00\x00\x00\x01\x00\x00"
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(sent))), sent...)); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 4)
	if _, err := io.ReadFull(c, frame); err != nil {
		t.Fatal(err)
	}
	frame = make([]byte, binary.BigEndian.Uint32(frame))
	if _, err := io.ReadFull(c, frame); err != nil {
		t.Fatal(err)
	}
	resp := kmsg.NewPtrMetadataResponse()
	resp.SetVersion(13)
	if err := resp.ReadFrom(frame[5:]); err != nil || len(resp.Topics) != 1 || *resp.Topics[0].Topic != "a" {
		t.Fatalf("%v, %+v", err, resp)
	}
}

func TestMetadataCreatesTopicsThatMayBe(t *testing.T) {
	b := startBroker(t)
	c := b.dial()
	resp := do[*kmsg.MetadataResponse](c, metadataRequest(true, "orders", "not a name", "__consumer_offsets", "orders"), 9)
	if topic := resp.Topics[0]; topic.ErrorCode != 0 || len(topic.Partitions) != 4 || topic.Partitions[3].Leader != 1 {
		t.Fatalf("the new topic is %+v", topic)
	}
	if resp.Topics[1].ErrorCode != codeInvalidTopic || resp.Topics[2].ErrorCode != codeUnknownTopicOrPartition || len(resp.Topics) != 3 {
		t.Fatalf("the others are %+v", resp.Topics[1:])
	}
	// What is acknowledged is served.
	topic, _ := b.Image().Topic("orders")
	produced := do[*kmsg.ProduceResponse](c, produceRequestTo(topic, 1, batch("v")), 9)
	if code := produced.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("producing to it answers %d", code)
	}
	if again := do[*kmsg.MetadataResponse](c, metadataRequest(true, "orders"), 12); again.Topics[0].TopicID != topic.ID {
		t.Fatal("the topic was created twice")
	}
	if old := do[*kmsg.MetadataResponse](c, metadataRequest(false, "old"), 3); old.Topics[0].ErrorCode != 0 {
		t.Fatalf("before version 4 creation is implied: %+v", old.Topics)
	}
}

func TestMetadataCreatesNothingThatIsForbidden(t *testing.T) {
	forbidding := startBroker(t, "auto.create.topics.enable", "false")
	asking := startBroker(t)
	for _, c := range []struct {
		b   *testBroker
		req *kmsg.MetadataRequest
	}{{forbidding, metadataRequest(true, "orders", "not a name")}, {asking, metadataRequest(false, "orders", "not a name")}} {
		resp := do[*kmsg.MetadataResponse](c.b.dial(), c.req, 9)
		if resp.Topics[0].ErrorCode != codeUnknownTopicOrPartition || resp.Topics[1].ErrorCode != codeInvalidTopic {
			t.Fatalf("%+v", resp.Topics)
		}
		if c.b.Image().NumTopics() != 0 {
			t.Fatal("a topic was created")
		}
	}
}

func TestMetadataFindsTopicsByID(t *testing.T) {
	b := startBroker(t)
	topic := b.createTopic("orders", 1)
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	req.Topics = []kmsg.MetadataRequestTopic{{TopicID: topic.ID}, {TopicID: randomTopicID()}}
	resp := do[*kmsg.MetadataResponse](b.dial(), req, 12)
	if *resp.Topics[0].Topic != "orders" || resp.Topics[1].ErrorCode != codeUnknownTopicID || resp.Topics[1].Topic != nil {
		t.Fatalf("%+v", resp.Topics)
	}
	for i := range req.Topics {
		req.Topics[i].Topic = new(string)
	}
	resp = do[*kmsg.MetadataResponse](b.dial(), req, 10)
	if resp.Topics[0].ErrorCode != codeInvalidRequest {
		t.Fatalf("version 10 takes an id: %+v", resp.Topics)
	}
}

func TestMetadataTellsOfAPartitionWithoutALeader(t *testing.T) {
	b := startBroker(t)
	b.apply(&meta.CreateTopics{Topics: []*meta.Topic{{Name: "lost", ID: randomTopicID(), Partitions: []meta.Partition{
		{ID: 0, Replicas: []meta.NodeID{7}, ISR: []meta.NodeID{7}, Leader: meta.NoNode}}}}})
	p := do[*kmsg.MetadataResponse](b.dial(), metadataRequest(false, "lost"), 9).Topics[0].Partitions[0]
	if p.ErrorCode != codeLeaderNotAvailable || p.Leader != -1 || len(p.OfflineReplicas) != 1 {
		t.Fatalf("%+v", p)
	}
}
