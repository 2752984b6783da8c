package transform

import (
	"github.com/millrun/millrun/core/meta"
)

// VersionStatus is one version of a deployment, as describe shows it.
type VersionStatus struct {
	Version  int32             `json:"version"`
	Restores int32             `json:"restores,omitempty"` // the version that a rollback brought back
	Name     string            `json:"name"`               // of the module
	SHA256   string            `json:"sha256"`
	Deployed int64             `json:"deployed"` // milliseconds since 1970
	Inputs   []string          `json:"inputs"`
	Outputs  []string          `json:"outputs"`
	Config   map[string]string `json:"config"`
	From     []VersionOffset   `json:"from"`
}

// VersionOffset is where a version took over in one partition.
type VersionOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// versionsOf lists the versions that are remembered, the oldest first, the present one last.
func versionsOf(d *meta.Deployment) []VersionStatus {
	out := make([]VersionStatus, 0, len(d.History)+1)
	for _, v := range d.History {
		out = append(out, versionStatus(v))
	}
	return append(out, versionStatus(d.Version()))
}

func versionStatus(v meta.Version) VersionStatus {
	s := VersionStatus{
		Version: v.Module.Version, Restores: v.Restores, Name: v.Module.Name, SHA256: v.Module.SHA256, Deployed: v.Module.DeployedMs,
		Inputs: notNil(v.Inputs), Outputs: notNil(v.Outputs), Config: v.Config, From: make([]VersionOffset, 0, len(v.TookOver)),
	}
	if s.Config == nil {
		s.Config = map[string]string{}
	}
	for _, o := range v.TookOver {
		s.From = append(s.From, VersionOffset{o.Topic, o.Partition, o.Offset})
	}
	return s
}
