package segmentio

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/millrun/millrun/spec/conformance/go/target"
	"github.com/segmentio/kafka-go"
)

func TestTopicsAreMadeSeenGrownAndDeleted(t *testing.T) {
	t.Parallel()
	ctx, cl, topic := target.Context(t), client(t), target.Name(t)
	create := func(c kafka.TopicConfig) error { // no ValidateOnly: this client then waits until the topic is there
		resp, err := cl.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{c}})
		if err != nil {
			return err
		}
		return only(resp.Errors)
	}
	good := kafka.TopicConfig{Topic: topic, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "3600000"}}}
	if err := create(good); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		config kafka.TopicConfig
		want   error
	}{
		"again":          {good, kafka.TopicAlreadyExists},
		"a bad name":     {kafka.TopicConfig{Topic: "no spaces", NumPartitions: 1, ReplicationFactor: 1}, kafka.InvalidTopic},
		"three replicas": {kafka.TopicConfig{Topic: topic + "x", NumPartitions: 1, ReplicationFactor: 3}, kafka.InvalidReplicationFactor},
	} {
		if err := create(c.config); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	grown, err := cl.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 4}}})
	if err != nil || only(grown.Errors) != nil {
		t.Fatalf("%v, %+v", err, grown)
	}
	md, err := client(t).Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil || len(md.Topics) != 1 || len(md.Topics[0].Partitions) != 4 || md.ClusterID == "" {
		t.Errorf("metadata: %v, %+v", err, md)
	}
	gone, err := cl.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic, topic + "-never"}})
	if err != nil || gone.Errors[topic] != nil || !errors.Is(gone.Errors[topic+"-never"], kafka.UnknownTopicOrPartition) {
		t.Errorf("delete: %v, %+v", err, gone)
	}
	// the same by a Conn, whose versions are fixed
	c, err := kafka.DialContext(ctx, "tcp", target.Bootstrap(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.CreateTopics(good); err != nil {
		t.Errorf("by a Conn: %v", err)
	}
	if ps, err := c.ReadPartitions(topic); err != nil || len(ps) != 2 {
		t.Errorf("by a Conn: %v, %v", ps, err)
	}
	if err := c.DeleteTopics(topic); err != nil {
		t.Errorf("by a Conn: %v", err)
	}
}

func TestConfigsAreDescribedAndAltered(t *testing.T) {
	t.Parallel()
	ctx, cl, topic := target.Context(t), client(t), target.Topic(t, 1, "retention.ms", "1000000")
	get := func() map[string]string {
		resp, err := cl.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{IncludeSynonyms: true, Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}}})
		if err != nil || resp.Resources[0].Error != nil {
			t.Fatalf("%v, %+v", err, resp)
		}
		m := map[string]string{}
		for _, e := range resp.Resources[0].ConfigEntries {
			m[e.ConfigName] = e.ConfigValue
		}
		return m
	}
	if m := get(); len(m) < 25 || m["retention.ms"] != "1000000" || m["max.message.bytes"] != "1048588" {
		t.Errorf("%d configs: %v", len(m), m)
	}
	inc, err := cl.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
		Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "max.message.bytes", Value: "2000000", ConfigOperation: kafka.ConfigOperationSet}, {Name: "retention.ms", ConfigOperation: kafka.ConfigOperationDelete}},
	}}})
	if err != nil || inc.Resources[0].Error != nil {
		t.Fatalf("%v, %+v", err, inc)
	}
	if m := get(); m["max.message.bytes"] != "2000000" || m["retention.ms"] != "604800000" {
		t.Errorf("altered: %s, %s", m["max.message.bytes"], m["retention.ms"])
	}
	all, err := cl.AlterConfigs(ctx, &kafka.AlterConfigsRequest{Resources: []kafka.AlterConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, Configs: []kafka.AlterConfigRequestConfig{{Name: "segment.bytes", Value: "2097152"}},
	}}})
	if err != nil || len(all.Errors) != 1 {
		t.Fatalf("%v, %+v", err, all)
	}
	if m := get(); m["segment.bytes"] != "2097152" || m["max.message.bytes"] != "1048588" {
		t.Errorf("the whole set: %s, %s", m["segment.bytes"], m["max.message.bytes"])
	}
}

func TestGroupsAreListedDescribedAndDeleted(t *testing.T) {
	t.Parallel()
	ctx, cl, topic, group := target.Context(t), client(t), target.Topic(t, 2), target.Name(t)
	cg, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: group, Brokers: []string{target.Bootstrap(t)}, Topics: []string{topic}, HeartbeatInterval: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	g, err := cg.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.CommitOffsets(map[string]map[int]int64{topic: {0: 0}}); err != nil {
		t.Fatal(err)
	}
	listed, err := cl.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil || !slices.ContainsFunc(listed.Groups, func(g kafka.ListGroupsResponseGroup) bool { return g.GroupID == group && g.ProtocolType == "consumer" }) {
		t.Errorf("listed: %v, %+v", err, listed)
	}
	d, err := cl.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil || d.Groups[0].GroupState != "Stable" || len(d.Groups[0].Members) != 1 || len(d.Groups[0].Members[0].MemberAssignments.Topics[0].Partitions) != 2 {
		t.Fatalf("described: %v, %+v", err, d)
	}
	remove := func() error {
		resp, err := cl.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
		if err != nil {
			return err
		}
		return resp.Errors[group]
	}
	if err := remove(); !errors.Is(err, kafka.NonEmptyGroup) {
		t.Errorf("deleted with a member: %v", err)
	}
	cg.Close()
	checkOffset(t, ctx, cl, group, topic, 0)
	if resp, err := cl.OffsetDelete(ctx, &kafka.OffsetDeleteRequest{GroupID: group, Topics: map[string][]int{topic: {0}}}); err != nil || resp.Error != nil || resp.Topics[topic][0].Error != nil {
		t.Errorf("delete an offset: %v, %+v", err, resp)
	}
	checkOffset(t, ctx, cl, group, topic, -1)
	if err := remove(); err != nil {
		t.Errorf("deleted: %v", err)
	}
	if err := remove(); !errors.Is(err, kafka.GroupIdNotFound) {
		t.Errorf("deleted again: %v", err)
	}
	checkOffset(t, ctx, cl, group, topic, -1)
}

func checkOffset(t testing.TB, ctx context.Context, cl *kafka.Client, group, topic string, want int64) {
	t.Helper()
	resp, err := cl.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0}}})
	if err != nil || resp.Error != nil || resp.Topics[topic][0].CommittedOffset != want {
		t.Errorf("offset of %s: %v, %+v; want %d", group, err, resp, want)
	}
}

func TestTheGroupRequestsOneByOne(t *testing.T) {
	t.Parallel()
	ctx, cl, topic, group := target.Context(t), client(t), target.Topic(t, 1), target.Name(t)
	if c, err := cl.FindCoordinator(ctx, &kafka.FindCoordinatorRequest{Key: group, KeyType: kafka.CoordinatorKeyTypeConsumer}); err != nil || c.Error != nil || c.Coordinator.Port == 0 {
		t.Fatalf("%v, %+v", err, c)
	}
	join := &kafka.JoinGroupRequest{
		GroupID: group, SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second, ProtocolType: "consumer",
		Protocols: []kafka.GroupProtocol{{Name: "range", Metadata: kafka.GroupProtocolSubscription{Topics: []string{topic}}}},
	}
	joined, err := cl.JoinGroup(ctx, join)
	if err != nil || !errors.Is(joined.Error, kafka.MemberIDRequired) || joined.MemberID == "" {
		t.Fatalf("the first join: %v, %+v", err, joined)
	}
	join.MemberID = joined.MemberID
	joined, err = cl.JoinGroup(ctx, join)
	if err != nil || joined.Error != nil || joined.LeaderID != joined.MemberID || len(joined.Members) != 1 {
		t.Fatalf("the second join: %v, %+v", err, joined)
	}
	synced, err := cl.SyncGroup(ctx, &kafka.SyncGroupRequest{
		GroupID: group, GenerationID: joined.GenerationID, MemberID: joined.MemberID, ProtocolType: "consumer", ProtocolName: "range",
		Assignments: []kafka.SyncGroupRequestAssignment{{MemberID: joined.MemberID, Assignment: kafka.GroupProtocolAssignment{AssignedPartitions: map[string][]int{topic: {0}}}}},
	})
	if err != nil || synced.Error != nil || len(synced.Assignment.AssignedPartitions[topic]) != 1 {
		t.Fatalf("sync: %v, %+v", err, synced)
	}
	// An error of a heartbeat is not looked for: this client reads the response's two fields in the wrong order, and finds no code.
	if _, err := cl.Heartbeat(ctx, &kafka.HeartbeatRequest{GroupID: group, GenerationID: int32(joined.GenerationID), MemberID: joined.MemberID}); err != nil {
		t.Errorf("heartbeat: %v", err)
	}
	left, err := cl.LeaveGroup(ctx, &kafka.LeaveGroupRequest{GroupID: group, Members: []kafka.LeaveGroupRequestMember{{ID: joined.MemberID}}})
	if err != nil || left.Error != nil {
		t.Errorf("leave: %v, %+v", err, left)
	}
	if again, err := cl.JoinGroup(ctx, join); err != nil || !errors.Is(again.Error, kafka.UnknownMemberId) {
		t.Errorf("a join by the member that left: %v, %+v", err, again)
	}
}
