package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
)

// syncGroup gives a member its assignment, once the leader has sent everybody's.
func (h *Handler) syncGroup(ctx context.Context, _ *Call, req *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse {
	resp, code := doGroup[*kmsg.SyncGroupResponse](ctx, h, req.Group, group.Sync{Req: req})
	if code != codeNone {
		resp = kmsg.NewPtrSyncGroupResponse()
		resp.ErrorCode = code
	}
	return resp
}
