package transform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// worker is one deployment running on this node, from its start until it is closed or can no longer go on.
type worker struct {
	*node
	deployment *meta.Deployment // as it was when the worker started
	inputs     *inputs
	counters   *counters
	logger     *slog.Logger
	cancel     context.CancelFunc
	done       chan struct{}
	members    chan []*member // holds one: the members, once they are started
	kept       atomic.Int32   // how many members stay in the group when the worker ends

	mu     sync.Mutex
	state  meta.DeploymentState // guarded by mu; "" while it starts
	reason string               // guarded by mu
	halted chan struct{}        // closed when state is stopped or failed
	begun  chan struct{}        // closed when state is running for the first time
}

// stateStarting is the word for a deployment that is meant to run and does not yet.
const stateStarting = "starting"

// startWorker starts a deployment, which is counted in c. program is its module if somebody has just prepared it, else nil.
func (n *node) startWorker(d *meta.Deployment, program Program, c *counters) *worker {
	c.runs(d.Module.SHA256)
	ctx, cancel := context.WithCancel(context.Background())
	w := &worker{
		node: n, deployment: d, inputs: newInputs(n.Cluster, d), counters: c, logger: n.Logger.With("deployment", d.Name), cancel: cancel,
		done: make(chan struct{}), members: make(chan []*member, 1), halted: make(chan struct{}), begun: make(chan struct{}),
	}
	go w.run(ctx, program)
	return w
}

// close ends the worker: its members commit and leave first. It returns when nothing of it runs any more.
func (w *worker) close() {
	w.cancel()
	<-w.done
}

// status returns what the worker is doing, in the words of describe.
func (w *worker) status() (state, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == "" {
		return stateStarting, w.reason
	}
	return string(w.state), w.reason
}

func (w *worker) running() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == "" {
		w.state, w.reason = meta.DeploymentRunning, ""
		close(w.begun)
	}
}

// hindered tells why the deployment does not run yet. Once it has run, its log tells.
func (w *worker) hindered(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == "" {
		w.reason = err.Error()
	}
	w.counters.erred(err.Error())
}

// halt marks the deployment as unable to go on. It does not block; only the first reason counts.
func (w *worker) halt(failed bool, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == meta.DeploymentStopped || w.state == meta.DeploymentFailed {
		return
	}
	w.state = meta.DeploymentStopped
	if failed {
		w.state = meta.DeploymentFailed
	}
	w.reason = reason
	close(w.halted)
}

// run starts the program and the members, waits for an end of either kind, and takes everything down again.
func (w *worker) run(ctx context.Context, program Program) {
	defer close(w.done)
	if program == nil {
		program = w.load(ctx)
	}
	if program != nil {
		w.runMembers(ctx, program)
	}
	select {
	case <-w.halted:
		w.recordHalt(ctx)
	default:
	}
}

// load compiles the module. It returns nil if it never will be of use, having said why, or if ctx ends.
func (w *worker) load(ctx context.Context) Program {
	for attempt := 1; ; attempt++ {
		wasm, err := w.Modules.Module(ctx, w.deployment.Module.SHA256)
		if err == nil {
			program, err := w.compile(ctx, wasm)
			if err == nil {
				return program
			}
			if ctx.Err() == nil && !errors.Is(err, errStopping) {
				reason := fmt.Sprintf("the module cannot be started: %v", err)
				w.counters.erred(reason)
				w.halt(true, reason)
			}
			return nil
		}
		w.hindered(fmt.Errorf("the module cannot be fetched: %w", err))
		w.logger.Warn("module cannot be fetched yet", "sha256", w.deployment.Module.SHA256, "attempt", attempt, "error", err)
		if sleep(ctx, backoff(attempt)); ctx.Err() != nil {
			return nil
		}
	}
}

// compile runs the Runner. A compiler does not look at its context: whoever stops the worker meanwhile does not wait for
// it, and the program is closed when it comes.
func (w *worker) compile(ctx context.Context, wasm []byte) (Program, error) {
	type outcome struct {
		program Program
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		program, err := w.Runner(ctx, specOf(w.deployment, wasm))
		done <- outcome{program, err}
	}()
	select {
	case o := <-done:
		return o.program, o.err
	case <-ctx.Done():
		go func() {
			if o := <-done; o.program != nil {
				_ = o.program.Close(context.Background()) // nobody has seen it
			}
		}()
		return nil, ctx.Err()
	}
}

// specOf is what a deployment asks of the Runner.
func specOf(d *meta.Deployment, wasm []byte) Spec {
	return Spec{
		Wasm: wasm, Name: d.Name, Config: d.Config, Inputs: d.Inputs, Outputs: len(d.Outputs), Topics: d.Outputs, MemoryBytes: d.MemoryBytes,
		Timeout: time.Duration(d.TimeoutMs) * time.Millisecond,
		Log:     func(int, string) {}, // what it says on trial is in the error, if there is one
	}
}

// runMembers runs the deployment's members until ctx ends or the deployment is halted.
func (w *worker) runMembers(ctx context.Context, program Program) {
	instances := &pool{program: program, counters: w.counters, log: w.logs.of(w.deployment.Name, program)}
	working, stopWorking := context.WithCancel(context.Background())
	joined, leaveGroup := context.WithCancel(ctx)
	var leaving, ending sync.WaitGroup
	var members []*member
	for i := range int(w.deployment.Members) {
		m := w.newMember(i, instances)
		members = append(members, m)
		ending.Go(func() { m.proc.run(working) })
		leaving.Go(func() { m.run(joined) })
	}
	w.members <- members
	if len(members) > 1 && w.deployment.Module.Version == 1 { // those of an upgrade have their places
		leaving.Go(func() { gather(joined, members) })
	}
	select {
	case <-ctx.Done():
	case <-w.halted:
	}
	leaveGroup()
	leaving.Wait()
	stopWorking()
	ending.Wait()
	if err := instances.close(context.Background()); err != nil {
		w.logger.Warn("the module did not end cleanly", "error", err)
	}
}

// gather has members that have just been started send heartbeats at once, and again and again for as long as they do not by
// themselves: the first to join has all partitions until it hears that others have come.
func gather(ctx context.Context, members []*member) {
	for wait := 5 * time.Millisecond; wait < heartbeatInterval; wait *= 2 {
		if sleep(ctx, wait); ctx.Err() != nil {
			return
		}
		for _, m := range members {
			m.poke()
		}
	}
}

func (w *worker) newMember(index int, instances *pool) *member {
	d := w.deployment
	m := newMember(memberConfig{
		group: d.Group, instanceID: w.instanceID(d.Name, index), requester: w.requester(d.Name),
		partitionCount: w.partitionCount, startOf: w.startOf, joined: w.running, hindered: w.hindered,
		inputs: w.inputs.topics, ready: w.widenOutputs,
		stays: func() time.Duration { return w.stays(index) }, logger: w.logger,
	})
	m.proc = newProcessor(processorConfig{
		source: w.Source, sink: w.Sink, pool: instances, filter: instances.program.Filter(), wants: instances.program.Wants(),
		outputTopics: d.Outputs, byKey: d.Partition == PartitionKey, skip: d.OnError == OnErrorSkip, dead: w.deadLettersOf(d), retries: int(d.Retries),
		counters: w.counters, partitionCount: w.partitionCount, halt: w.halt, commit: m.commitOffsets, logger: w.logger,
	})
	return m
}

func (w *worker) startOf(tp TopicPartition) record.Offset {
	return startOf(w.Cluster.Image(), w.deployment, tp)
}

// startOf is where to begin in a partition for which the group has committed nothing: where the deployment was told to,
// and at the start of a partition that has come since, also under a name that there was before.
func startOf(img *meta.Image, d *meta.Deployment, tp TopicPartition) record.Offset {
	i, found := slices.BinarySearchFunc(d.FromOffsets, tp, func(o meta.PartitionOffset, tp TopicPartition) int {
		return compareTopicPartitions(TopicPartition{o.Topic, o.Partition}, tp)
	})
	if !found {
		return 0
	}
	if id, known := d.FromTopics[tp.Topic]; known {
		if t, ok := img.Topic(tp.Topic); ok && t.ID != id {
			return 0
		}
	}
	return record.Offset(d.FromOffsets[i].Offset)
}

// topicsChanged has the members look whether there are more partitions, or other topics, now.
func (w *worker) topicsChanged() {
	select {
	case members := <-w.members:
		for _, m := range members {
			m.poke()
		}
		w.members <- members
	default:
	}
}

// recordHalt writes the state and its reason into the metadata, so that a restart does not run into the same wall, unless
// somebody has changed the deployment since.
func (w *worker) recordHalt(ctx context.Context) {
	state, reason := w.status()
	w.logger.Error("the deployment cannot go on", "state", state, "reason", reason)
	for attempt := 1; ctx.Err() == nil; attempt++ {
		_, err := w.Cluster.Change(ctx, func(img *meta.Image) (meta.Command, error) {
			d, ok := img.Deployment(w.deployment.Name)
			if !ok || d.ChangedSeq != w.deployment.ChangedSeq {
				return nil, meta.ErrNothing
			}
			return decideState(img, d.Name, meta.DeploymentState(state), reason)
		})
		if err == nil || errors.Is(err, meta.ErrNothing) || ctx.Err() != nil {
			return
		}
		w.logger.Warn("the deployment's state is not recorded yet", "attempt", attempt, "error", err)
		sleep(ctx, backoff(attempt))
	}
}

// decideState is meta.DecideUpdateDeployment, with ErrNothing in place of no command.
func decideState(img *meta.Image, name string, state meta.DeploymentState, reason string) (meta.Command, error) {
	command, err := meta.DecideUpdateDeployment(img, name, state, reason)
	if err != nil {
		return nil, err
	}
	if command == nil {
		return nil, meta.ErrNothing
	}
	return command, nil
}
