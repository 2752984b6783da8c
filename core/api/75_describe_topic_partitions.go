package api

import (
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

// describeTopicPartitions lists topics and their partitions by name, so many partitions at a time: the answer says where to
// go on.
func (h *Handler) describeTopicPartitions(_ context.Context, _ *Call, req *kmsg.DescribeTopicPartitionsRequest) *kmsg.DescribeTopicPartitionsResponse {
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	img := h.cfg.Cluster.Image()
	names, from, ok := describedTopics(img, req)
	if !ok {
		for i := range req.Topics {
			t := kmsg.NewDescribeTopicPartitionsResponseTopic()
			t.Topic, t.ErrorCode = kmsg.StringPtr(req.Topics[i].Topic), codeInvalidRequest
			resp.Topics = append(resp.Topics, t)
		}
		return resp
	}
	room := max(1, min(int(req.ResponsePartitionLimit), int(h.settingsOf(img).Int("max.request.partition.size.limit"))))
	for _, name := range names {
		if room == 0 {
			resp.NextCursor = cursorAt(name, 0)
			break
		}
		first := 0
		if req.Cursor != nil && req.Cursor.Topic == name {
			first = from
		}
		t, next := describedTopic(img, name, first, room)
		resp.Topics = append(resp.Topics, t)
		room -= len(t.Partitions)
		if next > 0 {
			resp.NextCursor = cursorAt(name, next)
			break
		}
	}
	return resp
}

// describedTopics lists the names to describe, in order, from the cursor on, and the cursor's partition. ok is false if the cursor is
// none that we gave for this request.
func describedTopics(img *meta.Image, req *kmsg.DescribeTopicPartitionsRequest) (names []string, from int, ok bool) {
	for i := range req.Topics {
		names = append(names, req.Topics[i].Topic)
	}
	all := len(names) == 0
	if all {
		for t := range img.Topics() {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if req.Cursor == nil {
		return names, 0, true
	}
	if req.Cursor.Partition < 0 {
		return nil, 0, false
	}
	at, found := slices.BinarySearch(names, req.Cursor.Topic)
	if !found && !all {
		return nil, 0, false
	}
	return names[at:], int(req.Cursor.Partition), true
}

// describedTopic describes at most room of a topic's partitions, beginning with first. next is the partition that did not fit,
// 0 if none is left.
func describedTopic(img *meta.Image, name string, first, room int) (t kmsg.DescribeTopicPartitionsResponseTopic, next int32) {
	t = kmsg.NewDescribeTopicPartitionsResponseTopic()
	t.Topic = &name
	t.AuthorizedOperations = allTopicOperations
	topic, ok := img.Topic(name)
	if !ok {
		if t.ErrorCode = codeUnknownTopicOrPartition; meta.CheckTopicName(name) != nil {
			t.ErrorCode = codeInvalidTopic
		}
		return t, 0
	}
	t.TopicID, t.IsInternal = topic.ID, topic.Internal
	last := min(len(topic.Partitions), first+room)
	for i := first; i < last; i++ {
		t.Partitions = append(t.Partitions, describedPartition(img, &topic.Partitions[i]))
	}
	if last < len(topic.Partitions) && last > first {
		return t, int32(last)
	}
	return t, 0
}

func describedPartition(img *meta.Image, p *meta.Partition) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	d := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	d.Partition, d.LeaderID, d.LeaderEpoch = p.ID, int32(p.Leader), p.LeaderEpoch
	if p.Leader == meta.NoNode {
		d.ErrorCode = codeLeaderNotAvailable
	}
	d.Replicas, d.ISR, d.OfflineReplicas = plainIDs(p.Replicas), plainIDs(p.ISR), offline(img, p.Replicas)
	d.EligibleLeaderReplicas, d.LastKnownELR = []int32{}, []int32{}
	return d
}

func cursorAt(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = strings.Clone(topic), partition
	return &c
}
