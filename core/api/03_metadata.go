package api

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

// metadata tells which topics and brokers there are. A topic that is asked for by name and does not exist is created where
// that is allowed; the answer comes when this broker serves it.
//
// v0 means all topics by an empty list, later versions by null; v4 lets a client forbid creation; v12 takes topic ids.
func (h *Handler) metadata(ctx context.Context, c *Call, req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	img := h.cfg.Cluster.Image()
	all := req.Topics == nil || c.Version == 0 && len(req.Topics) == 0
	failures := map[string]int16{}
	if !all && (c.Version < 4 || req.AllowAutoTopicCreation) && h.settings().Bool("auto.create.topics.enable") {
		if names := missingTopics(img, c.Version, req.Topics); len(names) > 0 {
			img, failures = h.createMissing(ctx, names)
		}
	}
	resp := kmsg.NewPtrMetadataResponse()
	h.describeBrokers(img, c, resp)
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = allClusterOperations
	}
	if all {
		for _, t := range img.SortedTopics() {
			resp.Topics = append(resp.Topics, describeTopic(img, t))
		}
	} else {
		resp.Topics = namedTopics(img, c.Version, req.Topics, failures)
	}
	if req.IncludeTopicAuthorizedOperations {
		for i := range resp.Topics {
			resp.Topics[i].AuthorizedOperations = allTopicOperations
		}
	}
	return resp
}

func (h *Handler) describeBrokers(img *meta.Image, c *Call, resp *kmsg.MetadataResponse) {
	cluster := img.ClusterID()
	resp.ClusterID, resp.ControllerID = &cluster, int32(img.Controller())
	for _, b := range img.Brokers() {
		at, ok := endpointFor(b, c)
		if b.Fenced || !ok {
			continue
		}
		d := kmsg.NewMetadataResponseBroker()
		d.NodeID, d.Host, d.Port = int32(b.ID), at.Host, at.Port
		if b.Rack != "" {
			d.Rack = &b.Rack
		}
		resp.Brokers = append(resp.Brokers, d)
	}
}

// missingTopics lists the topics of a request that do not exist and may be created: internal ones come with whoever needs
// them, and a name that no topic may have is refused later.
func missingTopics(img *meta.Image, version int16, topics []kmsg.MetadataRequestTopic) []string {
	var names []string
	for i := range topics {
		t := &topics[i]
		if t.Topic == nil || t.TopicID != [16]byte{} {
			continue
		}
		_, exists := img.Topic(*t.Topic)
		internal := *t.Topic == metadataTopic || slices.Contains(internalTopics, *t.Topic)
		if !exists && !internal && meta.CheckTopicName(*t.Topic) == nil && !slices.Contains(names, *t.Topic) {
			names = append(names, *t.Topic)
		}
	}
	return names
}

// createMissing creates topics with the defaults, and returns the image that has them and why some could not be created.
func (h *Handler) createMissing(ctx context.Context, names []string) (*meta.Image, map[string]int16) {
	ctx, cancel := context.WithTimeout(ctx, maxChangeWait)
	defer cancel()
	failures := map[string]int16{}
	topics := make([]meta.NewTopic, len(names))
	for i, name := range names {
		topics[i] = meta.NewTopic{Name: name, ID: randomTopicID(), Partitions: -1, ReplicationFactor: -1}
	}
	img, err := h.cfg.Cluster.Change(ctx, func(img *meta.Image) (meta.Command, error) {
		settings := h.settingsOf(img)
		command, errs := meta.DecideCreateTopics(img, topics, meta.TopicDefaults{
			Partitions:        int32(settings.Int("num.partitions")),
			ReplicationFactor: int16(settings.Int("default.replication.factor")),
		})
		clear(failures)
		for i, err := range errs {
			if err != nil && !errors.Is(err, meta.ErrTopicExists) {
				failures[names[i]] = codeOf(err)
			}
		}
		if command == nil {
			return nil, meta.ErrNothing
		}
		return command, nil
	})
	if err != nil {
		h.cfg.Logger.Warn("cannot create topics", "topics", names, "err", err)
		for _, name := range names {
			failures[name] = codeLeaderNotAvailable // clients ask again
		}
		return h.cfg.Cluster.Image(), failures
	}
	return img, failures
}

// namedTopics describes the topics of a request in its order, each once.
func namedTopics(img *meta.Image, version int16, topics []kmsg.MetadataRequestTopic, failures map[string]int16) []kmsg.MetadataResponseTopic {
	out := make([]kmsg.MetadataResponseTopic, 0, len(topics))
	type key struct {
		name string
		id   meta.TopicID
	}
	seen := make(map[key]bool, len(topics))
	for i := range topics {
		t := &topics[i]
		k := key{id: t.TopicID}
		if t.Topic != nil {
			k.name = *t.Topic
		}
		if !seen[k] {
			seen[k] = true
			out = append(out, namedTopic(img, version, t, failures))
		}
	}
	return out
}

func namedTopic(img *meta.Image, version int16, t *kmsg.MetadataRequestTopic, failures map[string]int16) kmsg.MetadataResponseTopic {
	none := kmsg.NewMetadataResponseTopic()
	none.Topic, none.TopicID = t.Topic, t.TopicID
	if version < 12 && (t.Topic == nil || t.TopicID != [16]byte{}) {
		none.ErrorCode = codeInvalidRequest // these versions know ids in answers only
		if none.Topic == nil {
			none.Topic = new(string)
		}
		return none
	}
	if t.TopicID != [16]byte{} {
		if found, ok := img.TopicByID(t.TopicID); ok {
			return describeTopic(img, found)
		}
		none.Topic, none.ErrorCode = nil, codeUnknownTopicID
		return none
	}
	name := ""
	if t.Topic != nil {
		name = *t.Topic
	}
	if found, ok := img.Topic(name); ok {
		return describeTopic(img, found)
	}
	switch {
	case failures[name] != codeNone:
		none.ErrorCode = failures[name]
	case meta.CheckTopicName(name) != nil:
		none.ErrorCode = codeInvalidTopic
	default:
		none.ErrorCode = codeUnknownTopicOrPartition
	}
	return none
}

func describeTopic(img *meta.Image, t *meta.Topic) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID, out.IsInternal = &t.Name, t.ID, t.Internal
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i := range t.Partitions {
		p, d := &t.Partitions[i], &out.Partitions[i]
		*d = kmsg.NewMetadataResponseTopicPartition()
		d.Partition, d.Leader, d.LeaderEpoch = p.ID, int32(p.Leader), p.LeaderEpoch
		d.Replicas, d.ISR, d.OfflineReplicas = plainIDs(p.Replicas), plainIDs(p.ISR), offline(img, p.Replicas)
		if p.Leader == meta.NoNode {
			d.ErrorCode = codeLeaderNotAvailable
		}
	}
	return out
}

func plainIDs(nodes []meta.NodeID) []int32 {
	ids := make([]int32, len(nodes))
	for i, n := range nodes {
		ids[i] = int32(n)
	}
	return ids
}

// offline lists the replicas whose brokers are not in service.
func offline(img *meta.Image, replicas []meta.NodeID) []int32 {
	ids := []int32{}
	for _, n := range replicas {
		if b, ok := img.Broker(n); !ok || b.Fenced {
			ids = append(ids, int32(n))
		}
	}
	return ids
}
