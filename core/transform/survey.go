package transform

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// survey is what the cluster knows of the groups and the inputs of some deployments. It is asked for with three requests,
// however many deployments there are.
type survey struct {
	requester requester
	committed map[string]map[TopicPartition]record.Offset // by group
	members   map[string][]kmsg.DescribeGroupsResponseGroupMember
	ends      map[TopicPartition]record.Offset
	groupErrs map[string]error
	topicErrs map[string]error
}

// Describe tells all about a deployment.
func (d *Deployments) Describe(ctx context.Context, name string) (*Status, error) {
	deployment, ok := d.Cluster.Image().Deployment(name)
	if !ok {
		return nil, unknownDeployment(name)
	}
	s, err := d.survey(ctx, []*meta.Deployment{deployment})
	if err != nil {
		return nil, err
	}
	status, err := d.describe(deployment, s)
	status.Versions = versionsOf(deployment)
	return &status, err
}

// DescribeAll tells all about all deployments, by name. Of one whose group or inputs cannot be asked about, it tells what
// is known, and why there is no more in its reason, if that is empty.
func (d *Deployments) DescribeAll(ctx context.Context) ([]Status, error) {
	out := []Status{}
	deployments := d.Cluster.Image().Deployments()
	if len(deployments) == 0 {
		return out, nil
	}
	s, err := d.survey(ctx, deployments)
	if err != nil {
		return nil, err
	}
	for _, deployment := range deployments {
		status, err := d.describe(deployment, s)
		if err != nil && status.Reason == "" {
			status.Reason = err.Error()
		}
		out = append(out, status)
	}
	return out, nil
}

// List is DescribeAll without the partitions.
func (d *Deployments) List(ctx context.Context) ([]Summary, error) {
	all, err := d.DescribeAll(ctx)
	out := make([]Summary, 0, len(all))
	for i := range all {
		out = append(out, all[i].Summary)
	}
	return out, err
}

// describe puts together what the survey, the metadata and this node know. With an error comes a status without the
// partitions, the members and the lag.
func (d *Deployments) describe(deployment *meta.Deployment, s *survey) (Status, error) {
	out := d.summarize(deployment)
	out.Partitions, out.Members = []PartitionStatus{}, []MemberStatus{}
	if err := s.groupErrs[deployment.Group]; err != nil {
		return out, fmt.Errorf("group %s: %w", deployment.Group, err)
	}
	for _, topic := range d.inputTopics(deployment) {
		if err := s.topicErrs[topic]; err != nil {
			return out, fmt.Errorf("end of input %s: %w", topic, err)
		}
	}
	for _, tp := range d.inputsOf(deployment) {
		offset, ok := s.committed[deployment.Group][tp]
		if !ok {
			offset = startOf(d.Cluster.Image(), deployment, tp)
		}
		p := PartitionStatus{tp.Topic, tp.Partition, int64(offset), int64(s.ends[tp]), max(int64(s.ends[tp]-offset), 0)}
		out.Partitions = append(out.Partitions, p)
		out.Lag += p.Lag
	}
	out.PartitionCount = len(out.Partitions)
	out.Members = d.describeMembers(deployment, s.members[deployment.Group])
	return out, nil
}

// describeMembers puts a group's members into the words of describe.
func (d *Deployments) describeMembers(deployment *meta.Deployment, members []kmsg.DescribeGroupsResponseGroupMember) []MemberStatus {
	out := make([]MemberStatus, 0, len(members))
	local := fmt.Sprintf("%s-%d-", clientID(deployment.Name), d.NodeID)
	for i := range members {
		m := &members[i]
		status := MemberStatus{ID: m.MemberID, Client: m.ClientID, Host: m.ClientHost, Partitions: []MemberPartition{}}
		status.Local = m.InstanceID != nil && strings.HasPrefix(*m.InstanceID, local)
		// What an outside leader made cannot always be read; the member is shown without partitions then.
		assigned, _ := decodeAssignment(m.MemberAssignment)
		for _, tp := range assigned {
			status.Partitions = append(status.Partitions, MemberPartition{tp.Topic, tp.Partition})
		}
		out = append(out, status)
	}
	slices.SortFunc(out, func(a, b MemberStatus) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// inputsOf are the input partitions of a deployment, as of now.
func (d *Deployments) inputsOf(deployment *meta.Deployment) []TopicPartition {
	return d.inputPartitions(d.Cluster.Image(), deployment)
}

// survey asks about the groups and the inputs of deployments. A coordinator that is starting is waited for.
func (d *Deployments) survey(ctx context.Context, deployments []*meta.Deployment) (*survey, error) {
	s := &survey{requester: requester{d.Caller, "millrun-wasm"}}
	if len(deployments) == 1 {
		s.requester = d.requester(deployments[0].Name)
	}
	groups := make(map[string][]TopicPartition, len(deployments))
	var inputs []TopicPartition
	for _, deployment := range deployments {
		tps := d.inputsOf(deployment)
		groups[deployment.Group] = append(groups[deployment.Group], tps...)
		inputs = append(inputs, tps...)
	}
	for group, tps := range groups {
		groups[group] = distinct(tps)
	}
	err := patiently(ctx, func() error {
		s.groupErrs = make(map[string]error)
		if err := s.fetchOffsets(ctx, groups); err != nil {
			return err
		}
		if err := s.describeGroups(ctx, groups); err != nil {
			return err
		}
		for _, err := range s.groupErrs {
			return err
		}
		return nil
	})
	if err != nil && len(s.groupErrs) == 0 {
		return nil, err
	}
	return s, s.listEnds(ctx, distinct(inputs))
}

// distinct sorts and removes what is there twice.
func distinct(tps []TopicPartition) []TopicPartition {
	slices.SortFunc(tps, compareTopicPartitions)
	return slices.Compact(tps)
}

func (s *survey) fetchOffsets(ctx context.Context, groups map[string][]TopicPartition) error {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	for group, tps := range groups {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.Topics = group, []kmsg.OffsetFetchRequestGroupTopic{} // null would ask for everything
		for topic, partitions := range byTopic(tps) {
			t := kmsg.NewOffsetFetchRequestGroupTopic()
			t.Topic, t.Partitions = topic, partitions
			g.Topics = append(g.Topics, t)
		}
		req.Groups = append(req.Groups, g)
	}
	resp, err := request[*kmsg.OffsetFetchResponse](ctx, s.requester, versionOffsetFetchGroups, req)
	if err != nil {
		return err
	}
	s.committed = make(map[string]map[TopicPartition]record.Offset, len(groups))
	for _, g := range resp.Groups {
		offsets := make(map[TopicPartition]record.Offset)
		err := check(g.ErrorCode)
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err == nil {
					err = check(p.ErrorCode)
				}
				if p.Offset >= 0 {
					offsets[TopicPartition{t.Topic, p.Partition}] = record.Offset(p.Offset)
				}
			}
		}
		if err != nil {
			s.groupErrs[g.Group] = err
		}
		s.committed[g.Group] = offsets
	}
	return nil
}

func (s *survey) describeGroups(ctx context.Context, groups map[string][]TopicPartition) error {
	req := kmsg.NewPtrDescribeGroupsRequest()
	for group := range groups {
		req.Groups = append(req.Groups, group)
	}
	resp, err := request[*kmsg.DescribeGroupsResponse](ctx, s.requester, versionDescribeGroups, req)
	if err != nil {
		return err
	}
	s.members = make(map[string][]kmsg.DescribeGroupsResponseGroupMember, len(groups))
	for _, g := range resp.Groups {
		if err := check(g.ErrorCode); err != nil {
			s.groupErrs[g.Group] = err
		}
		s.members[g.Group] = g.Members
	}
	return nil
}

func (s *survey) listEnds(ctx context.Context, tps []TopicPartition) error {
	s.ends, s.topicErrs = make(map[TopicPartition]record.Offset, len(tps)), make(map[string]error)
	if len(tps) == 0 {
		return nil
	}
	resp, err := request[*kmsg.ListOffsetsResponse](ctx, s.requester, versionListOffsets, listOffsetsRequest(tps, timestampLatest))
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := check(p.ErrorCode); err != nil {
				s.topicErrs[t.Topic] = fmt.Errorf("partition %d: %w", p.Partition, err)
			}
			s.ends[TopicPartition{t.Topic, p.Partition}] = record.Offset(p.Offset)
		}
	}
	return nil
}
