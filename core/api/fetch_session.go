package api

import (
	"container/list"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Fetch sessions (KIP-227): a client names its partitions once, and then only what changes; it is answered only with what has
// news. A session is found by its id and checked by its epoch, which counts the requests.

const (
	// maxSessionParts bounds the partitions of one session, maxCachedParts those of all together: a part takes about 200 bytes.
	maxSessionParts = 100_000
	maxCachedParts  = 500_000
	// sessionProtect is how long an unused session is kept from being evicted for a new one.
	sessionProtect = 2 * time.Minute
)

// fetchSessions is the bounded cache of sessions, the least recently used first.
type fetchSessions struct {
	slots   int           // max.incremental.fetch.session.cache.slots
	protect time.Duration // so long an unused session stays
	now     func() time.Time
	mu      sync.Mutex
	byID    map[int32]*fetchSession // guarded by mu, as are the following
	used    list.List               // of *fetchSession
	cached  int                     // partitions of all sessions
}

// fetchSession is one client's view of its partitions.
type fetchSession struct {
	id       int32
	ids      bool // it names topics by their ids
	place    *list.Element
	lastUsed time.Time // guarded by the cache's mu

	mu    sync.Mutex
	epoch int32 // of the next request; guarded by mu, as are the following
	order []*fetchPart
	parts map[place]*fetchPart
}

func newFetchSessions(slots int, protect time.Duration, now func() time.Time) *fetchSessions {
	return &fetchSessions{slots: slots, protect: protect, now: now, byID: make(map[int32]*fetchSession)}
}

const (
	initialEpoch = 0
	finalEpoch   = -1
)

// begin applies the session part of a request: it fills in q.session and, for an incremental request, q.parts with all that
// the session holds. The code is for the whole response.
func (s *fetchSessions) begin(q *fetchRequest, ids bool) int16 {
	if q.sessionEpoch == initialEpoch || q.sessionEpoch == finalEpoch {
		if q.sessionID != 0 {
			s.remove(q.sessionID)
		}
		if q.sessionEpoch == initialEpoch {
			q.session = s.create(q.parts, ids)
			q.full = true
		}
		return codeNone
	}
	session := s.find(q.sessionID)
	if session == nil {
		return codeFetchSessionIDNotFound
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	switch {
	case session.epoch != q.sessionEpoch:
		return codeInvalidFetchSessionEpoch
	case session.ids != ids:
		return codeFetchSessionTopicIDError
	}
	before := len(session.order)
	session.update(q.parts, q.forgotten)
	after := len(session.order)
	if !s.resize(after-before) || after > maxSessionParts || after == 0 {
		s.drop(session, after)
		if after != 0 {
			return codeFetchSessionIDNotFound // too large: the client starts again
		}
		q.parts = q.parts[:0] // without partitions the session ends
		return codeNone
	}
	session.epoch = nextEpoch(session.epoch)
	q.session, q.expected = session, session.epoch
	q.parts = q.parts[:0]
	for _, p := range session.order {
		q.parts = append(q.parts, *p)
		q.parts[len(q.parts)-1].cached = p
	}
	return codeNone
}

// nextEpoch wraps to 1: 0 begins a session.
func nextEpoch(epoch int32) int32 {
	if epoch == math.MaxInt32 {
		return 1
	}
	return epoch + 1
}

// create makes a session of a full request's partitions; nil if there is no room, which a client takes as no session.
func (s *fetchSessions) create(parts []fetchPart, ids bool) *fetchSession {
	if len(parts) == 0 || len(parts) > maxSessionParts {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for len(s.byID) >= s.slots || s.cached+len(parts) > maxCachedParts {
		oldest := s.used.Front()
		if oldest == nil {
			return nil
		}
		idle := oldest.Value.(*fetchSession)
		if now.Sub(idle.lastUsed) < s.protect || !idle.mu.TryLock() {
			return nil
		}
		n := len(idle.order)
		idle.mu.Unlock()
		s.dropLocked(idle, n)
	}
	session := &fetchSession{ids: ids, epoch: 1, parts: make(map[place]*fetchPart, len(parts)), lastUsed: now}
	for session.id == 0 || s.byID[session.id] != nil {
		session.id = rand.Int32N(math.MaxInt32)
	}
	session.update(parts, nil)
	for i := range parts {
		parts[i].cached = session.parts[parts[i].at]
	}
	s.cached += len(session.order)
	s.byID[session.id] = session
	session.place = s.used.PushBack(session)
	return session
}

// find returns a session and counts it as used.
func (s *fetchSessions) find(id int32) *fetchSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.byID[id]
	if session != nil {
		session.lastUsed = s.now()
		s.used.MoveToBack(session.place)
	}
	return session
}

func (s *fetchSessions) remove(id int32) {
	if session := s.find(id); session != nil {
		session.mu.Lock()
		s.drop(session, len(session.order))
		session.mu.Unlock()
	}
}

// resize counts partitions that a session has got or lost, and reports whether there is room for them.
func (s *fetchSessions) resize(by int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cached += by
	return by <= 0 || s.cached <= maxCachedParts
}

func (s *fetchSessions) drop(session *fetchSession, parts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(session, parts)
}

func (s *fetchSessions) dropLocked(session *fetchSession, parts int) {
	if s.byID[session.id] != session {
		return
	}
	delete(s.byID, session.id)
	s.used.Remove(session.place)
	s.cached -= parts
}

// update adds, changes and forgets partitions. The session's mu is held, or nobody else knows it yet.
func (f *fetchSession) update(parts []fetchPart, forgotten []place) {
	for i := range parts {
		p := &parts[i]
		old := f.parts[p.at]
		if old == nil {
			old = new(fetchPart)
			*old = *p
			old.cached = nil
			f.parts[p.at] = old
			f.order = append(f.order, old)
			continue
		}
		old.epoch, old.lastEpoch, old.from, old.maxBytes = p.epoch, p.lastEpoch, p.from, p.maxBytes
	}
	if len(forgotten) == 0 {
		return
	}
	for _, at := range forgotten {
		delete(f.parts, at)
	}
	kept := f.order[:0]
	for _, p := range f.order {
		if f.parts[p.at] == p {
			kept = append(kept, p)
		}
	}
	clear(f.order[len(kept):])
	f.order = kept
}

// settle remembers what the client is told and, for an incremental response, keeps only the parts with news. Partitions that
// had records go to the end of the line, so that the next response begins with the others. It returns false if another request
// has used the session meanwhile.
func (f *fetchSession) settle(q *fetchRequest) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !q.full && f.epoch != q.expected {
		return false
	}
	had := make(map[*fetchPart]bool)
	kept := 0
	for i := range q.parts {
		c, got := q.parts[i].cached, &q.results[i]
		news := q.full || len(got.records) > 0 || got.code != codeNone || got.diverging != nil ||
			got.highWatermark != c.highWatermark || got.logStart != c.logStart
		c.highWatermark, c.logStart = got.highWatermark, got.logStart
		if got.code != codeNone {
			c.highWatermark = -1 // told again next time
		}
		if len(got.records) > 0 {
			had[c] = true
		}
		if news {
			q.parts[kept], q.results[kept] = q.parts[i], q.results[i]
			kept++
		}
	}
	q.parts, q.results = q.parts[:kept], q.results[:kept]
	f.rotate(had)
	return true
}

func (f *fetchSession) rotate(had map[*fetchPart]bool) {
	if len(had) == 0 || len(had) == len(f.order) {
		return
	}
	var last []*fetchPart
	kept := f.order[:0]
	for _, p := range f.order {
		if had[p] {
			last = append(last, p)
		} else {
			kept = append(kept, p)
		}
	}
	f.order = append(kept, last...)
}
