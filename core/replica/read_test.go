package replica

import (
	"errors"
	"testing"

	"github.com/millrun/millrun/core/record"
)

func TestReadsGiveWholeBatchesAndNothingBeyondTheHighWatermark(t *testing.T) {
	p := newPartition(t, nil)
	for range 10 {
		mustAppend(t, p, shape{n: 3, size: 10})
	}
	dst := []byte("before")
	r, err := p.ReadInto(dst, query(4)) // inside of the second batch
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := record.Next(r.Records[len(dst):])
	if err != nil || first.BaseOffset() != 3 || string(r.Records[:len(dst)]) != "before" {
		t.Errorf("begins at %d, %v", first.BaseOffset(), err)
	}
	if r.HighWatermark != 30 || r.LastStable != 30 || r.LogStart != 0 {
		t.Errorf("%d %d %d", r.HighWatermark, r.LastStable, r.LogStart)
	}
	p.highWatermark.Store(8) // as if a follower had no more
	q := query(3)
	for _, q.Committed = range []bool{false, true} {
		if r, err = p.ReadInto(nil, q); err != nil {
			t.Fatal(err)
		}
		last := record.Offset(-1)
		for rest := r.Records; len(rest) > 0; {
			var b record.Batch
			if b, rest, err = record.Next(rest); err != nil {
				t.Fatal(err)
			}
			last = b.BaseOffset()
		}
		if last != 6 {
			t.Errorf("the last batch begins at %d", last)
		}
	}
	for _, from := range []record.Offset{8, 9, 30} {
		if r, err = p.ReadInto(nil, query(from)); err != nil || len(r.Records) != 0 {
			t.Errorf("from %d: %d bytes, %v", from, len(r.Records), err)
		}
	}
}

func TestReadsOutsideOfTheLogAreRefused(t *testing.T) {
	p := newPartition(t, nil)
	mustAppend(t, p, shape{n: 10})
	if _, err := p.DeleteRecords(4); err != nil {
		t.Fatal(err)
	}
	for _, from := range []record.Offset{-1, 0, 3, 11, 1 << 62} {
		r, err := p.ReadInto(nil, query(from))
		if !errors.Is(err, ErrOutOfRange) || r.LogStart != 4 || r.HighWatermark != 10 {
			t.Errorf("from %d: %v, start %d, high watermark %d", from, err, r.LogStart, r.HighWatermark)
		}
	}
	if r, err := p.ReadInto(nil, query(10)); err != nil || len(r.Records) != 0 {
		t.Errorf("at the end: %d bytes, %v", len(r.Records), err)
	}
}

func TestMinOneGivesABatchThatIsTooLarge(t *testing.T) {
	p := newPartition(t, nil)
	mustAppend(t, p, shape{size: 5000})
	q := query(0)
	q.MaxBytes = 100
	if r, err := p.ReadInto(nil, q); err != nil || len(r.Records) < 5000 {
		t.Errorf("%d bytes, %v", len(r.Records), err)
	}
	q.MinOne = false
	if r, err := p.ReadInto(nil, q); err != nil || len(r.Records) != 0 {
		t.Errorf("%d bytes, %v", len(r.Records), err)
	}
}

// threeEpochs has offsets 0-1 of epoch 0, 2-3 of epoch 2, 4-5 of epoch 5.
func threeEpochs(t *testing.T) *Partition {
	p := newPartition(t, nil)
	for _, epoch := range []int32{0, 2, 5} {
		state := leaderState(epoch)
		p.setRole(roleOf(&state, 1))
		mustAppend(t, p, shape{n: 2})
	}
	return p
}

func TestTheAskersLeaderEpochIsHeldAgainstThePartitions(t *testing.T) {
	p := threeEpochs(t)
	for epoch, want := range map[record.LeaderEpoch]error{-1: nil, 5: nil, 4: ErrFencedEpoch, 0: ErrFencedEpoch, 6: ErrUnknownEpoch} {
		q := query(0)
		q.CurrentLeaderEpoch = epoch
		if _, err := p.ReadInto(nil, q); !errors.Is(err, want) {
			t.Errorf("epoch %d: %v, want %v", epoch, err, want)
		}
		if err := p.CheckLeader(epoch); !errors.Is(err, want) {
			t.Errorf("epoch %d: %v, want %v", epoch, err, want)
		}
	}
}

func TestADivergingLogIsToldWhereItDiverges(t *testing.T) {
	p := threeEpochs(t)
	tests := []struct {
		from  record.Offset
		epoch record.LeaderEpoch
		want  *EpochEnd
		err   error
	}{
		{2, 0, nil, nil},
		{3, 0, &EpochEnd{0, 2}, nil}, // epoch 0 ended before
		{4, 2, nil, nil},
		{4, 3, &EpochEnd{2, 4}, nil}, // there was no epoch 3
		{6, 5, nil, nil},
		{6, 6, nil, ErrOutOfRange},
	}
	for _, test := range tests {
		q := query(test.from)
		q.LastFetchedEpoch = test.epoch
		r, err := p.ReadInto(nil, q)
		if !errors.Is(err, test.err) {
			t.Errorf("from %d after epoch %d: %v", test.from, test.epoch, err)
			continue
		}
		if (r.Diverging == nil) != (test.want == nil) || r.Diverging != nil && (*r.Diverging != *test.want || len(r.Records) != 0) {
			t.Errorf("from %d after epoch %d: %+v, want %+v", test.from, test.epoch, r.Diverging, test.want)
		}
	}
}

func TestOffsetsAreFoundByTimestamp(t *testing.T) {
	p := newPartition(t, nil)
	if _, ok, err := p.MaxTimestamp(); ok || err != nil {
		t.Errorf("an empty log: %v %v", ok, err)
	}
	for i := range int64(5) {
		mustAppend(t, p, shape{n: 2, stamp: testNow + 10*i})
	}
	for ts, want := range map[int64]record.Offset{0: 0, testNow: 0, testNow + 1: 2, testNow + 40: 8} {
		at, ok, err := p.OffsetForTimestamp(ts)
		if err != nil || !ok || at.Offset != want || at.LeaderEpoch != 0 {
			t.Errorf("%d: %+v %v %v, want %d", ts-testNow, at, ok, err, want)
		}
	}
	if _, ok, err := p.OffsetForTimestamp(testNow + 41); ok || err != nil {
		t.Errorf("the future: %v %v", ok, err)
	}
	if at, ok, err := p.MaxTimestamp(); !ok || err != nil || at.Offset != 8 || at.Timestamp != testNow+40 {
		t.Errorf("%+v %v %v", at, ok, err)
	}
}

func TestDeleteRecordsMovesTheStartAndStaysWithinTheHighWatermark(t *testing.T) {
	p := newPartition(t, map[string]string{"internal.segment.bytes": "400"})
	for range 10 {
		mustAppend(t, p, shape{n: 2, size: 100})
	}
	steps := []struct{ to, want record.Offset }{{5, 5}, {3, 5}, {0, 5}, {11, 11}, {record.NoOffset, 20}}
	for _, s := range steps {
		low, err := p.DeleteRecords(s.to)
		if err != nil || low != s.want {
			t.Errorf("to %d: %d, %v, want %d", s.to, low, err, s.want)
		}
	}
	for _, to := range []record.Offset{21, -2} {
		if _, err := p.DeleteRecords(to); !errors.Is(err, ErrOutOfRange) {
			t.Errorf("to %d: %v", to, err)
		}
	}
	p.SetConfig(topicConfig(t, map[string]string{"cleanup.policy": "compact"}))
	if _, err := p.DeleteRecords(20); !errors.Is(err, ErrPolicy) {
		t.Errorf("a compacted topic: %v", err)
	}
}

func TestRetentionEmptiesALogAndKeepsItsProducersAndEpochs(t *testing.T) {
	o := testOptions(t, map[string]string{"internal.segment.bytes": "400", "retention.ms": "1000"})
	clock := newClock()
	o.Now = clock.now
	p := New(o)
	for i := range int32(10) {
		mustAppend(t, p, shape{pid: 3, sequence: i, size: 100})
	}
	if n, err := p.Retain(); n != 0 || err != nil {
		t.Errorf("too early: %d segments, %v", n, err)
	}
	clock.ms.Add(5000)
	n, err := p.Retain()
	if n == 0 || err != nil {
		t.Fatalf("%d segments, %v", n, err)
	}
	if start, hw, _, end := p.Offsets(); start != 10 || hw != 10 || end != 10 {
		t.Errorf("%d %d %d", start, hw, end)
	}
	p = reopen(t, p, o)
	defer p.Close()
	if a := mustAppend(t, p, shape{pid: 3, sequence: 9, size: 100}); !a.Duplicate || a.Base != 9 {
		t.Errorf("the last batch is not known any more: %+v", a)
	}
	if _, err := p.Append(shape{pid: 3, sequence: 12}.build(t), AppendOptions{}); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("a gap: %v", err)
	}
	if end, err := p.EndOffsetForEpoch(0); err != nil || end.End != 10 {
		t.Errorf("%+v %v", end, err)
	}
}
