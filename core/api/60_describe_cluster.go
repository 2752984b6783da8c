package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

// The endpoint types of DescribeCluster.
const (
	endpointBrokers     = 1
	endpointControllers = 2
)

// describeCluster lists the brokers by their addresses on the listener that was asked. v1 brings the endpoint type, v2 fenced
// brokers.
func (h *Handler) describeCluster(_ context.Context, c *Call, req *kmsg.DescribeClusterRequest) *kmsg.DescribeClusterResponse {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ControllerID = int32(meta.NoNode)
	if c.Version >= 1 && req.EndpointType != endpointBrokers {
		err := &refusal{codeUnsupportedEndpointType, fmt.Sprintf("Unsupported endpoint type %d", req.EndpointType)}
		if req.EndpointType == endpointControllers {
			err = &refusal{codeMismatchedEndpointType, "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"}
		}
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
		return resp
	}
	img := h.cfg.Cluster.Image()
	resp.ClusterID, resp.ControllerID = img.ClusterID(), int32(img.Controller())
	for _, b := range img.Brokers() {
		if b.Fenced && !req.IncludeFencedBrokers {
			continue
		}
		at, ok := endpointFor(b, c)
		if !ok {
			continue
		}
		d := kmsg.NewDescribeClusterResponseBroker()
		d.NodeID, d.Host, d.Port, d.IsFenced = int32(b.ID), at.Host, at.Port, b.Fenced
		if b.Rack != "" {
			d.Rack = &b.Rack
		}
		resp.Brokers = append(resp.Brokers, d)
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = allClusterOperations
	}
	return resp
}

// endpointFor is the address of a broker on the listener of a call; for a call in process, any.
func endpointFor(b *meta.Broker, c *Call) (meta.Endpoint, bool) {
	if c.Listener == "" && len(b.Endpoints) > 0 {
		return b.Endpoints[0], true
	}
	return b.Endpoint(c.Listener)
}

// What everybody may do where nobody is authorized: the bits of the operations that concern a cluster or a topic.
const (
	opRead            = 1 << 3
	opWrite           = 1 << 4
	opCreate          = 1 << 5
	opDelete          = 1 << 6
	opAlter           = 1 << 7
	opDescribe        = 1 << 8
	opClusterAction   = 1 << 9
	opDescribeConfigs = 1 << 10
	opAlterConfigs    = 1 << 11
	opIdempotentWrite = 1 << 12

	allTopicOperations   = opRead | opWrite | opCreate | opDelete | opAlter | opDescribe | opDescribeConfigs | opAlterConfigs
	allClusterOperations = opCreate | opAlter | opDescribe | opClusterAction | opDescribeConfigs | opAlterConfigs | opIdempotentWrite
)
