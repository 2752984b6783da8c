package replica

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

func TestWithFlushMessagesOneNothingIsSeenBeforeItIsOnDisk(t *testing.T) {
	fs, o := faultOptions(t, map[string]string{"flush.messages": "1"})
	p := New(o)
	for i := range record.Offset(3) {
		a, err := p.Append(shape{}.build(t), AppendOptions{Acks: AcksLeader})
		if err != nil {
			t.Fatal(err)
		}
		if p.AckedNow(a.Last, AcksLeader) || p.AckedNow(a.Last, AcksAll) || p.HighWatermark() != i {
			t.Errorf("record %d is acknowledged or seen before it is on disk", i)
		}
		if r, err := p.ReadInto(nil, query(i)); err != nil || len(r.Records) != 0 {
			t.Errorf("%d bytes, %v", len(r.Records), err)
		}
		if err := p.WaitAcked(context.Background(), a.Last, AcksAll); err != nil {
			t.Fatal(err)
		}
		if p.HighWatermark() != i+1 || p.RecoveryPoint() != i+1 {
			t.Errorf("high watermark %d, recovery point %d", p.HighWatermark(), p.RecoveryPoint())
		}
	}
	fs.Restart(faultfs.LoseUnsynced, nil)
	q := New(o)
	if _, _, _, end := q.Offsets(); end != 3 || q.Failed() != nil {
		t.Errorf("after a power cut the log ends at %d, %v", end, q.Failed())
	}
}

func TestFlushMessagesNWaitsForEveryNthRecordOnly(t *testing.T) {
	_, o := faultOptions(t, map[string]string{"flush.messages": "3"})
	p := New(o)
	for i := range record.Offset(9) {
		a, err := p.Append(shape{}.build(t), AppendOptions{Acks: AcksAll})
		if err != nil {
			t.Fatal(err)
		}
		if acked := p.AckedNow(a.Last, AcksAll); acked != (i%3 != 2) {
			t.Errorf("record %d acknowledged at once: %v", i, acked)
		}
		if err := p.WaitAcked(context.Background(), a.Last, AcksAll); err != nil {
			t.Fatal(err)
		}
		if want := (i + 1) / 3 * 3; p.RecoveryPoint() != want {
			t.Errorf("after record %d the log is on disk up to %d, want %d", i, p.RecoveryPoint(), want)
		}
	}
}

func TestAFailedSyncIsNeverAcknowledged(t *testing.T) {
	fs, o := faultOptions(t, map[string]string{"flush.messages": "1"})
	p := New(o)
	mustAppend(t, p, shape{})
	a, err := p.Append(shape{}.build(t), AppendOptions{Acks: AcksLeader})
	if err != nil {
		t.Fatal(err)
	}
	fs.Fail(faultfs.Sync, 0, 0, errors.New("input/output error"))
	for range 2 {
		if err := p.WaitAcked(context.Background(), a.Last, AcksLeader); !errors.Is(err, ErrStorage) {
			t.Errorf("err %v", err)
		}
	}
	if p.HighWatermark() != 1 || p.Failed() == nil {
		t.Errorf("high watermark %d, failed %v", p.HighWatermark(), p.Failed())
	}
}

func TestProducersOfOnePartitionShareSyncs(t *testing.T) {
	p := newPartition(t, map[string]string{"flush.messages": "1"})
	const producers, each = 16, 25
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for range each {
				a, err := p.Append(shape{size: 100}.build(t), AppendOptions{Acks: AcksAll})
				if err == nil {
					err = p.WaitAcked(context.Background(), a.Last, AcksAll)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if p.RecoveryPoint() <= a.Last {
					t.Errorf("offset %d acknowledged, on disk up to %d", a.Last, p.RecoveryPoint())
				}
			}
		})
	}
	wg.Wait()
	if p.HighWatermark() != producers*each {
		t.Errorf("high watermark %d", p.HighWatermark())
	}
}

func TestWhoAsksForNoAcknowledgementHasSomebodyElseFlush(t *testing.T) {
	o := testOptions(t, map[string]string{"flush.messages": "1"})
	asked := make(chan *Partition, 10)
	o.Later = func(p *Partition) { asked <- p }
	p := New(o)
	defer p.Close()
	for range 3 {
		if _, err := p.Append(shape{}.build(t), AppendOptions{Acks: AcksNone}); err != nil {
			t.Fatal(err)
		}
	}
	if len(asked) != 1 {
		t.Errorf("asked %d times", len(asked))
	}
	if err := (<-asked).Flush(); err != nil || p.HighWatermark() != 3 {
		t.Errorf("high watermark %d, %v", p.HighWatermark(), err)
	}
	if _, err := p.Append(shape{}.build(t), AppendOptions{Acks: AcksNone}); err != nil || len(asked) != 1 {
		t.Errorf("asked %d times after the flush, %v", len(asked), err)
	}
}

func TestFlushMsHasTheLogFlushedInTime(t *testing.T) {
	o := testOptions(t, map[string]string{"flush.ms": "5"})
	asked := make(chan *Partition, 10)
	o.Later = func(p *Partition) { asked <- p }
	p := New(o)
	defer p.Close()
	a := mustAppend(t, p, shape{})
	if p.HighWatermark() != 1 || !p.AckedNow(a.Last, AcksAll) {
		t.Error("flush.ms must not delay an acknowledgement")
	}
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was asked to flush")
	}
}

func TestAcksAllWaitsForTheHighWatermarkAndHearsOfItsEnd(t *testing.T) {
	p := newPartition(t, nil)
	a := mustAppend(t, p, shape{})
	p.highWatermark.Store(0) // as if a follower had nothing yet
	if !p.AckedNow(a.Last, AcksLeader) || p.AckedNow(a.Last, AcksAll) {
		t.Error("acks=1 asks for the leader, acks=all for everybody")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := p.WaitAcked(ctx, a.Last, AcksAll); !errors.Is(err, ErrTimeout) {
		t.Errorf("err %v", err)
	}
	wait := func() chan error {
		done := make(chan error)
		go func() { done <- p.WaitAcked(context.Background(), a.Last, AcksAll) }()
		for p.watchers.n.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		return done
	}
	done := wait()
	p.advance()
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.highWatermark.Store(0)
	done = wait()
	state := meta.Partition{Replicas: []meta.NodeID{1, 2}, ISR: []meta.NodeID{2}, Leader: 2, LeaderEpoch: 1}
	p.setRole(roleOf(&state, 1))
	if err := <-done; !errors.Is(err, ErrNotLeader) {
		t.Errorf("err %v", err)
	}
	if n := p.watchers.n.Load(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

func TestAWatcherIsWokenByAppendsOfAnyOfItsPartitionsAndByNothingAfterwards(t *testing.T) {
	p, q := newPartition(t, nil), newPartition(t, nil)
	w, other := NewWatcher(), NewWatcher()
	p.Watch(w)
	q.Watch(w)
	q.Watch(other)
	awake := func(w *Watcher) bool {
		select {
		case <-w.C():
			return true
		default:
			return false
		}
	}
	if awake(w) {
		t.Error("awake without a reason")
	}
	mustAppend(t, p, shape{})
	mustAppend(t, p, shape{})
	if !awake(w) || awake(w) || awake(other) {
		t.Error("two appends make one value, for those who watch")
	}
	mustAppend(t, q, shape{})
	if !awake(w) || !awake(other) {
		t.Error("an append did not wake")
	}
	if _, err := p.DeleteRecords(1); err != nil || !awake(w) {
		t.Errorf("the log's start did not wake, %v", err)
	}
	p.Unwatch(w)
	q.Unwatch(w)
	mustAppend(t, p, shape{})
	mustAppend(t, q, shape{})
	if awake(w) || !awake(other) {
		t.Error("woken after Unwatch")
	}
	q.Unwatch(other)
}

func TestClosingWakesThoseWhoWait(t *testing.T) {
	o := testOptions(t, nil)
	p := New(o)
	a := mustAppend(t, p, shape{})
	p.highWatermark.Store(0)
	done := make(chan error)
	go func() { done <- p.WaitAcked(context.Background(), a.Last, AcksAll) }()
	for p.watchers.n.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("err %v", err)
	}
	if _, err := p.Append(shape{}.build(t), AppendOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := p.ReadInto(nil, query(0)); !errors.Is(err, ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if _, err := p.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("close: %v", err)
	}
}
