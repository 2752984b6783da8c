package sarama_test

import (
	"errors"
	"testing"

	"github.com/IBM/sarama"
	"github.com/millrun/millrun/spec/conformance/go/target"
)

func TestTopicsAreMadeSeenGrownAndDeleted(t *testing.T) {
	t.Parallel()
	a, topic, retention := admin(t), target.Name(t), "3600000"
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &retention}}
	if err := a.CreateTopic(topic+"-only-asked", detail, true); err != nil {
		t.Errorf("validate: %v", err)
	}
	if err := a.CreateTopic(topic, detail, false); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		name   string
		detail sarama.TopicDetail
		want   error
	}{
		"again":          {topic, *detail, sarama.ErrTopicAlreadyExists},
		"a bad name":     {"no spaces", *detail, sarama.ErrInvalidTopic},
		"three replicas": {topic + "x", sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 3}, sarama.ErrInvalidReplicationFactor},
		"no partitions":  {topic + "x", sarama.TopicDetail{NumPartitions: 0, ReplicationFactor: 1}, sarama.ErrInvalidPartitions},
	} {
		if err := a.CreateTopic(c.name, &c.detail, false); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if err := a.CreatePartitions(topic, 4, nil, false); err != nil {
		t.Fatal(err)
	}
	if err := a.CreatePartitions(topic, 3, nil, false); !errors.Is(err, sarama.ErrInvalidPartitions) {
		t.Errorf("shrink: %v", err)
	}
	seen, err := a.ListTopics()
	if err != nil || seen[topic].NumPartitions != 4 || seen[topic].ConfigEntries["retention.ms"] == nil || *seen[topic].ConfigEntries["retention.ms"] != retention {
		t.Errorf("listed: %v, %+v", err, seen[topic])
	}
	if _, there := seen[topic+"-only-asked"]; there {
		t.Error("the topic that was only asked about is there")
	}
	if ms, err := a.DescribeTopics([]string{topic, topic + "-never"}); err != nil || len(ms) != 2 || len(ms[0].Partitions) != 4 || ms[1].Err != sarama.ErrUnknownTopicOrPartition {
		t.Errorf("described: %v, %+v", err, ms)
	}
	if err := a.DeleteTopic(topic); err != nil {
		t.Fatal(err)
	}
	if seen, err := a.ListTopics(); err != nil || seen[topic].NumPartitions != 0 {
		t.Errorf("after the deletion: %v, %+v", err, seen[topic])
	}
	if err := a.DeleteTopic(topic); !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		t.Errorf("deleted again: %v", err)
	}
}

func TestConfigsAreDescribedAndAltered(t *testing.T) {
	t.Parallel()
	a, topic := admin(t), target.Topic(t, 1, "retention.ms", "1000000")
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: topic}
	get := func() map[string]sarama.ConfigEntry {
		rs, err := a.DescribeConfigs([]*sarama.ConfigResource{&resource}, sarama.DescribeConfigsOptions{IncludeSynonyms: true, IncludeDocumentation: true})
		if err != nil || len(rs) != 1 {
			t.Fatalf("%v, %+v", err, rs)
		}
		m := map[string]sarama.ConfigEntry{}
		for _, e := range rs[0].Configs {
			m[e.Name] = e
		}
		return m
	}
	m := get()
	if e := m["retention.ms"]; e.Value != "1000000" || e.Source != sarama.SourceTopic || len(e.Synonyms) == 0 || len(m) < 25 {
		t.Errorf("%d configs; retention.ms: %+v", len(m), e)
	}
	if e := m["max.message.bytes"]; e.Value != "1048588" || e.Source != sarama.SourceDefault {
		t.Errorf("max.message.bytes: %+v", e)
	}
	v := "2000000"
	if err := a.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
		"max.message.bytes": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &v},
		"retention.ms":      {Operation: sarama.IncrementalAlterConfigsOperationDelete},
	}, false); err != nil {
		t.Fatal(err)
	}
	if m := get(); m["max.message.bytes"].Value != v || m["retention.ms"].Value != "604800000" {
		t.Errorf("altered: %s, %s", m["max.message.bytes"].Value, m["retention.ms"].Value)
	}
	if err := a.AlterConfig(sarama.TopicResource, topic, map[string]*string{"segment.bytes": &v}, true); err != nil || get()["segment.bytes"].Value == v {
		t.Errorf("validate: %v, segment.bytes = %s", err, get()["segment.bytes"].Value)
	}
	if err := a.AlterConfig(sarama.TopicResource, topic, map[string]*string{"segment.bytes": &v}, false); err != nil || get()["segment.bytes"].Value != v || get()["max.message.bytes"].Value == v {
		t.Errorf("the whole set: %v", err)
	}
	bad := "many"
	if err := a.AlterConfig(sarama.TopicResource, topic, map[string]*string{"segment.bytes": &bad}, false); !errors.Is(err, sarama.ErrInvalidConfig) {
		t.Errorf("a value that is no number: %v", err)
	}
}

func TestRecordsAreDeletedUpToAnOffset(t *testing.T) {
	t.Parallel()
	a, topic := admin(t), target.Topic(t, 1)
	if err := producer(t, config(t)).SendMessages(messages(topic, 0, target.Odd()[:20])); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteRecords(topic, map[int32]int64{0: 7}); err != nil {
		t.Fatal(err)
	}
	if m := read(t, config(t), topic, 0, sarama.OffsetOldest, 1)[0]; m.Offset != 7 {
		t.Errorf("the first record left has offset %d", m.Offset)
	}
	if err := a.DeleteRecords(topic, map[int32]int64{0: 21}); !errors.Is(err, sarama.ErrOffsetOutOfRange) {
		t.Errorf("past the end: %v", err)
	}
}

func TestGroupsAreListedDescribedAndDeleted(t *testing.T) {
	t.Parallel()
	ctx, a, topic, group := target.Context(t), admin(t), target.Topic(t, 2), target.Name(t)
	h, stop := join(t, ctx, config(t), group, topic)
	h.holds(t, ctx, 2)
	if groups, err := a.ListConsumerGroups(); err != nil || groups[group] != "consumer" {
		t.Errorf("listed: %v, %q", err, groups[group])
	}
	d, err := a.DescribeConsumerGroups([]string{group, group + "-never"})
	if err != nil || len(d) != 2 || d[0].State != "Stable" || len(d[0].Members) != 1 || d[0].Protocol != "range" {
		t.Fatalf("described: %v, %+v", err, d)
	}
	for _, m := range d[0].Members {
		got, err := m.GetMemberAssignment()
		if err != nil || len(got.Topics[topic]) != 2 || m.ClientId != "conformance" {
			t.Errorf("assigned: %v, %+v, client %q", err, got, m.ClientId)
		}
	}
	if err := a.DeleteConsumerGroup(group); !errors.Is(err, sarama.ErrNonEmptyGroup) {
		t.Errorf("deleted with a member: %v", err)
	}
	stop()
	set := map[string]map[int32]sarama.OffsetAndMetadata{topic: {0: {Offset: 5, Metadata: "five"}, 1: {Offset: 6}}}
	if resp, err := a.AlterConsumerGroupOffsets(group, set, nil); err != nil || resp.Errors[topic][0] != sarama.ErrNoError {
		t.Errorf("set offsets: %v, %+v", err, resp)
	}
	if err := a.DeleteConsumerGroupOffset(group, topic, 1); err != nil {
		t.Errorf("delete an offset: %v", err)
	}
	got, err := a.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1}})
	if err != nil || got.GetBlock(topic, 0).Offset != 5 || got.GetBlock(topic, 0).Metadata != "five" || got.GetBlock(topic, 1).Offset != -1 {
		t.Errorf("offsets: %v, %+v", err, got)
	}
	if all, err := a.ListConsumerGroupOffsets(group, nil); err != nil || len(all.Blocks[topic]) != 1 {
		t.Errorf("all offsets: %v, %+v", err, all.Blocks)
	}
	if batch, err := a.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: nil, group + "-never": {topic: {0}}}); err != nil || len(batch) != 2 || batch[group].Err != sarama.ErrNoError {
		t.Errorf("offsets of two groups: %v, %+v", err, batch)
	}
	if err := a.DeleteConsumerGroup(group); err != nil {
		t.Errorf("deleted: %v", err)
	}
	if err := a.DeleteConsumerGroup(group); !errors.Is(err, sarama.ErrGroupIDNotFound) {
		t.Errorf("deleted again: %v", err)
	}
}

func TestTheClusterIsDescribed(t *testing.T) {
	t.Parallel()
	a, topic := admin(t), target.Topic(t, 1)
	if err := producer(t, config(t)).SendMessages(messages(topic, 0, target.Odd()[:20])); err != nil {
		t.Fatal(err)
	}
	brokers, controller, err := a.DescribeCluster()
	if err != nil || len(brokers) != 1 || brokers[0].ID() != controller {
		t.Fatalf("%v, %v, %d", err, brokers, controller)
	}
	offsets, err := a.ListOffsets(map[string]map[int32]int64{topic: {0: sarama.OffsetNewest}}, nil)
	if err != nil || offsets[topic][0].Offset != 20 {
		t.Errorf("offsets: %v, %+v", err, offsets)
	}
	dirs, err := a.DescribeLogDirs([]int32{controller})
	if err != nil {
		t.Fatal(err)
	}
	size := int64(-1)
	for _, d := range dirs[controller] {
		for _, tp := range d.Topics {
			if tp.Topic == topic {
				size = tp.Partitions[0].Size
			}
		}
	}
	if size <= 0 {
		t.Errorf("the partition's log has %d bytes", size)
	}
}
