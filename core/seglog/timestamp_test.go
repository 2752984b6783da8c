package seglog_test

import (
	"math/rand/v2"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

func TestTimestampsAreFoundAsByLookingAtEveryRecord(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		o, c := testOptions(t.TempDir()), testConfig()
		c.SegmentBytes, c.IndexIntervalBytes = 2000, 200
		l := mustOpen(t, o, c)
		type stamped struct {
			ts     int64
			offset record.Offset
		}
		var all []stamped
		for range 80 {
			b := record.NewBuilder(nil)
			b.SetCodec(record.Codec(rng.IntN(5)))
			for range 1 + rng.IntN(4) {
				ts := testTime + int64(len(all)) + rng.Int64N(50)
				b.Append(ts, nil, make([]byte, rng.IntN(60)), nil)
				all = append(all, stamped{ts, record.Offset(len(all))})
			}
			batch, err := b.Build()
			if err != nil {
				t.Fatal(err)
			}
			batch.SetBaseOffset(l.EndOffset())
			batch.SetLeaderEpoch(0)
			if _, err := l.Append(batch); err != nil {
				t.Fatal(err)
			}
		}
		if seed%2 == 0 {
			o.Clean = mustClose(t, l)
			l = mustOpen(t, o, c)
		}
		start := record.Offset(rng.IntN(len(all) / 2))
		if err := l.SetStartOffset(start); err != nil {
			t.Fatal(err)
		}
		upTo := record.Offset(len(all) - rng.IntN(20))
		for ts := testTime - int64(2); ts < testTime+int64(len(all))+55; ts++ {
			want, exists := stamped{}, false
			for _, x := range all[start:] {
				if x.ts >= ts {
					want, exists = x, x.offset < upTo
					break
				}
			}
			got, ok, err := l.OffsetForTimestamp(ts, upTo)
			if err != nil || ok != exists || ok && (got.Offset != want.offset || got.Timestamp != want.ts) {
				t.Fatalf("seed %d, timestamp %d: %+v %v %v, want %+v %v", seed, ts, got, ok, err, want, exists)
			}
		}
		most := all[start]
		for _, x := range all[start:] {
			if x.ts > most.ts {
				most = x
			}
		}
		got, ok, err := l.MaxTimestamp()
		if err != nil || !ok || got.Offset != most.offset || got.Timestamp != most.ts {
			t.Fatalf("seed %d: largest timestamp is %+v %v %v, want %+v", seed, got, ok, err, most)
		}
		mustClose(t, l)
	}
}

func TestABatchStampedByTheBrokerHasOneTimestamp(t *testing.T) {
	l, _, _ := memLog(t, testConfig())
	b := batchAt(0, 5, 1000, 1)
	b.SetLogAppendTime(testTime)
	if _, err := l.Append(b); err != nil {
		t.Fatal(err)
	}
	got, ok, err := l.OffsetForTimestamp(1003, 5)
	if err != nil || !ok || got != (seglog.TimestampOffset{Timestamp: testTime, Offset: 0, LeaderEpoch: 0}) {
		t.Fatalf("%+v %v %v", got, ok, err)
	}
}

func TestAnEmptyLogHasNoTimestamps(t *testing.T) {
	l, _, _ := memLog(t, testConfig())
	if _, ok, err := l.OffsetForTimestamp(0, 0); ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err := l.MaxTimestamp(); ok || err != nil {
		t.Fatal(ok, err)
	}
}

func TestTheLargestTimestampIsOfARecordThatIsStillThere(t *testing.T) {
	l := mustOpen(t, testOptions(t.TempDir()), testConfig())
	defer l.Close()
	for i, offsets := range [][]int64{{10, 50}, {90}, {20, 70, 30}, {40}} {
		b := record.NewBuilder(nil)
		for _, ts := range offsets {
			b.Append(testTime+ts, nil, []byte{byte(i)}, nil)
		}
		batch, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		batch.SetBaseOffset(l.EndOffset())
		batch.SetLeaderEpoch(0)
		if _, err := l.Append(batch); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []struct{ start, ts, offset int64 }{{0, 90, 2}, {1, 90, 2}, {3, 70, 4}, {4, 70, 4}, {5, 40, 6}, {6, 40, 6}, {7, -1, -1}} {
		if err := l.SetStartOffset(record.Offset(want.start)); err != nil {
			t.Fatal(err)
		}
		at, ok, err := l.MaxTimestamp()
		switch {
		case err != nil || ok != (want.ts >= 0):
			t.Errorf("from %d: %+v, %v, %v", want.start, at, ok, err)
		case ok && (at.Timestamp != testTime+want.ts || int64(at.Offset) != want.offset):
			t.Errorf("from %d: %+v, not %d at %d", want.start, at, testTime+want.ts, want.offset)
		}
	}
}
