package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/replica"
)

// The timestamps of ListOffsets that mean something else.
const (
	latestTimestamp          = -1
	earliestTimestamp        = -2
	maxTimestamp             = -3 // v7
	earliestLocalTimestamp   = -4 // v8
	latestTieredTimestamp    = -5 // v9
	earliestPendingTimestamp = -6 // v11: not yet uploaded to tiered storage
)

// specialSince is the first version that knows each special timestamp.
var specialSince = map[int64]int16{
	latestTimestamp: 0, earliestTimestamp: 0, maxTimestamp: 7, earliestLocalTimestamp: 8, latestTieredTimestamp: 9,
	earliestPendingTimestamp: 11,
}

// listOffsets finds offsets by time. What a consumer may not read yet does not exist for it.
func (h *Handler) listOffsets(_ context.Context, c *Call, req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	resp := kmsg.NewPtrListOffsetsResponse()
	asked := map[place]int{}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			asked[place{topic: req.Topics[i].Topic, partition: req.Topics[i].Partitions[j].Partition}]++
		}
	}
	for i := range req.Topics {
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = req.Topics[i].Topic
		for j := range req.Topics[i].Partitions {
			p := &req.Topics[i].Partitions[j]
			at := place{topic: t.Topic, partition: p.Partition}
			out := kmsg.NewListOffsetsResponseTopicPartition()
			if asked[at] > 1 {
				out.ErrorCode = codeInvalidRequest
			} else {
				h.listOffset(c.Version, at, p, req.IsolationLevel == 1, &out)
			}
			out.Partition = p.Partition
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (h *Handler) listOffset(version int16, at place, req *kmsg.ListOffsetsRequestTopicPartition, committed bool,
	out *kmsg.ListOffsetsResponseTopicPartition) {
	p, code := h.locate(at)
	if code != codeNone {
		out.ErrorCode = code
		return
	}
	if err := p.CheckLeader(record.LeaderEpoch(req.CurrentLeaderEpoch)); err != nil {
		out.ErrorCode = codeOf(err)
		return
	}
	if req.Timestamp < 0 {
		since, known := specialSince[req.Timestamp]
		if !known || version < since {
			out.ErrorCode = codeUnsupportedVersion
			return
		}
	}
	if err := findOffset(p, req.Timestamp, committed, out); err != nil {
		out.ErrorCode = codeOf(err)
		h.cfg.Logger.Error("cannot look up an offset", "topic", at.topic, "partition", at.partition, "err", err)
	}
}

// findOffset resolves one timestamp. That there is no such record is not an error: out stays as it is.
func findOffset(p *replica.Partition, timestamp int64, committed bool, out *kmsg.ListOffsetsResponseTopicPartition) error {
	logStart, highWatermark, lastStable, _ := p.Offsets()
	end := highWatermark
	if committed {
		end = lastStable
	}
	switch timestamp {
	case latestTimestamp:
		out.Offset, out.LeaderEpoch = int64(end), int32(p.LeaderEpoch())
		return nil
	case earliestTimestamp, earliestLocalTimestamp:
		out.Offset, out.LeaderEpoch = int64(logStart), int32(p.EpochAt(logStart))
		return nil
	case latestTieredTimestamp, earliestPendingTimestamp:
		return nil // there is no tiered storage
	}
	tell := func(offset record.Offset, timestamp int64, epoch record.LeaderEpoch) {
		if offset < end {
			out.Offset, out.Timestamp, out.LeaderEpoch = int64(offset), timestamp, int32(epoch)
		}
	}
	if timestamp == maxTimestamp {
		found, ok, err := p.MaxTimestamp()
		if ok {
			tell(found.Offset, found.Timestamp, found.LeaderEpoch)
		}
		return err
	}
	found, ok, err := p.OffsetForTimestamp(timestamp)
	if ok {
		tell(found.Offset, found.Timestamp, found.LeaderEpoch)
	}
	return err
}
