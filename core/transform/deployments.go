package transform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millrun/millrun/core/meta"
)

// Config is what Deployments needs of its node. Every field is required.
type Config struct {
	NodeID  meta.NodeID
	Cluster Cluster
	Caller  Caller
	Modules Modules
	Source  Source
	Sink    Sink
	Runner  Runner
	Logger  *slog.Logger
}

// node is what all workers share.
type node struct {
	Config
	logs *guestLogs
}

// clientID is how members of a deployment are known: it is seen in every description of their group.
func clientID(deployment string) string { return "millrun-wasm-" + deployment }

func (n *node) requester(deployment string) requester {
	return requester{n.Caller, clientID(deployment)}
}

// instanceID names a member for as long as the deployment lives, across restarts of the node.
func (n *node) instanceID(deployment string, index int) string {
	return fmt.Sprintf("%s-%d-%d", clientID(deployment), n.NodeID, index)
}

func (n *node) partitionCount(topic string) int32 {
	if t, ok := n.Cluster.Image().Topic(topic); ok {
		return int32(len(t.Partitions))
	}
	return 0
}

// Deployments runs this node's part of all deployments of the cluster, and answers for them.
type Deployments struct {
	node
	deploying sync.Mutex         // held by a deploy: one at a time
	stop      context.CancelFunc // of StopCompiling

	mu        sync.Mutex
	slots     map[string]*slot     // guarded by mu
	prepared  map[string]*prepared // guarded by mu: by name, programs of a deploy that is under way
	replaying map[string]bool      // guarded by mu: deployments whose dead letters are being replayed
	closed    bool                 // guarded by mu
	changed   chan struct{}        // guarded by mu: closed, and replaced, when a slot has begun or ended a worker
	running   sync.WaitGroup       // of slots
}

// prepared is a program that was started on trial and may be used by the worker of the deployment it was checked for.
type prepared struct {
	program   Program
	createdMs int64
	version   int32
}

// New returns Deployments that runs nothing until the first Reconcile.
func New(c Config) *Deployments {
	stopping, stop := context.WithCancel(context.Background())
	c.Runner = until(stopping, c.Runner)
	d := &Deployments{node: node{Config: c}, stop: stop, slots: make(map[string]*slot), prepared: make(map[string]*prepared), replaying: make(map[string]bool), changed: make(chan struct{})}
	d.logs = newGuestLogs(c.NodeID, c.Caller, c.Sink, c.Logger)
	return d
}

// slot makes what runs under one name equal to what is wanted. want and worker are guarded by the Deployments' mu; the
// slot's goroutine alone changes worker.
type slot struct {
	want     *meta.Deployment // nil: nothing
	worker   *worker
	counters *counters     // guarded by mu: of the deployment that is, or was last, wanted
	held     bool          // guarded by mu: nothing is to run for now
	keep     int           // guarded by mu: how many members stay in the group while it is held
	wake     chan struct{} // holds one
}

// poke has the slot's goroutine look again.
func (s *slot) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Reconcile takes over what has changed from one image to the next; before is nil at the start. It does not block: it is
// called while metadata is applied. Workers follow on goroutines of their own.
func (d *Deployments) Reconcile(before, after *meta.Image) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if before != nil {
		for _, old := range before.Deployments() {
			if _, ok := after.Deployment(old.Name); !ok {
				d.want(old.Name, nil)
			}
		}
	}
	for _, deployment := range after.Deployments() {
		d.want(deployment.Name, deployment)
		if s := d.slots[deployment.Name]; before != nil && s.worker != nil && s.worker.inputs.touched(meta.ChangedTopics(before, after)) {
			s.worker.topicsChanged()
		}
	}
}

// want tells a name's slot what should run. The caller holds mu.
func (d *Deployments) want(name string, deployment *meta.Deployment) {
	s := d.slots[name]
	if s == nil {
		if deployment == nil {
			return
		}
		s = &slot{wake: make(chan struct{}, 1)}
		d.slots[name] = s
		d.running.Go(func() { d.follow(name, s) })
	}
	if s.want == deployment {
		return
	}
	if deployment != nil && (s.want == nil || s.want.CreatedSeq != deployment.CreatedSeq) {
		s.counters = newCounters()
	}
	s.want = deployment
	s.poke()
}

// follow runs a slot until nothing is wanted of it any more.
func (d *Deployments) follow(name string, s *slot) {
	for {
		d.mu.Lock()
		want, worker, counters, held, keep := s.want, s.worker, s.counters, s.held, s.keep
		if worker == nil && want == nil {
			delete(d.slots, name)
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		wanted := want != nil && want.State == meta.DeploymentRunning
		switch {
		case worker != nil && held && wanted:
			worker.handOver(keep)
			worker = nil
		case worker != nil && (!wanted || want.ChangedSeq != worker.deployment.ChangedSeq):
			worker.close()
			worker = nil
		case worker == nil && wanted && !held:
			worker = d.startWorker(want, d.takePrepared(want), counters)
		default:
			<-s.wake
			continue
		}
		d.mu.Lock()
		s.worker = worker
		close(d.changed)
		d.changed = make(chan struct{})
		d.mu.Unlock()
	}
}

// prepare leaves a program for the worker of a deployment.
func (d *Deployments) prepare(deployment *meta.Deployment, program Program) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prepared[deployment.Name] = &prepared{program, deployment.CreatedMs, deployment.Module.Version}
}

// takePrepared returns the program that a deploy has left for this deployment, or nil.
func (d *Deployments) takePrepared(deployment *meta.Deployment) Program {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.prepared[deployment.Name]
	if p == nil || p.createdMs != deployment.CreatedMs || p.version != deployment.Module.Version {
		return nil
	}
	delete(d.prepared, deployment.Name)
	return p.program
}

// discardPrepared closes the program that nobody has taken.
func (d *Deployments) discardPrepared(ctx context.Context, name string) {
	d.mu.Lock()
	p := d.prepared[name]
	delete(d.prepared, name)
	d.mu.Unlock()
	if p != nil {
		_ = p.program.Close(ctx) // it was checked and is of no more use
	}
}

// Pause has the members of a deployment leave their group; its offsets stay.
func (d *Deployments) Pause(ctx context.Context, name string) error {
	return d.setState(ctx, name, meta.DeploymentPaused)
}

// Resume has a paused, stopped or failed deployment run again from its group's offsets.
func (d *Deployments) Resume(ctx context.Context, name string) error {
	return d.setState(ctx, name, meta.DeploymentRunning)
}

func (d *Deployments) setState(ctx context.Context, name string, state meta.DeploymentState) error {
	return d.change(ctx, name, func(img *meta.Image) (meta.Command, error) { return decideState(img, name, state, "") })
}

// settleTimeout bounds how long a change waits for this node's members to have left; they leave in any case.
const settleTimeout = 5 * time.Second

// change changes a deployment and waits until what runs on this node is what is wanted: who has paused a deployment may
// reset its group's offsets at once.
func (d *Deployments) change(ctx context.Context, name string, decide func(*meta.Image) (meta.Command, error)) error {
	if _, ok := d.Cluster.Image().Deployment(name); !ok {
		return unknownDeployment(name)
	}
	img, err := d.Cluster.Change(ctx, decide)
	if err != nil {
		return fmt.Errorf("deployment %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	deployment, _ := img.Deployment(name)
	for {
		settled, changed := d.settled(name, deployment)
		if settled {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func unknownDeployment(name string) error {
	return refuse(ErrUnknown, "there is no deployment %s", name)
}

// settled tells whether no worker runs that is not meant to, and which channel is closed when that may be otherwise.
func (d *Deployments) settled(name string, want *meta.Deployment) (bool, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.slots[name]
	return s == nil || s.worker == nil || want != nil && s.worker.deployment.ChangedSeq == want.ChangedSeq, d.changed
}

// errStopping is what a Runner that was interrupted says.
var errStopping = errors.New("this broker is stopping")

// until is a Runner whose context also ends with stopping.
func until(stopping context.Context, run Runner) Runner {
	return func(ctx context.Context, s Spec) (Program, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(stopping, func() { cancel(errStopping) })()
		return run(ctx, s)
	}
}

// StopCompiling interrupts the Runner where a request waits for it, now and from now on. Whoever stops a node calls it
// before it lets requests come to their end.
func (d *Deployments) StopCompiling() { d.stop() }

// Close has all members of this node leave their groups, and returns when nothing runs any more or ctx ends.
func (d *Deployments) Close(ctx context.Context) error {
	d.stop()
	d.mu.Lock()
	d.closed = true
	for name := range d.slots {
		d.want(name, nil)
	}
	d.mu.Unlock()
	done := make(chan struct{})
	go func() {
		d.running.Wait()
		d.logs.close(ctx)
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("deployments are still leaving their groups: %w", ctx.Err())
	}
}
