package transform

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// begin resolves where the deployment begins to offsets and commits them to its group. Where nobody has said where to
// begin, the group goes on from what it has committed before. A group that has members already is left as it is: its
// offsets are its members', and only the partitions that it has not committed begin where the deployment says.
func (d *Deployments) begin(ctx context.Context, deployment *meta.Deployment, asked bool) error {
	timestamp, err := parseFrom(deployment.From)
	if err != nil {
		return err
	}
	// A node that was killed while it deleted a deployment of this name has left members that nobody comes for.
	left := *deployment
	left.Members = MaxMembers
	d.vacate(ctx, &left)
	tps := d.inputsOf(deployment)
	offsets, err := d.offsetsAt(ctx, deployment.Name, tps, timestamp)
	if err != nil {
		return fmt.Errorf("--from %s cannot be resolved: %w", deployment.From, err)
	}
	if !asked {
		committed, err := fetchOffsets(ctx, d.requester(deployment.Name), deployment.Group, tps)
		if err != nil {
			return err
		}
		maps.Copy(offsets, committed)
	}
	if err := d.beginAt(d.Cluster.Image(), deployment, offsets); err != nil {
		return err
	}
	err = d.commitStart(ctx, deployment, offsets)
	if errors.Is(err, codeUnknownMember) || errors.Is(err, codeIllegalGeneration) || errors.Is(err, codeRebalancing) {
		if timestamp != timestampLatest {
			return refuse(ErrInvalid, "--from %s: group %s has members, whose offsets stay; stop them first, or leave --from out", deployment.From, deployment.Group)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("offsets of group %s cannot be committed: %w", deployment.Group, err)
	}
	return nil
}

// commitStart commits as somebody who is no member, which a group without members allows.
func (d *Deployments) commitStart(ctx context.Context, deployment *meta.Deployment, offsets map[TopicPartition]record.Offset) error {
	r := d.requester(deployment.Name)
	return patiently(ctx, func() error {
		if err := findCoordinator(ctx, r, deployment.Group); err != nil {
			return err
		}
		return commitOffsets(ctx, r, deployment.Group, offsets, func(*kmsg.OffsetCommitRequest) {})
	})
}

// offsetsAt asks for the offset of partitions at a timestamp, or one of ListOffsets' special ones. Where no record is that
// young, it is the end.
func (d *Deployments) offsetsAt(ctx context.Context, name string, tps []TopicPartition, timestamp int64) (map[TopicPartition]record.Offset, error) {
	offsets, err := d.listOffsets(ctx, name, tps, timestamp)
	if err != nil {
		return nil, err
	}
	var beyond []TopicPartition
	for tp, offset := range offsets {
		if offset < 0 {
			beyond = append(beyond, tp)
		}
	}
	if len(beyond) == 0 {
		return offsets, nil
	}
	ends, err := d.listOffsets(ctx, name, beyond, timestampLatest)
	for tp, offset := range ends {
		offsets[tp] = offset
	}
	return offsets, err
}

func listOffsetsRequest(tps []TopicPartition, timestamp int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	for topic, partitions := range byTopic(tps) {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for _, partition := range partitions {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp, p.CurrentLeaderEpoch = partition, timestamp, -1
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

func (d *Deployments) listOffsets(ctx context.Context, name string, tps []TopicPartition, timestamp int64) (map[TopicPartition]record.Offset, error) {
	resp, err := request[*kmsg.ListOffsetsResponse](ctx, d.requester(name), versionListOffsets, listOffsetsRequest(tps, timestamp))
	if err != nil {
		return nil, err
	}
	offsets := make(map[TopicPartition]record.Offset, len(tps))
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := check(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
			offsets[TopicPartition{t.Topic, p.Partition}] = record.Offset(p.Offset)
		}
	}
	if len(offsets) != len(tps) {
		return nil, fmt.Errorf("%d of %d partitions were answered for", len(offsets), len(tps))
	}
	return offsets, nil
}
