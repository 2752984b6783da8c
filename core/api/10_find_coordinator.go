package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
	"github.com/millrun/millrun/core/meta"
)

// The types of coordinators. Those of groups are served; share groups have type 2.
const (
	coordinatorOfGroup       = 0
	coordinatorOfTransaction = 1
)

// findManyCoordinators is the first version of FindCoordinator that asks for several keys at once.
const findManyCoordinators = 4

// findCoordinator says which broker coordinates a group. v1 brings the type of the key and messages, v4 several keys.
func (h *Handler) findCoordinator(ctx context.Context, c *Call, req *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	if c.Version >= findManyCoordinators {
		for _, key := range req.CoordinatorKeys {
			resp.Coordinators = append(resp.Coordinators, h.coordinator(ctx, c, key, req.CoordinatorType))
		}
		return resp
	}
	kind := req.CoordinatorType
	if c.Version == 0 {
		kind = coordinatorOfGroup
	}
	at := h.coordinator(ctx, c, req.CoordinatorKey, kind)
	resp.NodeID, resp.Host, resp.Port = at.NodeID, at.Host, at.Port
	resp.ErrorCode, resp.ErrorMessage = at.ErrorCode, at.ErrorMessage
	if at.ErrorCode == codeNone {
		none := "NONE" // Kafka's word for it
		resp.ErrorMessage = &none
	}
	return resp
}

func (h *Handler) coordinator(ctx context.Context, c *Call, key string, kind int8) kmsg.FindCoordinatorResponseCoordinator {
	at := kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: int32(meta.NoNode), Port: -1, ErrorMessage: new(string)}
	node, endpoint, err := h.coordinatorAddress(ctx, c, key, kind)
	if err != nil {
		at.ErrorCode, at.ErrorMessage = codeOf(err), messageOf(err)
		return at
	}
	at.NodeID, at.Host, at.Port = int32(node), endpoint.Host, endpoint.Port
	return at
}

func (h *Handler) coordinatorAddress(ctx context.Context, c *Call, key string, kind int8) (meta.NodeID, meta.Endpoint, error) {
	switch kind {
	case coordinatorOfGroup:
	case coordinatorOfTransaction:
		// librdkafka gives up on no other code; INVALID_REQUEST it would try again until its caller's patience ends.
		return 0, meta.Endpoint{}, &refusal{codeTransactionalIDAuthorizationFailed, "Transactions are not served"}
	default:
		return 0, meta.Endpoint{}, &refusal{codeInvalidRequest, fmt.Sprintf("Coordinators of type %d are not served", kind)}
	}
	node, err := h.cfg.Groups.Coordinator(ctx, key)
	if err != nil {
		h.logGroup(ctx, key, err)
		return 0, meta.Endpoint{}, err
	}
	if b, ok := h.cfg.Cluster.Image().Broker(node); ok {
		if at, ok := endpointFor(b, c); ok {
			return node, at, nil
		}
	}
	return 0, meta.Endpoint{}, fmt.Errorf("%w: broker %d has no listener %s", group.ErrUnavailable, node, c.Listener)
}
