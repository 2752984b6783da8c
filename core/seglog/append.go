package seglog

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/millrun/millrun/core/record"
)

// writePiece is the most that goes to the file in one write: larger ones cost more for each byte.
const writePiece = 256 << 10

// Appended says what an append has done besides appending.
type Appended struct {
	Rolled   bool          // the batch is the first of a new segment
	RolledAt record.Offset // its base offset; the caller may want a producer snapshot of that offset, and a Flush
}

// Append adds one batch, whose base offset is EndOffset (or later, with Config.Gaps), and whose checksum the caller has
// checked. It is visible to readers, and in the page cache, when Append returns; Flush makes it durable. The batch takes
// one write, or one for each 256 KiB. The caller may use b again.
//
// After ErrNoSpace, or an error for want of file descriptors, the log is as before and a later append may succeed; after
// any other error of the disk the log has stopped, and what of the batch is on the disk is for recovery to find out.
func (l *Log) Append(b record.Batch) (Appended, error) {
	if size, err := record.PeekSize(b); err != nil || size != len(b) || len(b) < record.HeaderSize {
		return Appended{}, fmt.Errorf("%w: %d bytes are not one batch", ErrOffset, len(b))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.failed.Load(); f != nil {
		return Appended{}, f.err
	}
	if l.closed {
		return Appended{}, ErrClosed
	}
	s := l.active()
	if err := s.ensure(); err != nil {
		return Appended{}, l.failOpen(err)
	}
	c := l.cfg.Load()
	end := s.end()
	if b.BaseOffset() != end && !(c.Gaps && b.BaseOffset() > end) || b.LastOffsetDelta() < 0 {
		return Appended{}, fmt.Errorf("%w: it spans %d to %d, the log ends at %d", ErrOffset, b.BaseOffset(), b.LastOffset(), end)
	}
	if l.unborn {
		if err := l.birth(); err != nil {
			return Appended{}, err
		}
	}
	var a Appended
	if s.full(b, c, l.nowMs()) {
		next, err := l.roll(b.BaseOffset())
		if err != nil {
			return Appended{}, err
		}
		s, a = next, Appended{Rolled: true, RolledAt: next.base}
	}
	return a, l.write(s, b, c.IndexIntervalBytes)
}

// write puts b at the end of s. mu held.
func (l *Log) write(s *segment, b record.Batch, interval int64) error {
	f, err := s.file.acquire()
	if err != nil {
		return l.failOpen(err)
	}
	defer s.file.release()
	pos := s.size.Load()
	for done := 0; done < len(b); {
		piece := b[done:min(done+writePiece, len(b))]
		if _, err := f.WriteAt(piece, pos+int64(done)); err != nil {
			if !isNoSpace(err) {
				return l.fail(err)
			}
			if cut := f.Truncate(pos); cut != nil {
				return l.fail(errors.Join(err, cut))
			}
			return fmt.Errorf("seglog: appending to %s: %w: %w", s.path(), ErrNoSpace, err)
		}
		done += len(piece)
	}
	if l.mark.Load() != nil {
		l.mark.Store(nil)
	}
	s.publish(b, pos, interval)
	return nil
}

// failOpen stops the log for an error of opening a file, unless it will pass.
func (l *Log) failOpen(err error) error {
	if isTooManyOpen(err) {
		return fmt.Errorf("seglog: %s: %w", l.o.Dir, err)
	}
	return l.fail(err)
}

// roll makes a new active segment that begins at base. mu held, active segment loaded.
func (l *Log) roll(base record.Offset) (*segment, error) {
	old := l.active()
	if old.size.Load() == 0 {
		return l.replaceEmpty(old, base)
	}
	s, err := l.createSegment(base)
	if errors.Is(err, fs.ErrExist) {
		return nil, l.fail(err)
	}
	if err != nil {
		if !isNoSpace(err) {
			return nil, l.failOpen(err)
		}
		return nil, fmt.Errorf("seglog: rolling to %s: %w: %w", l.path(FileName(base, LogSuffix)), ErrNoSpace, err)
	}
	list := l.list()
	l.setList(append(list[:len(list):len(list)], s))
	old.seal()
	l.mark.Store(nil)
	return s, nil
}

// replaceEmpty puts a segment that begins at base in the place of an empty active one that begins too far before it.
func (l *Log) replaceEmpty(old *segment, base record.Offset) (*segment, error) {
	s, err := l.createSegment(base)
	if err != nil {
		return nil, l.fail(err)
	}
	list := l.list()
	l.setList(append(list[:len(list)-1:len(list)-1], s))
	l.mark.Store(nil)
	if len(list) == 1 {
		l.start.Store(int64(base))
	}
	if err := l.removeFiles(old); err != nil {
		return nil, l.fail(err)
	}
	return s, nil
}

// RollIfDue begins a new segment if the active one's first batch is older than segment.ms by the clock. (An append does
// so by the batches' timestamps, as Kafka does; a log without traffic is not rolled unless somebody calls this.)
func (l *Log) RollIfDue() (Appended, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Failed(); err != nil || l.closed {
		return Appended{}, err
	}
	s := l.active()
	if s.size.Load() == 0 {
		return Appended{}, nil
	}
	if err := s.ensure(); err != nil {
		return Appended{}, err
	}
	now := l.nowMs()
	s.mu.RLock()
	due := s.waited(now, now) > l.cfg.Load().SegmentMs-s.jitter
	s.mu.RUnlock()
	if !due {
		return Appended{}, nil
	}
	next, err := l.roll(s.end())
	if err != nil {
		return Appended{}, err
	}
	return Appended{Rolled: true, RolledAt: next.base}, nil
}
