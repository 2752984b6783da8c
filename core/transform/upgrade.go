package transform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// Upgraded is the answer to an upgrade or a rollback: the deployment as it is now, unless it was only tried.
type Upgraded struct {
	*Status
	Switched bool    `json:"switched"`
	PauseMs  float64 `json:"pause_ms"`        // from when the old version was told to stop until the new one had its partitions; 0 if nothing ran
	Trial    *Trial  `json:"trial,omitempty"` // of an upgrade
}

// Upgrade puts a new version of a deployment in the place of the one that runs. wasm is its module, nil to keep the present
// one. The new version is tried on the same records as the old one first, without writing anything; then the old one stops
// between two calls of its guest, and the new one begins at the offsets that are committed then. A deployment that is
// paused stays paused; one that was stopped, or failed, runs again. Errors that are the asker's wrap ErrInvalid, ErrUnknown,
// ErrUnchanged, ErrRegression or ErrUnsupported; then the old version goes on, but outputs may have been created.
func (d *Deployments) Upgrade(ctx context.Context, name string, spec UpgradeSpec, wasm []byte) (*Upgraded, error) {
	d.deploying.Lock()
	defer d.deploying.Unlock()
	old, ok := d.Cluster.Image().Deployment(name)
	if !ok {
		return nil, unknownDeployment(name)
	}
	next, err := spec.merge(old)
	if err != nil {
		return nil, err
	}
	if wasm, err = d.nextModule(ctx, &next, spec.Module, wasm); err != nil {
		return nil, err
	}
	if sameAs(old.Version(), next.Version()) {
		return nil, refuse(ErrUnchanged, "deployment %s runs this module with these settings already: nothing would change", name)
	}
	if err := d.checkAgainst(d.Cluster.Image(), &next); err != nil {
		return nil, err
	}
	program, err := d.try(ctx, &next, wasm)
	if err != nil {
		return nil, err
	}
	trial, err := d.compare(ctx, old, &next, program, spec.Shadow)
	if err == nil && !spec.Shadow && !spec.Force {
		err = trial.refusal()
	}
	if err != nil || spec.Shadow {
		_ = program.Close(context.WithoutCancel(ctx)) // it was only tried
		return &Upgraded{Trial: trial}, err
	}
	answer, err := d.replace(context.WithoutCancel(ctx), old, &next, spec.From, program, wasm)
	if err != nil {
		return nil, err
	}
	answer.Trial = trial
	return answer, nil
}

// Rollback puts the version before in the place of the one that runs, with its module and its settings, in the same way as
// an upgrade, but without a trial on records: somebody wants out. Rolled back again, a deployment goes further back. The
// errors are those of Upgrade; ErrInvalid if there is no version before.
func (d *Deployments) Rollback(ctx context.Context, name string) (*Upgraded, error) {
	d.deploying.Lock()
	defer d.deploying.Unlock()
	old, ok := d.Cluster.Image().Deployment(name)
	if !ok {
		return nil, unknownDeployment(name)
	}
	before, number, ok := old.Before()
	if !ok {
		return nil, refuse(ErrInvalid, "deployment %s has no earlier version to go back to: it runs the oldest one that is remembered", name)
	}
	next := *old
	next.SetVersion(before)
	next.Restores, next.Module.DeployedMs = number, time.Now().UnixMilli()
	if err := d.checkAgainst(d.Cluster.Image(), &next); err != nil {
		return nil, err
	}
	wasm, err := d.Modules.Module(ctx, next.Module.SHA256)
	if err != nil {
		return nil, fmt.Errorf("module %s of version %d cannot be fetched: %w", next.Module.Name, number, err)
	}
	program, err := d.try(ctx, &next, wasm)
	if err != nil {
		return nil, err
	}
	return d.replace(context.WithoutCancel(ctx), old, &next, "", program, wasm)
}

// nextModule names the module that the next version runs, and returns its bytes.
func (d *Deployments) nextModule(ctx context.Context, next *meta.Deployment, name string, wasm []byte) ([]byte, error) {
	next.Module.DeployedMs = time.Now().UnixMilli()
	if wasm == nil {
		wasm, err := d.Modules.Module(ctx, next.Module.SHA256)
		if err != nil {
			return nil, fmt.Errorf("module %s cannot be fetched: %w", next.Module.Name, err)
		}
		return wasm, nil
	}
	if name != "" {
		next.Module.Name = name
	}
	if len(wasm) == 0 || len(wasm) > MaxModuleBytes {
		return nil, refuse(ErrInvalid, "module %s has %d bytes; a module has 1 to %d", next.Module.Name, len(wasm), MaxModuleBytes)
	}
	sum := sha256.Sum256(wasm)
	next.Module.SHA256, next.Module.Size = hex.EncodeToString(sum[:]), int64(len(wasm))
	return wasm, nil
}

// replace switches from the old version to the next. Until the one command that does so is in the log, a crash leaves the
// old version, and afterwards the new one; either begins at the group's offsets, which only the old one's outputs moved.
func (d *Deployments) replace(ctx context.Context, old, next *meta.Deployment, from string, program Program, wasm []byte) (answer *Upgraded, err error) {
	next.Module.Version = old.Module.Version + 1
	d.prepare(next, program)
	defer func() {
		if err != nil {
			d.discardPrepared(ctx, next.Name)
			d.sweepModulesLocked(ctx)
		}
	}()
	if err = d.createOutputs(ctx, next); err != nil {
		return nil, err
	}
	if err = d.createDeadLetters(ctx, next); err != nil {
		return nil, err
	}
	if err = d.Modules.PutModule(ctx, next.Module.SHA256, wasm); err != nil {
		return nil, fmt.Errorf("module %s cannot be stored: %w", next.Module.Name, err)
	}
	if err = d.beginNew(ctx, old, next, from); err != nil {
		return nil, err
	}
	begin := time.Now()
	was, release := d.hold(next.Name, int(next.Members))
	err = d.putVersion(ctx, old, next)
	current, ok := d.Cluster.Image().Deployment(next.Name)
	runs := ok && current.State == meta.DeploymentRunning
	if was && !runs {
		d.vacate(ctx, next) // it was paused or deleted meanwhile
	}
	release()
	if err != nil {
		return nil, err
	}
	answer = &Upgraded{Switched: true}
	if runs {
		d.awaitBegun(ctx, next.Name)
	} else {
		d.discardPrepared(ctx, next.Name) // nobody takes it
	}
	if was {
		answer.PauseMs = float64(time.Since(begin).Microseconds()) / 1000
	}
	d.sweepModulesLocked(ctx) // those of versions that are forgotten now
	answer.Status, err = d.Describe(ctx, next.Name)
	return answer, err
}

// putVersion records where the next version takes over, and makes it the present one. Nothing of the old one runs here.
func (d *Deployments) putVersion(ctx context.Context, old, next *meta.Deployment) error {
	var err error
	if next.TookOver, err = d.positions(ctx, next); err != nil {
		return err
	}
	_, err = d.Cluster.Change(ctx, func(img *meta.Image) (meta.Command, error) {
		current, ok := img.Deployment(next.Name)
		switch {
		case !ok || current.CreatedSeq != old.CreatedSeq:
			return nil, refuse(ErrUnknown, "deployment %s was deleted meanwhile", next.Name)
		case current.Module.Version != old.Module.Version:
			return nil, refuse(ErrExists, "deployment %s was upgraded to version %d meanwhile: look at it, and try again", next.Name, current.Module.Version)
		}
		if err := d.checkAgainst(img, next); err != nil {
			return nil, err
		}
		put := *next
		put.State, put.Reason = meta.DeploymentRunning, ""
		if current.State == meta.DeploymentPaused {
			put.State = meta.DeploymentPaused
		}
		command, err := meta.DecidePutDeployment(img, put, true)
		if errors.Is(err, meta.ErrInvalidDeployment) {
			return nil, refuse(ErrInvalid, "%v", err)
		}
		if err != nil {
			return nil, err
		}
		return command, nil
	})
	if err != nil {
		return fmt.Errorf("deployment %s: %w", next.Name, err)
	}
	return nil
}

// positions are where the group goes on in each input partition of a deployment.
func (d *Deployments) positions(ctx context.Context, deployment *meta.Deployment) ([]meta.PartitionOffset, error) {
	tps := d.inputsOf(deployment)
	if len(tps) == 0 {
		return nil, nil
	}
	committed, err := fetchOffsets(ctx, d.requester(deployment.Name), deployment.Group, tps)
	if err != nil {
		return nil, err
	}
	out := make([]meta.PartitionOffset, 0, len(tps))
	for _, tp := range tps {
		offset, ok := committed[tp]
		if !ok {
			offset = startOf(d.Cluster.Image(), deployment, tp)
		}
		out = append(out, meta.PartitionOffset{Topic: tp.Topic, Partition: tp.Partition, Offset: int64(offset)})
	}
	if !fits(out) {
		return nil, nil // it runs all the same, and is only not shown
	}
	return out, nil
}

// beginNew resolves where inputs begin that the version before did not have; where the group has been in one of them, it
// goes on. They are not committed: the group has members.
func (d *Deployments) beginNew(ctx context.Context, old, next *meta.Deployment, from string) error {
	setDefault(&from, "latest")
	timestamp, err := parseFrom(from)
	if err != nil {
		return err
	}
	img := d.Cluster.Image()
	added := minus(d.inputPartitions(img, next), d.inputPartitions(img, old))
	if len(added) == 0 {
		return nil
	}
	offsets, err := d.offsetsAt(ctx, next.Name, added, timestamp)
	if err != nil {
		return fmt.Errorf("--from %s cannot be resolved: %w", from, err)
	}
	return d.beginAt(img, next, offsets)
}

// beginAt adds where to begin to what the deployment knows of that.
func (d *Deployments) beginAt(img *meta.Image, deployment *meta.Deployment, offsets map[TopicPartition]record.Offset) (err error) {
	topics := maps.Clone(deployment.FromTopics)
	if topics == nil {
		topics = make(map[string]meta.TopicID)
	}
	for tp := range offsets {
		if t, ok := img.Topic(tp.Topic); ok {
			topics[tp.Topic] = t.ID
		}
	}
	deployment.FromTopics = topics
	deployment.FromOffsets, err = mergeOffsets(deployment.FromOffsets, offsets)
	return err
}

// maxOffsetBytes bounds each list of offsets in a deployment, which has to stay well below the size of a command.
const maxOffsetBytes = 256 << 10

// fits tells whether a list of offsets is small enough.
func fits(offsets []meta.PartitionOffset) bool {
	const numbers = 8 // about what a partition and an offset take
	size := 0
	for _, o := range offsets {
		size += len(o.Topic) + numbers
	}
	return size <= maxOffsetBytes
}

// mergeOffsets returns a sorted list of both; where they differ, the new ones count.
func mergeOffsets(old []meta.PartitionOffset, offsets map[TopicPartition]record.Offset) ([]meta.PartitionOffset, error) {
	var out []meta.PartitionOffset
	for _, o := range old {
		if _, replaced := offsets[TopicPartition{o.Topic, o.Partition}]; !replaced {
			out = append(out, o)
		}
	}
	for tp, offset := range offsets {
		out = append(out, meta.PartitionOffset{Topic: tp.Topic, Partition: tp.Partition, Offset: int64(offset)})
	}
	if !fits(out) {
		return nil, refuse(ErrInvalid, "the inputs have %d partitions, more than where to begin in each can be recorded of: deploy more than one, with narrower patterns", len(out))
	}
	slices.SortFunc(out, func(a, b meta.PartitionOffset) int {
		return compareTopicPartitions(TopicPartition{a.Topic, a.Partition}, TopicPartition{b.Topic, b.Partition})
	})
	return out, nil
}
