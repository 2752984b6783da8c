package seglog

import (
	"errors"
	"io"
	"slices"

	"github.com/millrun/millrun/core/record"
)

// ReadInto appends to dst whole batches, from the one that holds from on, and returns the longer slice. It stops before
// a batch that begins at or after upTo, before maxBytes would be passed (but with minOne the first batch is read whatever
// its size), and at the end of a segment. Nothing is appended if from is at upTo or at the end of the log; ErrOutOfRange
// is for offsets outside the log.
//
// The bytes come with one read where the position is known from the read before, else after a look at headers. Chain and
// checksums are checked as the package comment says, so a DamageError comes instead of a wrong record.
func (l *Log) ReadInto(dst []byte, from, upTo record.Offset, maxBytes int, minOne bool) ([]byte, error) {
	l.life.RLock()
	defer l.life.RUnlock()
	if l.closed {
		return dst, ErrClosed
	}
	for {
		list := l.list()
		if from < l.StartOffset() || from > list[len(list)-1].end() {
			return dst, ErrOutOfRange
		}
		out, err := readList(list, dst, readQuery{from, upTo, maxBytes, minOne})
		if err != errGone {
			return out, err
		}
	}
}

type readQuery struct {
	from, upTo record.Offset
	maxBytes   int
	minOne     bool
}

func readList(list []*segment, dst []byte, q readQuery) ([]byte, error) {
	for _, s := range list[find(list, q.from):] {
		if s.base >= q.upTo {
			return dst, nil
		}
		if q.from >= s.end() {
			continue
		}
		out, more, err := s.readInto(dst, q)
		if err != nil || !more {
			return out, err
		}
	}
	return dst, nil
}

// readInto reads from one segment. more says that the segment ended before from, which gaps allow.
func (s *segment) readInto(dst []byte, q readQuery) (out []byte, more bool, err error) {
	if err := s.ensure(); err != nil {
		return dst, false, err
	}
	f, err := s.file.acquire()
	if err != nil {
		return dst, false, err
	}
	defer s.file.release()
	size := s.size.Load()
	pos, ex, err := s.seek(f, q.from, size)
	if err != nil {
		return dst, false, s.damaged(err)
	}
	if pos >= size {
		return dst, true, nil
	}
	n := s.readable(pos, size, q)
	out, got, err := readAt(f, dst, pos, n)
	if err != nil {
		return dst, false, s.damaged(err)
	}
	r := ranger{s: s, pos: pos, room: size - pos, ex: ex, upTo: q.upTo}
	keep, need, err := r.check(got)
	if err == nil && keep == 0 && need > n && q.minOne {
		if err = s.checkLength(f, pos, need); err == nil {
			out, got, err = readAt(f, out[:len(dst)], pos, need)
		}
		if err == nil {
			keep, _, err = r.check(got)
		}
	}
	if err != nil {
		return out[:len(dst)], false, s.damaged(err)
	}
	if keep > 0 {
		s.remember(q.from, r.ex.base, pos+int64(keep))
	}
	return out[:len(dst)+keep], false, nil
}

// damaged turns a flaw into a DamageError.
func (s *segment) damaged(err error) error {
	if f := (*flaw)(nil); errors.As(err, &f) {
		err = &DamageError{File: s.path(), Position: f.pos, Why: f.why}
		s.log.complain(err)
	}
	return err
}

// checkLength checks the checksum of a batch that was found on disk before memory is taken for all of it: its length is
// outside the checksum and may be a lie.
func (s *segment) checkLength(f File, pos int64, size int) error {
	if size <= walkBuffer || s.isChecked(span{pos, pos + int64(size)}) {
		return nil
	}
	w := s.newWalker(f, s.size.Load())
	defer w.done()
	w.read = walkBuffer
	sound, err := w.checkCRC(pos, size)
	if err == nil && !sound {
		err = &flaw{pos: pos, why: "checksum does not match"}
	}
	return err
}

// readAt appends n bytes at pos to dst.
func readAt(f File, dst []byte, pos int64, n int) (out, got []byte, err error) {
	out = slices.Grow(dst, n)[:len(dst)+n]
	got = out[len(dst):]
	if m, err := f.ReadAt(got, pos); m < n {
		if err == nil || err == io.EOF {
			err = &flaw{pos: pos + int64(m), why: "file is shorter than it was"}
		}
		return dst, nil, err
	}
	return out, got, nil
}

// readable returns how many bytes to read at pos. Where that is known without a look at the file it ends with a batch.
func (s *segment) readable(pos, size int64, q readQuery) int {
	n := min(size-pos, max(int64(q.maxBytes), record.HeaderSize))
	if n == size-pos && q.upTo >= s.end() {
		return int(n)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := floorRel(s.index.entries, int32(min(q.upTo-s.base, maxRelative))) + 1; i+1 < len(s.index.entries) {
		// Entry i ends after upTo, so the batch of the one after it begins there or later.
		n = min(n, max(int64(s.index.entries[i+1].pos)-pos, record.HeaderSize))
	}
	if n < size-pos {
		if i := floorPos(s.index.entries, pos+n); i >= 0 && int64(s.index.entries[i].pos) > pos {
			n = max(int64(s.index.entries[i].pos)-pos, record.HeaderSize) // an entry that lies must not hide the batch
		}
	}
	return int(n)
}

// ranger checks a range of batches in memory.
type ranger struct {
	s    *segment
	pos  int64 // of the range
	room int64 // bytes of the segment from there on
	ex   expect
	upTo record.Offset
}

// check returns how many bytes of b are batches to keep, and the size of the first batch that did not fit into b, if
// that is why it ended. r.ex is then what follows.
func (r *ranger) check(b []byte) (keep, need int, err error) {
	ex := r.ex
	known := r.s.isChecked(span{r.pos, r.pos + int64(len(b))})
	trusted := r.s.trusted.Load()
	for len(b)-keep >= record.HeaderSize {
		h := record.Batch(b[keep:])
		at := r.pos + int64(keep)
		size, why := checkHeader(h, r.room-int64(keep), ex)
		if why == "" {
			if h.BaseOffset() >= r.upTo {
				break
			}
			if size > len(b)-keep {
				need = size
				break
			}
			if !known && at < trusted {
				why = r.s.verify(h[:size])
			}
		}
		if why != "" && keep > 0 {
			break // what is before it is sound: who reads on from there is told
		}
		if why != "" {
			return 0, 0, &flaw{pos: at, why: why}
		}
		keep += size
		ex.base, ex.last = h.NextOffset(), record.NoOffset
	}
	if !known && keep > 0 && r.pos < trusted {
		r.s.setChecked(span{r.pos, r.pos + int64(keep)})
	}
	if keep > 0 {
		r.ex = ex
	}
	return keep, need, nil
}

// verify checks what is checked once of each batch that was found on disk.
func (s *segment) verify(b record.Batch) string {
	if crcOf(b) != b.CRC() {
		return "checksum does not match"
	}
	if e := s.log.o.Epochs; e != nil && EpochAt(e, b.BaseOffset()) != b.LeaderEpoch() {
		return "leader epoch is not the one of its offset"
	}
	return ""
}

// seek returns the position of the first batch that ends at target or later, size if there is none, and what that batch
// has to be.
func (s *segment) seek(f File, target record.Offset, size int64) (int64, expect, error) {
	gaps := s.log.cfg.Load().Gaps
	if pos, ok := s.hinted(target); ok {
		return pos, expect{base: target, last: record.NoOffset, gaps: gaps}, nil
	}
	e, ok, err := s.floor(target)
	if err != nil {
		return 0, expect{}, err
	}
	pos, ex, err := s.seekFrom(f, e, ok, target, size)
	if fl := (*flaw)(nil); ok && errors.As(err, &fl) {
		if err := s.rebuild(fl); err != nil {
			return 0, expect{}, err
		}
		return s.seekFrom(f, offsetEntry{}, false, target, size)
	}
	return pos, ex, err
}

func (s *segment) seekFrom(f File, e offsetEntry, fromEntry bool, target record.Offset, size int64) (int64, expect, error) {
	w := s.newWalker(f, size)
	defer w.done()
	w.epochs = nil
	if fromEntry {
		w.pos = int64(e.pos)
		w.ex.base, w.ex.last = record.NoOffset, s.base+record.Offset(e.rel)
	}
	for {
		ex := w.ex
		h, pos, n, err := w.next()
		if err != nil {
			return 0, expect{}, err
		}
		if n == 0 {
			return size, ex, nil
		}
		if h.LastOffset() >= target {
			ex.base = h.BaseOffset()
			return pos, ex, nil
		}
	}
}

// floor returns the last index entry whose batch ends at or before target.
func (s *segment) floor(target record.Offset) (offsetEntry, bool, error) {
	rel := int32(min(target-s.base, maxRelative))
	if !s.wanted.Load() {
		s.wanted.Store(true)
	}
	s.mu.RLock()
	i, inMemory := floorRel(s.index.entries, rel), s.index.skipped == 0
	if i >= 0 {
		defer s.mu.RUnlock()
		return s.index.entries[i], true, nil
	}
	s.mu.RUnlock()
	if inMemory {
		return offsetEntry{}, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fetchIndex(); err != nil {
		return offsetEntry{}, false, err
	}
	if i := floorRel(s.index.entries, rel); i >= 0 {
		return s.index.entries[i], true, nil
	}
	return offsetEntry{}, false, nil
}

// fetchIndex brings the entries back that are in the index files only. If a file does not have them any more they are
// left out: a search then begins earlier. mu held.
func (s *segment) fetchIndex() error {
	if s.index.skipped == 0 && s.times.skipped == 0 {
		return nil
	}
	x, err := s.readIndexes()
	if err != nil {
		return err
	}
	if !s.index.restore(x.offsets) || !s.times.restore(x.times) {
		s.log.o.Logger.Warn("index has lost entries", "segment", s.path())
	}
	return nil
}

// rebuild makes the indexes anew from the log, since found contradicts them. A *flaw means that the log itself is wrong.
func (s *segment) rebuild(found *flaw) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.o.Logger.Warn("index does not fit the log, rebuilding it", "segment", s.path(), "found", found.Error())
	x, err := s.readIndexes()
	if err != nil {
		return err
	}
	f, err := s.file.acquire()
	if err != nil {
		return err
	}
	defer s.file.release()
	return s.loadFrom(f, x, -1, nil)
}
