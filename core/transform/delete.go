package transform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Deleted is what a delete removed, and what of the deployment it left.
type Deleted struct {
	Name    string  `json:"name"`
	Removed []Thing `json:"removed"`
	Left    []Thing `json:"left"`
}

// Thing is something that a deployment had.
type Thing struct {
	Kind string `json:"kind"` // deployment, members, module, group, topic
	Name string `json:"name"`
	Note string `json:"note"`
}

// Delete removes a deployment, and the modules that only it has used. Its topics stay, and its groups' offsets, so that one
// that is deployed again under the same name goes on; with purge its groups are removed too, as far as nobody else is in
// them.
func (d *Deployments) Delete(ctx context.Context, name string, purge bool) (*Deleted, error) {
	deployment, ok := d.Cluster.Image().Deployment(name)
	if !ok {
		return nil, unknownDeployment(name)
	}
	d.discardPrepared(ctx, name)
	err := d.change(ctx, name, func(img *meta.Image) (meta.Command, error) {
		command, err := meta.DecideDeleteDeployment(img, name)
		if err != nil {
			return nil, err
		}
		return command, nil
	})
	if err != nil {
		return nil, err
	}
	out := &Deleted{Name: name, Left: []Thing{}, Removed: []Thing{
		{"deployment", name, "with its settings and its earlier versions"},
		{"members", deployment.Group, fmt.Sprintf("%d of the group, on each broker", deployment.Members)},
	}}
	// Whatever goes wrong from here on, the deployment is gone: it is told as something that is left.
	ctx = context.WithoutCancel(ctx)
	for _, sha := range d.sweepModules(ctx) {
		out.Removed = append(out.Removed, Thing{"module", sha, "no deployment uses it any more"})
	}
	d.leaveGroups(ctx, deployment, purge, out)
	d.leaveTopics(deployment, out)
	return out, nil
}

// leaveGroups tells of the groups that hold the deployment's offsets, having removed them if that is wanted.
func (d *Deployments) leaveGroups(ctx context.Context, deployment *meta.Deployment, purge bool, out *Deleted) {
	groups := []Thing{{"group", deployment.Group, "how far the inputs were read"}}
	if deployment.OnError == OnErrorDLQ {
		groups = append(groups, Thing{"group", replayGroup(deployment.Name), "how far the dead letters were replayed"})
	}
	for _, g := range groups {
		if !purge {
			g.Note += "; a deployment of the same name and group goes on there"
			out.Left = append(out.Left, g)
			continue
		}
		switch err := d.deleteGroup(ctx, deployment.Name, g.Name); {
		case err == nil:
			out.Removed = append(out.Removed, g)
		case !errors.Is(err, codeGroupNotFound):
			g.Note += fmt.Sprintf("; it was not removed: %v", err)
			out.Left = append(out.Left, g)
		}
	}
}

// deleteGroup removes a group and its offsets, unless another deployment has it or anybody is in it.
func (d *Deployments) deleteGroup(ctx context.Context, name, group string) error {
	for _, other := range d.Cluster.Image().Deployments() {
		if other.Group == group {
			return fmt.Errorf("deployment %s is in it", other.Name)
		}
	}
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{group}
	return patiently(ctx, func() error {
		resp, err := request[*kmsg.DeleteGroupsResponse](ctx, d.requester(name), versionDeleteGroups, req)
		if err != nil {
			return err
		}
		for _, g := range resp.Groups {
			if err := check(g.ErrorCode); err != nil {
				return err
			}
		}
		return nil
	})
}

// leaveTopics tells of the topics that the deployment wrote to.
func (d *Deployments) leaveTopics(deployment *meta.Deployment, out *Deleted) {
	add := func(topic, note string) {
		if d.partitionCount(topic) > 0 {
			out.Left = append(out.Left, Thing{"topic", topic, note})
		}
	}
	for _, topic := range deployment.Outputs {
		add(topic, "an output, with what was written to it")
	}
	if deployment.OnError == OnErrorDLQ {
		add(deployment.DLQ, "its dead letters")
	}
	add(LogsTopic, "what modules have logged, for a day")
}

// sweepTimeout bounds the removal of modules, for which nobody should have to wait long.
const sweepTimeout = 5 * time.Second

// sweepModules removes the modules that no deployment runs or could roll back to, also those that a crash has left, and
// returns their hashes. While something is being deployed it does nothing: the next one does it then.
func (d *Deployments) sweepModules(ctx context.Context) []string {
	if !d.deploying.TryLock() {
		return nil
	}
	defer d.deploying.Unlock()
	return d.sweepModulesLocked(ctx)
}

// sweepModulesLocked is sweepModules for who holds deploying: a module is stored before its deployment is known.
func (d *Deployments) sweepModulesLocked(ctx context.Context) (removed []string) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	stored, err := d.Modules.ModuleHashes(ctx)
	img := d.Cluster.Image()
	for _, sha := range stored {
		if err != nil || img.ModuleInUse(sha) {
			continue
		}
		if err = d.Modules.DeleteModule(ctx, sha); err == nil {
			removed = append(removed, sha)
		}
	}
	if err != nil {
		d.Logger.Warn("modules that nobody uses are not removed yet", "error", err)
	}
	return removed
}
