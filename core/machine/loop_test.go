package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrun/millrun/core/record"
)

func TestAnswersComeFromTheState(t *testing.T) {
	log := newFakeLog()
	l := startCounters(t, log)
	want(t, l, counterOp{name: "a"}, 0)
	want(t, l, counterOp{name: "a", add: 2}, 2)
	want(t, l, counterOp{name: "a", add: 3}, 5)
	want(t, l, counterOp{name: "a"}, 5)
	if _, end, _ := log.Bounds(); end != 2 {
		t.Errorf("the log ends at %d", end)
	}
}

func TestStateIsThereAfterARestart(t *testing.T) {
	log := newFakeLog()
	l := startCounters(t, log)
	for i := range uint64(20) {
		want(t, l, counterOp{name: "a", add: 1}, i+1)
	}
	l.Close()
	wantError(t, l, counterOp{name: "a"}, ErrClosed)
	want(t, startCounters(t, log), counterOp{name: "a"}, 20)
}

func TestLogIsReadWithTheFirstOperation(t *testing.T) {
	log := newFakeLog()
	want(t, startCounters(t, log), counterOp{name: "a", add: 1}, 1)
	before := log.reads
	l := startCounters(t, log)
	if log.reads != before {
		t.Error("the log was read before anybody asked")
	}
	want(t, l, counterOp{name: "a"}, 1)
	if log.reads != before+1 {
		t.Errorf("%d reads", log.reads-before)
	}
}

func TestQueuedOperationsShareOneAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.slowRead = make(chan struct{})
		log.batches, log.end = oneBatch(), 1
		l := startCounters(t, log)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := l.Do(context.Background(), counterOp{name: "a", add: 1}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(log.slowRead)
		wg.Wait()
		want(t, l, counterOp{name: "a"}, 100)
		if n := len(log.batches); n != 2 {
			t.Errorf("%d batches", n)
		}
		l.Close()
	})
}

// oneBatch is a log of one record.
func oneBatch() []record.Batch {
	b := record.NewBuilder(nil)
	b.Append(1, []byte("before"), make([]byte, 8), nil)
	batch, err := b.Build()
	if err != nil {
		panic(err)
	}
	return []record.Batch{batch}
}

func TestAnswersWaitForTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.manual = true
		l := startCounters(t, log)
		answers := make(chan string, 10)
		ask := func(op counterOp) {
			go func() {
				v, err := l.Do(context.Background(), op)
				answers <- fmt.Sprintf("%s=%d %v", op.name, v, err)
			}()
			synctest.Wait()
		}
		ask(counterOp{name: "a", add: 1})
		// A read that rests on what is not committed waits too, even of something else.
		ask(counterOp{name: "b"})
		ask(counterOp{name: "a"})
		if len(answers) != 0 {
			t.Fatalf("answered before the commit: %s", <-answers)
		}
		log.commit()
		got := []string{<-answers, <-answers, <-answers}
		slices.Sort(got) // the callers run at once
		if want := []string{"a=1 <nil>", "a=1 <nil>", "b=0 <nil>"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		ask(counterOp{name: "a", add: 1})
		time.Sleep(6 * time.Second)
		if got := <-answers; got == "a=2 <nil>" {
			t.Errorf("an answer without a commit: %s", got)
		}
		// What is committed late counts all the same.
		log.commit()
		want(t, l, counterOp{name: "a"}, 2)
		l.Close()
	})
}

func TestFailedAppendThrowsTheShardAway(t *testing.T) {
	disk := errors.New("disk on fire")
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept=%v", kept), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newFakeLog()
				l := startCounters(t, log)
				want(t, l, counterOp{name: "a", add: 1}, 1)
				waiter := make(chan error, 1)
				go func() {
					_, err := l.Do(context.Background(), counterOp{name: "a", wait: 100})
					waiter <- err
				}()
				synctest.Wait()
				log.plant(func(f *fakeLog) { f.failNext, f.keepNext = disk, kept })
				wantError(t, l, counterOp{name: "a", add: 1}, ErrUnavailable)
				if err := <-waiter; !errors.Is(err, ErrUnavailable) || !errors.Is(err, disk) {
					t.Errorf("who waited on the shard heard %v", err)
				}
				// For a moment nothing is tried; then the log says what is true.
				wantError(t, l, counterOp{name: "a"}, disk)
				time.Sleep(time.Second)
				value := uint64(1)
				if kept {
					value = 2
				}
				want(t, l, counterOp{name: "a"}, value)
				want(t, l, counterOp{name: "a", add: 1}, value+1)
				l.Close()
			})
		})
	}
}

func TestLostLeadershipIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		l := startCounters(t, log)
		want(t, l, counterOp{name: "a", add: 1}, 1)
		log.plant(func(f *fakeLog) { f.failNext = fmt.Errorf("epoch 3: %w", ErrNotLeader) })
		wantError(t, l, counterOp{name: "a", add: 1}, ErrNotLeader)
		// While an answer waits for its commit.
		time.Sleep(time.Second)
		log.plant(func(f *fakeLog) { f.manual = true })
		heard := make(chan error, 1)
		go func() {
			_, err := l.Do(context.Background(), counterOp{name: "a", add: 1})
			heard <- err
		}()
		synctest.Wait()
		log.plant(func(f *fakeLog) { f.failRead = ErrNotLeader })
		log.plant(func(f *fakeLog) { close(f.moved); f.moved = make(chan struct{}) })
		if err := <-heard; !errors.Is(err, ErrNotLeader) {
			t.Errorf("heard %v", err)
		}
		synctest.Wait()
		wantError(t, l, counterOp{name: "a"}, ErrNotLeader)
		l.Close()
	})
}

func TestUnreadableLogIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.batches, log.end = oneBatch(), 1
		log.failRead = errors.New("bad sector")
		l := startCounters(t, log)
		wantError(t, l, counterOp{name: "a"}, ErrUnavailable)
		log.plant(func(f *fakeLog) { f.failRead = nil })
		time.Sleep(time.Second)
		want(t, l, counterOp{name: "a"}, 0)
		l.Close()
	})
}

func TestRecordThatCannotBeReplayedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		l := startCounters(t, log)
		want(t, l, counterOp{name: "a", add: 1}, 1)
		wantError(t, l, counterOp{junk: true}, ErrUnavailable)
		time.Sleep(time.Second)
		want(t, l, counterOp{name: "a"}, 1)
		if len(log.batches) != 1 {
			t.Errorf("%d batches", len(log.batches))
		}
		l.Close()
	})
}

func TestSlowLoadIsToldAndNothingHappensTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.batches, log.end = oneBatch(), 1
		log.slowRead = make(chan struct{})
		l := startCounters(t, log)
		wantError(t, l, counterOp{name: "a", add: 1}, ErrLoading)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := l.Do(ctx, counterOp{name: "a", add: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("heard %v", err)
		}
		close(log.slowRead)
		// Both calls were given up before they were decided: neither counts.
		want(t, l, counterOp{name: "a"}, 0)
		l.Close()
	})
}

func TestShardIsWokenWhenItAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startCounters(t, newFakeLog())
		started := time.Now()
		done := make(chan time.Duration, 2)
		for i, ms := range []int64{5000, 2000} {
			go func() {
				if _, err := l.Do(context.Background(), counterOp{wakeIn: ms}); err != nil {
					t.Error(i, err)
				}
				done <- time.Since(started)
			}()
		}
		if first, second := <-done, <-done; first != 2*time.Second || second != 5*time.Second {
			t.Errorf("woken after %v and %v", first, second)
		}
		want(t, l, counterOp{name: "alarms"}, 2)
		l.Close()
	})
}

func TestCloseAnswersWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.manual = true
		l := startCounters(t, log)
		heard := make(chan error, 2)
		for _, op := range []counterOp{{name: "a", wait: 5}, {name: "a", add: 1}} {
			go func() {
				_, err := l.Do(context.Background(), op)
				heard <- err
			}()
			synctest.Wait()
		}
		l.Close()
		for range 2 {
			if err := <-heard; !errors.Is(err, ErrClosed) {
				t.Errorf("heard %v", err)
			}
		}
	})
}

func TestLogIsRewrittenWhenItIsMuchLongerThanTheState(t *testing.T) {
	log := newFakeLog()
	small := func(c *Config[counterOp, uint64]) { c.RewriteAfter = 50 }
	l := startCounters(t, log, small)
	for i := range uint64(500) {
		want(t, l, counterOp{name: fmt.Sprint(i % 5), add: 1}, i/5+1)
	}
	if start, end, _ := log.Bounds(); end-start > 60 || start == 0 {
		t.Errorf("the log holds %d to %d", start, end)
	}
	l.Close()
	l = startCounters(t, log, small)
	for i := range 5 {
		want(t, l, counterOp{name: fmt.Sprint(i)}, 100)
	}
}

func TestAnOperationMayComeFirstAfterLoading(t *testing.T) {
	log := newFakeLog()
	first := func(c *Config[counterOp, uint64]) {
		c.AfterLoad = func() counterOp { return counterOp{name: "loads", add: 1} }
	}
	want(t, startCounters(t, log, first), counterOp{name: "loads"}, 1)
	want(t, startCounters(t, log, first), counterOp{name: "loads"}, 2)
	want(t, startCounters(t, log), counterOp{name: "loads"}, 2)
}

func TestLongLogOfAGreatStateIsLeftAlone(t *testing.T) {
	log := newFakeLog()
	l := startCounters(t, log, func(c *Config[counterOp, uint64]) { c.RewriteAfter = 50 })
	for i := range 190 {
		want(t, l, counterOp{name: fmt.Sprint(i % 60), add: 1}, uint64(i/60+1))
	}
	if start, end, _ := log.Bounds(); start != 0 || end != 190 {
		t.Errorf("the log holds %d to %d", start, end)
	}
}

func TestGreatEffectsAreSplitIntoBatches(t *testing.T) {
	log := newFakeLog()
	l := startCounters(t, log, func(c *Config[counterOp, uint64]) { c.RewriteAfter = 10 })
	for i := range 8 {
		// Keys of 80 kB: two fill a batch when the state is rewritten.
		want(t, l, counterOp{name: fmt.Sprintf("%080000d", i), add: 1}, 1)
	}
	for range 30 {
		if _, err := l.Do(context.Background(), counterOp{name: "x", add: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if start, _, _ := log.Bounds(); start == 0 {
		t.Fatal("the log was not rewritten")
	}
	for _, b := range log.batches {
		if len(b) > log.MaxBatchBytes()+recordRoom {
			t.Errorf("a batch of %d bytes", len(b))
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := Start(Config[counterOp, uint64]{}); err == nil {
		t.Error("an empty config was taken")
	}
}

// BenchmarkCommit is one operation with one record, by many callers at once.
func BenchmarkCommit(b *testing.B) {
	l := startCounters(b, newFakeLog())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Do(context.Background(), counterOp{name: "a", add: 1}); err != nil {
				b.Error(err)
			}
		}
	})
}
