package transform

import (
	"context"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// hold has what runs under a name stop between two calls of its guest, with everything that it processed committed, and
// keeps anything from starting in its place until release is called. As many of its members as are kept stay in the group,
// though nobody acts for them meanwhile: as static members they are found there by those who come next, and nobody else is
// given their partitions. It reports whether anything ran.
func (d *Deployments) hold(name string, keep int) (was bool, release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.slots[name]
	if s == nil {
		return false, func() {}
	}
	was = s.worker != nil
	s.held, s.keep = true, keep
	s.poke()
	for s.worker != nil && d.slots[name] == s {
		changed := d.changed
		d.mu.Unlock()
		<-changed
		d.mu.Lock()
	}
	return was, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		s.held = false
		s.poke()
	}
}

// awaitBegun returns when the worker of a name has joined its group, can no longer go on, or takes too long.
func (d *Deployments) awaitBegun(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		d.mu.Lock()
		s, changed := d.slots[name], d.changed
		var w *worker
		if s != nil {
			w = s.worker
		}
		wanted := s != nil && s.want != nil && s.want.State == meta.DeploymentRunning
		d.mu.Unlock()
		if !wanted {
			return
		}
		if w != nil {
			select {
			case <-w.begun:
			case <-w.done:
			case <-ctx.Done():
			}
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// handOver ends the worker as close does, but as many of its members as are kept stay in their group.
func (w *worker) handOver(keep int) {
	w.kept.Store(int32(keep))
	w.close()
}

// stays tells how long the last commit of a member may take that keeps its place in the group; 0 if it is to leave. A call
// of the guest may have to end first.
func (w *worker) stays(index int) time.Duration {
	if int32(index) >= w.kept.Load() {
		return 0
	}
	return time.Duration(w.deployment.TimeoutMs)*time.Millisecond + drainTimeout
}

// vacate has the group forget the members that were to keep their places, as nobody comes for them.
func (d *Deployments) vacate(ctx context.Context, deployment *meta.Deployment) {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = deployment.Group
	for i := range int(deployment.Members) {
		who := kmsg.NewLeaveGroupRequestMember()
		instance := d.instanceID(deployment.Name, i)
		who.InstanceID = &instance
		req.Members = append(req.Members, who)
	}
	if _, err := request[*kmsg.LeaveGroupResponse](ctx, d.requester(deployment.Name), versionLeaveGroup, req); err != nil {
		d.Logger.Warn("the group could not be left", "group", deployment.Group, "error", err)
	}
}
