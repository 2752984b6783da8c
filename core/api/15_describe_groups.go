package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/group"
)

// describeNotFound is the first version of DescribeGroups in which a group that does not exist is an error; before, it is
// one that is dead.
const describeNotFound = 6

// describeGroups shows groups and their members. v3 may ask what the sender may do with them.
func (h *Handler) describeGroups(ctx context.Context, c *Call, req *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	for _, id := range req.Groups {
		d, code := doGroup[*kmsg.DescribeGroupsResponseGroup](ctx, h, id, group.Describe{Group: id})
		if code != codeNone {
			failed := kmsg.NewDescribeGroupsResponseGroup()
			failed.Group, failed.ErrorCode = id, code
			resp.Groups = append(resp.Groups, failed)
			continue
		}
		switch {
		case d.ErrorCode != codeNone && c.Version < describeNotFound:
			d.ErrorCode = codeNone
		case d.ErrorCode != codeNone:
			message := fmt.Sprintf("Group %s not found.", id)
			d.ErrorMessage = &message
		}
		if req.IncludeAuthorizedOperations && d.ErrorCode == codeNone {
			d.AuthorizedOperations = allGroupOperations
		}
		resp.Groups = append(resp.Groups, *d)
	}
	return resp
}
