package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
)

// joinGroup makes its sender a member of a group. The answer comes when all members have joined, or cannot be waited for any
// longer. v4 gives a new member its id first; v5 brings static members; v9 tells a leader that it need not assign.
func (h *Handler) joinGroup(ctx context.Context, c *Call, req *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	op := group.Join{Req: req, ClientID: c.ClientID, ClientHost: c.Host, NewID: randomUUID()}
	resp, code := doGroup[*kmsg.JoinGroupResponse](ctx, h, req.Group, op)
	if code != codeNone {
		resp = kmsg.NewPtrJoinGroupResponse()
		resp.ErrorCode, resp.MemberID, resp.Generation = code, req.MemberID, -1
	}
	return resp
}
