package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
	"github.com/millrun/millrun/core/meta"
)

// The versions of OffsetFetch that changed where errors and groups stand.
const (
	fetchNullIsAll  = 2 // null topics are all; an error stands at the top
	fetchManyGroups = 8
)

// offsetFetch reads the offsets that groups have committed: those of the partitions asked for, or all. A group, a topic or a
// partition that is not known has committed nothing, which is no error. v8 asks for several groups; v10 names topics by id.
func (h *Handler) offsetFetch(ctx context.Context, c *Call, req *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	resp := kmsg.NewPtrOffsetFetchResponse()
	if c.Version >= fetchManyGroups {
		for i := range req.Groups {
			resp.Groups = append(resp.Groups, h.fetchGroup(ctx, c.Version, &req.Groups[i]))
		}
		return resp
	}
	asked := kmsg.OffsetFetchRequestGroup{Group: req.Group}
	if req.Topics != nil || c.Version < fetchNullIsAll {
		asked.Topics = make([]kmsg.OffsetFetchRequestGroupTopic, len(req.Topics))
	}
	for i := range req.Topics {
		asked.Topics[i] = kmsg.OffsetFetchRequestGroupTopic{Topic: req.Topics[i].Topic, Partitions: req.Topics[i].Partitions}
	}
	fetched := h.fetchGroup(ctx, c.Version, &asked)
	resp.ErrorCode = fetched.ErrorCode
	for i := range fetched.Topics {
		t := kmsg.OffsetFetchResponseTopic{Topic: fetched.Topics[i].Topic}
		for _, p := range fetched.Topics[i].Partitions {
			t.Partitions = append(t.Partitions, kmsg.OffsetFetchResponseTopicPartition(p))
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// fetchGroup reads the offsets of one group. Topics that are named by an id which is not known are answered here.
func (h *Handler) fetchGroup(ctx context.Context, version int16, asked *kmsg.OffsetFetchRequestGroup) kmsg.OffsetFetchResponseGroup {
	resp := kmsg.OffsetFetchResponseGroup{Group: asked.Group}
	op := group.Fetch{Group: asked.Group, All: asked.Topics == nil}
	for i := range asked.Topics {
		a := &asked.Topics[i]
		name := a.Topic
		if version >= fetchByID {
			t, ok := h.cfg.Cluster.Image().TopicByID(a.TopicID)
			if !ok {
				resp.Topics = append(resp.Topics, failedOffsets(a, codeUnknownTopicID))
				continue
			}
			name = t.Name
		}
		op.Topics = append(op.Topics, group.FetchTopic{Topic: name, Partitions: a.Partitions})
	}
	fetched, code := doGroup[[]group.FetchedTopic](ctx, h, asked.Group, op)
	if code != codeNone {
		resp.ErrorCode, resp.Topics = code, nil
		for i := range asked.Topics {
			if version < fetchNullIsAll { // nowhere else to say it
				resp.Topics = append(resp.Topics, failedOffsets(&asked.Topics[i], code))
			}
		}
		return resp
	}
	for i := range fetched {
		if t, ok := h.fetchedTopic(version, &fetched[i]); ok {
			resp.Topics = append(resp.Topics, t)
		}
	}
	return resp
}

// fetchedTopic is false for a topic that is to be named by its id and has none, because it was deleted.
func (h *Handler) fetchedTopic(version int16, f *group.FetchedTopic) (t kmsg.OffsetFetchResponseGroupTopic, ok bool) {
	t.Topic = f.Topic
	if version >= fetchByID {
		var topic *meta.Topic
		if topic, ok = h.cfg.Cluster.Image().Topic(f.Topic); !ok {
			return t, false
		}
		t.TopicID = topic.ID
	}
	for i := range f.Partitions {
		p := &f.Partitions[i]
		t.Partitions = append(t.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition{
			Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: &p.Metadata,
		})
	}
	return t, true
}

func failedOffsets(asked *kmsg.OffsetFetchRequestGroupTopic, code int16) kmsg.OffsetFetchResponseGroupTopic {
	t := kmsg.OffsetFetchResponseGroupTopic{Topic: asked.Topic, TopicID: asked.TopicID}
	for _, id := range asked.Partitions {
		t.Partitions = append(t.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition{
			Partition: id, Offset: group.NoOffset, LeaderEpoch: -1, Metadata: new(string), ErrorCode: code,
		})
	}
	return t
}
