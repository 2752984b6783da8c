//go:build cgo

package confluent

import (
	"slices"
	"testing"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

func TestTopicsAreMadeSeenGrownAndDeleted(t *testing.T) {
	t.Parallel()
	ctx, a, topic := target.Context(t), admin(t), target.Name(t)
	good := kafka.TopicSpecification{Topic: topic, NumPartitions: 2, ReplicationFactor: 1, Config: map[string]string{"retention.ms": "3600000"}}
	create := func(s kafka.TopicSpecification, options ...kafka.CreateTopicsAdminOption) kafka.ErrorCode {
		rs, err := a.CreateTopics(ctx, []kafka.TopicSpecification{s}, options...)
		if err != nil {
			t.Fatal(err)
		}
		return rs[0].Error.Code()
	}
	if code := create(good, kafka.SetAdminValidateOnly(true)); code != kafka.ErrNoError {
		t.Errorf("validate: %v", code)
	}
	if code := create(good); code != kafka.ErrNoError {
		t.Fatal(code)
	}
	for what, c := range map[string]struct {
		spec kafka.TopicSpecification
		want kafka.ErrorCode
	}{
		"again":          {good, kafka.ErrTopicAlreadyExists},
		"a bad name":     {kafka.TopicSpecification{Topic: "no spaces", NumPartitions: 1, ReplicationFactor: 1}, kafka.ErrTopicException},
		"three replicas": {kafka.TopicSpecification{Topic: topic + "x", NumPartitions: 1, ReplicationFactor: 3}, kafka.ErrInvalidReplicationFactor},
		"a bad config":   {kafka.TopicSpecification{Topic: topic + "x", NumPartitions: 1, ReplicationFactor: 1, Config: map[string]string{"retention.ms": "long"}}, kafka.ErrInvalidConfig},
	} {
		if code := create(c.spec); code != c.want {
			t.Errorf("%s: %v, want %v", what, code, c.want)
		}
	}
	grown, err := a.CreatePartitions(ctx, []kafka.PartitionsSpecification{{Topic: topic, IncreaseTo: 4}})
	if err != nil || grown[0].Error.Code() != kafka.ErrNoError {
		t.Fatalf("%v, %v", err, grown)
	}
	md, err := a.GetMetadata(&topic, false, 30_000)
	if err != nil || len(md.Topics[topic].Partitions) != 4 {
		t.Errorf("metadata: %v, %+v", err, md)
	}
	d, err := a.DescribeTopics(ctx, kafka.NewTopicCollectionOfTopicNames([]string{topic, topic + "-never"}))
	if err != nil || len(d.TopicDescriptions) != 2 || len(d.TopicDescriptions[0].Partitions) != 4 || d.TopicDescriptions[1].Error.Code() != kafka.ErrUnknownTopicOrPart {
		t.Errorf("described: %v, %+v", err, d)
	}
	gone, err := a.DeleteTopics(ctx, []string{topic, topic + "-never"})
	if err != nil || gone[0].Error.Code() != kafka.ErrNoError || gone[1].Error.Code() != kafka.ErrUnknownTopicOrPart {
		t.Errorf("delete: %v, %v", err, gone)
	}
	if md, err := a.GetMetadata(nil, true, 30_000); err != nil {
		t.Error(err)
	} else if md.Topics[topic].Topic != "" {
		t.Errorf("after the deletion: %+v", md.Topics[topic])
	}
}

func TestConfigsAreDescribedAndAltered(t *testing.T) {
	t.Parallel()
	ctx, a, topic := target.Context(t), admin(t), target.Topic(t, 1, "retention.ms", "1000000")
	resource := func(cs ...kafka.ConfigEntry) []kafka.ConfigResource {
		return []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: topic, Config: cs}}
	}
	get := func() map[string]kafka.ConfigEntryResult {
		rs, err := a.DescribeConfigs(ctx, resource())
		if err != nil || rs[0].Error.Code() != kafka.ErrNoError {
			t.Fatalf("%v, %v", err, rs)
		}
		return rs[0].Config
	}
	m := get()
	if m["retention.ms"].Value != "1000000" || m["retention.ms"].Source != kafka.ConfigSourceDynamicTopic || m["max.message.bytes"].Source != kafka.ConfigSourceDefault || len(m) < 25 {
		t.Errorf("%d configs: %+v, %+v", len(m), m["retention.ms"], m["max.message.bytes"])
	}
	rs, err := a.IncrementalAlterConfigs(ctx, resource(
		kafka.ConfigEntry{Name: "max.message.bytes", Value: "2000000", IncrementalOperation: kafka.AlterConfigOpTypeSet},
		kafka.ConfigEntry{Name: "cleanup.policy", Value: "compact", IncrementalOperation: kafka.AlterConfigOpTypeAppend},
		kafka.ConfigEntry{Name: "retention.ms", IncrementalOperation: kafka.AlterConfigOpTypeDelete}))
	if err != nil || rs[0].Error.Code() != kafka.ErrNoError {
		t.Fatalf("%v, %v", err, rs)
	}
	if m := get(); m["max.message.bytes"].Value != "2000000" || m["cleanup.policy"].Value != "delete,compact" || m["retention.ms"].Value != "604800000" {
		t.Errorf("altered: %v, %v, %v", m["max.message.bytes"], m["cleanup.policy"], m["retention.ms"])
	}
	rs, err = a.AlterConfigs(ctx, resource(kafka.ConfigEntry{Name: "segment.bytes", Value: "2097152"}))
	if err != nil || rs[0].Error.Code() != kafka.ErrNoError {
		t.Fatalf("%v, %v", err, rs)
	}
	if m := get(); m["segment.bytes"].Value != "2097152" || m["max.message.bytes"].Value != "1048588" {
		t.Errorf("the whole set: %v, %v", m["segment.bytes"], m["max.message.bytes"])
	}
	rs, err = a.AlterConfigs(ctx, resource(kafka.ConfigEntry{Name: "segment.bytes", Value: "many"}))
	if err != nil || rs[0].Error.Code() != kafka.ErrInvalidConfig {
		t.Errorf("a value that is no number: %v, %v", err, rs)
	}
}

func TestRecordsAreDeletedAndOffsetsListed(t *testing.T) {
	t.Parallel()
	ctx, a, topic, sent := target.Context(t), admin(t), target.Topic(t, 1), target.Odd()[:20]
	if err := send(producer(t, nil), messages(topic, 0, sent)...); err != nil {
		t.Fatal(err)
	}
	gone, err := a.DeleteRecords(ctx, []kafka.TopicPartition{{Topic: &topic, Offset: 7}})
	if err != nil || gone.DeleteRecordsResults[0].TopicPartition.Error != nil || gone.DeleteRecordsResults[0].DeletedRecords.LowWatermark != 7 {
		t.Fatalf("%v, %+v", err, gone)
	}
	tp := kafka.TopicPartition{Topic: &topic}
	for what, c := range map[string]struct {
		spec kafka.OffsetSpec
		want kafka.Offset
	}{
		"earliest": {kafka.EarliestOffsetSpec, 7}, "latest": {kafka.LatestOffsetSpec, 20}, "the latest time": {kafka.MaxTimestampOffsetSpec, 19},
		"a time": {kafka.NewOffsetSpecForTimestamp(sent[10].Time.UnixMilli()), 10},
	} {
		got, err := a.ListOffsets(ctx, map[kafka.TopicPartition]kafka.OffsetSpec{tp: c.spec})
		if err != nil || len(got.ResultInfos) != 1 {
			t.Fatalf("%s: %v, %v", what, err, got)
		}
		for _, info := range got.ResultInfos {
			if info.Offset != c.want {
				t.Errorf("%s: %+v, want %v", what, info, c.want)
			}
		}
	}
	if gone, err := a.DeleteRecords(ctx, []kafka.TopicPartition{{Topic: &topic, Offset: 21}}); err != nil || !is(gone.DeleteRecordsResults[0].TopicPartition.Error, kafka.ErrOffsetOutOfRange) {
		t.Errorf("past the end: %v, %+v", err, gone)
	}
}

func TestGroupsAreListedDescribedAndDeleted(t *testing.T) {
	t.Parallel()
	ctx, a, topic, group := target.Context(t), admin(t), target.Topic(t, 2), target.Name(t)
	h := join(t, ctx, topic, kafka.ConfigMap{"group.id": group, "auto.offset.reset": "earliest"})
	h.holds(t, ctx, 2)
	listed, err := a.ListConsumerGroups(ctx, kafka.SetAdminMatchConsumerGroupStates([]kafka.ConsumerGroupState{kafka.ConsumerGroupStateStable}))
	if err != nil || len(listed.Errors) != 0 || !slices.ContainsFunc(listed.Valid, func(g kafka.ConsumerGroupListing) bool { return g.GroupID == group }) {
		t.Errorf("listed: %v, %+v", err, listed)
	}
	d, err := a.DescribeConsumerGroups(ctx, []string{group})
	if err != nil || len(d.ConsumerGroupDescriptions) != 1 {
		t.Fatalf("%v, %+v", err, d)
	}
	if g := d.ConsumerGroupDescriptions[0]; g.State != kafka.ConsumerGroupStateStable || len(g.Members) != 1 || g.Members[0].ClientID != "conformance" || len(g.Members[0].Assignment.TopicPartitions) != 2 {
		t.Errorf("described: %+v", g)
	}
	remove := func() kafka.ErrorCode {
		rs, err := a.DeleteConsumerGroups(ctx, []string{group})
		if err != nil {
			t.Fatal(err)
		}
		return rs.ConsumerGroupResults[0].Error.Code()
	}
	if code := remove(); code != kafka.ErrNonEmptyGroup {
		t.Errorf("deleted with a member: %v", code)
	}
	h.stop()
	set := []kafka.ConsumerGroupTopicPartitions{{Group: group, Partitions: []kafka.TopicPartition{{Topic: &topic, Offset: 4}}}}
	if rs, err := a.AlterConsumerGroupOffsets(ctx, set); err != nil || rs.ConsumerGroupsTopicPartitions[0].Partitions[0].Error != nil {
		t.Errorf("set offsets: %v, %+v", err, rs)
	}
	got, err := a.ListConsumerGroupOffsets(ctx, []kafka.ConsumerGroupTopicPartitions{{Group: group}})
	if err != nil || len(got.ConsumerGroupsTopicPartitions[0].Partitions) != 1 || got.ConsumerGroupsTopicPartitions[0].Partitions[0].Offset != 4 {
		t.Errorf("offsets: %v, %+v", err, got)
	}
	if code := remove(); code != kafka.ErrNoError {
		t.Errorf("deleted: %v", code)
	}
	if code := remove(); code != kafka.ErrGroupIDNotFound {
		t.Errorf("deleted again: %v", code)
	}
}

func TestTheClusterIsDescribed(t *testing.T) {
	t.Parallel()
	ctx, a := target.Context(t), admin(t)
	id, err := a.ClusterID(ctx)
	controller, err2 := a.ControllerID(ctx)
	d, err3 := a.DescribeCluster(ctx)
	if err != nil || err2 != nil || err3 != nil || id == "" || len(d.Nodes) != 1 || d.Nodes[0].ID != int(controller) || d.ClusterID == nil || *d.ClusterID != id {
		t.Errorf("%v, %v, %v; %q, %d, %+v", err, err2, err3, id, controller, d)
	}
}
