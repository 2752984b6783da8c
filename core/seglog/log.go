package seglog

import (
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrun/millrun/core/record"
)

// Log is one partition's log. See the package comment for who may call what.
type Log struct {
	o      Options // immutable after Open
	cfg    atomic.Pointer[Config]
	failed atomic.Pointer[failure]

	// life is held shared by whatever uses the files, and alone by Truncate and Close, under which they change backwards.
	life   sync.RWMutex
	closed bool // guarded by life

	// mu is held by whatever changes the list of segments or the active segment's end.
	mu     sync.Mutex
	unborn bool // there are no files yet; guarded by mu

	segments atomic.Pointer[[]*segment] // ascending, never empty; replaced, never changed
	start    atomic.Int64               // log start offset; stored under mu
	mark     atomic.Pointer[CloseMark]  // what the last segment is still to be compared with; nil once it was, or was changed

	flush flushState
	trash trash

	complained atomic.Int64 // the second of the last complaint
}

type failure struct{ err error }

// SegmentInfo describes one segment.
type SegmentInfo struct {
	Base record.Offset
	End  record.Offset // the offset after its last
	Size int64
}

func (l *Log) list() []*segment         { return *l.segments.Load() }
func (l *Log) active() *segment         { s := l.list(); return s[len(s)-1] }
func (l *Log) setList(s []*segment)     { l.segments.Store(&s) }
func (l *Log) path(n string) string     { return join(l.o.Dir, n) }
func (l *Log) nowMs() int64             { return l.o.Now().UnixMilli() }
func (l *Log) Dir() string              { return l.o.Dir }
func (l *Log) Config() Config           { return *l.cfg.Load() }
func (l *Log) EndOffset() record.Offset { return l.active().end() }

// StartOffset is the first offset that may be read.
func (l *Log) StartOffset() record.Offset { return record.Offset(l.start.Load()) }

// RecoveryPoint is the offset up to which the log is known to be on disk.
func (l *Log) RecoveryPoint() record.Offset { return record.Offset(l.flush.point.Load()) }

// Size is the size in bytes of all segments.
func (l *Log) Size() int64 {
	n := int64(0)
	for _, s := range l.list() {
		n += s.size.Load()
	}
	return n
}

// Segments describes the segments in order.
func (l *Log) Segments() []SegmentInfo {
	list := l.list()
	info := make([]SegmentInfo, len(list))
	for i, s := range list {
		info[i] = SegmentInfo{Base: s.base, End: s.end(), Size: s.size.Load()}
	}
	return info
}

// SetConfig changes the settings. Segments that exist keep their index interval until the next entry.
func (l *Log) SetConfig(c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	l.cfg.Store(&c)
	return nil
}

// Failed returns the error that stopped the log for ever, nil while it works.
func (l *Log) Failed() error {
	if f := l.failed.Load(); f != nil {
		return f.err
	}
	return nil
}

// fail stops the log: what a failed write or fsync has left on the disk is unknown until a restart looks at it.
func (l *Log) fail(err error) error {
	err = fmt.Errorf("seglog: %s has stopped: %w", l.o.Dir, err)
	if l.failed.CompareAndSwap(nil, &failure{err}) {
		l.o.Logger.Error("log has stopped", "dir", l.o.Dir, "error", err)
	}
	return l.Failed()
}

// complain logs damage, once a second: a reader that does not give up meets it again and again.
func (l *Log) complain(err error) {
	now := time.Now().Unix()
	if l.complained.Swap(now) != now {
		l.o.Logger.Error("log is damaged", "error", err)
	}
}

// find returns the index of the segment in which offset lies, or would.
func find(list []*segment, offset record.Offset) int {
	return max(0, sort.Search(len(list), func(i int) bool { return list[i].base > offset })-1)
}

// Close flushes, writes the indexes and closes all files. The mark that it returns makes the next Open cheap: give it to
// Options.Clean. After an error there is no mark, and the next Open recovers. A log without a batch is not flushed: if a
// power cut takes its directory, Open makes it anew as the mark says it was.
func (l *Log) Close() (CloseMark, error) {
	err := l.Failed()
	if l.Size() > 0 {
		_, err = l.Flush()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life.Lock()
	defer l.life.Unlock()
	if l.closed {
		return CloseMark{}, ErrClosed
	}
	l.closed = true
	l.removeDeleted(l.o.Now().Add(1000 * time.Hour))
	s := l.active()
	if err == nil && s.loaded.Load() {
		s.seal()
	}
	for _, s := range l.list() {
		s.file.doom()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err == nil {
		err = s.damage
	}
	if err != nil {
		return CloseMark{}, err
	}
	return l.closeMark(s), nil
}

// closeMark describes the log; s is its active segment.
func (l *Log) closeMark(s *segment) CloseMark {
	var m CloseMark
	if old := s.mark(); old != nil && !s.loaded.Load() {
		m = *old
	} else {
		m = CloseMark{
			EndOffset: s.end(), LastSegment: s.base, LastSize: s.size.Load(), TailFrom: s.tail.prevFrom, TailCRC: s.tail.prevCRC,
			MaxTimestamp: s.tail.maxTS, MaxTimestampOffset: record.NoOffset,
		}
		if m.MaxTimestamp >= 0 {
			m.MaxTimestampOffset = s.base + record.Offset(s.tail.maxRel)
		}
	}
	m.Size, m.Segments = l.Size(), len(l.list())
	return m
}
