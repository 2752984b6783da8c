package seglog

import (
	"sync"
	"sync/atomic"

	"github.com/millrun/millrun/core/record"
)

// flushState lets concurrent flushes share one fsync: whoever comes while one runs waits for it, and then one of those
// who waited syncs for all of them.
type flushState struct {
	point  atomic.Int64 // recovery point
	dir    atomic.Bool  // names have changed in the log's directory since it was synced
	parent atomic.Bool  // the log's directory is new

	mu      sync.Mutex
	ended   sync.Cond
	running bool
}

func (f *flushState) init() { f.ended.L = &f.mu }

// Flush makes everything durable that was appended before the call, and returns the offset up to which the log now is.
// After an error the log has stopped: a second fsync would not report what the first one lost.
func (l *Log) Flush() (record.Offset, error) {
	target := l.EndOffset()
	f := &l.flush
	f.mu.Lock()
	for {
		if l.RecoveryPoint() >= target && !f.dir.Load() {
			f.mu.Unlock()
			return l.RecoveryPoint(), l.Failed()
		}
		if err := l.Failed(); err != nil {
			f.mu.Unlock()
			return l.RecoveryPoint(), err
		}
		if !f.running {
			break
		}
		f.ended.Wait()
	}
	f.running = true
	f.mu.Unlock()
	err := l.sync()
	f.mu.Lock()
	f.running = false
	f.ended.Broadcast()
	f.mu.Unlock()
	return l.RecoveryPoint(), err
}

// sync writes out what is there now. One call runs at a time.
func (l *Log) sync() error {
	l.life.RLock()
	defer l.life.RUnlock()
	if l.closed {
		return ErrClosed
	}
	f := &l.flush
	// The flags are taken down first: what changes while the disk works is for the next flush.
	parent, dir := f.parent.Swap(false), f.dir.Swap(false)
	list := l.list()
	end := list[len(list)-1].end()
	var err error
	for i := 0; i < len(list) && err == nil; i++ {
		err = list[i].sync()
	}
	if err == nil && dir {
		err = l.o.FS.SyncDir(l.o.Dir)
	}
	if err == nil && parent {
		err = l.o.FS.SyncDir(parentDir(l.o.Dir))
	}
	if err != nil {
		if isTooManyOpen(err) { // no fsync was tried
			f.parent.Store(parent || f.parent.Load())
			f.dir.Store(dir || f.dir.Load())
		}
		return l.failOpen(err)
	}
	if int64(end) > f.point.Load() {
		f.point.Store(int64(end))
	}
	return nil
}

func (s *segment) sync() error {
	if !s.dirty.Load() {
		return nil
	}
	f, err := s.file.acquire()
	if err == errGone {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.file.release()
	s.dirty.Store(false) // first: what is written meanwhile is for the next flush
	return f.Sync()
}
