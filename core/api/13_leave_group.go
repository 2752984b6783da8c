package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
)

// leaveGroup takes members out of a group: its sender or, from v3 on, any that it names.
func (h *Handler) leaveGroup(ctx context.Context, _ *Call, req *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	resp, code := doGroup[*kmsg.LeaveGroupResponse](ctx, h, req.Group, group.Leave{Req: req})
	if code != codeNone {
		resp = kmsg.NewPtrLeaveGroupResponse()
		resp.ErrorCode = code
	}
	return resp
}
