package seglog

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

// DefaultMaxOpenFiles bounds the segment files that are open at once when nothing else is said.
const DefaultMaxOpenFiles = 4096

// Files bounds how many segment files are open at once, over all logs that share it. Files open on first use; the one
// that has not been used for long is closed when another is opened beyond the bound, and CloseIdle closes what has not
// been used at all since it was last called. Files in use are never closed, so the bound may be passed by as many as
// there are operations under way.
//
// Closing a file that was written and not yet synced loses nothing: the kernel keeps the pages, and an error in writing
// them is told to the first fsync of whoever opens the file next.
type Files struct {
	limit int
	bufs  sync.Pool // *[]byte of walkBuffer bytes

	mu   sync.Mutex
	open int
	hand *handle // of the clock; a ring of the open handles
}

// NewFiles returns a bound of limit open files; a limit below 1 means DefaultMaxOpenFiles.
func NewFiles(limit int) *Files {
	if limit < 1 {
		limit = DefaultMaxOpenFiles
	}
	return &Files{limit: limit, bufs: sync.Pool{New: func() any { b := make([]byte, walkBuffer); return &b }}}
}

// Open is the number of files that are open now.
func (fs *Files) Open() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.open
}

// CloseIdle closes the files that nobody has used since the last call, and returns how many those were.
func (fs *Files) CloseIdle() int {
	fs.mu.Lock()
	var idle []*handle
	for h, n := fs.hand, fs.open; n > 0; n-- {
		next := h.next
		if !h.used.Swap(false) && h.refs.CompareAndSwap(refsIdle, refsClosing) {
			fs.unlink(h)
			idle = append(idle, h)
		}
		h = next
	}
	fs.mu.Unlock()
	for _, h := range idle {
		h.finishClose()
	}
	return len(idle)
}

// add takes an opened handle into the ring and closes another one if there are now too many.
func (fs *Files) add(h *handle) {
	fs.mu.Lock()
	if fs.hand == nil {
		h.next, h.prev = h, h
		fs.hand = h
	} else {
		h.next, h.prev = fs.hand, fs.hand.prev
		h.prev.next, h.next.prev = h, h
	}
	fs.open++
	var victim *handle
	if fs.open > fs.limit {
		victim = fs.pickVictim()
	}
	fs.mu.Unlock()
	if victim != nil {
		victim.finishClose()
	}
}

// pickVictim is the clock algorithm: the first handle that has not been used since the hand last passed it.
func (fs *Files) pickVictim() *handle {
	for range 2 * fs.open {
		h := fs.hand
		fs.hand = h.next
		if !h.used.Swap(false) && h.refs.CompareAndSwap(refsIdle, refsClosing) {
			fs.unlink(h)
			return h
		}
	}
	return nil
}

func (fs *Files) unlink(h *handle) {
	fs.open--
	if h.next == h {
		fs.hand = nil
	} else {
		if fs.hand == h {
			fs.hand = h.next
		}
		h.prev.next, h.next.prev = h.next, h.prev
	}
	h.next, h.prev = nil, nil
}

// The states of handle.refs; refsIdle+n means that n operations use the file.
const (
	refsClosing = -1 // somebody is taking the file away
	refsClosed  = 0
	refsIdle    = 1
)

// handleOwner is what a handle is of: the segment.
type handleOwner interface {
	path() string
	fileClosed() // for want of use, or for ever
}

// handle is one file that is open only while it is used, and for a while after.
type handle struct {
	files *Files
	fs    FS
	owner handleOwner

	refs   atomic.Int32
	used   atomic.Bool // since the clock's hand passed
	doomed atomic.Bool // never to be opened again

	opening sync.Mutex
	file    File // valid while refs >= refsIdle

	next, prev *handle // guarded by files.mu
}

// acquire returns the open file, which stays open until release. It fails with errGone after doom.
func (h *handle) acquire() (File, error) {
	for {
		n := h.refs.Load()
		if n < refsIdle {
			break
		}
		if h.refs.CompareAndSwap(n, n+1) {
			if !h.used.Load() {
				h.used.Store(true)
			}
			return h.file, nil
		}
	}
	return h.acquireClosed()
}

func (h *handle) acquireClosed() (File, error) {
	h.opening.Lock()
	defer h.opening.Unlock()
	for {
		n := h.refs.Load()
		switch {
		case n == refsClosing:
			runtime.Gosched()
		case n >= refsIdle:
			if h.refs.CompareAndSwap(n, n+1) {
				h.used.Store(true)
				return h.file, nil
			}
		case h.doomed.Load():
			return nil, errGone
		default:
			f, err := h.fs.Open(h.owner.path(), os.O_RDWR)
			if err != nil {
				if h.doomed.Load() {
					return nil, errGone
				}
				return nil, err
			}
			h.file = f
			h.used.Store(true)
			h.refs.Store(refsIdle + 1)
			h.files.add(h)
			return f, nil
		}
	}
}

// release gives back what acquire returned.
func (h *handle) release() {
	if h.refs.Add(-1) == refsIdle && h.doomed.Load() {
		h.closeIfIdle()
	}
}

// doom closes the file as soon as nobody uses it, for ever.
func (h *handle) doom() {
	h.doomed.Store(true)
	h.closeIfIdle()
}

func (h *handle) closeIfIdle() {
	// The ring's lock keeps the clock and this from taking the same handle out twice, and orders it after add.
	h.files.mu.Lock()
	ok := h.next != nil && h.refs.CompareAndSwap(refsIdle, refsClosing)
	if ok {
		h.files.unlink(h)
	}
	h.files.mu.Unlock()
	if ok {
		h.finishClose()
	}
}

// finishClose ends what a CompareAndSwap to refsClosing began. An error of close tells of writes that failed: those are
// reported by the next fsync, which is the only place where they matter.
func (h *handle) finishClose() {
	f := h.file
	h.file = nil
	h.refs.Store(refsClosed)
	_ = f.Close()
	h.owner.fileClosed()
}
