package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

// life is what a producer did to a partition of which the machine crashes.
type life struct {
	acked map[record.Offset]string // what was acknowledged, by base offset
	tried map[string]bool
	// deleting: it was asked to begin at offset 3.
	deleting bool
}

// live appends until the machine crashes or n batches are in: idempotent, with rolls, flushes, a change of leaders, and a
// deletion of records in between. It returns the offset that the log was told to start at.
func (l *life) live(t *testing.T, p *Partition, n int) (start record.Offset) {
	state := leaderState(0)
	_, _, _, next := p.Offsets()
	for i := range int32(n) {
		b := shape{pid: 1, sequence: int32(next), n: 1, size: 60}.build(t)
		body := string(b[17:])
		l.tried[body] = true
		a, err := p.Append(b, AppendOptions{Acks: AcksAll})
		if err != nil {
			return start
		}
		next = a.Last + 1
		if p.WaitAcked(context.Background(), a.Last, AcksAll) != nil {
			return start
		}
		l.acked[a.Base] = body
		switch i {
		case 5, 11:
			state.LeaderEpoch++
			p.setRole(roleOf(&state, 1))
		case 8:
			if p.Flush() != nil {
				return start
			}
		case 9:
			l.deleting = true
			if low, err := p.DeleteRecords(3); err == nil {
				start = low
			}
		}
	}
	_, _ = p.Close()
	return start
}

func TestACrashAtEveryStepLosesNothingAcknowledged(t *testing.T) {
	for _, mode := range []struct {
		name string
		set  map[string]string
		loss faultfs.Loss
	}{
		{"kill", map[string]string{"internal.segment.bytes": "500"}, faultfs.LoseNothing},
		{"power cut, durable", map[string]string{"internal.segment.bytes": "500", "flush.messages": "1"}, faultfs.LoseUnsynced},
		{"power cut with some of it written, durable", map[string]string{"internal.segment.bytes": "500", "flush.messages": "1"}, faultfs.LoseSome},
	} {
		t.Run(mode.name, func(t *testing.T) {
			fs, o := faultOptions(t, mode.set)
			l := &life{acked: map[record.Offset]string{}, tried: map[string]bool{}}
			l.live(t, New(o), 14)
			total := fs.Mutations()
			if total < 40 {
				t.Fatalf("only %d steps", total)
			}
			rnd := rand.New(rand.NewPCG(1, 9))
			for at := 2; at < total; at++ {
				crashOnce(t, mode.set, mode.loss, at, rnd)
			}
		})
	}
}

func crashOnce(t *testing.T, set map[string]string, loss faultfs.Loss, at int, rnd *rand.Rand) {
	t.Helper()
	fs, o := faultOptions(t, set)
	fs.CrashAt(at-fs.Mutations(), rnd.IntN(60))
	l := &life{acked: map[record.Offset]string{}, tried: map[string]bool{}}
	p := New(o)
	start := record.Offset(0)
	if p.Failed() == nil {
		start = l.live(t, p, 14)
		o.RecoveryPoint, o.LogStart = p.RecoveryPoint(), start
	}
	if loss == faultfs.LoseSome && rnd.IntN(2) == 0 {
		o.RecoveryPoint = 0 // as if no checkpoint had been written
	}
	fs.Restart(loss, rnd)
	o.State.LeaderEpoch = 5
	q := New(o)
	if err := q.Failed(); err != nil {
		t.Fatalf("crash at step %d: %v", at, err)
	}
	next := start
	for i, b := range readAll(t, q) {
		if i == 0 && l.deleting && b.BaseOffset() <= 3 {
			next = b.BaseOffset() // a deletion that was not acknowledged may have been carried out or not
		}
		body := string(b[17:])
		if b.BaseOffset() != next || !l.tried[body] {
			t.Fatalf("crash at step %d: batch at %d, want %d, written: %v", at, b.BaseOffset(), next, l.tried[body])
		}
		if want, ok := l.acked[next]; ok && want != body {
			t.Fatalf("crash at step %d: another record at offset %d", at, next)
		}
		next = b.NextOffset()
	}
	for base := range l.acked {
		if base >= next {
			t.Fatalf("crash at step %d: offset %d was acknowledged, the log ends at %d", at, base, next)
		}
	}
	// The producer goes on where the log ends: its state is that of the log.
	a, err := q.Append(shape{pid: 1, sequence: int32(next), size: 60}.build(t), AppendOptions{})
	if err != nil || a.Base != next {
		t.Fatalf("crash at step %d: the next record went to %d, not %d: %v", at, a.Base, next, err)
	}
	if next > start {
		a, err := q.Append(shape{pid: 1, sequence: int32(next) - 1, size: 60}.build(t), AppendOptions{})
		if err != nil || !a.Duplicate || a.Base != next-1 {
			t.Fatalf("crash at step %d: the last record again: %+v, %v", at, a, err)
		}
	}
}

func TestAppendsReadsFlushesAndSettingsAtTheSameTime(t *testing.T) {
	o := testOptions(t, map[string]string{"internal.segment.bytes": "20000", "flush.messages": "50"})
	p := New(o)
	const writers, each = 4, 150
	ctx, cancel := context.WithCancel(context.Background())
	var writing, rest sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			for j := range int32(each) {
				a, err := p.Append(shape{pid: record.ProducerID(i + 1), sequence: j, size: 50}.build(t), AppendOptions{Acks: AcksAll})
				if err == nil {
					err = p.WaitAcked(ctx, a.Last, AcksAll)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		rest.Go(func() { readUntil(ctx, t, p, writers*each) })
	}
	rest.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			p.SetConfig(topicConfig(t, map[string]string{"internal.segment.bytes": fmt.Sprint(10000 + i%5*1000), "flush.messages": "50"}))
			if err := p.Flush(); err != nil {
				t.Error(err)
			}
			if _, err := p.Retain(); err != nil {
				t.Error(err)
			}
			p.ExpireProducers(1 << 40)
			if _, err := p.EndOffsetForEpoch(0); err != nil {
				t.Error(err)
			}
		}
	})
	writing.Wait()
	p.watchers.wakeAll()
	cancel()
	rest.Wait()
	if _, err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// readUntil follows the partition as a consumer does, up to offset end.
func readUntil(ctx context.Context, t *testing.T, p *Partition, end record.Offset) {
	w := NewWatcher()
	p.Watch(w)
	defer p.Unwatch(w)
	var buf []byte
	for next := record.Offset(0); next < end; {
		r, err := p.ReadInto(buf[:0], query(next))
		if err != nil {
			t.Error(err)
			return
		}
		buf = r.Records
		for rest := r.Records; len(rest) > 0; {
			b, after, err := record.Next(rest)
			if err = errors.Join(err, b.CheckCRC()); err != nil || b.BaseOffset() != next || b.NextOffset() > r.HighWatermark {
				t.Errorf("batch at %d, want %d, high watermark %d: %v", b.BaseOffset(), next, r.HighWatermark, err)
				return
			}
			next, rest = b.NextOffset(), after
		}
		if len(r.Records) == 0 {
			select {
			case <-w.C():
			case <-ctx.Done():
				return
			}
		}
	}
}
