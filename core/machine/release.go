package machine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/millrun/millrun/core/record"
)

// releaser holds answers back until their records are committed, in order. Its goroutine exists from the first answer
// that has to wait: a partition with one replica and no fsync never starts it.
type releaser[O, R any] struct {
	loop    *Loop[O, R]
	queue   chan release[O, R] // nil until the first add; owned by the run loop
	broken  chan error         // the log was lost: the shard must go
	pending atomic.Int64       // releases that are queued or being waited for
	done    chan struct{}
}

type release[O, R any] struct {
	answers []decided[O, R]
	upTo    record.Offset
}

func newReleaser[O, R any](l *Loop[O, R]) *releaser[O, R] {
	return &releaser[O, R]{loop: l, broken: make(chan error, 1), done: make(chan struct{})}
}

// idle tells that no answer is held back.
func (r *releaser[O, R]) idle() bool { return r.pending.Load() == 0 }

// add queues answers behind those that wait. It waits itself when too many do.
func (r *releaser[O, R]) add(answers []decided[O, R], upTo record.Offset) {
	if r.queue == nil {
		r.queue = make(chan release[O, R], queuedAnswers)
		go r.run()
	}
	r.pending.Add(1)
	r.queue <- release[O, R]{answers, upTo}
}

func (r *releaser[O, R]) run() {
	defer close(r.done)
	for next := range r.queue {
		err := r.wait(next.upTo)
		for i := range next.answers {
			a := &next.answers[i]
			if err != nil {
				a.call.done <- result[R]{err: err}
				continue
			}
			a.call.done <- result[R]{reply: a.reply}
		}
		if errors.Is(err, ErrNotLeader) {
			select {
			case r.broken <- err:
			default:
			}
		}
		r.pending.Add(-1)
	}
}

// wait returns when everything up to last is committed. A record that is not committed in time may still be later: the
// shard stays, the client is told to ask again.
func (r *releaser[O, R]) wait(last record.Offset) error {
	l := r.loop
	if l.cfg.Log.Acked(last) {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.ctx, l.cfg.AckTimeout)
	defer cancel()
	err := l.cfg.Log.WaitAcked(ctx, last)
	switch {
	case err == nil:
		return nil
	case l.ctx.Err() != nil:
		return ErrClosed
	default:
		return fmt.Errorf("%s: commit of offset %d: %w", l.cfg.Name, last, classify(err))
	}
}

// stop ends the goroutine, after every answer has been given. The loop's context must have ended.
func (r *releaser[O, R]) stop() {
	if r.queue != nil {
		close(r.queue)
		<-r.done
	}
}
