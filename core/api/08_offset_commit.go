package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
	"github.com/millrun/millrun/core/meta"
)

// The first versions of OffsetCommit and OffsetFetch that name topics by their ids.
const (
	commitByID = 10
	fetchByID  = 10
)

// offsetCommit stores offsets of a group. Topics that do not exist are refused one by one; the others stand or fall with what
// the group says. v2-4 may ask for a retention of their own; v10 names topics by id.
func (h *Handler) offsetCommit(ctx context.Context, c *Call, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	resp := kmsg.NewPtrOffsetCommitResponse()
	op := group.Commit{
		Group: req.Group, Member: req.MemberID, Instance: req.InstanceID, Generation: req.Generation, Version: c.Version, RetentionMs: -1,
	}
	if c.Version <= 4 {
		op.RetentionMs = req.RetentionTimeMillis
	}
	for i := range req.Topics {
		asked := &req.Topics[i]
		t := kmsg.OffsetCommitResponseTopic{Topic: asked.Topic, TopicID: asked.TopicID}
		topic, code := h.topicNamed(c.Version >= commitByID, asked.Topic, asked.TopicID)
		for j := range asked.Partitions {
			p := kmsg.OffsetCommitResponseTopicPartition{Partition: asked.Partitions[j].Partition, ErrorCode: code}
			if topic != nil {
				p.ErrorCode = addCommit(&op, topic, &asked.Partitions[j])
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if len(op.Offsets) > 0 {
		reply, code := doGroup[group.CommitReply](ctx, h, req.Group, op)
		fillCommit(resp, reply, code)
	}
	return resp
}

// addCommit adds one partition to the operation, unless the topic has no such partition.
func addCommit(op *group.Commit, t *meta.Topic, asked *kmsg.OffsetCommitRequestTopicPartition) int16 {
	if _, ok := t.Partition(asked.Partition); !ok {
		return codeUnknownTopicOrPartition
	}
	o := group.CommitOffset{
		Topic: t.Name, TopicID: t.ID, Partition: asked.Partition, LeaderEpoch: asked.LeaderEpoch, Offset: asked.Offset,
	}
	if asked.Metadata != nil {
		o.Metadata = *asked.Metadata
	}
	op.Offsets = append(op.Offsets, o)
	return codeNone
}

// fillCommit sets the codes of the partitions that were committed, which are those that have none yet, in order.
func fillCommit(resp *kmsg.OffsetCommitResponse, reply group.CommitReply, code int16) {
	n := 0
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			switch {
			case p.ErrorCode != codeNone:
			case code != codeNone:
				p.ErrorCode = code
			default:
				p.ErrorCode = int16(reply[n])
				n++
			}
		}
	}
}
