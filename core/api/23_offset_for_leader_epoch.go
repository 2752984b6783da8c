package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/replica"
)

// offsetForLeaderEpoch tells where a leader's records end, so that a consumer notices that the log it has read from was cut off.
func (h *Handler) offsetForLeaderEpoch(_ context.Context, _ *Call, req *kmsg.OffsetForLeaderEpochRequest) *kmsg.OffsetForLeaderEpochResponse {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for i := range req.Topics {
		t := kmsg.NewOffsetForLeaderEpochResponseTopic()
		t.Topic = req.Topics[i].Topic
		for j := range req.Topics[i].Partitions {
			asked := &req.Topics[i].Partitions[j]
			out := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			out.Partition = asked.Partition
			end, code := h.endOfEpoch(place{topic: t.Topic, partition: asked.Partition}, record.LeaderEpoch(asked.CurrentLeaderEpoch),
				record.LeaderEpoch(asked.LeaderEpoch))
			if out.ErrorCode = code; code == codeNone {
				out.LeaderEpoch, out.EndOffset = int32(end.Epoch), int64(end.End)
			}
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (h *Handler) endOfEpoch(at place, current, asked record.LeaderEpoch) (replica.EpochEnd, int16) {
	p, code := h.locate(at)
	if code != codeNone {
		return replica.EpochEnd{}, code
	}
	if err := p.CheckLeader(current); err != nil {
		return replica.EpochEnd{}, codeOf(err)
	}
	end, err := p.EndOffsetForEpoch(asked)
	return end, codeOf(err)
}
