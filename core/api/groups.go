package api

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/millrun/millrun/core/group"
	"github.com/millrun/millrun/core/meta"
)

// Groups are the group coordinators of the cluster, as far as this broker is one.
type Groups interface {
	// Coordinator returns the broker that coordinates a group. The topic that holds the groups is made if it has to be.
	Coordinator(ctx context.Context, groupID string) (meta.NodeID, error)
	// Do has the coordinator of a group, which must be this broker, decide on op. The errors are those of package group, and
	// those of the metadata if the topic cannot be made.
	Do(ctx context.Context, groupID string, op group.Op) (group.Reply, error)
	// All has every shard of this broker that holds groups decide on op.
	All(ctx context.Context, op group.Op) ([]group.Reply, error)
}

// noGroups stand in where a broker coordinates none.
type noGroups struct{}

func (noGroups) Coordinator(context.Context, string) (meta.NodeID, error) {
	return meta.NoNode, group.ErrUnavailable
}

func (noGroups) Do(context.Context, string, group.Op) (group.Reply, error) {
	return nil, group.ErrUnavailable
}

func (noGroups) All(context.Context, group.Op) ([]group.Reply, error) {
	return nil, group.ErrUnavailable
}

// doGroup has op decided and returns its reply, which is of type R, or the code for why there is none.
func doGroup[R any](ctx context.Context, h *Handler, groupID string, op group.Op) (reply R, code int16) {
	r, err := h.cfg.Groups.Do(ctx, groupID, op)
	if err != nil {
		h.logGroup(ctx, groupID, err)
		return reply, codeOf(err)
	}
	return r.(R), codeNone
}

// logGroup logs why a group could not be served, unless its client has gone.
func (h *Handler) logGroup(ctx context.Context, groupID string, err error) {
	if ctx.Err() == nil {
		h.cfg.Logger.Warn("group not served", "group", groupID, "err", err)
	}
}

// topicNamed returns the topic that a request names, by its name or, in newer versions, by its id. The code is for the
// topic's partitions if there is none.
func (h *Handler) topicNamed(byID bool, name string, id meta.TopicID) (*meta.Topic, int16) {
	img := h.cfg.Cluster.Image()
	if byID {
		if t, ok := img.TopicByID(id); ok {
			return t, codeNone
		}
		return nil, codeUnknownTopicID
	}
	if t, ok := img.Topic(name); ok {
		return t, codeNone
	}
	return nil, codeUnknownTopicOrPartition
}

// randomUUID is a version 4 UUID, as Kafka puts it into the ids of members.
func randomUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// allGroupOperations is what everybody may do with a group where nobody is authorized.
const allGroupOperations = opRead | opDelete | opDescribe | opDescribeConfigs | opAlterConfigs
