package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
)

// offsetDelete deletes offsets that a group has committed, but for topics that its members read.
func (h *Handler) offsetDelete(ctx context.Context, _ *Call, req *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	known := kmsg.NewPtrOffsetDeleteRequest()
	known.Group = req.Group
	var unknown []kmsg.OffsetDeleteResponseTopic
	for _, asked := range req.Topics {
		t, _ := h.topicNamed(false, asked.Topic, [16]byte{})
		found := kmsg.OffsetDeleteRequestTopic{Topic: asked.Topic}
		missing := kmsg.OffsetDeleteResponseTopic{Topic: asked.Topic}
		for _, p := range asked.Partitions {
			if t != nil && int(p.Partition) < len(t.Partitions) && p.Partition >= 0 {
				found.Partitions = append(found.Partitions, p)
				continue
			}
			missing.Partitions = append(missing.Partitions, kmsg.OffsetDeleteResponseTopicPartition{
				Partition: p.Partition, ErrorCode: codeUnknownTopicOrPartition,
			})
		}
		if len(found.Partitions) > 0 {
			known.Topics = append(known.Topics, found)
		}
		if len(missing.Partitions) > 0 {
			unknown = append(unknown, missing)
		}
	}
	resp, code := doGroup[*kmsg.OffsetDeleteResponse](ctx, h, req.Group, group.DeleteOffsets{Req: known})
	if code != codeNone {
		resp = kmsg.NewPtrOffsetDeleteResponse()
		resp.ErrorCode = code
	}
	if resp.ErrorCode == codeNone {
		resp.Topics = append(resp.Topics, unknown...)
	}
	return resp
}
