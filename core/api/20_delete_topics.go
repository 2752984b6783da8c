package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

// deleteTopics deletes topics by name, from v6 on also by id, each by itself. v5 brings messages.
func (h *Handler) deleteTopics(ctx context.Context, c *Call, req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	run := &topicDeletion{targets: deletionTargets(c.Version, req)}
	var err error
	if !h.settings().Bool("delete.topic.enable") {
		err = &refusal{codeTopicDeletionDisabled, "Topic deletion is disabled."}
		if c.Version < 3 {
			err = &refusal{codeInvalidRequest, "Topic deletion is disabled."}
		}
	} else if _, err = h.cfg.Cluster.Change(ctx, run.decide); err != nil {
		h.cfg.Logger.Warn("cannot delete topics", "err", err)
	}
	resp := kmsg.NewPtrDeleteTopicsResponse()
	for i := range run.targets {
		t := &run.targets[i]
		r := kmsg.NewDeleteTopicsResponseTopic()
		if r.Topic, r.TopicID = t.name, t.id; t.topic != nil {
			r.Topic, r.TopicID = &t.topic.Name, t.topic.ID
		}
		failed := t.err
		if failed == nil {
			failed = err
		}
		r.ErrorCode, r.ErrorMessage = codeOf(failed), messageOf(failed)
		resp.Topics = append(resp.Topics, r)
	}
	return resp
}

// deletionTarget is one topic that a request names, by its name or its id.
type deletionTarget struct {
	name  *string
	id    meta.TopicID
	fault error // of the request itself

	err   error       // what the last decision said
	topic *meta.Topic // what it found
}

func deletionTargets(version int16, req *kmsg.DeleteTopicsRequest) []deletionTarget {
	var all []deletionTarget
	if version < 6 {
		for i := range req.TopicNames {
			all = append(all, deletionTarget{name: &req.TopicNames[i]})
		}
	} else {
		for i := range req.Topics {
			all = append(all, deletionTarget{name: req.Topics[i].Topic, id: req.Topics[i].TopicID})
		}
	}
	var targets []deletionTarget
	at := map[string]int{} // the first target of each name or id
	for _, t := range all {
		key := "id " + string(t.id[:])
		twice := "Duplicate topic id."
		switch {
		case t.name != nil && !t.id.IsZero():
			t.fault = &refusal{codeInvalidRequest, "You may not specify both topic name and topic id."}
			targets = append(targets, t)
			continue
		case t.name == nil && t.id.IsZero():
			t.fault = &refusal{codeInvalidRequest, "Neither topic name nor id were specified."}
			targets = append(targets, t)
			continue
		case t.name != nil:
			key, twice = "name "+*t.name, "Duplicate topic name."
		}
		if i, ok := at[key]; ok {
			targets[i].fault = &refusal{codeInvalidRequest, twice}
			continue
		}
		at[key] = len(targets)
		targets = append(targets, t)
	}
	return targets
}

// topicDeletion is one request to delete topics.
type topicDeletion struct{ targets []deletionTarget }

// decide may run more than once; what the last run found stands.
func (r *topicDeletion) decide(img *meta.Image) (meta.Command, error) {
	var ids []meta.TopicID
	var places []int
	for i := range r.targets {
		t := &r.targets[i]
		t.topic = nil
		if t.err = t.fault; t.err != nil {
			continue
		}
		if t.topic, t.err = t.find(img); t.err == nil {
			ids, places = append(ids, t.topic.ID), append(places, i)
		}
	}
	command, errs := meta.DecideDeleteTopics(img, ids)
	for i, err := range errs {
		r.targets[places[i]].err = err
	}
	return command, nil
}

func (t *deletionTarget) find(img *meta.Image) (*meta.Topic, error) {
	if !t.id.IsZero() {
		topic, ok := img.TopicByID(t.id)
		if !ok {
			return nil, &refusal{codeUnknownTopicID, "This server does not host this topic ID."}
		}
		return topic, nil
	}
	topic, ok := img.Topic(*t.name)
	if !ok {
		return nil, &refusal{codeUnknownTopicOrPartition, "This server does not host this topic-partition."}
	}
	return topic, nil
}
