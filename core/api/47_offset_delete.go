package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
	"github.com/millrun/millrun/core/meta"
)

// offsetDelete deletes offsets that a group has committed, but for topics that its members read. Partitions that do not exist
// are refused one by one.
func (h *Handler) offsetDelete(ctx context.Context, _ *Call, req *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	all, known := h.offsetsToDelete(req)
	resp, code := doGroup[*kmsg.OffsetDeleteResponse](ctx, h, req.Group, group.DeleteOffsets{Req: known})
	if code != codeNone {
		resp = kmsg.NewPtrOffsetDeleteResponse()
		resp.ErrorCode = code
	}
	if resp.ErrorCode != codeNone {
		return resp
	}
	for i := range resp.Topics { // one for each of all, with the partitions that have no code yet
		done := resp.Topics[i].Partitions
		for j := range all[i].Partitions {
			if p := &all[i].Partitions[j]; p.ErrorCode == codeNone {
				p.ErrorCode, done = done[0].ErrorCode, done[1:]
			}
		}
	}
	resp.Topics = all
	return resp
}

// offsetsToDelete returns the answer so far, with the codes of partitions that do not exist, and the request for the others.
func (h *Handler) offsetsToDelete(req *kmsg.OffsetDeleteRequest) (all []kmsg.OffsetDeleteResponseTopic, known *kmsg.OffsetDeleteRequest) {
	known = kmsg.NewPtrOffsetDeleteRequest()
	known.Group = req.Group
	img := h.cfg.Cluster.Image()
	for _, asked := range req.Topics {
		t := kmsg.OffsetDeleteResponseTopic{Topic: asked.Topic}
		found := kmsg.OffsetDeleteRequestTopic{Topic: asked.Topic}
		topic, _ := img.Topic(asked.Topic)
		for _, p := range asked.Partitions {
			code := codeUnknownTopicOrPartition
			if hasPartition(topic, p.Partition) {
				code = codeNone
				found.Partitions = append(found.Partitions, p)
			}
			t.Partitions = append(t.Partitions, kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition, ErrorCode: code})
		}
		all, known.Topics = append(all, t), append(known.Topics, found)
	}
	return all, known
}

// hasPartition tells whether t, which may be nil, has a partition.
func hasPartition(t *meta.Topic, id int32) bool {
	if t == nil {
		return false
	}
	_, ok := t.Partition(id)
	return ok
}
