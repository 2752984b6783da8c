package seglog_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

// memLog opens an empty log in memory. The clock is *now.
func memLog(t testing.TB, c seglog.Config) (l *seglog.Log, fs *faultfs.FS, now *time.Time) {
	fs, at := faultfs.New(), time.UnixMilli(testTime)
	o := testOptions("/log")
	o.FS, o.Now = fs, func() time.Time { return at }
	return mustOpen(t, o, c), fs, &at
}

func TestAppendRollsBeforeASegmentWouldGrowTooLong(t *testing.T) {
	c := testConfig()
	one := int64(len(batchAt(0, 1, testTime, 100)))
	c.SegmentBytes = 3 * one
	l, _, _ := memLog(t, c)
	for i := range 7 {
		a, err := l.Append(batchAt(record.Offset(i), 1, testTime, 100))
		if err != nil || a.Rolled != (i == 3 || i == 6) || a.Rolled && a.RolledAt != record.Offset(i) {
			t.Fatalf("append %d: %+v %v", i, a, err)
		}
	}
	for i, s := range l.Segments() {
		if s.Base != record.Offset(3*i) || s.Size != one*int64(s.End-s.Base) {
			t.Fatalf("%+v", l.Segments())
		}
	}
}

func TestABatchLargerThanASegmentGetsASegmentOfItsOwn(t *testing.T) {
	c := testConfig()
	c.SegmentBytes = 200
	l, _, _ := memLog(t, c)
	for range 3 {
		mustAppend(t, l, 1, 700_000) // three writes each
	}
	if got, err := readAll(l, 100); err != nil || len(l.Segments()) != 3 || len(got) < 2_100_000 {
		t.Fatal(err, l.Segments())
	}
}

func TestAppendRollsByTheTimestampOfTheFirstBatch(t *testing.T) {
	c := testConfig()
	c.SegmentMs = 1000
	l, _, now := memLog(t, c)
	*now = now.Add(time.Hour) // the clock does not count
	for i, ts := range []int64{5000, 6000, 6001, 7001, 7002} {
		a, err := l.Append(batchAt(record.Offset(i), 1, ts, 1))
		if err != nil || a.Rolled != (i == 2 || i == 4) {
			t.Fatalf("append %d: %+v %v", i, a, err)
		}
	}
	if a, err := l.RollIfDue(); err != nil || !a.Rolled || a.RolledAt != 5 {
		t.Fatalf("%+v %v", a, err)
	}
	if a, err := l.RollIfDue(); err != nil || a.Rolled {
		t.Fatalf("an empty segment was rolled: %+v %v", a, err)
	}
}

func TestAppendRollsWhenAnIndexIsFull(t *testing.T) {
	c := testConfig()
	c.IndexIntervalBytes, c.IndexBytes = 0, 80 // 10 offset entries, 6 time entries of which one is kept free
	l, _, _ := memLog(t, c)
	for l.EndOffset() < 30 {
		mustAppend(t, l, 1, 1)
	}
	// The first batch has no entry, so a segment holds one batch more than its time index has entries.
	if s := l.Segments(); s[0].End != 6 || s[1].End != 12 {
		t.Fatalf("%+v", s)
	}
}

func TestAppendRollsBeforeARelativeOffsetWouldOverflow(t *testing.T) {
	c := testConfig()
	c.Gaps = true
	l, _, _ := memLog(t, c)
	mustAppend(t, l, 1, 1)
	for i, base := range []record.Offset{math.MaxInt32, math.MaxInt32 + 1, 3 * math.MaxInt32} {
		a, err := l.Append(batchAt(base, 1, testTime, 1))
		if err != nil || a.Rolled != (i > 0) {
			t.Fatalf("append at %d: %+v %v", base, a, err)
		}
	}
	if got, err := l.ReadInto(nil, math.MaxInt32+2, l.EndOffset(), 1000, false); err != nil || record.Batch(got).BaseOffset() != 3*math.MaxInt32 {
		t.Fatalf("read across the gap: %v", err)
	}
}

func TestAnEmptySegmentTooFarBehindIsReplaced(t *testing.T) {
	c := testConfig()
	c.Gaps = true
	l, fs, _ := memLog(t, c)
	if _, err := l.Append(batchAt(5*math.MaxInt32, 1, testTime, 1)); err != nil {
		t.Fatal(err)
	}
	if s := l.Segments(); len(s) != 1 || s[0].Base != 5*math.MaxInt32 || l.StartOffset() != s[0].Base {
		t.Fatalf("%+v", s)
	}
	if names, _ := fs.ReadDir("/log"); len(names) != 1 {
		t.Fatal(names)
	}
}

func TestAppendRefusesWhatDoesNotContinueTheLog(t *testing.T) {
	l, _, _ := memLog(t, testConfig())
	mustAppend(t, l, 3, 1)
	negative := batchAt(3, 1, testTime, 1)
	negative[23] = 0x80
	two := append(batchAt(3, 1, testTime, 1), batchAt(4, 1, testTime, 1)...)
	for _, b := range []record.Batch{
		batchAt(2, 1, testTime, 1), batchAt(4, 1, testTime, 1), batchAt(0, 4, testTime, 1), negative, two, two[:70], two[:10], nil,
	} {
		if _, err := l.Append(b); !errors.Is(err, seglog.ErrOffset) {
			t.Errorf("append of %d bytes: %v", len(b), err)
		}
	}
	if l.Failed() != nil || l.EndOffset() != 3 {
		t.Fatal(l.Failed(), l.EndOffset())
	}
}

func TestANewLogIsOneEmptyFile(t *testing.T) {
	l, fs, _ := memLog(t, testConfig())
	names, _ := fs.ReadDir("/log")
	if len(names) != 1 || names[0] != "00000000000000000000.log" {
		t.Fatal(names)
	}
	if got, err := l.ReadInto(nil, 0, 10, 100, true); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
	mustClose(t, l)
	if names, _ := fs.ReadDir("/log"); len(names) != 1 {
		t.Fatal(names)
	}
}

func TestAClosedLogDoesNothing(t *testing.T) {
	l, _, _ := memLog(t, testConfig())
	mustAppend(t, l, 1, 1)
	mustClose(t, l)
	_, appendErr := l.Append(batchAt(1, 1, testTime, 1))
	_, readErr := l.ReadInto(nil, 0, 1, 100, true)
	_, _, stampErr := l.OffsetForTimestamp(0, 1)
	_, closeErr := l.Close()
	for _, err := range []error{appendErr, readErr, stampErr, closeErr, l.Truncate(0), l.Scan(0, nil)} {
		if !errors.Is(err, seglog.ErrClosed) {
			t.Error(err)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	o, c := testOptions(t.TempDir()), testConfig()
	o.Now = time.Now
	l := mustOpen(t, o, c)
	defer l.Close()
	b := batchAt(0, 1, testTime, 10_000)
	n := testing.AllocsPerRun(1000, func() {
		b.SetBaseOffset(l.EndOffset())
		if _, err := l.Append(b); err != nil {
			t.Fatal(err)
		}
	})
	if n >= 1 {
		t.Errorf("%v allocations an append", n)
	}
	dst := make([]byte, 0, 1<<20)
	at := record.Offset(0)
	n = testing.AllocsPerRun(500, func() {
		got, err := l.ReadInto(dst, at, l.EndOffset(), 12_000, true)
		if err != nil || len(got) == 0 {
			t.Fatal(err)
		}
		at = record.Batch(got).NextOffset()
	})
	if n >= 1 {
		t.Errorf("%v allocations a read", n)
	}
}
