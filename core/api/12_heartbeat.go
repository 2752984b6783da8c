package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
)

// heartbeat says that a member is there, and hears whether the group rebalances.
func (h *Handler) heartbeat(ctx context.Context, _ *Call, req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	resp, code := doGroup[*kmsg.HeartbeatResponse](ctx, h, req.Group, group.Heartbeat{Req: req})
	if code != codeNone {
		resp = kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = code
	}
	return resp
}
