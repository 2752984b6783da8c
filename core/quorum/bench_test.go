package quorum

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrun/millrun/core/meta"
)

func BenchmarkChange(b *testing.B) {
	l, err := Open(b.Context(), quiet(b.TempDir()))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.Run("sequential", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.Change(b.Context(), noop); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, callers := range []int{16, 128} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(callers / 2)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := l.Change(b.Context(), noop); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			openClose(b, b.TempDir())
		}
	})
	for _, commands := range []int{100, 9_000} {
		b.Run(fmt.Sprintf("replay=%d", commands), func(b *testing.B) {
			dir := b.TempDir()
			fillWithoutSnapshot(b, dir, commands)
			b.ResetTimer()
			for b.Loop() {
				openAbandon(b, dir)
			}
		})
	}
}

func openClose(b *testing.B, dir string) {
	l, err := Open(b.Context(), quiet(dir))
	if err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

// openAbandon opens a log and stops without a snapshot, so that the next has to replay as much.
func openAbandon(b *testing.B, dir string) {
	l, err := Open(b.Context(), quiet(dir))
	if err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	close(l.closing)
	<-l.stopped
	l.release()
	b.StartTimer()
}

func fillWithoutSnapshot(b *testing.B, dir string, n int) {
	l, err := Open(b.Context(), quiet(dir))
	if err != nil {
		b.Fatal(err)
	}
	s := l.Stats()
	chain, seq := chainHash(s.Chain), s.Committed
	for i := range n {
		command := meta.AppendCommand(nil, &meta.AlterBrokerConfigs{Node: 7, Configs: map[string]string{"i": fmt.Sprint(i)}})
		if err := l.node.publish("", fmt.Sprint("x", i), seq, chain.seal(command)); err != nil {
			b.Fatal(err)
		}
		seq++
		chain = chain.next(seq, command)
	}
	for l.Image().Seq() < seq {
		time.Sleep(10 * time.Millisecond)
	}
	close(l.closing)
	<-l.stopped
	l.release()
}

func BenchmarkIdlePoll(b *testing.B) {
	l, err := Open(b.Context(), quiet(b.TempDir()))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		if more, err := l.node.hasLogAfter(1); more || err != nil {
			b.Fatal(more, err)
		}
	}
}
