package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

// createPartitions adds partitions to topics, each by itself. The answer comes when this broker serves them.
func (h *Handler) createPartitions(ctx context.Context, _ *Call, req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	topics, times := morePartitions(req.Topics)
	errs := make([]error, len(topics))
	decide := func(img *meta.Image) (meta.Command, error) {
		var command meta.Command
		command, errs = meta.DecideCreatePartitions(img, topics)
		return command, nil
	}
	var err error
	if req.ValidateOnly {
		_, _ = decide(h.cfg.Cluster.Image())
	} else if _, err = h.cfg.Cluster.Change(ctx, decide); err != nil {
		h.cfg.Logger.Warn("cannot create partitions", "err", err)
	}
	resp := kmsg.NewPtrCreatePartitionsResponse()
	answered := map[string]bool{}
	for i := range topics {
		name := topics[i].Topic
		if answered[name] {
			continue
		}
		answered[name] = true
		failed := errs[i]
		switch {
		case times[name] > 1:
			failed = &refusal{codeInvalidRequest, "Duplicate topic name."}
		case failed == nil:
			failed = err
		}
		r := kmsg.NewCreatePartitionsResponseTopic()
		r.Topic = name
		r.ErrorCode, r.ErrorMessage = codeOf(failed), messageOf(failed)
		resp.Topics = append(resp.Topics, r)
	}
	return resp
}

// morePartitions reads the request, and counts how often it names each topic.
func morePartitions(asked []kmsg.CreatePartitionsRequestTopic) (topics []meta.MorePartitions, times map[string]int) {
	topics, times = make([]meta.MorePartitions, len(asked)), make(map[string]int, len(asked))
	for i := range asked {
		times[asked[i].Topic]++
		topics[i] = meta.MorePartitions{Topic: asked[i].Topic, Count: asked[i].Count}
		if asked[i].Assignment == nil {
			continue
		}
		topics[i].Assignments = make([][]meta.NodeID, len(asked[i].Assignment))
		for j := range asked[i].Assignment {
			topics[i].Assignments[j] = nodeIDs(asked[i].Assignment[j].Replicas)
		}
	}
	return topics, times
}
