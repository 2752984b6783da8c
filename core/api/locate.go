package api

import (
	"slices"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/replica"
)

// Partitions are the replicas that this node holds.
type Partitions interface {
	Get(topic string, partition int32) (*replica.Partition, bool)
	GetByID(id meta.TopicID, partition int32) (*replica.Partition, bool)
	// DeleteRecords moves a partition's log start up, durably; record.NoOffset stands for its high watermark.
	DeleteRecords(p *replica.Partition, to record.Offset) (record.Offset, error)
	// Dir is the directory that holds them.
	Dir() string
}

// place names a partition as a client does: by its topic's name or, in newer versions, by its id.
type place struct {
	topic     string // "" if the id is given
	id        meta.TopicID
	partition int32
}

// locate returns the replica at a place, or the code for why there is none here.
func (h *Handler) locate(at place) (*replica.Partition, int16) {
	if at.topic == "" && at.id.IsZero() {
		return nil, codeUnknownTopicOrPartition
	}
	if at.topic != "" {
		if p, ok := h.cfg.Partitions.Get(at.topic, at.partition); ok {
			return p, codeNone
		}
	} else if p, ok := h.cfg.Partitions.GetByID(at.id, at.partition); ok {
		return p, codeNone
	}
	t, ok := h.topicAt(at)
	if !ok {
		if at.topic == "" {
			return nil, codeUnknownTopicID
		}
		return nil, codeUnknownTopicOrPartition
	}
	if _, ok := t.Partition(at.partition); !ok {
		return nil, codeUnknownTopicOrPartition
	}
	return nil, codeNotLeaderOrFollower
}

func (h *Handler) topicAt(at place) (*meta.Topic, bool) {
	if at.topic != "" {
		return h.cfg.Cluster.Image().Topic(at.topic)
	}
	return h.cfg.Cluster.Image().TopicByID(at.id)
}

// leaderOf returns who leads the partition as far as this broker knows.
func (h *Handler) leaderOf(at place) currentLeader {
	if t, ok := h.topicAt(at); ok {
		if p, ok := t.Partition(at.partition); ok {
			return currentLeader{p.Leader, p.LeaderEpoch}
		}
	}
	return currentLeader{meta.NoNode, -1}
}

// addEndpoint adds the address of a broker on the listener the request came by, once.
func (h *Handler) addEndpoint(list []endpoint, node meta.NodeID, listener string) []endpoint {
	if node == meta.NoNode || slices.ContainsFunc(list, func(e endpoint) bool { return e.node == node }) {
		return list
	}
	b, ok := h.cfg.Cluster.Image().Broker(node)
	if !ok {
		return list
	}
	at, ok := b.Endpoint(listener)
	if !ok {
		return list
	}
	e := endpoint{node: node, host: at.Host, port: at.Port}
	if b.Rack != "" {
		e.rack = &b.Rack
	}
	return append(list, e)
}
