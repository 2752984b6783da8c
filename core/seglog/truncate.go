package seglog

import (
	"github.com/millrun/millrun/core/record"
)

// Truncate removes every batch that holds an offset at or after to, and so makes the log end at to, or before it if a
// batch spans it. A log that begins after to ends up empty, beginning at to. Only a follower does this. The recovery
// point in the checkpoint file must have been lowered, durably, before.
func (l *Log) Truncate(to record.Offset) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life.Lock()
	defer l.life.Unlock()
	if l.closed {
		return ErrClosed
	}
	if err := l.Failed(); err != nil || to >= l.EndOffset() {
		return err
	}
	list := l.list()
	keep := find(list, to)
	if to < list[0].base {
		if err := l.restartAt(to); err != nil {
			return l.fail(err)
		}
		return nil
	}
	// The end is looked for before anything is removed: damage found now leaves the log as it was.
	s := list[keep]
	pos, err := s.positionOf(to)
	if err != nil {
		return err
	}
	l.mark.Store(nil)
	l.setList(list[: keep+1 : keep+1])
	for i := len(list) - 1; i > keep; i-- {
		if err := l.removeFiles(list[i]); err != nil {
			return l.fail(err)
		}
	}
	if err := s.truncate(pos); err != nil {
		return l.fail(err)
	}
	l.flush.point.Store(min(l.flush.point.Load(), s.next.Load()))
	l.start.Store(min(l.start.Load(), s.next.Load()))
	return nil
}

// restartAt deletes everything and begins anew at offset.
func (l *Log) restartAt(offset record.Offset) error {
	old := l.list()
	s, err := l.createSegment(offset)
	if err != nil {
		return err
	}
	l.mark.Store(nil)
	l.setList([]*segment{s})
	l.start.Store(int64(offset))
	l.flush.point.Store(int64(offset))
	for i := len(old) - 1; i >= 0; i-- {
		if err := l.removeFiles(old[i]); err != nil {
			return err
		}
	}
	return nil
}

// positionOf returns where the first batch that ends at offset or later begins.
func (s *segment) positionOf(offset record.Offset) (int64, error) {
	if err := s.ensure(); err != nil {
		return 0, err
	}
	f, err := s.file.acquire()
	if err != nil {
		return 0, err
	}
	defer s.file.release()
	pos, _, err := s.seek(f, offset, s.size.Load())
	return pos, s.damaged(err)
}

// truncate cuts the segment at pos and finds out anew what its end looks like. Nobody else uses the log.
func (s *segment) truncate(pos int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The index files go first: entries that are left over would point into other batches.
	if err := s.dropIndexFiles(); err != nil {
		return err
	}
	if err := s.cut(pos); err != nil {
		return err
	}
	f, err := s.file.acquire()
	if err != nil {
		return err
	}
	defer s.file.release()
	w := s.newWalker(f, pos)
	defer w.done()
	s.startAt(w, indexFiles{}, -1)
	if err := s.walkTail(w, nil); err != nil {
		return s.damaged(err)
	}
	s.next.Store(int64(w.ex.base))
	return nil
}

func (s *segment) dropIndexFiles() error {
	for _, suffix := range []string{IndexSuffix, TimeIndexSuffix} {
		if err := s.log.o.FS.Remove(s.log.path(s.name(suffix))); err != nil && !isNotExist(err) {
			return err
		}
	}
	return nil
}
