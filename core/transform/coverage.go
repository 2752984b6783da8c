package transform

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// settled tells whether the group has given out all partitions of this member's inputs, and to this member nothing else. A
// static member that comes back is handed what it had, and the group does not look at what it subscribes to now: inputs
// that an upgrade has changed, or partitions that came while nobody was here, are only seen in a rebalance.
func (m *member) settled(ctx context.Context) bool {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{m.group}
	resp, err := request[*kmsg.DescribeGroupsResponse](ctx, m.requester, versionDescribeGroups, req)
	if err != nil || len(resp.Groups) != 1 {
		return true // it cannot be told
	}
	given := make(map[TopicPartition]bool)
	for _, o := range resp.Groups[0].Members {
		assigned, err := decodeAssignment(o.MemberAssignment)
		if err != nil {
			return true // it cannot be told, and would be no clearer after a rebalance
		}
		for _, tp := range assigned {
			given[tp] = true
			if o.MemberID == m.id && !slices.Contains(m.topics, tp.Topic) {
				return false
			}
		}
	}
	for _, topic := range m.topics {
		for p := range m.partitionCount(topic) {
			if !given[TopicPartition{topic, p}] {
				return false
			}
		}
	}
	return true
}
