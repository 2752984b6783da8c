package transform

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrun/millrun/core/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxOffsetAttempts bounds how often offsets are asked for while the coordinator is busy.
const maxOffsetAttempts = 20

// errNotMember is returned by a commit between two memberships.
var errNotMember = errors.New("not a member of the group")

// commitOffsets commits as this member. It runs on the processor's goroutine; what it learns of the group, run has to find
// out for itself.
func (m *member) commitOffsets(ctx context.Context, offsets map[TopicPartition]record.Offset) error {
	id := m.identity.Load()
	if id == nil {
		return errNotMember
	}
	err := commitOffsets(ctx, m.requester, m.group, offsets, func(req *kmsg.OffsetCommitRequest) {
		req.Generation, req.MemberID, req.InstanceID = id.generation, id.memberID, &m.instanceID
	})
	if errors.Is(err, codeRebalancing) || errors.Is(err, codeIllegalGeneration) || errors.Is(err, codeUnknownMember) || errors.Is(err, codeFencedInstance) {
		m.poke()
	}
	return err
}

// commitOffsets commits offsets of a group, by default as somebody who is no member.
func commitOffsets(ctx context.Context, r requester, group string, offsets map[TopicPartition]record.Offset, as func(*kmsg.OffsetCommitRequest)) error {
	req := commitRequest(group, offsets)
	as(req)
	return sendCommit(ctx, r, versionOffsetCommit, req)
}

// commitRequest asks to commit offsets as somebody who is no member.
func commitRequest(group string, offsets map[TopicPartition]record.Offset) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	tps := make([]TopicPartition, 0, len(offsets))
	for tp := range offsets {
		tps = append(tps, tp)
	}
	for topic, partitions := range byTopic(tps) {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = topic
		for _, partition := range partitions {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch = partition, int64(offsets[TopicPartition{topic, partition}]), -1
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// sendCommit sends a commit. A topic that has been deleted meanwhile is passed over.
func sendCommit(ctx context.Context, r requester, version int16, req *kmsg.OffsetCommitRequest) error {
	resp, err := request[*kmsg.OffsetCommitResponse](ctx, r, version, req)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := check(p.ErrorCode); err != nil && !errors.Is(err, codeUnknownTopic) {
				return fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

// patiently calls f until it succeeds, fails for good, or has met too many answers that may pass: a coordinator that is
// starting, transactions that are ending.
func patiently(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		var code kafkaError
		if err == nil || attempt == maxOffsetAttempts || !errors.As(err, &code) || !code.passing() {
			return err
		}
		if sleep(ctx, backoff(1)); ctx.Err() != nil {
			return err
		}
	}
}

// fetchOffsets returns what a group has committed for these partitions; one without a commit is not in the result.
func fetchOffsets(ctx context.Context, r requester, group string, tps []TopicPartition) (offsets map[TopicPartition]record.Offset, err error) {
	err = patiently(ctx, func() error {
		offsets, err = fetchOffsetsOnce(ctx, r, group, tps)
		return err
	})
	return offsets, err
}

func fetchOffsetsOnce(ctx context.Context, r requester, group string, tps []TopicPartition) (map[TopicPartition]record.Offset, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.RequireStable = group, true
	req.Topics = []kmsg.OffsetFetchRequestTopic{} // null would ask for everything
	for topic, partitions := range byTopic(tps) {
		t := kmsg.NewOffsetFetchRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		req.Topics = append(req.Topics, t)
	}
	resp, err := request[*kmsg.OffsetFetchResponse](ctx, r, versionOffsetFetch, req)
	if err != nil {
		return nil, err
	}
	if err := check(resp.ErrorCode); err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	offsets := make(map[TopicPartition]record.Offset, len(tps))
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := check(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("offset of group %s in %s/%d: %w", group, t.Topic, p.Partition, err)
			}
			if p.Offset >= 0 {
				offsets[TopicPartition{t.Topic, p.Partition}] = record.Offset(p.Offset)
			}
		}
	}
	return offsets, nil
}

// fetchPositions returns where to begin in each of these partitions.
func (m *member) fetchPositions(ctx context.Context, tps []TopicPartition) (map[TopicPartition]record.Offset, error) {
	if len(tps) == 0 {
		return nil, nil
	}
	positions, err := fetchOffsets(ctx, m.requester, m.group, tps)
	if err != nil {
		return nil, err
	}
	for _, tp := range tps {
		if _, committed := positions[tp]; !committed {
			positions[tp] = m.startOf(tp)
		}
	}
	return positions, nil
}
