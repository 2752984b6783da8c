package seglog_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
)

func benchLog(b *testing.B) *seglog.Log {
	o := testOptions(b.TempDir())
	o.Now = time.Now
	c := testConfig()
	c.SegmentBytes, c.RetentionMs, c.RetentionBytes = 64<<20, -1, 128<<20
	return mustOpen(b, o, c)
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 128 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			l := benchLog(b)
			batch := batchAt(0, 1, testTime, size)
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				batch.SetBaseOffset(l.EndOffset())
				a, err := l.Append(batch)
				if err != nil {
					b.Fatal(err)
				}
				if a.Rolled {
					// What is on the disk must not grow without end.
					if _, err := l.Retain(l.EndOffset()); err != nil {
						b.Fatal(err)
					}
				}
			}
			_, _ = l.Close()
		})
	}
}

// BenchmarkReadFromFrontToEnd reads 1 MiB at a time what was just written (warm), or what was found on disk and has its
// checksums checked for the first time (cold).
func BenchmarkReadFromFrontToEnd(b *testing.B) {
	const total = 64 << 20
	for _, size := range []int{1 << 10, 128 << 10} {
		for _, cold := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dKiB/cold=%v", size>>10, cold), func(b *testing.B) {
				o, c := testOptions(b.TempDir()), testConfig()
				l := mustOpen(b, o, c)
				for l.Size() < total {
					mustAppend(b, l, 1, size)
				}
				if cold {
					o.Clean = mustClose(b, l)
				}
				dst := make([]byte, 0, 1<<20)
				b.SetBytes(total)
				b.ReportAllocs()
				for b.Loop() {
					if cold {
						b.StopTimer()
						l = mustOpen(b, o, c)
						b.StartTimer()
					}
					for at := record.Offset(0); at < l.EndOffset(); {
						got, err := l.ReadInto(dst, at, l.EndOffset(), 1<<20, true)
						if err != nil {
							b.Fatal(err)
						}
						for len(got) > 0 {
							var x record.Batch
							x, got, _ = record.Next(got)
							at = x.NextOffset()
						}
					}
				}
			})
		}
	}
}

// BenchmarkReadAtRandom reads one batch at an offset that no read has touched before.
func BenchmarkReadAtRandom(b *testing.B) {
	l := benchLog(b)
	for l.Size() < 32<<20 {
		mustAppend(b, l, 1, 1000)
	}
	dst, n := make([]byte, 0, 4096), uint64(l.EndOffset())
	b.ReportAllocs()
	for i := uint64(1); b.Loop(); i++ {
		if _, err := l.ReadInto(dst, record.Offset(i*0x9e3779b97f4a7c15%n), l.EndOffset(), 2000, true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenAfterACleanStop is one partition's share of a start with many.
func BenchmarkOpenAfterACleanStop(b *testing.B) {
	o, c := testOptions(b.TempDir()), testConfig()
	l := mustOpen(b, o, c)
	for range 100 {
		mustAppend(b, l, 1, 1000)
	}
	o.Clean, o.Files = mustClose(b, l), seglog.NewFiles(0)
	b.ReportAllocs()
	for b.Loop() {
		mustClose(b, mustOpen(b, o, c))
	}
}

// BenchmarkRecoverAfterAKill is the same after an unclean stop with everything flushed.
func BenchmarkRecoverAfterAKill(b *testing.B) {
	o, c := testOptions(b.TempDir()), testConfig()
	l := mustOpen(b, o, c)
	for range 10_000 {
		mustAppend(b, l, 1, 1000)
	}
	o.RecoveryPoint, o.Files = mustClose(b, l).EndOffset, seglog.NewFiles(0)
	b.ReportAllocs()
	for b.Loop() {
		mustOpen(b, o, c)
		o.Files.CloseIdle()
	}
}

// BenchmarkCreate is one partition's share of the creation of many.
func BenchmarkCreate(b *testing.B) {
	dir := b.TempDir()
	o := testOptions("")
	o.Files = seglog.NewFiles(0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		o.Dir = fmt.Sprintf("%s/%d", dir, i)
		mustClose(b, mustOpen(b, o, testConfig()))
	}
	b.StopTimer()
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
}
