package seglog

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/millrun/millrun/core/record"
)

// The largest index files that are read: index.size.max.bytes is an int32 in Kafka, but ten mebibytes by default.
const maxIndexFile = 1 << 30

// indexFiles is what a segment's index files hold, as far as their shape goes.
type indexFiles struct {
	offsets               []offsetEntry
	times                 []timeEntry
	offsetBytes, timeSize int64
}

// readIndexes reads both index files. An absent or misshapen file yields the entries that make sense.
func (s *segment) readIndexes() (indexFiles, error) {
	var x indexFiles
	b, err := s.readIndex(IndexSuffix)
	if err != nil {
		return x, err
	}
	var sound bool
	x.offsetBytes = int64(len(b))
	if x.offsets, sound = parseOffsetIndex(b, s.size.Load()); !sound {
		s.log.o.Logger.Warn("index is misshapen, rebuilding what is missing", "file", join(s.log.o.Dir, s.name(IndexSuffix)))
	}
	if b, err = s.readIndex(TimeIndexSuffix); err != nil {
		return x, err
	}
	x.timeSize = int64(len(b))
	if x.times, sound = parseTimeIndex(b); !sound {
		s.log.o.Logger.Warn("index is misshapen, rebuilding what is missing", "file", join(s.log.o.Dir, s.name(TimeIndexSuffix)))
	}
	return x, nil
}

func (s *segment) readIndex(suffix string) ([]byte, error) {
	b, err := readFile(s.log.o.FS, join(s.log.o.Dir, s.name(suffix)), maxIndexFile)
	if isNotExist(err) || errors.Is(err, ErrFormat) {
		return nil, nil
	}
	return b, err
}

// ensure loads the segment's index and checks its end if that has not been done.
func (s *segment) ensure() error {
	if s.loaded.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded.Load() || s.damage != nil {
		return s.damage
	}
	err := s.load()
	if f := (*flaw)(nil); errors.As(err, &f) {
		s.damage = &DamageError{File: s.path(), Position: f.pos, Why: f.why}
		s.log.o.Logger.Error("log is damaged", "error", s.damage)
		return s.damage
	}
	if err == nil {
		s.loaded.Store(true)
	}
	return err
}

// load reads the index files and walks from a late entry to the end of the log. If that does not come out where it must,
// the indexes are not what they say, or the log is not: a walk over all of it decides. mu held.
func (s *segment) load() error {
	x, err := s.readIndexes()
	if err != nil {
		return err
	}
	f, err := s.file.acquire()
	if err != nil {
		return err
	}
	defer s.file.release()
	mark := s.mark()
	k := lateEntry(x, s.size.Load(), mark)
	err = s.loadFrom(f, x, k, mark)
	if fl := (*flaw)(nil); errors.As(err, &fl) && k >= 0 {
		s.log.o.Logger.Warn("index does not fit the log, rebuilding it", "segment", s.path(), "found", fl.Error())
		err = s.loadFrom(f, x, -1, mark)
	}
	return err
}

// mark is the close mark if it is of this segment.
func (s *segment) mark() *CloseMark {
	if m := s.log.mark.Load(); m != nil && m.LastSegment == s.base {
		return m
	}
	return nil
}

// lateEntry picks the offset index entry to walk from, -1 for the beginning: one that leaves what the mark covers, or
// else the last two entries' batches, to be walked over.
func lateEntry(x indexFiles, size int64, mark *CloseMark) int {
	k := len(x.offsets) - 2
	if mark != nil {
		k = floorPos(x.offsets, min(mark.TailFrom, size))
	}
	// Timestamps after the last time index entry are only known to have been smaller if that entry is not lost.
	if mark == nil && k >= 0 {
		if len(x.times) == 0 {
			return -1
		}
		k = min(k, floorRel(x.offsets, x.times[len(x.times)-1].rel))
	}
	return max(k, -1)
}

// loadFrom walks from entry k of x to the end and compares with what the end must be.
func (s *segment) loadFrom(f File, x indexFiles, k int, mark *CloseMark) error {
	size, end := s.size.Load(), s.end()
	w := s.newWalker(f, size)
	defer w.done()
	if mark != nil {
		w.crc = mark.TailFrom
		w.read = walkBuffer
	}
	crc := uint32(0)
	s.startAt(w, x, k)
	if err := s.walkTail(w, func(h record.Batch, pos int64) {
		if mark != nil && pos >= mark.TailFrom {
			crc = crc32.Update(crc, castagnoli, h[:outsideCRC])
		}
	}); err != nil {
		return err
	}
	switch {
	case w.ex.base != end && !(w.ex.gaps && w.ex.base < end && mark == nil):
		return &flaw{pos: w.pos, why: fmt.Sprintf("log ends at offset %d instead of %d", w.ex.base, end)}
	case mark != nil && crc != mark.TailCRC:
		return &flaw{pos: mark.TailFrom, why: "last batches are not those of the last stop"}
	case mark != nil && (s.tail.maxTS != mark.MaxTimestamp || s.tail.maxRel != mark.maxRel()):
		return &flaw{pos: w.pos, why: "largest timestamp is not that of the last stop"}
	}
	s.keepIndexes(x)
	if mark != nil {
		s.trusted.Store(min(mark.TailFrom, size))
	}
	if err := s.loadFirst(f, size); err != nil {
		return err
	}
	if s != s.log.active() {
		s.addTime()
		s.save()
	}
	return nil
}

// newWalker returns a walker over size bytes, which checks chain and epochs. The caller calls done.
func (s *segment) newWalker(f File, size int64) *walker {
	pooled := s.log.o.Files.bufs.Get().(*[]byte)
	return &walker{
		file: f, end: size, base: s.base, epochs: s.log.o.Epochs, crc: noCRC,
		ex:  expect{base: s.base, last: record.NoOffset, gaps: s.log.cfg.Load().Gaps},
		buf: *pooled, pooled: pooled, pool: &s.log.o.Files.bufs, read: headerBuffer,
	}
}

// startAt makes the segment's state, and the walker, that of entry k of x: just before the entry's batch. mu held.
func (s *segment) startAt(w *walker, x indexFiles, k int) {
	s.reset()
	s.index.set(nil, 0, x.offsetBytes)
	s.times.set(nil, 0, x.timeSize)
	if k < 0 {
		return
	}
	e := x.offsets[k]
	w.pos = int64(e.pos)
	w.ex.base, w.ex.last = record.NoOffset, s.base+record.Offset(e.rel)
	n := 0
	for n < len(x.times) && x.times[n].rel <= e.rel {
		n++
	}
	s.index.set(x.offsets[:k+1:k+1], k+1, x.offsetBytes)
	s.times.set(x.times[:n:n], n, x.timeSize)
	if n > 0 {
		s.tail.maxTS, s.tail.maxRel = x.times[n-1].ts, x.times[n-1].rel
	}
	s.tail.lastFrom, s.tail.prevFrom = w.pos, w.pos
}

// walkTail accounts for every batch from where the walker is to its end. mu held.
func (s *segment) walkTail(w *walker, each func(h record.Batch, pos int64)) error {
	interval := s.log.cfg.Load().IndexIntervalBytes
	for first := true; ; first = false {
		h, pos, size, err := w.next()
		if err != nil || size == 0 {
			return err
		}
		// An entry says which timestamp its batch brought; if it does not, the time index is not this log's.
		if n := s.times.count(); first && n > 0 && int64(s.times.last.rel) == int64(h.LastOffset()-s.base) &&
			h.MaxTimestamp() != s.times.last.ts {
			return &flaw{pos: pos, why: "timestamp is not the one in the time index"}
		}
		s.account(h, pos, size, interval)
		if each != nil {
			each(h, pos)
		}
	}
}

// keepIndexes compares the indexes that a walk came to with the files, so that only what differs is written again.
func (s *segment) keepIndexes(x indexFiles) {
	s.index.set(s.index.entries, commonPrefix(s.index.entries, x.offsets), x.offsetBytes)
	times := s.times.entries
	// The file may end with the entry of a close, which the walk has no reason to make.
	final := timeEntry{s.tail.maxTS, s.tail.maxRel}
	if n := len(times); len(x.times) == n+1 && x.times[n] == final && (n == 0 || times[n-1] != final) {
		times = append(times, final)
	}
	s.times.set(times, commonPrefix(times, x.times), x.timeSize)
}

// loadFirst reads the first batch's timestamp, from which segment.ms counts, if a walk that ended at end did not pass it.
// mu held.
func (s *segment) loadFirst(f File, end int64) error {
	if s.tail.firstTS >= 0 || end == 0 {
		return nil
	}
	h := make([]byte, record.HeaderSize)
	if _, err := f.ReadAt(h, 0); err != nil {
		return err
	}
	if _, why := checkHeader(h, end, expect{base: s.base, last: record.NoOffset, gaps: s.log.cfg.Load().Gaps}); why != "" {
		return &flaw{pos: 0, why: why, whole: true}
	}
	s.tail.firstTS = record.Batch(h).MaxTimestamp()
	return nil
}
