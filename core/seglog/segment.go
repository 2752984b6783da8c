package seglog

import (
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/millrun/millrun/core/record"
)

// segment is one .log file with its indexes.
type segment struct {
	log  *Log
	base record.Offset
	file handle

	// size counts the bytes of whole batches that readers may see; next is the offset after the last of them. Stored by
	// the appender, next last. For a segment that is not loaded they are what names, sizes and the close mark say.
	size atomic.Int64
	next atomic.Int64
	// trusted is the position from which on this process wrote or checked every byte.
	trusted atomic.Int64
	loaded  atomic.Bool
	wanted  atomic.Bool // its index was searched since it was last saved
	dirty   atomic.Bool // holds bytes that were not synced

	created int64 // ms; when this process came to know the segment
	jitter  int64 // ms; taken off segment.ms

	mu      sync.RWMutex // guards what follows
	damage  error        // what was found wrong; sticks
	index   sparse[offsetEntry]
	times   sparse[timeEntry]
	tail    tail
	saveAt  int
	checked span // bytes before trusted whose checksums were checked
	hints   [4]hint
	hintAt  int
}

// tail is what has to be known about a segment's batches to append one more.
type tail struct {
	maxTS   int64 // largest timestamp of a batch, -1 if none
	maxRel  int32 // last offset of the first batch that has it, relative to the base
	firstTS int64 // largest timestamp of the first batch, -1 if empty
	since   int64 // bytes since the last index entry

	// Checksums over the bytes that batches' own checksums leave out, from the last index entry on and from the one
	// before it on: the latter covers two batches at least.
	lastFrom, prevFrom int64
	lastCRC, prevCRC   uint32
}

// span is the bytes from lo up to hi.
type span struct{ lo, hi int64 }

// hint remembers where a batch begins.
type hint struct {
	offset record.Offset
	pos    int64
}

func newSegment(l *Log, base record.Offset, size int64) *segment {
	s := &segment{log: l, base: base, created: l.o.Now().UnixMilli(), saveAt: saveEntries}
	s.file = handle{files: l.o.Files, fs: l.o.FS, owner: s}
	s.size.Store(size)
	s.trusted.Store(size)
	s.next.Store(int64(base))
	s.dirty.Store(size > 0)
	if j := min(l.cfg.Load().SegmentJitterMs, l.cfg.Load().SegmentMs); j > 0 {
		s.jitter = rand.Int64N(j)
	}
	s.reset()
	return s
}

// reset makes the state that of an empty segment. mu held.
func (s *segment) reset() {
	s.tail = tail{maxTS: -1, maxRel: -1, firstTS: -1}
	s.checked = span{}
	s.clearHints()
}

func (s *segment) clearHints() {
	for i := range s.hints {
		s.hints[i] = hint{offset: record.NoOffset}
	}
}

func (s *segment) name(suffix string) string { return FileName(s.base, suffix) }
func (s *segment) path() string              { return join(s.log.o.Dir, s.name(LogSuffix)) }
func (s *segment) end() record.Offset        { return record.Offset(s.next.Load()) }

// fileClosed drops what can be read again from the index files.
func (s *segment) fileClosed() {
	if s.mu.TryLock() {
		s.index.forget()
		s.times.forget()
		s.mu.Unlock()
	}
}

// account takes note of the batch with header h, which lies at pos. Appending, recovering and rebuilding all go through
// here, so that they come to the same indexes as Kafka does: an entry is due before a batch when more than the interval
// has been written since the last one. mu held.
func (s *segment) account(h record.Batch, pos int64, size int, interval int64) {
	t := &s.tail
	rel := int32(h.LastOffset() - s.base)
	ts := h.MaxTimestamp()
	if ts > t.maxTS {
		t.maxTS, t.maxRel = ts, rel
	}
	if pos == 0 {
		t.firstTS = ts
	}
	if t.since > interval {
		s.index.add(offsetEntry{rel: rel, pos: int32(pos)})
		s.addTime()
		t.since = 0
		t.prevFrom, t.prevCRC = t.lastFrom, t.lastCRC
		t.lastFrom, t.lastCRC = pos, 0
	}
	t.since += int64(size)
	t.lastCRC = crc32.Update(t.lastCRC, castagnoli, h[:outsideCRC])
	t.prevCRC = crc32.Update(t.prevCRC, castagnoli, h[:outsideCRC])
}

// addTime adds a time index entry if the largest timestamp has grown since the last one. mu held.
func (s *segment) addTime() {
	if s.tail.maxTS < 0 || s.times.count() > 0 && s.tail.maxTS <= s.times.last.ts {
		return
	}
	s.times.add(timeEntry{ts: s.tail.maxTS, rel: s.tail.maxRel})
}

// publish makes a batch that was written at pos visible to readers.
func (s *segment) publish(b record.Batch, pos int64, interval int64) {
	s.mu.Lock()
	s.account(b, pos, len(b), interval)
	save := max(s.index.unsaved(), s.times.unsaved()) >= s.saveAt
	if save {
		s.save()
	}
	// Within the lock, so that a walk over size bytes meets what was accounted for.
	s.size.Store(pos + int64(len(b)))
	s.next.Store(int64(b.NextOffset()))
	s.mu.Unlock()
	if !s.dirty.Load() {
		s.dirty.Store(true)
	}
}

// save writes new index entries to the files. Indexes can be rebuilt, so a failure is only put off. mu held.
func (s *segment) save() {
	err := s.index.save(s.log.o.FS, join(s.log.o.Dir, s.name(IndexSuffix)), offsetEntrySize)
	if err == nil {
		err = s.times.save(s.log.o.FS, join(s.log.o.Dir, s.name(TimeIndexSuffix)), timeEntrySize)
	}
	if err != nil {
		s.saveAt = 2 * max(s.index.unsaved(), s.times.unsaved(), saveEntries)
		s.log.o.Logger.Warn("index not written, trying later", "segment", s.path(), "error", err)
		return
	}
	s.saveAt = saveEntries
	if !s.wanted.Swap(false) {
		s.index.forget()
		s.times.forget()
	}
}

// seal ends the segment's indexes the way Kafka does when it rolls or closes: with an entry for the largest timestamp.
func (s *segment) seal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded.Load() {
		// A log shorter than an index interval gets no index at all: Kafka's tools do not read one of the two alone.
		if s.index.count() > 0 {
			s.addTime()
		}
		s.save()
	}
}

// full tells whether b has to go to a new segment. now is in ms. Only for a loaded segment.
func (s *segment) full(b record.Batch, c *Config, now int64) bool {
	size := s.size.Load()
	if int64(b.LastOffset()-s.base) > maxRelative {
		return true
	}
	if size == 0 {
		return false
	}
	if size > c.SegmentBytes-int64(len(b)) {
		return true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.waited(b.MaxTimestamp(), now) > c.SegmentMs-s.jitter ||
		int64(s.index.count()) >= c.IndexBytes/offsetEntrySize || int64(s.times.count()) >= c.IndexBytes/timeEntrySize-1
}

// waited is how long the segment has been filling by the time of a batch's timestamp; by the clock if its first batch
// has none. mu held.
func (s *segment) waited(ts, now int64) int64 {
	if s.tail.firstTS >= 0 {
		return ts - s.tail.firstTS
	}
	return now - s.created
}

// hinted returns the position of the batch that begins at offset, if a read or walk ended there lately.
func (s *segment) hinted(offset record.Offset) (int64, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, h := range s.hints {
		if h.offset == offset {
			return h.pos, true
		}
	}
	return 0, false
}

// remember replaces the hint at the old offset, or the oldest, by a new one: a reader moves its own hint along.
func (s *segment) remember(old, offset record.Offset, pos int64) {
	if old == offset {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.hints {
		if s.hints[i].offset == old || s.hints[i].offset == offset {
			s.hints[i] = hint{offset, pos}
			return
		}
	}
	s.hints[s.hintAt] = hint{offset, pos}
	s.hintAt = (s.hintAt + 1) % len(s.hints)
}

// isChecked tells whether the checksums of the bytes in p need no check.
func (s *segment) isChecked(p span) bool {
	if p.lo >= s.trusted.Load() {
		return true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.checked.lo <= p.lo && p.hi <= s.checked.hi
}

// setChecked notes that p was checked. One span is kept: the union if they touch, else the longer one. Whoever reads a
// segment from front to back so checks every byte once.
func (s *segment) setChecked(p span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.checked
	switch {
	case p.lo <= c.hi && c.lo <= p.hi:
		s.checked = span{min(p.lo, c.lo), max(p.hi, c.hi)}
	case p.hi-p.lo > c.hi-c.lo:
		s.checked = p
	}
}
