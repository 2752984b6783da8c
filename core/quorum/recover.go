package quorum

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"
)

// recover makes the run state of what is on disk, and connects the log to the stream.
func (l *Log) recover(ctx context.Context) error {
	tail, mark, err := openTail(l.dir)
	l.run.tail = tail
	badMark := errors.Is(err, ErrDamaged)
	switch {
	case badMark:
		l.cfg.Logger.Warn("metadata log: whether the log's end is there cannot be checked", "error", err)
	case err != nil:
		return fmt.Errorf("metadata log: %w", err)
	}
	known, err := l.loadSnapshots()
	if err != nil {
		return err
	}
	// What is there now, before the server may create or repair it.
	stored, err := hasBytes(filepath.Join(l.dir, "jetstream", accountName, "streams", streamName, "msgs"))
	if err != nil {
		return fmt.Errorf("metadata log: %w", err)
	}
	held := known || mark.seq > 0 || badMark || stored
	if l.node, err = startNode(l.dir, l.cfg.NodeID, l.cfg.Logger); err != nil {
		return err
	}
	state, err := l.node.stream(ctx, !held)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("metadata log %s: %w: JetStream does not find the log that was here%s", l.dir, ErrDamaged, l.node.log.suffix())
	}
	if err != nil {
		return fmt.Errorf("metadata log %s: stream: %w%s", l.dir, err, l.node.log.suffix())
	}
	if err := l.subscribe(); err != nil {
		return fmt.Errorf("metadata log: subscribe: %w", err)
	}
	if err := l.replayAll(ctx, state, mark); err != nil {
		return err
	}
	l.top = &step{seq: l.run.seq, chain: l.run.chain, img: l.run.img, done: make(chan struct{})}
	close(l.top.done)
	l.image.Store(l.run.img)
	return nil
}

func (l *Log) subscribe() error {
	l.inbox = l.node.conn.NewInbox()
	if _, err := l.node.conn.Subscribe(l.inbox+".*", l.answered); err != nil {
		return err
	}
	_, err := l.node.conn.ChanSubscribe(appliedSubject, l.notices)
	return err
}

// replayAll brings the run state from the snapshot to the log's end, and checks that nothing is missing.
func (l *Log) replayAll(ctx context.Context, state jetstream.StreamState, mark tailMark) error {
	if state.LastSeq < max(mark.seq, l.run.seq) {
		return fmt.Errorf("metadata log %s: %w: it ends at %d, but %d was on disk%s",
			l.dir, ErrDamaged, state.LastSeq, max(mark.seq, l.run.seq), l.node.log.suffix())
	}
	if state.LastSeq > l.run.seq && state.FirstSeq > l.run.seq+1 {
		return fmt.Errorf("metadata log %s: %w: it begins at %d, and no snapshot reaches further than %d%s",
			l.dir, ErrDamaged, state.FirstSeq, l.run.seq, l.node.log.suffix())
	}
	if err := l.checkSnapshot(); err != nil {
		return err
	}
	for l.run.seq < state.LastSeq {
		if err := ctx.Err(); err != nil {
			return err
		}
		from := l.run.seq
		if _, err := l.node.readLog(from+1, func(m message) error {
			if err := l.replay(m); err != nil {
				return err
			}
			if m.seq == mark.seq && l.run.chain != mark.chain {
				return fmt.Errorf("metadata log %s: %w: the command at %d is not the one that was here", l.dir, ErrDamaged, m.seq)
			}
			return nil
		}); err != nil {
			return err
		}
		if l.run.seq == from {
			return fmt.Errorf("metadata log %s: %w: the command at %d cannot be read%s", l.dir, ErrDamaged, from+1, l.node.log.suffix())
		}
	}
	return nil
}

// checkSnapshot compares the snapshot with the log where they meet, so that a snapshot of another log is not taken for
// one of this.
func (l *Log) checkSnapshot() error {
	if l.run.seq == 0 {
		return nil
	}
	_, err := l.node.readSome(l.run.seq, 1, func(m message) error {
		if m.seq != l.run.seq {
			return nil // purged: the next command will be checked
		}
		before, command, err := unseal(m)
		if err == nil && before.next(m.seq, command) != l.run.chain {
			err = fmt.Errorf("%w: the snapshot of %d is not of this log", ErrDamaged, m.seq)
		}
		if err != nil {
			return fmt.Errorf("metadata log %s: %w", l.dir, err)
		}
		return nil
	})
	return err
}
