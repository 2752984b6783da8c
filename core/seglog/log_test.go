package seglog_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

// batchAt makes a batch of n records with values that tell their offsets.
func batchAt(base record.Offset, n int, ts int64, size int) record.Batch {
	b := record.NewBuilder(nil)
	for i := range n {
		v := fmt.Appendf(nil, "value %d ", int(base)+i)
		b.Append(ts+int64(i), nil, append(v, bytes.Repeat([]byte{'x'}, size)...), nil)
	}
	batch, err := b.Build()
	if err != nil {
		panic(err)
	}
	batch.SetBaseOffset(base)
	batch.SetLeaderEpoch(0)
	return batch
}

const testTime = 1_700_000_000_000

func testConfig() seglog.Config {
	c := seglog.DefaultConfig()
	c.FileDeleteDelayMs = 0
	return c
}

func testOptions(dir string) seglog.Options {
	return seglog.Options{Dir: dir, Now: func() time.Time { return time.UnixMilli(testTime) }, Epochs: []seglog.EpochEntry{{Epoch: 0, Start: 0}}}
}

func mustOpen(t testing.TB, o seglog.Options, c seglog.Config) *seglog.Log {
	t.Helper()
	l, _, err := seglog.Open(o, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustAppend(t testing.TB, l *seglog.Log, n int, size int) record.Batch {
	t.Helper()
	b := batchAt(l.EndOffset(), n, testTime+int64(l.EndOffset()), size)
	if _, err := l.Append(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func mustClose(t testing.TB, l *seglog.Log) *seglog.CloseMark {
	t.Helper()
	m, err := l.Close()
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

// readAll reads a log from its start to its end in pieces.
func readAll(l *seglog.Log, piece int) ([]byte, error) {
	var all []byte
	for at := l.StartOffset(); at < l.EndOffset(); {
		got, err := l.ReadInto(nil, at, l.EndOffset(), piece, true)
		if err != nil {
			return all, err
		}
		if len(got) == 0 {
			return all, fmt.Errorf("nothing read at offset %d of %d", at, l.EndOffset())
		}
		for rest := got; len(rest) > 0; {
			var b record.Batch
			if b, rest, err = record.Next(rest); err != nil {
				return all, err
			}
			if err := b.CheckCRC(); err != nil {
				return all, err
			}
			at = b.NextOffset()
		}
		all = append(all, got...)
	}
	return all, nil
}

func TestWhatIsAppendedIsReadBackAfterAnyKindOfStop(t *testing.T) {
	for _, clean := range []bool{true, false} {
		o, c := testOptions(t.TempDir()), testConfig()
		c.SegmentBytes = 20_000
		l := mustOpen(t, o, c)
		var want []byte
		for i := range 500 {
			want = append(want, mustAppend(t, l, 1+i%4, i%300)...)
		}
		check := func(l *seglog.Log) {
			t.Helper()
			for _, piece := range []int{1, 700, 5000, 1 << 20} {
				got, err := readAll(l, piece)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("clean %v, piece %d: read %d bytes of %d: %v", clean, piece, len(got), len(want), err)
				}
			}
		}
		check(l)
		if len(l.Segments()) < 5 {
			t.Fatalf("%d segments", len(l.Segments()))
		}
		if clean {
			o.Clean = mustClose(t, l)
		}
		l = mustOpen(t, o, c)
		check(l)
		for range 50 {
			want = append(want, mustAppend(t, l, 2, 100)...)
		}
		check(l)
		o.Clean = mustClose(t, l)
		check(mustOpen(t, o, c))
	}
}
