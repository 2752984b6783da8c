package seglog

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/millrun/millrun/core/record"
)

// SetStartOffset makes offset the first one that may be read, and deletes the segments that lie wholly before it. The
// log never goes back: a smaller offset than the present start does nothing. What comes before offset is flushed first,
// so that no crash leaves a log that ends before its start.
func (l *Log) SetStartOffset(offset record.Offset) error {
	if offset > l.EndOffset() {
		return fmt.Errorf("%w: %d is after the end of the log, %d", ErrOutOfRange, offset, l.EndOffset())
	}
	if offset <= l.StartOffset() {
		return nil
	}
	if l.RecoveryPoint() < offset {
		if _, err := l.Flush(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	if int64(offset) > l.start.Load() {
		l.start.Store(int64(offset))
	}
	l.mu.Unlock()
	_, err := l.deleteHead(func(s *segment, next record.Offset) (bool, error) { return next <= l.StartOffset(), nil })
	return err
}

// Retain deletes the oldest segments as far as the start offset, retention.bytes and retention.ms want it, but nothing at
// or after upTo, the high watermark. If even the active segment is too old it is rolled first. It returns the number of
// segments deleted. Files of earlier calls whose file.delete.delay.ms has passed are removed.
func (l *Log) Retain(upTo record.Offset) (int, error) {
	l.RemoveDeleted()
	if err := l.Failed(); err != nil {
		return 0, err
	}
	c := l.cfg.Load()
	total, err := l.deleteHead(func(s *segment, next record.Offset) (bool, error) { return next <= l.StartOffset(), nil })
	if err == nil && c.RetentionMs >= 0 {
		now := l.nowMs()
		var n int
		n, err = l.deleteAll(func(s *segment, next record.Offset) (bool, error) {
			if next > upTo || s.size.Load() == 0 {
				return false, nil
			}
			newest, err := s.largestTimestamp()
			return err == nil && now-newest > c.RetentionMs, err
		})
		total += n
	}
	if err == nil && c.RetentionBytes >= 0 {
		excess := l.Size() - c.RetentionBytes
		var n int
		n, err = l.deleteAll(func(s *segment, next record.Offset) (bool, error) {
			excess -= s.size.Load()
			return excess >= 0 && next <= upTo, nil
		})
		total += n
	}
	return total, err
}

// deleteAll is deleteHead, but if all other segments went, the active one may go too, as with Kafka: a topic without
// traffic empties in the end. which is asked once for each segment.
func (l *Log) deleteAll(which func(s *segment, next record.Offset) (bool, error)) (int, error) {
	n, err := l.deleteHead(which)
	s := l.active()
	if err != nil || len(l.list()) > 1 || s.size.Load() == 0 {
		return n, err
	}
	end := s.end()
	if due, err := which(s, end); err != nil || !due {
		return n, err
	}
	if err := l.rollActive(s, end); err != nil {
		return n, err
	}
	m, err := l.deleteHead(func(t *segment, _ record.Offset) (bool, error) { return t == s, nil })
	return n + m, err
}

// rollActive rolls s if it is still the active segment and ends at end.
func (l *Log) rollActive(s *segment, end record.Offset) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Failed(); err != nil || l.closed || l.active() != s || s.end() != end {
		return err
	}
	if err := s.ensure(); err != nil {
		return err
	}
	_, err := l.roll(s.end())
	return err
}

// deleteHead deletes segments from the oldest on as long as which says so, but never the active one. which gets the
// segment and the offset at which the next one begins, and may read files: no lock is held.
func (l *Log) deleteHead(which func(s *segment, next record.Offset) (bool, error)) (int, error) {
	list := l.list()
	n := 0
	var err error
	for ; n+1 < len(list); n++ {
		var ok bool
		if ok, err = which(list[n], list[n+1].base); err != nil || !ok {
			break
		}
	}
	if n == 0 {
		return 0, err
	}
	if derr := l.dropHead(list[n].base); derr != nil {
		return 0, derr
	}
	return n, err
}

// dropHead deletes the segments before the one that begins at base.
func (l *Log) dropHead(base record.Offset) error {
	l.life.RLock()
	defer l.life.RUnlock()
	l.mu.Lock()
	list := l.list()
	i := find(list, base)
	if l.closed || list[i].base != base || i == 0 {
		l.mu.Unlock()
		return nil
	}
	gone := list[:i]
	l.start.Store(max(l.start.Load(), int64(base)))
	l.setList(list[i:len(list):len(list)])
	l.mu.Unlock()
	// The slow part is done without keeping appends waiting.
	for _, s := range gone {
		if err := l.removeFiles(s); err != nil {
			return l.fail(err)
		}
	}
	return nil
}

// removeFiles renames a segment's files, to be removed later. Readers that hold the file open may go on.
func (l *Log) removeFiles(s *segment) error {
	s.file.doom()
	due := l.o.Now().Add(time.Duration(l.cfg.Load().FileDeleteDelayMs) * time.Millisecond)
	for _, suffix := range segmentSuffixes {
		from := l.path(s.name(suffix))
		err := l.o.FS.Rename(from, from+DeletedSuffix)
		if isNotExist(err) {
			continue
		}
		l.flush.dir.Store(true)
		if err != nil {
			// On a full disk there may be no room for another name, and deleting is what makes room.
			if err := l.o.FS.Remove(from); err != nil {
				return err
			}
			continue
		}
		l.trash.add(deletedFile{from + DeletedSuffix, due})
	}
	l.RemoveDeleted()
	return nil
}

// trash is the files that wait to be removed.
type trash struct {
	mu    sync.Mutex
	files []deletedFile
}

type deletedFile struct {
	path string
	due  time.Time
}

func (t *trash) add(f deletedFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files = append(t.files, f)
}

// take returns the files that are due at now.
func (t *trash) take(now time.Time) (due []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files = slices.DeleteFunc(t.files, func(f deletedFile) bool {
		if f.due.After(now) {
			return false
		}
		due = append(due, f.path)
		return true
	})
	return due
}

// RemoveDeleted removes the files of deleted segments whose file.delete.delay.ms has passed. Retain calls it too.
func (l *Log) RemoveDeleted() { l.removeDeleted(l.o.Now()) }

func (l *Log) removeDeleted(now time.Time) {
	for _, path := range l.trash.take(now) {
		// A file that stays is removed by the next Open.
		if err := l.o.FS.Remove(path); err != nil && !isNotExist(err) {
			l.o.Logger.Warn("deleted segment not removed", "file", path, "error", err)
		}
	}
}
