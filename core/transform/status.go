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

// Summary is a deployment as the list shows it.
type Summary struct {
	Name      string            `json:"name"`
	State     string            `json:"state"`  // starting, running, paused, stopped, failed
	Reason    string            `json:"reason"` // never empty if stopped or failed
	Group     string            `json:"group"`
	Inputs    []string          `json:"inputs"`
	Outputs   []string          `json:"outputs"`
	Config    map[string]string `json:"config"`
	From      string            `json:"from"`
	Guarantee string            `json:"guarantee"`
	Module    ModuleStatus      `json:"module"`
	Members   []MemberStatus    `json:"members"` // of the group, outside ones too
	Lag       int64             `json:"lag"`
	Counters  Counters          `json:"counters"`
}

// Status is a deployment as describe shows it.
type Status struct {
	Summary
	Partitions []PartitionStatus `json:"partitions"`
}

// ModuleStatus names the module that a deployment runs.
type ModuleStatus struct {
	Name    string `json:"name"`
	SHA256  string `json:"sha256"`
	Version int32  `json:"version"`
}

// MemberStatus is one member of the deployment's group.
type MemberStatus struct {
	ID         string            `json:"id"`
	Client     string            `json:"client"`
	Host       string            `json:"host"`
	Local      bool              `json:"local"` // run by this node for this deployment
	Partitions []MemberPartition `json:"partitions"`
}

// MemberPartition is a partition that is assigned to a member.
type MemberPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// PartitionStatus is how far the group has come in one input partition.
type PartitionStatus struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"` // committed, or where the group will begin
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
}

// Describe tells all about a deployment.
func (d *Deployments) Describe(ctx context.Context, name string) (*Status, error) {
	deployment, ok := d.Cluster.Image().Deployment(name)
	if !ok {
		return nil, unknownDeployment(name)
	}
	s := d.summarize(deployment)
	var err error
	if s.Partitions, err = d.describePartitions(ctx, deployment); err != nil {
		return nil, err
	}
	for _, p := range s.Partitions {
		s.Lag += p.Lag
	}
	if s.Members, err = d.describeMembers(ctx, deployment); err != nil {
		return nil, err
	}
	return &s, nil
}

// List tells about all deployments, by name.
func (d *Deployments) List(ctx context.Context) ([]Summary, error) {
	out := []Summary{}
	for _, deployment := range d.Cluster.Image().Deployments() {
		s, err := d.Describe(ctx, deployment.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, s.Summary)
	}
	return out, nil
}

// summarize tells what the metadata and this node's worker know.
func (d *Deployments) summarize(deployment *meta.Deployment) Status {
	s := Status{Summary: Summary{
		Name: deployment.Name, State: string(deployment.State), Reason: deployment.Reason, Group: deployment.Group,
		Inputs: notNil(deployment.Inputs), Outputs: notNil(deployment.Outputs), Config: deployment.Config, From: deployment.From,
		Guarantee: deployment.Guarantee,
		Module:    ModuleStatus{deployment.Module.Name, deployment.Module.SHA256, deployment.Module.Version},
	}}
	if s.Config == nil {
		s.Config = map[string]string{}
	}
	d.mu.Lock()
	slot := d.slots[deployment.Name]
	var w *worker
	if slot != nil {
		w = slot.worker
	}
	d.mu.Unlock()
	if w != nil {
		s.Counters = w.counters.snapshot()
	}
	if deployment.State == meta.DeploymentRunning {
		s.State = stateStarting
		if w != nil && w.deployment.ChangedSeq == deployment.ChangedSeq {
			s.State, s.Reason = w.status()
		}
	}
	return s
}

// notNil makes an empty list an array in JSON.
func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (d *Deployments) describePartitions(ctx context.Context, deployment *meta.Deployment) ([]PartitionStatus, error) {
	var tps []TopicPartition
	for _, topic := range deployment.Inputs {
		for p := range d.partitionCount(topic) {
			tps = append(tps, TopicPartition{topic, p})
		}
	}
	out := []PartitionStatus{}
	if len(tps) == 0 {
		return out, nil
	}
	committed, err := fetchOffsets(ctx, d.requester(deployment.Name), deployment.Group, tps)
	if err != nil {
		return nil, err
	}
	ends, err := d.listOffsets(ctx, deployment.Name, tps, timestampLatest)
	if err != nil {
		return nil, fmt.Errorf("ends of the inputs of %s: %w", deployment.Name, err)
	}
	begin := make(map[TopicPartition]record.Offset, len(deployment.FromOffsets))
	for _, o := range deployment.FromOffsets {
		begin[TopicPartition{o.Topic, o.Partition}] = record.Offset(o.Offset)
	}
	for _, tp := range tps {
		offset, ok := committed[tp]
		if !ok {
			offset = begin[tp]
		}
		out = append(out, PartitionStatus{tp.Topic, tp.Partition, int64(offset), int64(ends[tp]), max(int64(ends[tp]-offset), 0)})
	}
	return out, nil
}

func (d *Deployments) describeMembers(ctx context.Context, deployment *meta.Deployment) ([]MemberStatus, error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{deployment.Group}
	var groups []kmsg.DescribeGroupsResponseGroup
	err := patiently(ctx, func() error {
		resp, err := request[*kmsg.DescribeGroupsResponse](ctx, d.requester(deployment.Name), versionDescribeGroups, req)
		if err != nil {
			return err
		}
		groups = resp.Groups
		for _, g := range groups {
			if err := check(g.ErrorCode); err != nil {
				return fmt.Errorf("group %s: %w", g.Group, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := []MemberStatus{}
	local := fmt.Sprintf("%s-%d-", clientID(deployment.Name), d.NodeID)
	for _, g := range groups {
		for _, m := range g.Members {
			status := MemberStatus{ID: m.MemberID, Client: m.ClientID, Host: m.ClientHost, Partitions: []MemberPartition{}}
			status.Local = m.InstanceID != nil && strings.HasPrefix(*m.InstanceID, local)
			// What an outside leader made cannot always be read; the member is shown without partitions then.
			assigned, _ := decodeAssignment(m.MemberAssignment)
			for _, tp := range assigned {
				status.Partitions = append(status.Partitions, MemberPartition{tp.Topic, tp.Partition})
			}
			out = append(out, status)
		}
	}
	slices.SortFunc(out, func(a, b MemberStatus) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}
