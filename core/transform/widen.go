package transform

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// widenOutputs adds partitions to outputs that have fewer than one of the inputs, if the deployment was told to create its
// outputs and its records keep the number of their partition. Without that, or if it fails, a record without a
// counterpart stops the deployment, which says so.
func (w *worker) widenOutputs(ctx context.Context, inputs []string) {
	d := w.deployment
	if !d.CreateOutputs || d.Partition != PartitionSame {
		return
	}
	widest := int32(0)
	for _, topic := range inputs {
		widest = max(widest, w.partitionCount(topic))
	}
	for _, topic := range d.Outputs {
		if n := w.partitionCount(topic); n == 0 || n >= widest {
			continue
		}
		if err := createPartitions(ctx, w.requester(d.Name), topic, widest); err != nil && w.partitionCount(topic) < widest {
			w.logger.Warn("an output has fewer partitions than an input", "topic", topic, "want", widest, "error", err)
			continue
		}
		w.logger.Info("an output has got as many partitions as the widest input", "topic", topic, "partitions", widest)
	}
}

// createPartitions brings a topic to count partitions.
func createPartitions(ctx context.Context, r requester, topic string, count int32) error {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 10_000
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, count
	req.Topics = append(req.Topics, t)
	resp, err := request[*kmsg.CreatePartitionsResponse](ctx, r, versionCreatePartitions, req)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		if err := check(t.ErrorCode); err != nil {
			return fmt.Errorf("topic %s: %w", topic, err)
		}
	}
	return nil
}
