package transform

import (
	"time"

	"github.com/millrun/millrun/core/meta"
)

// Summary is a deployment as the list shows it.
type Summary struct {
	Name           string            `json:"name"`
	State          string            `json:"state"`  // starting, running, paused, stopped, failed
	Reason         string            `json:"reason"` // never empty if stopped or failed
	Group          string            `json:"group"`
	Inputs         []string          `json:"inputs"`
	Outputs        []string          `json:"outputs"`
	Config         map[string]string `json:"config"`
	From           string            `json:"from"`
	Guarantee      string            `json:"guarantee"`
	Policy         PolicyStatus      `json:"policy"`
	Limits         LimitsStatus      `json:"limits"`
	Module         ModuleStatus      `json:"module"`
	Members        []MemberStatus    `json:"members"`         // of the group, outside ones too
	PartitionCount int               `json:"partition_count"` // of the inputs
	Lag            int64             `json:"lag"`
	Rates          Rates             `json:"rates"`
	Counters       Counters          `json:"counters"`
	Memory         MemoryStatus      `json:"memory"`
	LastError      *ErrorStatus      `json:"last_error"` // null if nothing has gone wrong since this node knows of the deployment
}

// Status is a deployment as describe shows it.
type Status struct {
	Summary
	Partitions []PartitionStatus `json:"partitions"`
	Versions   []VersionStatus   `json:"versions"` // the oldest first, the present one last
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

// summarize tells what the metadata and this node's worker know.
func (d *Deployments) summarize(deployment *meta.Deployment) Status {
	s := Status{Summary: Summary{
		Name: deployment.Name, State: string(deployment.State), Reason: deployment.Reason, Group: deployment.Group,
		Inputs: notNil(deployment.Inputs), Outputs: notNil(deployment.Outputs), Config: deployment.Config, From: deployment.From,
		Guarantee: deployment.Guarantee,
		Module:    ModuleStatus{deployment.Module.Name, deployment.Module.SHA256, deployment.Module.Version},
	}}
	s.Policy, s.Limits = policyOf(deployment)
	if s.Config == nil {
		s.Config = map[string]string{}
	}
	d.mu.Lock()
	slot := d.slots[deployment.Name]
	var w *worker
	var c *counters
	if slot != nil {
		w, c = slot.worker, slot.counters
	}
	d.mu.Unlock()
	if c != nil {
		s.Counters, s.Rates, s.Memory, s.LastError = c.snapshot(), c.rates(time.Now()), c.memoryStatus(), c.last()
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
