package transform

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
)

// The limits of a trial, listed in spec/limits.md.
const (
	maxTrialRecords     = 1000 // in all; so many partitions at most
	maxPartitionTrial   = 100  // records of one partition
	trialReadBytes      = 1 << 20
	maxTrialBytes       = 16 << 20 // read in all
	maxTrialTime        = 30 * time.Second
	maxTrialShown       = 100     // records whose outcomes are told
	maxTrialShownBytes  = 8 << 20 // keys, values and headers in them
	maxTrialRegressions = 20      // records that only the new version fails on, before a trial for a switch ends
)

// Trial is what came of running two versions of a deployment on the same records, without writing anything.
type Trial struct {
	Tried     int           `json:"tried"` // records
	Same      int           `json:"same"`
	Different int           `json:"different"`
	NewFails  int           `json:"new_fails"` // where the old version does not
	OldFails  int           `json:"old_fails"` // where the new version does not
	BothFail  int           `json:"both_fail"`
	Cut       string        `json:"cut,omitempty"`     // why not all records were tried that could have been
	Records   []TrialRecord `json:"records,omitempty"` // the first that are not the same

	regression string // the first record of NewFails, and why
	shownBytes int
	deadline   time.Time
	shadow     bool
}

// What two versions made of a record.
const (
	TrialSame      = "same"
	TrialDifferent = "different"
	TrialNewFails  = "new_fails"
	TrialOldFails  = "old_fails"
	TrialBothFail  = "both_fail"
)

// TrialRecord is a record that was tried, and what either version made of it.
type TrialRecord struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Result    string       `json:"result"`
	Key       Bytes        `json:"key"`
	Value     Bytes        `json:"value"`
	Old       TrialOutcome `json:"old"`
	New       TrialOutcome `json:"new"`
}

// TrialOutcome is what one version made of a record: outputs, none if it dropped the record, or an error.
type TrialOutcome struct {
	Error   string        `json:"error,omitempty"`
	Outputs []TrialOutput `json:"outputs"`
}

// TrialOutput is a record that would have been written.
type TrialOutput struct {
	Topic     string        `json:"topic"`
	Partition int32         `json:"partition"`
	Timestamp int64         `json:"timestamp"`
	Key       Bytes         `json:"key"`
	Value     Bytes         `json:"value"`
	Headers   []TrialHeader `json:"headers,omitempty"`
}

// TrialHeader is a header of such a record.
type TrialHeader struct {
	Key   string `json:"key"`
	Value Bytes  `json:"value"`
}

// refusal is nil unless the new version fails where the old one does not.
func (t *Trial) refusal() error {
	if t.NewFails == 0 {
		return nil
	}
	return refuse(ErrRegression, "the new version fails where the old one does not: %s (%d of the %d records that were tried); "+
		"see them all with --shadow, or switch all the same with --force", t.regression, t.NewFails, t.Tried)
}

// compare runs old and next on the records that the group read last in each partition that is an input of both, or where
// it has read none, on those it reads next.
func (d *Deployments) compare(ctx context.Context, old, next *meta.Deployment, program Program, shadow bool) (*Trial, error) {
	t := &Trial{deadline: time.Now().Add(maxTrialTime), shadow: shadow}
	img := d.Cluster.Image()
	tps := d.inputPartitions(img, old)
	tps = minus(tps, minus(tps, d.inputPartitions(img, next)))
	if len(tps) > maxTrialRecords {
		tps, t.Cut = tps[:maxTrialRecords], fmt.Sprintf("the first %d partitions only", maxTrialRecords)
	}
	if len(tps) == 0 {
		return t, nil
	}
	committed, err := fetchOffsets(ctx, d.requester(old.Name), old.Group, tps)
	if err != nil {
		return nil, err
	}
	before, closeBefore := d.tryOld(ctx, old)
	defer closeBefore()
	after := d.newTester(next, program)
	defer after.close()
	each := min(maxPartitionTrial, max(maxTrialRecords/len(tps), 1))
	read := 0
	for _, tp := range tps {
		if read >= maxTrialBytes {
			t.Cut = fmt.Sprintf("the first %d bytes of records", read)
		}
		if read >= maxTrialBytes || t.ended() {
			break
		}
		at, ok := committed[tp]
		if !ok {
			at = startOf(img, old, tp)
		}
		n, err := t.tryPartition(ctx, d.Source, tp, at, each, before, after)
		if err != nil {
			return nil, err
		}
		read += n
	}
	return t, nil
}

// ended tells that a trial has learned enough, or taken long enough.
func (t *Trial) ended() bool {
	switch {
	case time.Now().After(t.deadline):
		t.Cut = fmt.Sprintf("what could be tried in %s", maxTrialTime)
	case !t.shadow && t.NewFails >= maxTrialRegressions:
		t.Cut = fmt.Sprintf("%d failures are enough", maxTrialRegressions)
	default:
		return false
	}
	return true
}

// tryPartition runs both on up to limit records of one partition, the last before at, else the first behind it. It returns
// how many bytes were read. A partition that cannot be read has nothing to try.
func (t *Trial) tryPartition(ctx context.Context, source Source, tp TopicPartition, at record.Offset, limit int, before, after *tester) (int, error) {
	start, end, err := source.Offsets(tp)
	if err != nil {
		if errors.Is(err, ErrNotHere) {
			return 0, nil
		}
		return 0, fmt.Errorf("input %s: %w", tp, err)
	}
	at = min(max(at, start), end)
	from, to := max(start, at-record.Offset(limit)), at
	if from == to {
		to = min(end, from+record.Offset(limit))
	}
	if from == to {
		return 0, nil
	}
	data, err := source.Read(nil, tp, from, trialReadBytes)
	if err != nil {
		return 0, fmt.Errorf("input %s: %w", tp, err)
	}
	size := len(data)
	for len(data) > 0 && from < to && !t.ended() {
		b, rest, err := record.Next(data)
		if err != nil {
			return size, fmt.Errorf("input %s: %w", tp, err)
		}
		data = rest
		if !b.IsControl() && b.NumRecords() > 0 {
			t.tryBatch(ctx, tp, b, from, to, before, after)
		}
		from = max(from, b.NextOffset())
	}
	return size, ctx.Err()
}

// tryBatch runs both on the records of a batch from one offset to another, one by one.
func (t *Trial) tryBatch(ctx context.Context, tp TopicPartition, b record.Batch, from, to record.Offset, before, after *tester) {
	for from < to && ctx.Err() == nil && !t.ended() {
		old := before.one(ctx, tp, b, from)
		new := after.one(ctx, tp, b, from)
		at := max(old.offset, new.offset) // a version that does not run meets none
		if at < from || at >= to {
			return
		}
		from = at + 1
		t.count(tp, at, b, old, new)
	}
}

// count compares two outcomes and keeps them if they differ.
func (t *Trial) count(tp TopicPartition, at record.Offset, b record.Batch, old, new outcome) {
	t.Tried++
	result := TrialSame
	switch {
	case old.err != nil && new.err != nil:
		result = TrialBothFail
		t.BothFail++
	case new.err != nil:
		result = TrialNewFails
		t.NewFails++
		if t.regression == "" {
			t.regression = fmt.Sprintf("record %s offset %d: %v", tp, at, new.err)
		}
	case old.err != nil:
		result = TrialOldFails
		t.OldFails++
	case slices.EqualFunc(old.outputs, new.outputs, TrialOutput.equal):
		t.Same++
		return
	default:
		result = TrialDifferent
		t.Different++
	}
	if !t.shadow || len(t.Records) >= maxTrialShown || t.shownBytes >= maxTrialShownBytes {
		return
	}
	shown := TrialRecord{Topic: tp.Topic, Partition: tp.Partition, Offset: int64(at), Result: result, Old: old.shown(), New: new.shown()}
	shown.Key, shown.Value = keyAndValue(b, at)
	t.shownBytes += len(shown.Key) + len(shown.Value) + shown.Old.size() + shown.New.size()
	t.Records = append(t.Records, shown)
}

func (o TrialOutput) equal(other TrialOutput) bool {
	return o.Topic == other.Topic && o.Partition == other.Partition && o.Timestamp == other.Timestamp && o.Key.equal(other.Key) &&
		o.Value.equal(other.Value) && slices.EqualFunc(o.Headers, other.Headers, func(a, b TrialHeader) bool {
		return a.Key == b.Key && a.Value.equal(b.Value)
	})
}

func (o TrialOutcome) size() int {
	n := 0
	for _, out := range o.Outputs {
		n += len(out.Key) + len(out.Value)
		for _, h := range out.Headers {
			n += len(h.Key) + len(h.Value)
		}
	}
	return n
}

// keyAndValue returns copies of what stands at an offset of a batch.
func keyAndValue(b record.Batch, at record.Offset) (key, value Bytes) {
	section, err := b.Records(nil, maxSectionBytes)
	if err != nil {
		return nil, nil
	}
	var c chunker
	c.reset(b, section, 0)
	k, err := c.next(at, true)
	if err != nil || k.n != 1 {
		return nil, nil
	}
	return cloneBytes(c.recs[0].Key), cloneBytes(c.recs[0].Value)
}

// everything marks all records to be given to the guest alone.
const everything = record.Offset(math.MaxInt64)
