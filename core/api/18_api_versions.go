package api

import (
	"context"
	"regexp"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// softwareName is what a client may call itself and its version.
var softwareName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

// apiVersions lists what is served. No feature is listed: one is finalized only together with the keys that it promises.
//
// v3 brings the client's name, which is checked; v4 may list features from version 0; v5 carries the cluster and node that the
// client believes to have reached.
func (h *Handler) apiVersions(_ context.Context, c *Call, req *kmsg.ApiVersionsRequest) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(c.Version)
	if c.Version >= 3 && !(softwareName.MatchString(req.ClientSoftwareName) && softwareName.MatchString(req.ClientSoftwareVersion)) {
		resp.ErrorCode = codeInvalidRequest
		return resp
	}
	if c.Version >= 5 {
		if resp.ErrorCode = h.checkTarget(req); resp.ErrorCode != codeNone {
			return resp
		}
	}
	resp.ApiKeys = make([]kmsg.ApiVersionsResponseApiKey, 0, len(h.list))
	for i := range h.list {
		resp.ApiKeys = append(resp.ApiKeys, h.list[i].advertised())
	}
	return resp
}

// checkTarget compares the cluster and broker that the client means with those it has reached. Both are given or neither.
func (h *Handler) checkTarget(req *kmsg.ApiVersionsRequest) int16 {
	switch {
	case req.ClusterID == nil && req.NodeID < 0:
		return codeNone
	case req.ClusterID == nil || req.NodeID < 0:
		return codeInvalidRequest
	case *req.ClusterID != h.cfg.Cluster.Image().ClusterID(), req.NodeID != int32(h.cfg.NodeID):
		return codeRebootstrapRequired
	}
	return codeNone
}

func (a *api) advertised() kmsg.ApiVersionsResponseApiKey {
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = a.key, a.min, a.max
	if a.key == keyProduce {
		k.MinVersion = produceAdvertisedMin
	}
	return k
}

// unsupportedApiVersions answers a version of ApiVersions that is not served, in the one form that every client can read: v0, with
// the versions of this key alone.
func unsupportedApiVersions(a *api) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = codeUnsupportedVersion
	resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{a.advertised()}
	return resp
}
