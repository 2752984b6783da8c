package transform

import (
	"context"
	"errors"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// tester runs a version of a deployment on single records as a member would, but what comes out is kept and written
// nowhere.
type tester struct {
	proc     *processor
	caught   *catcher
	instance *pool
	hopeless string // why it cannot run at all, "" if it can
}

// outcome is what a version made of the record at offset; -1 if it met none.
type outcome struct {
	offset  record.Offset
	outputs []TrialOutput
	err     error
}

// tryOld returns a tester for the version that runs, and what ends it. One that no longer compiles fails on every record:
// there is nothing then that a new version could break.
func (d *Deployments) tryOld(ctx context.Context, old *meta.Deployment) (*tester, func()) {
	wasm, err := d.Modules.Module(ctx, old.Module.SHA256)
	var program Program
	if err == nil {
		program, err = d.Runner(ctx, specOf(old, wasm))
	}
	if err != nil {
		return &tester{hopeless: err.Error()}, func() {}
	}
	t := d.newTester(old, program)
	return t, func() {
		t.close()
		_ = program.Close(context.WithoutCancel(ctx)) // nothing of it runs any more
	}
}

func (d *Deployments) newTester(of *meta.Deployment, program Program) *tester {
	uncounted := newCounters()
	t := &tester{caught: &catcher{}, instance: &pool{program: program, counters: uncounted, log: func(int32, int, string) {}}}
	counts := d.outputCounts(of)
	t.proc = newProcessor(processorConfig{
		source: d.Source, sink: t.caught, pool: t.instance, filter: program.Filter(), wants: program.Wants(),
		outputTopics: of.Outputs, byKey: of.Partition == PartitionKey, counters: uncounted,
		partitionCount: func(topic string) int32 { return counts[topic] }, halt: func(bool, string) {},
		commit: func(context.Context, map[TopicPartition]record.Offset) error { return nil }, logger: d.Logger,
	})
	// A processor that is asked for stops after each call of its guest: after each record, as they come alone.
	t.proc.asked.Store(1)
	return t
}

// outputCounts are the partitions that the outputs have, or will have once they are created.
func (d *Deployments) outputCounts(of *meta.Deployment) map[string]int32 {
	counts := make(map[string]int32)
	for _, topic := range of.Outputs {
		if counts[topic] = d.partitionCount(topic); counts[topic] == 0 && of.CreateOutputs {
			counts[topic] = d.widestInput(of)
		}
	}
	return counts
}

// one runs the version on the first record at or behind an offset of a batch.
func (t *tester) one(ctx context.Context, tp TopicPartition, b record.Batch, from record.Offset) outcome {
	if t.hopeless != "" {
		return outcome{record.NoOffset, nil, errors.New(t.hopeless)}
	}
	p := t.proc
	t.caught.outputs = nil
	p.countOutputs()
	part := &partition{tp: tp, position: from, cursor: from, aloneUntil: everything}
	_, err := p.batch(ctx, part, b)
	p.releaseGuest()
	if err == nil && part.cursor > from {
		_, _, err = p.outputs.append(ctx)
	}
	p.outputs.discard()
	out := outcome{part.cursor - 1, t.caught.outputs, err}
	var f *failure
	switch {
	case errors.As(err, &f):
		out.offset, out.err = f.first, f.err
	case part.cursor == from:
		out.offset = record.NoOffset
		if err != nil {
			out.offset = from
		}
	}
	return out
}

// shown is the outcome as it is told.
func (o outcome) shown() TrialOutcome {
	shown := TrialOutcome{Outputs: o.outputs}
	if o.err != nil {
		shown.Error, shown.Outputs = o.err.Error(), nil
	}
	if shown.Outputs == nil {
		shown.Outputs = []TrialOutput{}
	}
	return shown
}

// close ends the instances; the program is its owner's.
func (t *tester) close() {
	if t.proc == nil {
		return
	}
	t.proc.watch.Close()
	t.instance.closeIdle(context.Background())
}

// catcher is a Sink that keeps what is appended for a while.
type catcher struct{ outputs []TrialOutput }

// Append implements Sink.
func (c *catcher) Append(_ context.Context, tp TopicPartition, b record.Batch) (record.Offset, error) {
	section, err := b.Records(nil, maxSectionBytes)
	if err != nil {
		return record.NoOffset, err
	}
	r, rec := record.NewReader(section, int(b.NumRecords())), record.Record{}
	for {
		ok, err := r.Next(&rec)
		if err != nil {
			return record.NoOffset, err
		}
		if !ok {
			return record.Offset(len(c.outputs)), nil
		}
		out := TrialOutput{Topic: tp.Topic, Partition: tp.Partition, Timestamp: timestampOf(b, &rec), Key: cloneBytes(rec.Key), Value: cloneBytes(rec.Value)}
		for _, h := range rec.Headers {
			out.Headers = append(out.Headers, TrialHeader{h.Key, cloneBytes(h.Value)})
		}
		c.outputs = append(c.outputs, out)
	}
}

// Wait implements Sink.
func (c *catcher) Wait(context.Context, TopicPartition, record.Offset) error { return nil }
