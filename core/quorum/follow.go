package quorum

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/millrun/millrun/core/meta"
)

// runState is what the apply goroutine knows.
type runState struct {
	seq       uint64 // of the last command applied
	chain     chainHash
	img       *meta.Image
	tail      *tailFile
	reconcile func(before, after *meta.Image)
	snapshots []uint64      // the sequences of those that are whole, newest first
	tried     uint64        // the sequence of the last snapshot begun
	bytes     int64         // of commands since then
	saving    chan []uint64 // not nil while a snapshot is written: what snapshots then is, or nil if that failed
}

type followRequest struct {
	fn   func(before, after *meta.Image)
	done chan struct{}
}

// Follow makes fn the reconciler: it is called with an empty image and the present one before Follow returns, and then,
// in order, with what was and what has come, on the goroutine that applies commands. Several commands may come at once.
// The image that fn is called with is published, and the changes in it answered, when fn has returned. There is one
// reconciler; fn must not call Change, Follow or Close.
func (l *Log) Follow(fn func(before, after *meta.Image)) {
	r := followRequest{fn, make(chan struct{})}
	select {
	case l.follow <- r:
		<-r.done
	case <-l.stopped:
	}
}

// apply is the goroutine that applies commands; it ends when the log is closed or has failed.
func (l *Log) apply() {
	defer close(l.stopped)
	err := l.applyAll()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && (l.failed == nil || l.failed == ErrClosed) {
		l.failed = err
		l.cfg.Logger.Error("metadata log stopped", "error", err)
	}
	l.void(fmt.Errorf("%w: %w", ErrUnknownOutcome, l.failed))
}

func (l *Log) applyAll() error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		var err error
		select {
		case <-l.closing:
			return nil
		case msg := <-l.notices:
			var m message
			if m, err = parseMessage(msg); err == nil {
				err = l.noticed(m)
			}
		case <-l.kick:
			err = l.settle()
		case <-poll.C:
			l.resend(time.Now())
			err = l.poll()
		case r := <-l.follow:
			l.run.reconcile = r.fn
			r.fn(&meta.Image{}, l.run.img)
			close(r.done)
		case s := <-l.run.saving:
			l.saved(s)
		}
		if errors.Is(err, ErrDamaged) || errors.Is(err, meta.ErrUnknownCommand) || errors.Is(err, meta.ErrCorrupt) {
			return err
		}
		if err != nil {
			l.cfg.Logger.Warn("metadata log cannot be read", "error", err)
		}
	}
}

// noticed applies a message that the stream has republished, with all others that have come since.
func (l *Log) noticed(m message) error {
	before := l.run.img
	var done []*step
	for {
		switch {
		case m.seq <= l.run.seq:
		case m.seq > l.run.seq+1:
			if err := l.finish(before, done); err != nil {
				return err
			}
			return l.fill()
		default:
			s, err := l.commit(m)
			if err != nil {
				return err
			}
			done = append(done, s)
		}
		select {
		case msg := <-l.notices:
			var err error
			if m, err = parseMessage(msg); err != nil {
				return err
			}
			continue
		default:
		}
		return l.finish(before, done)
	}
}

// poll reads what may have come without a notice.
func (l *Log) poll() error {
	more, err := l.node.hasLogAfter(l.run.seq)
	if err != nil || !more {
		return err
	}
	return l.fill()
}

// fill reads the log to its end.
func (l *Log) fill() error {
	for {
		before := l.run.img
		var done []*step
		more, err := l.node.readLog(l.run.seq+1, func(m message) error {
			s, err := l.commit(m)
			if err == nil {
				done = append(done, s)
			}
			return err
		})
		if finishErr := l.finish(before, done); err == nil {
			err = finishErr
		}
		if err != nil || !more {
			return err
		}
	}
}

// replay applies one message: the image that it makes is the run state's.
func (l *Log) replay(m message) error {
	if m.seq != l.run.seq+1 {
		return fmt.Errorf("metadata log %s: %w: the command at %d is missing, %d comes next", l.dir, ErrDamaged, l.run.seq+1, m.seq)
	}
	command, err := l.run.chain.open(m)
	if err != nil {
		return fmt.Errorf("metadata log %s: %w", l.dir, err)
	}
	c, err := meta.DecodeCommand(command)
	if err != nil {
		return fmt.Errorf("metadata log %s: command at %d: %w", l.dir, m.seq, err)
	}
	img, err := meta.Apply(l.run.img, m.seq, c)
	if err != nil {
		l.stats.ignored.Add(1)
		l.cfg.Logger.Warn("metadata command ignored", "sequence", m.seq, "error", err)
	}
	l.run.seq, l.run.chain, l.run.img = m.seq, l.run.chain.next(m.seq, command), img
	l.run.bytes += int64(len(m.data))
	return nil
}

// commit applies one message and finds out what it means for the appends that are under way.
func (l *Log) commit(m message) (*step, error) {
	if err := l.replay(m); err != nil {
		return nil, err
	}
	l.stats.applied.Add(1)
	l.stats.commandBytes.Add(int64(len(m.data)))
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &step{seq: m.seq, chain: l.run.chain, img: l.run.img, done: make(chan struct{})}
	if b := l.flying; b != nil {
		if b.id == m.id && bytes.Equal(b.data, m.data) {
			if b.refused != nil && !errors.Is(b.refused, errConflict) {
				return nil, fmt.Errorf("metadata log %s: %w: the append at %d failed (%w), and is in the log", l.dir, ErrDamaged, m.seq, b.refused)
			}
			s, l.flying = b.step, nil
			s.img = l.run.img
		} else {
			l.void(errAgain) // another's command took the sequence
		}
	}
	l.top = s
	if l.open != nil {
		l.send()
	}
	return s, nil
}

// finish shows the reconciler what has been committed and lets those go who wait for it.
func (l *Log) finish(before *meta.Image, done []*step) error {
	if len(done) == 0 {
		return nil
	}
	err := l.run.tail.write(tailMark{l.run.seq, l.run.chain})
	if err != nil {
		l.cfg.Logger.Warn("metadata log: tail mark", "error", err)
	}
	if l.run.reconcile != nil {
		l.run.reconcile(before, l.run.img)
	}
	l.image.Store(l.run.img)
	for _, s := range done {
		close(s.done)
	}
	l.snapshotIfDue()
	return nil
}
