package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
)

// deleteGroups deletes groups without members, and what they have committed, each by itself.
func (h *Handler) deleteGroups(ctx context.Context, _ *Call, req *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	for _, id := range req.Groups {
		deleted, code := doGroup[group.Code](ctx, h, id, group.Delete{Group: id})
		if code == codeNone {
			code = int16(deleted)
		}
		resp.Groups = append(resp.Groups, kmsg.DeleteGroupsResponseGroup{Group: id, ErrorCode: code})
	}
	return resp
}
