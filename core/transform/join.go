package transform

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxJoinRounds bounds the answers that only ask for the same join in another form.
const maxJoinRounds = 5

// join sends the join and waits until the group has chosen a protocol. On return the member has its id.
func (m *member) join(ctx context.Context) (*kmsg.JoinGroupResponse, error) {
	if m.id == "" {
		if err := findCoordinator(ctx, m.requester, m.group); err != nil {
			return nil, err
		}
	}
	for range maxJoinRounds {
		m.asked = true
		resp, err := request[*kmsg.JoinGroupResponse](ctx, m.requester, versionJoinGroup, m.joinRequest())
		if err != nil {
			return nil, err
		}
		err = check(resp.ErrorCode)
		switch {
		case err == nil:
			m.id = resp.MemberID
			return resp, nil
		case errors.Is(err, codeMemberIDRequired):
			m.id = resp.MemberID
		case errors.Is(err, codeUnknownMember), errors.Is(err, codeIllegalGeneration), errors.Is(err, codeFencedInstance):
			m.forget(err)
		case errors.Is(err, codeInconsistentProtocol):
			return nil, fmt.Errorf("group %s has members that share no assignor with cooperative-sticky, range, roundrobin and sticky: %w", m.group, err)
		default:
			return nil, fmt.Errorf("join of group %s: %w", m.group, err)
		}
	}
	return nil, fmt.Errorf("join of group %s: no answer after %d attempts", m.group, maxJoinRounds)
}

// findCoordinator asks who coordinates a group, as clients do before anything else. While it is only one node, what counts
// is that the coordinator has started.
func findCoordinator(ctx context.Context, r requester, group string) error {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys = []string{group}
	resp, err := request[*kmsg.FindCoordinatorResponse](ctx, r, versionFindCoordinator, req)
	if err != nil {
		return err
	}
	for _, c := range resp.Coordinators {
		if err := check(c.ErrorCode); err != nil {
			return fmt.Errorf("coordinator of group %s: %w", group, err)
		}
	}
	return nil
}

func (m *member) joinRequest() *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID = m.group, m.id, &m.instanceID
	req.SessionTimeoutMillis = int32(sessionTimeout.Milliseconds())
	req.RebalanceTimeoutMillis = int32(rebalanceTimeout.Milliseconds())
	req.ProtocolType = protocolType
	for _, a := range assignors {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name = a.name
		p.Metadata = a.joinMetadata(m.topics, m.owned, m.generation)
		req.Protocols = append(req.Protocols, p)
	}
	return req
}

// sync sends the assignments, if this member leads, and returns its own.
func (m *member) sync(ctx context.Context, joined *kmsg.JoinGroupResponse, protocol *assignor) ([]TopicPartition, error) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = m.group, joined.Generation, m.id, &m.instanceID
	req.ProtocolType, req.Protocol = kmsg.StringPtr(protocolType), &protocol.name
	m.led = nil
	if joined.LeaderID == joined.MemberID {
		m.led = make(map[string]int32)
		counts := func(topic string) int32 {
			n := m.partitionCount(topic)
			m.led[topic] = n
			return n
		}
		assignments, errs := protocol.lead(joined.Members, counts)
		for _, err := range errs {
			m.logger.Warn("a member of the group gets no partitions", "group", m.group, "error", err)
		}
		if !joined.SkipAssignment {
			req.GroupAssignment = assignments
		}
	}
	resp, err := request[*kmsg.SyncGroupResponse](ctx, m.requester, versionSyncGroup, req)
	if err != nil {
		return nil, err
	}
	if err := check(resp.ErrorCode); err != nil {
		return nil, fmt.Errorf("sync of group %s: %w", m.group, err)
	}
	assignment, err := decodeAssignment(resp.MemberAssignment)
	// Whoever led may know of other topics: only the inputs are this member's to read.
	return slices.DeleteFunc(assignment, func(tp TopicPartition) bool { return !slices.Contains(m.topics, tp.Topic) }), err
}
