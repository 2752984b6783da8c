package seglog_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

func TestManyLogsShareABoundOnOpenFiles(t *testing.T) {
	dir, files := t.TempDir(), seglog.NewFiles(5)
	var logs []*seglog.Log
	var want [][]byte
	for i := range 40 {
		o := testOptions(fmt.Sprintf("%s/t-%d", dir, i))
		o.Files = files
		logs = append(logs, mustOpen(t, o, testConfig()))
		want = append(want, nil)
	}
	if files.Open() != 0 {
		t.Fatalf("%d files are open before anything is used", files.Open())
	}
	for range 3 {
		for i, l := range logs {
			want[i] = append(want[i], mustAppend(t, l, 2, 50)...)
			if files.Open() > 5 {
				t.Fatalf("%d files are open", files.Open())
			}
		}
	}
	for i, l := range logs {
		if got, err := readAll(l, 100); err != nil || !bytes.Equal(got, want[i]) {
			t.Fatal(err)
		}
	}
	mustAppend(t, logs[0], 1, 1)
	files.CloseIdle()
	mustAppend(t, logs[0], 1, 1)
	if files.CloseIdle(); files.Open() != 1 {
		t.Fatalf("%d files are open, one is used", files.Open())
	}
	if n := files.CloseIdle(); n != 1 || files.Open() != 0 {
		t.Fatalf("%d files closed, %d open", n, files.Open())
	}
	mustAppend(t, logs[0], 1, 1)
	for _, l := range logs {
		mustClose(t, l)
	}
	if files.Open() != 0 {
		t.Fatalf("%d files are open after all", files.Open())
	}
}

func TestOpeningAfterACleanStopOpensNoFile(t *testing.T) {
	o, c := testOptions(t.TempDir()), testConfig()
	c.SegmentBytes = 5000
	l := mustOpen(t, o, c)
	for range 200 {
		mustAppend(t, l, 2, 50)
	}
	first := mustClose(t, l)
	o.Clean, o.Files = first, seglog.NewFiles(0)
	l = mustOpen(t, o, c)
	if _, err := l.Retain(l.EndOffset()); err != nil || l.EndOffset() != 400 {
		t.Fatal(err, l.EndOffset())
	}
	if again := mustClose(t, l); *again != *first {
		t.Fatalf("a log that was not used has another mark: %+v, was %+v", again, first)
	}
}

func TestOneAppenderManyReadersFlushesAndRetentionAtOnce(t *testing.T) {
	o, c := testOptions(t.TempDir()), testConfig()
	o.Files = seglog.NewFiles(3)
	c.SegmentBytes, c.IndexIntervalBytes, c.RetentionBytes, c.RetentionMs = 20_000, 300, 60_000, -1
	l := mustOpen(t, o, c)
	const batches = 3000
	done := make(chan struct{})
	var wg sync.WaitGroup
	background := func(f func() error) {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := f(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	background(func() error { _, err := l.Flush(); return err })
	background(func() error { _, err := l.Retain(l.EndOffset()); o.Files.CloseIdle(); return err })
	background(func() error {
		_, _, err := l.OffsetForTimestamp(testTime+int64(l.StartOffset())+50, l.EndOffset())
		return err
	})
	for i := range 3 {
		at := record.Offset(0)
		background(func() error {
			end := l.EndOffset()
			got, err := l.ReadInto(nil, at, end, 700*(i+1), true)
			if err == seglog.ErrOutOfRange {
				at = l.StartOffset()
				return nil
			}
			for rest := got; err == nil && len(rest) > 0; {
				var b record.Batch
				if b, rest, err = record.Next(rest); err == nil {
					err = b.CheckCRC()
				}
				if b.BaseOffset() > at || b.LastOffset() < at {
					return fmt.Errorf("batch %d to %d at offset %d", b.BaseOffset(), b.LastOffset(), at)
				}
				at = b.NextOffset()
			}
			return err
		})
	}
	for i := range batches {
		mustAppend(t, l, 1+i%3, 20+i%100)
	}
	close(done)
	wg.Wait()
	if _, err := l.Retain(l.EndOffset()); err != nil || l.Size() > 60_000+20_000 {
		t.Fatal(err, l.Size())
	}
	o.Clean = mustClose(t, l)
	if _, err := seglog.Verify(seglog.OS(), o.Dir, func(f seglog.Finding) { t.Errorf("%+v", f) }); err != nil {
		t.Fatal(err)
	}
}
