package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/millrun/millrun/core/record"
)

// recover looks at what an unclean stop has left: everything past the recovery point, and the last batches in any case.
func (l *Log) recover() (Recovered, error) {
	list, rp := l.list(), l.o.RecoveryPoint
	first := find(list, rp)
	for _, s := range list[:first] {
		s.dirty.Store(false)
	}
	var r Recovered
	for i := first; i < len(list); i++ {
		from, err := list[i].recover(rp)
		if i == first {
			r.ScannedFrom = from
		}
		if err == nil && i+1 < len(list) {
			err = list[i].joins(list[i+1])
		}
		if err == nil {
			list[i].settle(i+1 < len(list))
		}
		if fl := (*flaw)(nil); errors.As(err, &fl) {
			r.TruncatedBytes, err = l.cutTorn(i, fl)
			if err != nil {
				return r, err
			}
			break
		}
		if err != nil {
			return r, err
		}
	}
	if s := l.active(); s.end() < rp {
		return r, &DamageError{File: s.path(), Position: s.size.Load(),
			Why: fmt.Sprintf("log ends at offset %d, but was flushed up to %d", s.end(), rp)}
	}
	l.flush.point.Store(int64(max(rp, list[0].base)))
	return r, nil
}

// settle drops what the index files hold from memory, for thousands of logs may be recovering. A sealed segment's files
// are completed first.
func (s *segment) settle(sealed bool) {
	if sealed {
		s.seal()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.forget()
	s.times.forget()
}

// joins checks that the next segment begins where this one ends.
func (s *segment) joins(next *segment) error {
	if s.end() == next.base || s.log.cfg.Load().Gaps && s.end() < next.base {
		return nil
	}
	return &flaw{pos: s.size.Load(), why: fmt.Sprintf("segment ends at offset %d, the next one begins at %d", s.end(), next.base)}
}

// recover walks the segment and makes size and end those of the whole, valid batches. A *flaw says what ended the walk.
func (s *segment) recover(rp record.Offset) (from record.Offset, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.readIndexes()
	if err != nil {
		return 0, err
	}
	f, err := s.file.acquire()
	if err != nil {
		return 0, err
	}
	defer s.file.release()
	k := -1
	if rp > s.base {
		k = min(lateEntry(x, s.size.Load(), nil), floorRel(x.offsets, int32(min(rp-1-s.base, maxRelative))))
	}
	from, err = s.recoverFrom(f, x, k)
	if fl := (*flaw)(nil); errors.As(err, &fl) && k >= 0 && fl.pos == int64(x.offsets[k].pos) {
		// The index may be wrong rather than the log.
		from, err = s.recoverFrom(f, x, -1)
	}
	return from, err
}

func (s *segment) recoverFrom(f File, x indexFiles, k int) (from record.Offset, err error) {
	w := s.newWalker(f, s.size.Load())
	defer w.done()
	w.read, w.crc = walkBuffer, 0
	s.startAt(w, x, k)
	trusted := w.pos
	if k >= 0 {
		from = w.ex.last
	} else {
		from = s.base
	}
	err = s.walkTail(w, nil)
	if fl := (*flaw)(nil); err != nil && !errors.As(err, &fl) {
		return from, err
	}
	if w.ex.base < 0 { // not one batch behind the index entry
		return from, err
	}
	s.keepIndexes(x)
	s.next.Store(int64(w.ex.base))
	s.trusted.Store(trusted)
	if ferr := s.loadFirst(f, w.pos); ferr != nil {
		return from, ferr
	}
	if err == nil {
		s.loaded.Store(true)
	}
	return from, err
}

// cutTorn decides what the flaw in segment i is. A tail that was being written when the machine stopped is cut off, with
// the segments behind it that never held a batch; everything else is damage.
func (l *Log) cutTorn(i int, fl *flaw) (int64, error) {
	list := l.list()
	s := list[i]
	damage := &DamageError{File: s.path(), Position: fl.pos, Why: fl.why}
	if fl.whole {
		return 0, damage
	}
	if s.end() < l.o.RecoveryPoint {
		damage.Why += fmt.Sprintf(" (flushed up to offset %d, sound up to %d)", l.o.RecoveryPoint, s.end())
		return 0, damage
	}
	cut := int64(0)
	for j, t := range list[i:] {
		from := int64(0)
		if j == 0 {
			from = fl.pos
		}
		at, found, err := t.findBatch(from, s.end())
		if err != nil {
			return 0, err
		}
		if found {
			damage.Why += fmt.Sprintf(" (a valid batch follows in %s at byte %d)", t.name(LogSuffix), at)
			return 0, damage
		}
		cut += t.size.Load() - from
	}
	l.o.Logger.Warn("cutting a torn tail", "file", s.path(), "position", fl.pos, "bytes", cut, "found", fl.why, "end", int64(s.end()))
	if err := s.cut(fl.pos); err != nil {
		return 0, err
	}
	s.loaded.Store(true)
	l.setList(list[: i+1 : i+1])
	for _, t := range list[i+1:] {
		if err := l.removeFiles(t); err != nil {
			return 0, err
		}
	}
	return cut, nil
}

// cut makes the file end at pos, where a batch begins.
func (s *segment) cut(pos int64) error {
	f, err := s.file.acquire()
	if err != nil {
		return err
	}
	defer s.file.release()
	if err := f.Truncate(pos); err != nil {
		return err
	}
	s.size.Store(pos)
	s.trusted.Store(min(s.trusted.Load(), pos))
	s.dirty.Store(true)
	return nil
}

// findBudget bounds the bytes that findBatch runs checksums over, as a multiple of the bytes that it searches: a torn
// batch may hold whatever its producer liked.
const findBudget = 64

// findBatch looks for a valid batch that begins at from or later and has a base offset of at least least. If it has to
// give up it says that there is one, which is the answer that loses nothing.
func (s *segment) findBatch(from int64, least record.Offset) (at int64, found bool, err error) {
	size := s.size.Load()
	if size-from < record.HeaderSize {
		return 0, false, nil
	}
	f, err := s.file.acquire()
	if err != nil {
		return 0, false, err
	}
	defer s.file.release()
	w := s.newWalker(f, size)
	defer w.done()
	w.read = walkBuffer
	budget := findBudget * (size - from)
	window := make([]byte, walkBuffer)
	for at := from; at+record.HeaderSize <= size; at += int64(len(window) - record.HeaderSize + 1) {
		n, err := f.ReadAt(window, at)
		if err != nil && err != io.EOF {
			return 0, false, err
		}
		for i := nextMagic(window[:n], 0); i >= 0; i = nextMagic(window[:n], i+1) {
			batch, why := checkHeader(window[i:i+record.HeaderSize], size-at-int64(i), expect{base: least, last: record.NoOffset, gaps: true})
			if why != "" || int64(record.Batch(window[i:]).LastOffset()-s.base) > maxRelative || record.Batch(window[i:]).LastOffset() < s.base {
				continue
			}
			if budget -= int64(batch); budget < 0 {
				return at + int64(i), true, nil
			}
			if sound, err := w.checkCRC(at+int64(i), batch); sound || err != nil {
				return at + int64(i), sound, err
			}
		}
	}
	return 0, false, nil
}

// nextMagic returns the first i at or after from at which b may hold a batch's header, by magic and length; -1 if none.
func nextMagic(b []byte, from int) int {
	const magicAt = 16
	for i := from; i+record.HeaderSize <= len(b); i++ {
		j := bytes.IndexByte(b[i+magicAt:], 2)
		if j < 0 || i+j+record.HeaderSize > len(b) {
			return -1
		}
		i += j
		if int32(binary.BigEndian.Uint32(b[i+8:])) > 0 {
			return i
		}
	}
	return -1
}

// crcOf is a batch's checksum, computed over bytes in memory without an error value to allocate.
func crcOf(b []byte) uint32 { return crc32.Checksum(b[outsideCRC:], castagnoli) }
