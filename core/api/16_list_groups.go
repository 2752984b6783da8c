package api

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
)

// listGroups lists the groups that this broker coordinates. v4 may ask for some states only, v5 for some types.
func (h *Handler) listGroups(ctx context.Context, _ *Call, req *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	resp := kmsg.NewPtrListGroupsResponse()
	replies, err := h.cfg.Groups.All(ctx, group.List{States: req.StatesFilter, Types: req.TypesFilter})
	if err != nil {
		h.logGroup(ctx, "", err)
		resp.ErrorCode = codeOf(err)
		return resp
	}
	for _, r := range replies {
		resp.Groups = append(resp.Groups, r.([]kmsg.ListGroupsResponseGroup)...)
	}
	slices.SortFunc(resp.Groups, func(a, b kmsg.ListGroupsResponseGroup) int { return cmp.Compare(a.Group, b.Group) })
	return resp
}
