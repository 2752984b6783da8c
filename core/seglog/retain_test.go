package seglog_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

// retainLog has segments of three batches, one record each; the batch at offset n has timestamp testTime + 1000 n.
func retainLog(t *testing.T, change func(*seglog.Config)) (*seglog.Log, func(d time.Duration), func() []string) {
	c := testConfig()
	c.SegmentBytes = 3 * int64(len(batchAt(0, 1, testTime, 100)))
	c.RetentionMs = -1
	change(&c)
	l, fs, now := memLog(t, c)
	for i := range 10 {
		if _, err := l.Append(batchAt(record.Offset(i), 1, testTime+1000*int64(i), 100)); err != nil {
			t.Fatal(err)
		}
	}
	return l, func(d time.Duration) { *now = now.Add(d) }, func() []string { n, _ := fs.ReadDir("/log"); return n }
}

func mustRetain(t *testing.T, l *seglog.Log, upTo record.Offset, want int) {
	t.Helper()
	if n, err := l.Retain(upTo); err != nil || n != want {
		t.Fatalf("%d segments deleted instead of %d: %v", n, want, err)
	}
}

func TestRetentionByTimeCountsFromASegmentsLargestTimestamp(t *testing.T) {
	l, pass, _ := retainLog(t, func(c *seglog.Config) { c.RetentionMs = 10_000 })
	pass(12 * time.Second)
	mustRetain(t, l, 10, 0) // offset 2 is 10,000 ms old
	pass(time.Millisecond)
	mustRetain(t, l, 2, 0) // but the high watermark is not past it
	mustRetain(t, l, 10, 1)
	if l.StartOffset() != 3 {
		t.Fatal(l.StartOffset())
	}
	if _, err := l.ReadInto(nil, 2, 10, 100, true); !errors.Is(err, seglog.ErrOutOfRange) {
		t.Fatal(err)
	}
	pass(time.Hour)
	mustRetain(t, l, 10, 3) // the active segment too
	if l.StartOffset() != 10 || l.EndOffset() != 10 || l.Size() != 0 {
		t.Fatal(l.Segments())
	}
	mustAppend(t, l, 1, 1)
}

func TestRetentionBySizeKeepsAtLeastSoMuch(t *testing.T) {
	one := int64(len(batchAt(0, 1, testTime, 100)))
	l, _, _ := retainLog(t, func(c *seglog.Config) { c.RetentionBytes = 4 * one })
	mustRetain(t, l, 10, 2)
	if l.StartOffset() != 6 || l.Size() != 4*one {
		t.Fatal(l.StartOffset(), l.Size())
	}
	mustRetain(t, l, 10, 0)
}

func TestASegmentFoundOnDiskIsRetainedByItsTimestamps(t *testing.T) {
	for _, lose := range []string{"", seglog.TimeIndexSuffix, seglog.IndexSuffix} {
		o, c := testOptions(t.TempDir()), testConfig()
		c.SegmentBytes, c.IndexIntervalBytes, c.RetentionMs = 500, 50, 10_000
		l := mustOpen(t, o, c)
		for i := range 20 {
			// The largest timestamp comes first: once the first segment is too old, all are.
			if _, err := l.Append(batchAt(record.Offset(i), 1, testTime-int64(i), 20)); err != nil {
				t.Fatal(err)
			}
		}
		o.Clean = mustClose(t, l)
		if lose != "" {
			if err := seglog.OS().Remove(o.Dir + "/" + seglog.FileName(0, lose)); err != nil {
				t.Fatal(err)
			}
		}
		all := len(l.Segments())
		o.Now = func() time.Time { return time.UnixMilli(testTime + 10_000) }
		l = mustOpen(t, o, c)
		mustRetain(t, l, 20, 0)
		mustClose(t, l)
		o.Now = func() time.Time { return time.UnixMilli(testTime + 10_001) }
		l = mustOpen(t, o, c)
		mustRetain(t, l, 20, all)
		if l.StartOffset() != 20 {
			t.Fatal(l.StartOffset())
		}
		mustClose(t, l)
	}
}

func TestDeletedFilesStayForTheDelayUnderAnotherName(t *testing.T) {
	l, pass, names := retainLog(t, func(c *seglog.Config) { c.FileDeleteDelayMs = 60_000 })
	if err := l.SetStartOffset(4); err != nil {
		t.Fatal(err)
	}
	deleted := func() int {
		n := 0
		for _, name := range names() {
			if strings.HasSuffix(name, seglog.DeletedSuffix) {
				n++
			}
		}
		return n
	}
	if l.StartOffset() != 4 || len(l.Segments()) != 3 || deleted() == 0 {
		t.Fatal(l.StartOffset(), l.Segments(), names())
	}
	pass(59 * time.Second)
	mustRetain(t, l, 10, 0)
	if deleted() == 0 {
		t.Fatal("removed too early")
	}
	pass(time.Second)
	mustRetain(t, l, 10, 0)
	if deleted() != 0 || slices.Contains(names(), seglog.FileName(0, seglog.LogSuffix)) {
		t.Fatal(names())
	}
}

func TestTheStartOffsetNeverGoesBackNorPastTheEnd(t *testing.T) {
	l, _, _ := retainLog(t, func(*seglog.Config) {})
	if err := l.SetStartOffset(11); !errors.Is(err, seglog.ErrOutOfRange) {
		t.Fatal(err)
	}
	if err := errors.Join(l.SetStartOffset(10), l.SetStartOffset(3)); err != nil || l.StartOffset() != 10 {
		t.Fatal(err, l.StartOffset())
	}
	if l.RecoveryPoint() != 10 {
		t.Fatal("a crash could leave a log that ends before its start")
	}
	if len(l.Segments()) != 1 || l.EndOffset() != 10 {
		t.Fatal(l.Segments())
	}
}

func TestAReaderMayFinishWithAFileThatIsDeleted(t *testing.T) {
	o, c := testOptions(t.TempDir()), testConfig()
	c.SegmentBytes, c.RetentionBytes, c.RetentionMs = 1000, 0, -1
	l := mustOpen(t, o, c)
	defer l.Close()
	for range 50 {
		mustAppend(t, l, 1, 100)
	}
	err := l.Scan(0, func(h record.Batch) error {
		_, err := l.Retain(l.EndOffset())
		return err
	})
	if err != nil || l.StartOffset() != 50 {
		t.Fatal(err, l.StartOffset())
	}
}

func TestScanGivesHeadersAndWholeControlBatches(t *testing.T) {
	l, _, _ := memLog(t, testConfig())
	mustAppend(t, l, 3, 50)
	b := record.NewBuilder(nil)
	b.SetControl(true)
	b.SetTransactional(true)
	b.Append(testTime, []byte{0, 0, 0, 1}, []byte{0, 0, 0, 0, 0, 7}, nil)
	control, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	control.SetBaseOffset(3)
	control.SetLeaderEpoch(0)
	if _, err := l.Append(control); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, 1, 50)
	var bases []record.Offset
	err = l.Scan(1, func(h record.Batch) error {
		bases = append(bases, h.BaseOffset())
		if h.IsControl() && !bytes.Equal(h, control) || !h.IsControl() && len(h) != record.HeaderSize {
			t.Errorf("%d bytes at offset %d", len(h), h.BaseOffset())
		}
		return nil
	})
	if err != nil || !slices.Equal(bases, []record.Offset{0, 3, 4}) {
		t.Fatal(bases, err)
	}
	stop := errors.New("stop")
	if err := l.Scan(0, func(record.Batch) error { return stop }); err != stop {
		t.Fatal(err)
	}
}
