package seglog

import (
	"errors"

	"github.com/millrun/millrun/core/record"
)

// maxExpanded bounds what a batch is decompressed to in the search for a timestamp. Beyond it, and for a batch whose
// records make no sense, the answer is the batch's beginning: a consumer that starts there misses nothing.
const maxExpanded = 64 << 20

// TimestampOffset is a record's timestamp (ms) and offset, and the leader epoch of its batch.
type TimestampOffset struct {
	Timestamp   int64
	Offset      record.Offset
	LeaderEpoch record.LeaderEpoch
}

// OffsetForTimestamp finds the first record from the start offset on, and before upTo, whose timestamp is ts or later.
func (l *Log) OffsetForTimestamp(ts int64, upTo record.Offset) (TimestampOffset, bool, error) {
	l.life.RLock()
	defer l.life.RUnlock()
	if l.closed {
		return TimestampOffset{}, false, ErrClosed
	}
	for _, s := range l.list() {
		start := l.StartOffset()
		if s.end() <= start {
			continue
		}
		if s.base >= upTo {
			break
		}
		largest, err := s.largestTimestamp()
		if err != nil {
			if errors.Is(err, errGone) {
				continue
			}
			return TimestampOffset{}, false, err
		}
		if largest < ts {
			continue
		}
		found, ok, err := s.findTimestamp(ts, start)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil || ok {
			return found, ok && found.Offset < upTo, err
		}
	}
	return TimestampOffset{}, false, nil
}

// MaxTimestamp finds the first record that has the largest timestamp of all.
func (l *Log) MaxTimestamp() (TimestampOffset, bool, error) {
	l.life.RLock()
	defer l.life.RUnlock()
	if l.closed {
		return TimestampOffset{}, false, ErrClosed
	}
	var best *segment
	largest := int64(-1)
	for _, s := range l.list() {
		if s.size.Load() == 0 || s.end() <= l.StartOffset() {
			continue
		}
		ts, err := s.largestFrom(l.StartOffset())
		if err != nil && !errors.Is(err, errGone) {
			return TimestampOffset{}, false, err
		}
		if err == nil && ts > largest {
			best, largest = s, ts
		}
	}
	if best == nil {
		return TimestampOffset{}, false, nil
	}
	return best.findTimestamp(largest, l.StartOffset())
}

// largestFrom is the largest timestamp of the segment's records from start on, -1 if none has one.
func (s *segment) largestFrom(start record.Offset) (int64, error) {
	if err := s.ensure(); err != nil {
		return 0, err
	}
	s.mu.RLock()
	all := s.tail.maxTS
	s.mu.RUnlock()
	if s.base >= start || all < 0 {
		return all, nil
	}
	largest, split := int64(-1), int64(-1)
	err := s.scan(start, func(h record.Batch) error {
		if h.BaseOffset() < start {
			split = h.MaxTimestamp() // perhaps of a record before start
		} else {
			largest = max(largest, h.MaxTimestamp())
		}
		return nil
	})
	if err != nil || split <= largest {
		return largest, err
	}
	_, ok, err := s.findTimestamp(split, start)
	if ok {
		largest = split
	}
	return largest, err
}

// largestTimestamp is the largest of the segment's batches; if they have none, the time at which the file was written.
func (s *segment) largestTimestamp() (int64, error) {
	ts := int64(-1)
	if m := s.mark(); m != nil && !s.loaded.Load() {
		ts = m.MaxTimestamp
	} else {
		if err := s.ensure(); err != nil {
			return 0, err
		}
		s.mu.RLock()
		ts = s.tail.maxTS
		s.mu.RUnlock()
	}
	if ts >= 0 {
		return ts, nil
	}
	st, err := s.log.o.FS.Stat(s.path())
	if isNotExist(err) {
		return 0, errGone
	}
	return st.ModTime.UnixMilli(), err
}

// findTimestamp searches the segment from start on.
func (s *segment) findTimestamp(ts int64, start record.Offset) (TimestampOffset, bool, error) {
	if err := s.ensure(); err != nil {
		return TimestampOffset{}, false, err
	}
	f, err := s.file.acquire()
	if err != nil {
		return TimestampOffset{}, false, err
	}
	defer s.file.release()
	size := s.size.Load()
	e, ok, err := s.floorTime(ts)
	if err != nil {
		return TimestampOffset{}, false, err
	}
	from := start
	if ok && s.base+record.Offset(e.rel) > start {
		if err := s.checkTime(f, e, size); err != nil {
			return TimestampOffset{}, false, s.damaged(err)
		}
		// If the entry was wrong the index is now another one; a search that does not use it is right in any case.
		if e2, ok, err := s.floorTime(ts); err != nil {
			return TimestampOffset{}, false, err
		} else if ok && e2 == e {
			from = s.base + record.Offset(e.rel)
		}
	}
	pos, ex, err := s.seek(f, max(from, s.base), size)
	if err != nil {
		return TimestampOffset{}, false, s.damaged(err)
	}
	w := s.newWalker(f, size)
	defer w.done()
	w.pos, w.ex = pos, ex
	for {
		h, pos, n, err := w.next()
		if err != nil {
			return TimestampOffset{}, false, s.damaged(err)
		}
		if n == 0 {
			return TimestampOffset{}, false, nil
		}
		if h.MaxTimestamp() < ts {
			continue
		}
		b, err := s.readBatch(f, pos, n)
		if err != nil {
			return TimestampOffset{}, false, s.damaged(err)
		}
		if found, ok := findInBatch(b, ts, start); ok {
			return found, true, nil
		}
	}
}

// readBatch reads the batch of n bytes at pos and checks it if this process did not write it.
func (s *segment) readBatch(f File, pos int64, n int) (record.Batch, error) {
	if err := s.checkLength(f, pos, n); err != nil {
		return nil, err
	}
	_, b, err := readAt(f, nil, pos, n)
	if err == nil && pos < s.trusted.Load() {
		if why := s.verify(b); why != "" {
			err = &flaw{pos: pos, why: why}
		}
	}
	return b, err
}

// floorTime returns the last time index entry that is not after ts.
func (s *segment) floorTime(ts int64) (timeEntry, bool, error) {
	s.wanted.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fetchIndex(); err != nil {
		return timeEntry{}, false, err
	}
	if i := floorTime(s.times.entries, ts); i >= 0 {
		return s.times.entries[i], true, nil
	}
	return timeEntry{}, false, nil
}

// checkTime rebuilds the indexes if the batch that e is about does not have e's timestamp.
func (s *segment) checkTime(f File, e timeEntry, size int64) error {
	last := s.base + record.Offset(e.rel)
	pos, ex, err := s.seek(f, last, size)
	if err != nil {
		return err
	}
	w := s.newWalker(f, size)
	defer w.done()
	w.pos, w.ex = pos, ex
	h, _, n, err := w.next()
	if err != nil {
		return err
	}
	if n > 0 && h.LastOffset() == last && h.MaxTimestamp() == e.ts {
		return nil
	}
	return s.rebuild(&flaw{pos: pos, why: "timestamp is not the one in the time index"})
}

// findInBatch finds the first record of b from start on with timestamp ts or later.
func findInBatch(b record.Batch, ts int64, start record.Offset) (TimestampOffset, bool) {
	base := TimestampOffset{Timestamp: b.MaxTimestamp(), Offset: max(b.BaseOffset(), start), LeaderEpoch: b.LeaderEpoch()}
	if b.LastOffset() < start {
		return TimestampOffset{}, false
	}
	if b.IsLogAppendTime() {
		return base, true
	}
	section, err := b.Records(nil, maxExpanded)
	if err != nil {
		return base, true
	}
	r := record.NewReader(section, int(b.NumRecords()))
	var rec record.Record
	for {
		more, err := r.Next(&rec)
		if err != nil {
			return base, true
		}
		if !more {
			return TimestampOffset{}, false
		}
		found := TimestampOffset{b.BaseTimestamp() + rec.TimestampDelta, b.BaseOffset() + record.Offset(rec.OffsetDelta), b.LeaderEpoch()}
		if found.Timestamp >= ts && found.Offset >= start {
			return found, true
		}
	}
}
