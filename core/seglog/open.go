package seglog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrun/millrun/core/record"
)

// Recovered says what Open found.
type Recovered struct {
	StartOffset, EndOffset record.Offset
	Created                bool          // there was no log
	ScannedFrom            record.Offset // after an unclean stop: batches from here on were checked; else EndOffset
	TruncatedBytes         int64         // a torn tail of this size was cut off
}

// Open opens the log in o.Dir, and creates it if there is none. It fails with a DamageError if the files are not what
// they must be; nothing has then been changed.
func Open(o Options, c Config) (*Log, Recovered, error) {
	if err := errors.Join(o.fill(), c.check()); err != nil {
		return nil, Recovered{}, err
	}
	l := &Log{o: o}
	l.cfg.Store(&c)
	l.flush.init()
	bases, err := l.listFiles()
	if err != nil {
		return nil, Recovered{}, fmt.Errorf("seglog: opening %s: %w", o.Dir, err)
	}
	var r Recovered
	if len(bases) == 0 {
		r.Created = true
		start := o.LogStart
		if o.Clean != nil {
			start = max(start, o.Clean.EndOffset)
		}
		err = l.create(start)
	} else if err = l.statSegments(bases); err == nil {
		if o.Clean != nil {
			err = l.openClean()
		} else {
			r, err = l.recover()
		}
	}
	if err == nil {
		err = l.setStart(o.LogStart)
	}
	if err != nil {
		l.doomAll()
		return nil, Recovered{}, fmt.Errorf("seglog: opening %s: %w", o.Dir, err)
	}
	r.StartOffset, r.EndOffset = l.StartOffset(), l.EndOffset()
	if o.Clean != nil || r.Created {
		r.ScannedFrom = r.EndOffset
	}
	return l, r, nil
}

func (l *Log) doomAll() {
	if p := l.segments.Load(); p != nil {
		for _, s := range *p {
			s.file.doom()
		}
	}
}

// listFiles returns the segments' base offsets in order. It removes what a stop has left half done.
func (l *Log) listFiles() ([]record.Offset, error) {
	names, err := l.o.FS.ReadDir(l.o.Dir)
	if isNotExist(err) {
		if m := l.o.Clean; m != nil && m.Size > 0 {
			return nil, &DamageError{File: l.o.Dir, Why: "it is gone"}
		}
		if l.unborn = l.o.Lazy; l.unborn {
			return nil, nil
		}
		return nil, l.makeDir()
	}
	if err != nil {
		return nil, err
	}
	var bases []record.Offset
	for _, n := range names {
		if base, suffix, ok := ParseFileName(n); ok && suffix == LogSuffix {
			bases = append(bases, base)
		}
	}
	if m := l.o.Clean; len(bases) == 0 && (m != nil && m.Size > 0 || m == nil && l.o.RecoveryPoint > l.o.LogStart) {
		return nil, &DamageError{File: l.o.Dir, Why: "its segments are gone"}
	}
	for _, n := range names {
		base, suffix, ok := ParseFileName(n)
		_, known := slices.BinarySearch(bases, base)
		orphan := ok && !known && (suffix == IndexSuffix || suffix == TimeIndexSuffix || suffix == TxnIndexSuffix)
		if orphan || strings.HasSuffix(n, DeletedSuffix) {
			if err := l.o.FS.Remove(l.path(n)); err != nil && !isNotExist(err) {
				return nil, err
			}
		}
	}
	return bases, nil
}

func (l *Log) makeDir() error {
	l.flush.parent.Store(true)
	return l.o.FS.MkdirAll(l.o.Dir)
}

// create makes the first segment of a log.
func (l *Log) create(start record.Offset) error {
	s := newSegment(l, start, 0)
	s.loaded.Store(true)
	if !l.unborn {
		var err error
		if s, err = l.createSegment(start); err != nil {
			return err
		}
	}
	l.setList([]*segment{s})
	l.flush.point.Store(int64(start))
	return nil
}

// birth makes the directory and the first segment's file of a log that was opened lazily. mu held.
func (l *Log) birth() error {
	err := l.makeDir()
	if err == nil {
		err = l.makeFile(l.active().path())
	}
	if isNoSpace(err) {
		return fmt.Errorf("seglog: making %s: %w: %w", l.o.Dir, ErrNoSpace, err)
	}
	if err != nil {
		return l.fail(err)
	}
	l.unborn = false
	return nil
}

// createSegment makes an empty segment. Its index files come into being when there is something to write to them.
func (l *Log) createSegment(base record.Offset) (*segment, error) {
	s := newSegment(l, base, 0)
	if err := l.makeFile(s.path()); err != nil {
		return nil, err
	}
	s.loaded.Store(true)
	return s, nil
}

// makeFile makes an empty file, which must not exist.
func (l *Log) makeFile(path string) error {
	f, err := l.o.FS.Open(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	l.flush.dir.Store(true)
	return nil
}

// statSegments makes the list of segments from their names and sizes.
func (l *Log) statSegments(bases []record.Offset) error {
	list := make([]*segment, len(bases))
	for i, base := range bases {
		st, err := l.o.FS.Stat(l.path(FileName(base, LogSuffix)))
		if err != nil {
			return err
		}
		if st.Size > maxRelative {
			return &DamageError{File: l.path(FileName(base, LogSuffix)), Position: maxRelative, Why: "segment is longer than 2 GiB"}
		}
		list[i] = newSegment(l, base, st.Size)
		if i > 0 {
			list[i-1].next.Store(int64(base))
		}
	}
	l.setList(list)
	return nil
}

// openClean compares names and sizes with the mark of the last stop.
func (l *Log) openClean() error {
	m, list, s := l.o.Clean, l.list(), l.active()
	switch {
	case s.base != m.LastSegment || len(list) != m.Segments:
		return &DamageError{File: l.o.Dir, Why: fmt.Sprintf("%d segments, the last at %d, instead of %d, the last at %d",
			len(list), s.base, m.Segments, m.LastSegment)}
	case s.size.Load() != m.LastSize:
		return &DamageError{File: s.path(), Position: min(s.size.Load(), m.LastSize),
			Why: fmt.Sprintf("%d bytes long instead of %d", s.size.Load(), m.LastSize)}
	case l.Size() != m.Size:
		return &DamageError{File: l.o.Dir, Why: fmt.Sprintf("segments hold %d bytes instead of %d", l.Size(), m.Size)}
	case m.EndOffset < s.base:
		return &DamageError{File: s.path(), Why: fmt.Sprintf("log ended at offset %d, before it", m.EndOffset)}
	}
	for _, s := range list {
		s.dirty.Store(false)
	}
	s.next.Store(int64(m.EndOffset))
	l.mark.Store(m)
	l.flush.point.Store(int64(m.EndOffset))
	return nil
}

// setStart sets the log start offset of a log that has just been opened.
func (l *Log) setStart(start record.Offset) error {
	start = max(start, l.list()[0].base)
	if end := l.EndOffset(); start > end {
		// SetStartOffset flushes first, so no crash can bring this about.
		return &DamageError{File: l.active().path(), Position: l.active().size.Load(),
			Why: fmt.Sprintf("log ends at offset %d, before its start offset %d", end, start)}
	}
	l.start.Store(int64(start))
	return nil
}

func parentDir(dir string) string { return filepath.Dir(dir) }
