package meta

import (
	"maps"
	"slices"
)

// DecidePutDeployment adds a deployment, or with replace puts it in place of the one of the same name if there is one;
// it runs from then on unless it says another state. A replacement keeps CreatedMs, counts up the version, whatever it
// changes, and remembers the one before. Nothing that the deployment refers to is checked: topics
// and the module are the caller's. The errors are ErrInvalidDeployment and ErrDeploymentExists.
func DecidePutDeployment(img *Image, d Deployment, replace bool) (Command, error) {
	if why := nameFault(d.Name); why != "" {
		return nil, refuse(ErrInvalidDeployment, "the deployment's name is invalid: %s", why)
	}
	if d.State == "" {
		d.State = DeploymentRunning
	}
	if err := checkDeployment(&d); err != nil {
		return nil, err
	}
	old, exists := img.Deployment(d.Name)
	if exists && !replace {
		return nil, refuse(ErrDeploymentExists, "deployment %s exists", d.Name)
	}
	d.CreatedSeq, d.ChangedSeq, d.History, d.Module.Version = 0, 0, nil, 1
	if exists {
		d.CreatedMs, d.History, d.Module.Version = old.CreatedMs, remember(old.History, old.Version()), old.Module.Version+1
	}
	d.Inputs, d.Outputs = slices.Clone(d.Inputs), slices.Clone(d.Outputs)
	d.FromTopics = maps.Clone(d.FromTopics)
	d.FromOffsets, d.TookOver, d.Config = slices.Clone(d.FromOffsets), slices.Clone(d.TookOver), maps.Clone(d.Config)
	return &PutDeployment{d}, nil
}

func checkDeployment(d *Deployment) error {
	switch {
	case d.Group == "":
		return refuse(ErrInvalidDeployment, "deployment %s has no group", d.Name)
	case len(d.Inputs) == 0:
		return refuse(ErrInvalidDeployment, "deployment %s has no input", d.Name)
	case !isSHA256(d.Module.SHA256):
		return refuse(ErrInvalidDeployment, "deployment %s: %q is no module", d.Name, d.Module.SHA256)
	}
	return checkState(d.Name, d.State, d.Reason)
}

func checkState(name string, s DeploymentState, reason string) error {
	switch s {
	case DeploymentRunning, DeploymentPaused:
		return nil
	case DeploymentStopped, DeploymentFailed:
		if reason == "" {
			return refuse(ErrInvalidDeployment, "deployment %s is %s without a reason", name, s)
		}
		return nil
	}
	return refuse(ErrInvalidDeployment, "deployment %s: %q is no state", name, s)
}

func isSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// DecideUpdateDeployment changes what a deployment is meant to be doing; nil if it is so already. The reason is kept for
// a stopped or failed one, which needs it. The errors are ErrUnknownDeployment and ErrInvalidDeployment.
func DecideUpdateDeployment(img *Image, name string, s DeploymentState, reason string) (Command, error) {
	d, ok := img.Deployment(name)
	if !ok {
		return nil, refuse(ErrUnknownDeployment, "there is no deployment %s", name)
	}
	if err := checkState(name, s, reason); err != nil {
		return nil, err
	}
	if s == DeploymentRunning || s == DeploymentPaused {
		reason = ""
	}
	if d.State == s && d.Reason == reason {
		return nil, nil
	}
	return &UpdateDeployment{Name: name, CreatedSeq: d.CreatedSeq, State: s, Reason: reason}, nil
}

// DecideDeleteDeployment removes a deployment. The error is ErrUnknownDeployment.
func DecideDeleteDeployment(img *Image, name string) (Command, error) {
	d, ok := img.Deployment(name)
	if !ok {
		return nil, refuse(ErrUnknownDeployment, "there is no deployment %s", name)
	}
	return &DeleteDeployment{Name: name, CreatedSeq: d.CreatedSeq}, nil
}
