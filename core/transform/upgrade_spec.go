package transform

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/millrun/millrun/core/meta"
)

// UpgradeSpec is what is to change of a deployment, under the names that the upgrade verb's flags have: the JSON of the HTTP
// side, both ways. A field that is left out stays as it is.
type UpgradeSpec struct {
	Name   string `json:"name,omitempty"`   // neither may change: they are here
	Group  string `json:"group,omitempty"`  // so that a deploy's spec can be sent again
	Module string `json:"module,omitempty"` // a shipped module's name; with the module's bytes, what to call it

	Input  []string `json:"input,omitzero"`
	Output []string `json:"output,omitzero"` // empty: none
	// Config is merged into what there is, a null removes a name; with ClearConfig it begins empty.
	Config        map[string]*string `json:"config,omitempty"`
	ClearConfig   bool               `json:"clear-config,omitempty"`
	From          string             `json:"from,omitempty"` // where inputs begin that are new; latest
	Partition     string             `json:"partition,omitempty"`
	Guarantee     string             `json:"guarantee,omitempty"`
	OnError       string             `json:"on-error,omitempty"`
	DLQ           string             `json:"dlq,omitempty"`
	Retries       *int32             `json:"retries,omitempty"`
	Timeout       string             `json:"timeout,omitempty"`
	Memory        string             `json:"memory,omitempty"`
	Members       int32              `json:"members,omitempty"`
	CreateOutputs *bool              `json:"create-outputs,omitempty"`

	Shadow bool `json:"shadow,omitempty"` // only try the new version, and tell the differences
	Force  bool `json:"force,omitempty"`  // switch even if the new version fails on a record that the old one passes
}

// merge returns the deployment that old is to become, checked by itself. Its module is old's.
func (s *UpgradeSpec) merge(old *meta.Deployment) (meta.Deployment, error) {
	if s.Name != "" && s.Name != old.Name {
		return meta.Deployment{}, refuse(ErrInvalid, "deployment %s cannot be renamed to %s: deploy that, and delete this", old.Name, s.Name)
	}
	if s.Group != "" && s.Group != old.Group {
		return meta.Deployment{}, refuse(ErrInvalid, "deployment %s is in group %s, whose offsets it goes on from: it cannot change to group %s", old.Name, old.Group, s.Group)
	}
	spec := specFrom(old)
	s.overlay(&spec)
	next, err := spec.resolve()
	if err != nil {
		return next, err
	}
	next.From, next.FromOffsets, next.FromTopics = old.From, old.FromOffsets, old.FromTopics
	next.Module, next.CreatedMs = old.Module, old.CreatedMs
	return next, nil
}

func (s *UpgradeSpec) overlay(spec *DeploySpec) {
	if s.Input != nil {
		spec.Input = s.Input
	}
	if s.Output != nil {
		spec.Output = s.Output
	}
	for to, value := range map[*string]string{
		&spec.From: s.From, &spec.Partition: s.Partition, &spec.Guarantee: s.Guarantee, &spec.OnError: s.OnError, &spec.DLQ: s.DLQ,
		&spec.Timeout: s.Timeout, &spec.Memory: s.Memory,
	} {
		if value != "" {
			*to = value
		}
	}
	if s.OnError != "" && s.OnError != OnErrorDLQ && s.DLQ == "" {
		spec.DLQ = "" // it belonged to the policy before
	}
	if s.Retries != nil {
		spec.Retries = s.Retries
	}
	if s.Members != 0 {
		spec.Members = s.Members
	}
	if s.CreateOutputs != nil {
		spec.CreateOutputs = *s.CreateOutputs
	}
	if s.ClearConfig {
		spec.Config = nil
	}
	spec.Config = maps.Clone(spec.Config)
	for k, v := range s.Config {
		if v == nil {
			delete(spec.Config, k)
			continue
		}
		if spec.Config == nil {
			spec.Config = make(map[string]string)
		}
		spec.Config[k] = *v
	}
}

// specFrom is what somebody would ask for to get this deployment.
func specFrom(d *meta.Deployment) DeploySpec {
	retries := d.Retries
	return DeploySpec{
		Name: d.Name, Module: d.Module.Name, Input: d.Inputs, Output: d.Outputs, Group: d.Group, Config: d.Config, From: d.From,
		Partition: d.Partition, Guarantee: d.Guarantee, OnError: d.OnError, DLQ: d.DLQ, Retries: &retries,
		Timeout: (time.Duration(d.TimeoutMs) * time.Millisecond).String(), Memory: strconv.FormatInt(d.MemoryBytes, 10),
		Members: d.Members, CreateOutputs: d.CreateOutputs,
	}
}

// sameAs tells whether two versions would do the same.
func sameAs(a, b meta.Version) bool {
	return a.Module.SHA256 == b.Module.SHA256 && a.Module.Name == b.Module.Name &&
		slices.Equal(a.Inputs, b.Inputs) && slices.Equal(a.Outputs, b.Outputs) && maps.Equal(a.Config, b.Config) &&
		settingsOf(a) == settingsOf(b)
}

// settingsOf writes the settings that are neither topics nor config.
func settingsOf(v meta.Version) string {
	return fmt.Sprintf("%q %q %q %q %d %d %d %d %t", v.Partition, v.Guarantee, v.OnError, v.DLQ, v.Retries, v.TimeoutMs, v.MemoryBytes, v.Members, v.CreateOutputs)
}
