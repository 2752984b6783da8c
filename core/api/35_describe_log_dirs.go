package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

// describeLogDirs tells what this broker's log directory holds. v4 brings the size of its file system.
func (h *Handler) describeLogDirs(_ context.Context, c *Call, req *kmsg.DescribeLogDirsRequest) *kmsg.DescribeLogDirsResponse {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = h.cfg.Partitions.Dir()
	dir.TotalBytes, dir.UsableBytes = -1, -1
	if c.Version >= 4 {
		if total, usable, err := fileSystemSize(dir.Dir); err == nil {
			dir.TotalBytes, dir.UsableBytes = total, usable
		} else {
			h.cfg.Logger.Warn("cannot tell the size of the log directory's file system", "dir", dir.Dir, "err", err)
		}
	}
	img := h.cfg.Cluster.Image()
	if req.Topics == nil {
		for _, t := range img.SortedTopics() {
			dir.Topics = h.addLogs(dir.Topics, t, nil)
		}
	}
	for i := range req.Topics {
		if t, ok := img.Topic(req.Topics[i].Topic); ok && len(req.Topics[i].Partitions) > 0 {
			dir.Topics = h.addLogs(dir.Topics, t, req.Topics[i].Partitions)
		}
	}
	resp.Dirs = append(resp.Dirs, dir)
	return resp
}

// addLogs adds the partitions of a topic that are asked for, or all, as far as this broker holds them.
func (h *Handler) addLogs(topics []kmsg.DescribeLogDirsResponseDirTopic, t *meta.Topic, asked []int32) []kmsg.DescribeLogDirsResponseDirTopic {
	d := kmsg.NewDescribeLogDirsResponseDirTopic()
	d.Topic = t.Name
	add := func(partition int32) {
		p, ok := h.cfg.Partitions.Get(t.Name, partition)
		if !ok {
			return
		}
		l := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		_, highWatermark, _, end := p.Offsets()
		l.Partition, l.Size, l.OffsetLag = partition, p.Size(), max(0, int64(highWatermark-end))
		d.Partitions = append(d.Partitions, l)
	}
	for _, partition := range asked {
		add(partition)
	}
	if asked == nil {
		for i := range t.Partitions {
			add(t.Partitions[i].ID)
		}
	}
	if len(d.Partitions) == 0 {
		return topics
	}
	return append(topics, d)
}
