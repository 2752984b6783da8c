package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/record"
)

// deleteRecords moves the log start of partitions up: what is below it is gone for every reader. It answers the new low
// watermark.
func (h *Handler) deleteRecords(_ context.Context, _ *Call, req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	for i := range req.Topics {
		asked := &req.Topics[i]
		t := kmsg.NewDeleteRecordsResponseTopic()
		t.Topic = asked.Topic
		for _, p := range asked.Partitions {
			d := kmsg.NewDeleteRecordsResponseTopicPartition()
			d.Partition = p.Partition
			d.LowWatermark, d.ErrorCode = h.deleteUpTo(asked.Topic, p.Partition, record.Offset(p.Offset))
			t.Partitions = append(t.Partitions, d)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (h *Handler) deleteUpTo(topic string, partition int32, to record.Offset) (low int64, code int16) {
	if h.isInternal(topic) {
		return -1, codeInvalidTopic
	}
	p, code := h.locate(place{topic: topic, partition: partition})
	if code != codeNone {
		return -1, code
	}
	at, err := h.cfg.Partitions.DeleteRecords(p, to) // -1 is NoOffset: up to the high watermark
	if err != nil {
		if code = codeOf(err); code == codeUnknownServerError || code == codeKafkaStorageError {
			h.cfg.Logger.Error("cannot delete records", "topic", topic, "partition", partition, "err", err)
		}
		return -1, code
	}
	return int64(at), codeNone
}
