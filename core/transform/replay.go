package transform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// The limits of one request to replay, listed in spec/limits.md: whoever asks sees how far it has come, and asks again.
const (
	replayTime    = 5 * time.Second
	replayRecords = 10_000
)

// Replay is what one request to replay has done, and how far it has come.
type Replay struct {
	Replayed  int64           `json:"replayed"` // dead letters given to the module
	Passed    int64           `json:"passed"`   // of them, those that it made something of
	Dropped   int64           `json:"dropped"`  // those that it made nothing of
	Failed    int64           `json:"failed"`   // those that failed again: they are dead letters anew
	Foreign   int64           `json:"foreign"`  // records of the topic that are no dead letters of this deployment
	Out       int64           `json:"out"`      // records written to the outputs
	Left      int64           `json:"left"`     // offsets up to until; if not 0, ask again with the same until
	Until     map[int32]int64 `json:"until"`    // the end of each partition of the topic when the replay began
	LastError string          `json:"last_error,omitempty"`
}

// replayGroup holds how far the dead letters of a deployment have been replayed.
func replayGroup(deployment string) string { return deployment + ".replay" }

// Replay gives dead letters to the deployment's module once more, from where the last replay ended, up to until or, if
// that is nil, to the end of the topic as it is now. It works for a limited time: Left tells whether there is more. Its
// offsets are committed when all that was made of the letters is durable. Only one replay of a deployment runs at a time.
func (d *Deployments) Replay(ctx context.Context, name string, until map[int32]int64) (*Replay, error) {
	deployment, ok := d.Cluster.Image().Deployment(name)
	if !ok {
		return nil, unknownDeployment(name)
	}
	if deployment.OnError != OnErrorDLQ {
		return nil, refuse(ErrInvalid, "deployment %s has no dead letters: its --on-error is %s, not dlq", name, deployment.OnError)
	}
	if d.partitionCount(deployment.DLQ) == 0 {
		return nil, refuse(ErrInvalid, "dead-letter topic %s of deployment %s does not exist", deployment.DLQ, name)
	}
	if !d.beginReplay(name) {
		return nil, refuse(ErrBusy, "dead letters of deployment %s are being replayed already", name)
	}
	defer d.endReplay(name)
	r, err := d.newReplayer(ctx, deployment, until)
	if err != nil {
		return nil, err
	}
	if r.Left == 0 {
		return &r.Replay, nil
	}
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	return &r.Replay, nil
}

func (d *Deployments) beginReplay(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.replaying[name] {
		return false
	}
	d.replaying[name] = true
	return true
}

func (d *Deployments) endReplay(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.replaying, name)
}

// replayer does the work of one request. It is used by one goroutine.
type replayer struct {
	Replay
	node       *node
	deployment *meta.Deployment
	parts      []*replayPartition
	proc       *processor // never run: its steps are made by hand
	counters   *counters
	letters    *deadLetters
	one        *record.Builder
	section    []byte
	looked     int // records of the topic that were looked at
	deadline   time.Time
}

// replayPartition is a partition of the dead-letter topic.
type replayPartition struct {
	tp        TopicPartition
	position  record.Offset
	committed record.Offset
	until     record.Offset
}

// newReplayer finds out what there is to do.
func (d *Deployments) newReplayer(ctx context.Context, deployment *meta.Deployment, until map[int32]int64) (*replayer, error) {
	r := &replayer{
		node: &d.node, deployment: deployment, counters: newCounters(), letters: d.deadLettersOf(deployment), one: record.NewBuilder(nil),
		deadline: time.Now().Add(replayTime), Replay: Replay{Until: make(map[int32]int64)},
	}
	var tps []TopicPartition
	for p := range d.partitionCount(deployment.DLQ) {
		tps = append(tps, TopicPartition{deployment.DLQ, p})
	}
	committed, err := fetchOffsets(ctx, d.requester(deployment.Name), replayGroup(deployment.Name), tps)
	if err != nil {
		return nil, err
	}
	for _, tp := range tps {
		start, end, err := d.Source.Offsets(tp)
		if err != nil {
			return nil, fmt.Errorf("dead letters of deployment %s: %w", deployment.Name, err)
		}
		part := &replayPartition{tp: tp, position: start, until: end}
		if at, ok := committed[tp]; ok {
			part.position = max(at, start)
		}
		if until != nil {
			part.until = min(record.Offset(until[tp.Partition]), end)
		}
		part.committed = part.position
		r.parts = append(r.parts, part)
		r.Until[tp.Partition] = int64(part.until)
		r.Left += int64(max(part.until-part.position, 0))
	}
	return r, nil
}

// prepare starts the module as it is deployed now: what runs of the deployment is left alone, if anything does.
func (r *replayer) prepare(ctx context.Context) error {
	d := r.deployment
	wasm, err := r.node.Modules.Module(ctx, d.Module.SHA256)
	if err != nil {
		return fmt.Errorf("module of deployment %s: %w", d.Name, err)
	}
	program, err := r.node.Runner(ctx, specOf(d, wasm))
	if err != nil {
		return refuse(ErrInvalid, "module %s of deployment %s cannot be started: %v", d.Module.Name, d.Name, err)
	}
	instances := &pool{program: program, counters: r.counters, log: r.node.logs.of(d.Name, program)}
	r.proc = newProcessor(processorConfig{
		source: r.node.Source, sink: r.node.Sink, pool: instances, filter: program.Filter(), wants: program.Wants(), outputTopics: d.Outputs,
		byKey: d.Partition == PartitionKey, counters: r.counters, partitionCount: r.node.partitionCount, logger: r.node.Logger.With("deployment", d.Name),
	})
	r.proc.countOutputs()
	return nil
}

func (r *replayer) close() {
	r.proc.releaseGuest()
	r.proc.watch.Close()
	if err := r.proc.pool.close(context.Background()); err != nil {
		r.proc.logger.Warn("the module did not end cleanly", "error", err)
	}
}

// run replays until everything is done, the limits are reached or something is wrong, and commits what was done.
func (r *replayer) run(ctx context.Context) error {
	var err error
	for _, part := range r.parts {
		for err == nil && part.position < part.until && !r.spent(ctx) {
			err = r.step(ctx, part)
		}
	}
	if commitErr := r.commit(context.WithoutCancel(ctx)); commitErr != nil {
		return commitErr
	}
	if errors.Is(err, errNoCounterpart) || errors.Is(err, errUnburied) {
		return refuse(ErrInvalid, "dead letters of deployment %s: %v", r.deployment.Name, err)
	}
	if err != nil {
		return fmt.Errorf("dead letters of deployment %s: %w", r.deployment.Name, err)
	}
	r.Left = 0
	for _, part := range r.parts {
		r.Left += int64(max(part.until-part.position, 0))
	}
	count := r.counters.snapshot()
	r.Out, r.Dropped = count.Out, count.Dropped
	r.Passed = r.Replayed - r.Dropped - r.Failed
	return nil
}

func (r *replayer) spent(ctx context.Context) bool {
	return ctx.Err() != nil || r.looked >= replayRecords || !time.Now().Before(r.deadline)
}

// step replays what one read of a partition gives.
func (r *replayer) step(ctx context.Context, part *replayPartition) error {
	data, err := r.node.Source.Read(nil, part.tp, part.position, readBytes)
	if errors.Is(err, ErrOutOfRange) {
		if start, _, offsetsErr := r.node.Source.Offsets(part.tp); offsetsErr == nil && start > part.position {
			part.position = start // somebody has deleted the oldest
			return nil
		}
	}
	if err != nil {
		return err
	}
	if len(data) == 0 {
		part.position = part.until // the log has been cut back
		return nil
	}
	for len(data) > 0 && part.position < part.until {
		b, rest, err := record.Next(data)
		if err != nil {
			return fmt.Errorf("topic %s: %w", part.tp, err)
		}
		data = rest
		if !b.IsControl() {
			if done, err := r.batch(ctx, part, b); err != nil || !done {
				return err
			}
		}
		part.position = max(part.position, min(b.NextOffset(), part.until))
	}
	return nil
}

// batch replays the letters of a batch from the position on; done is false if a limit was reached before its end.
func (r *replayer) batch(ctx context.Context, part *replayPartition, b record.Batch) (done bool, err error) {
	section, err := b.Records(r.section[:0], maxSectionBytes)
	if b.Codec() != record.CodecNone {
		r.section = keep(section)
	}
	if err != nil {
		return false, fmt.Errorf("topic %s offset %d: the stored batch is damaged: %w", part.tp, b.BaseOffset(), err)
	}
	reader, rec := record.NewReader(section, int(b.NumRecords())), record.Record{}
	for {
		ok, err := reader.Next(&rec)
		if err != nil {
			return false, fmt.Errorf("topic %s offset %d: the stored batch is damaged: %w", part.tp, b.BaseOffset(), err)
		}
		offset := b.BaseOffset() + record.Offset(rec.OffsetDelta)
		if !ok || offset >= part.until {
			return true, nil
		}
		if offset < part.position {
			continue
		}
		if r.spent(ctx) {
			return false, nil
		}
		r.looked++
		if err := r.letter(ctx, b, &rec); err != nil {
			return false, fmt.Errorf("%s offset %d: %w", part.tp, offset, err)
		}
		part.position = offset + 1
	}
}

// letter gives one dead letter to the module, as the record that it was, and appends what the module makes of it. If that
// fails it is a dead letter anew. An error means that neither could be done.
func (r *replayer) letter(ctx context.Context, b record.Batch, rec *record.Record) error {
	own, l, ok := ReadDeadLetter(rec.Headers)
	if !ok || l.Deployment != r.deployment.Name {
		r.Foreign++
		return nil
	}
	was := record.Record{Key: rec.Key, Value: rec.Value, Headers: own}
	timestamp := timestampOf(b, rec)
	r.one.Reset(nil)
	r.one.SetCodec(b.Codec())
	r.one.Append(timestamp, was.Key, was.Value, was.Headers)
	batch, err := r.one.Build()
	if err != nil {
		return err
	}
	batch.SetBaseOffset(record.Offset(l.Offset))
	from := TopicPartition{l.Topic, l.Partition}
	err = r.proc.once(ctx, from, batch)
	var f *failure
	switch {
	case err == nil:
		r.Replayed++
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !errors.As(err, &f) || f.cause == causeStart:
		return err
	}
	f.first = record.Offset(l.Offset)
	again := newDeadLetter(r.deployment.Name, r.deployment.Module, from, f, l.Attempts+1)
	if err := r.letters.write(ctx, r.proc.outputs, b.Codec(), timestamp, &was, again); err != nil {
		return fmt.Errorf("%w (it failed again: %w)", err, f.err)
	}
	r.Replayed++
	r.Failed++
	r.LastError = fmt.Sprintf("record %s offset %d: %s", from, l.Offset, again.Error)
	return nil
}

// once gives a batch of one record to the guest and appends what it makes of it.
func (p *processor) once(ctx context.Context, from TopicPartition, b record.Batch) error {
	part := &partition{tp: from, position: b.BaseOffset(), cursor: b.BaseOffset(), aloneUntil: record.NoOffset, singlyUntil: record.NoOffset}
	p.taken, p.single = taken{}, false
	_, err := p.batch(ctx, part, b)
	p.chunks.release()
	if err == nil {
		err = p.appendOutputs(ctx, part)
	}
	if err != nil {
		p.outputs.discard()
	}
	return err
}

// commit waits until everything is durable and commits how far each partition has come, for as long as the broker keeps
// offsets at all: a letter must not be replayed twice because nobody has asked for a week.
func (r *replayer) commit(ctx context.Context) error {
	durable, cancel := context.WithTimeout(ctx, durableTimeout)
	defer cancel()
	if err := r.proc.outputs.wait(durable); err != nil {
		return fmt.Errorf("what was replayed may be lost, and is replayed again with the next request: %w", err)
	}
	offsets := make(map[TopicPartition]record.Offset)
	for _, part := range r.parts {
		if part.position != part.committed {
			offsets[part.tp] = part.position
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	group, requester := replayGroup(r.deployment.Name), r.node.requester(r.deployment.Name)
	req := commitRequest(group, offsets)
	req.RetentionTimeMillis = 1 << 53
	err := patiently(ctx, func() error {
		if err := findCoordinator(ctx, requester, group); err != nil {
			return err
		}
		return sendCommit(ctx, requester, versionLastingCommit, req)
	})
	if err != nil {
		return fmt.Errorf("offsets of group %s cannot be committed, so that what was replayed will be replayed again: %w", group, err)
	}
	for _, part := range r.parts {
		part.committed = part.position
	}
	return nil
}

// versionLastingCommit is the last version of OffsetCommit in which it says how long its offsets are kept.
const versionLastingCommit = 4
