package transform

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/millrun/millrun/core/meta"
)

// PolicyStatus is what happens to a deployment's records that fail.
type PolicyStatus struct {
	OnError string `json:"on_error"` // stop, skip, dlq
	DLQ     string `json:"dlq"`      // the topic for dead letters, "" with another policy
	Retries int32  `json:"retries"`
}

// LimitsStatus is what a deployment's guests may use.
type LimitsStatus struct {
	Timeout     string `json:"timeout"` // of one call, as 1s
	MemoryBytes int64  `json:"memory_bytes"`
}

func policyOf(d *meta.Deployment) (PolicyStatus, LimitsStatus) {
	return PolicyStatus{d.OnError, d.DLQ, d.Retries}, LimitsStatus{(time.Duration(d.TimeoutMs) * time.Millisecond).String(), d.MemoryBytes}
}

// Module returns the bytes of the module that a deployment runs or, if sha256 is not empty, of the one with that hash for
// as long as the cluster keeps it: those of dead letters may be older ones.
func (d *Deployments) Module(ctx context.Context, name, sha256 string) ([]byte, meta.ModuleRef, error) {
	deployment, ok := d.Cluster.Image().Deployment(name)
	if !ok {
		return nil, meta.ModuleRef{}, unknownDeployment(name)
	}
	ref := deployment.Module
	if sha256 != "" && sha256 != ref.SHA256 {
		if b, err := hex.DecodeString(sha256); err != nil || len(b) != 32 {
			return nil, ref, refuse(ErrInvalid, "sha256 %q: it is 64 hexadecimal digits", sha256)
		}
		ref = meta.ModuleRef{SHA256: sha256}
	}
	wasm, err := d.Modules.Module(ctx, ref.SHA256)
	if err != nil {
		return nil, ref, refuse(ErrUnknown, "module %s of deployment %s: %v", ref.SHA256, name, err)
	}
	return wasm, ref, nil
}
