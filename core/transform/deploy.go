package transform

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millrun/millrun/core/meta"
)

// Deploy checks what is asked for and the module, and has the whole cluster run it. When it returns, the offsets to begin
// from are committed: whatever is produced from then on is seen. Errors that are the asker's wrap ErrInvalid, ErrExists or
// ErrUnsupported; nothing has been changed then, but outputs may have been created.
func (d *Deployments) Deploy(ctx context.Context, spec DeploySpec, wasm []byte) (*Status, error) {
	deployment, err := spec.resolve()
	if err != nil {
		return nil, err
	}
	if len(wasm) == 0 || len(wasm) > MaxModuleBytes {
		return nil, refuse(ErrInvalid, "module %s has %d bytes; a module has 1 to %d", spec.Module, len(wasm), MaxModuleBytes)
	}
	sum := sha256.Sum256(wasm)
	deployment.CreatedMs = time.Now().UnixMilli()
	deployment.Module = meta.ModuleRef{
		Name: spec.Module, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(wasm)), DeployedMs: deployment.CreatedMs,
	}
	d.deploying.Lock()
	defer d.deploying.Unlock()
	if err := d.checkNew(d.Cluster.Image(), &deployment); err != nil {
		return nil, err
	}
	program, err := d.try(ctx, &deployment, wasm)
	if err != nil {
		return nil, err
	}
	deployment.Module.Version = 1
	d.prepare(&deployment, program)
	defer func() {
		if err != nil {
			d.discardPrepared(context.WithoutCancel(ctx), deployment.Name)
			d.sweepModulesLocked(context.WithoutCancel(ctx))
		}
	}()
	if err = d.put(ctx, &deployment, wasm, spec.From != ""); err != nil {
		return nil, err
	}
	return d.Describe(ctx, deployment.Name)
}

// checkNew checks a deployment that is not there yet.
func (d *Deployments) checkNew(img *meta.Image, deployment *meta.Deployment) error {
	if _, exists := img.Deployment(deployment.Name); exists {
		return refuse(ErrExists, "deployment %s exists: upgrade it, delete it first, or choose another name", deployment.Name)
	}
	return d.checkAgainst(img, deployment)
}

// checkAgainst checks a deployment against what the cluster has.
func (d *Deployments) checkAgainst(img *meta.Image, deployment *meta.Deployment) error {
	if err := checkCycle(img, deployment); err != nil {
		return err
	}
	most, of := 0, ""
	for _, topic := range subscriptionOf(deployment).topics(img) {
		t, ok := img.Topic(topic)
		if !ok {
			return refuse(ErrInvalid, "input topic %s does not exist", topic)
		}
		if isLogsTopic(topic) {
			return refuse(ErrInvalid, "input topic %s holds what modules log: a module that logs would feed itself", topic)
		}
		if len(t.Partitions) > most {
			most, of = len(t.Partitions), topic
		}
	}
	for _, topic := range deployment.Outputs {
		t, ok := img.Topic(topic)
		switch {
		case !ok && !deployment.CreateOutputs:
			return refuse(ErrInvalid, "output topic %s does not exist: create it, or deploy with --create-outputs", topic)
		case ok && t.Internal || isLogsTopic(topic):
			return refuse(ErrInvalid, "output topic %s is the broker's own", topic)
		case ok && deployment.Partition == PartitionSame && len(t.Partitions) < most:
			return refuse(ErrInvalid, "output topic %s has %d partitions and input topic %s has %d: add partitions, or deploy with --partition key",
				topic, len(t.Partitions), of, most)
		}
	}
	if t, ok := img.Topic(deployment.DLQ); ok && t.Internal || isLogsTopic(deployment.DLQ) {
		return refuse(ErrInvalid, "dead-letter topic %s is the broker's own", deployment.DLQ)
	}
	return nil
}

// try compiles the module and starts it once.
func (d *Deployments) try(ctx context.Context, deployment *meta.Deployment, wasm []byte) (Program, error) {
	program, err := d.Runner(ctx, specOf(deployment, wasm))
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, errStopping) {
			return nil, err
		}
		return nil, refuse(ErrInvalid, "module %s is refused: %s", cmp.Or(deployment.Module.Name, "of deployment "+deployment.Name),
			strings.TrimPrefix(err.Error(), "module "+deployment.Name+": ")) // which is what the engine calls it
	}
	if program.Filter() && len(deployment.Outputs) != 1 {
		_ = program.Close(ctx) // it is not wanted, whatever its end says
		return nil, refuse(ErrInvalid, "module %s is a filter, which has exactly one output: %d are given", deployment.Module.Name, len(deployment.Outputs))
	}
	return program, nil
}

// put creates the missing outputs and the topic for dead letters, stores the module, commits where to begin and makes the deployment known.
// asked says that somebody has said where to begin.
func (d *Deployments) put(ctx context.Context, deployment *meta.Deployment, wasm []byte, asked bool) error {
	if err := d.createOutputs(ctx, deployment); err != nil {
		return err
	}
	if err := d.createDeadLetters(ctx, deployment); err != nil {
		return err
	}
	if err := d.Modules.PutModule(ctx, deployment.Module.SHA256, wasm); err != nil {
		return fmt.Errorf("module %s cannot be stored: %w", deployment.Module.Name, err)
	}
	if err := d.begin(ctx, deployment, asked); err != nil {
		return err
	}
	var err error
	if deployment.TookOver, err = d.positions(ctx, deployment); err != nil {
		return err
	}
	_, err = d.Cluster.Change(ctx, func(img *meta.Image) (meta.Command, error) {
		if err := d.checkNew(img, deployment); err != nil {
			return nil, err
		}
		command, err := meta.DecidePutDeployment(img, *deployment, false)
		if errors.Is(err, meta.ErrInvalidDeployment) {
			return nil, refuse(ErrInvalid, "%v", err)
		}
		if err != nil {
			return nil, err
		}
		return command, nil
	})
	if err != nil {
		return fmt.Errorf("deployment %s: %w", deployment.Name, err)
	}
	return nil
}

func (d *Deployments) createOutputs(ctx context.Context, deployment *meta.Deployment) error {
	partitions := d.widestInput(deployment)
	for _, topic := range deployment.Outputs {
		if d.partitionCount(topic) > 0 {
			continue
		}
		err := createTopic(ctx, d.requester(deployment.Name), topic, partitions, nil)
		if err != nil && !errors.Is(err, codeTopicExists) {
			return fmt.Errorf("output topic %s cannot be created: %w", topic, err)
		}
	}
	return nil
}
