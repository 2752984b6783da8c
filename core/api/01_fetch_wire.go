package api

import (
	"encoding/binary"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/replica"
	"github.com/millrun/millrun/core/server"
)

// fetchPart is one partition that is asked for, and, in a session, what it was last told.
type fetchPart struct {
	at        place
	epoch     record.LeaderEpoch // what the client takes for the current one; -1 unknown
	lastEpoch record.LeaderEpoch // of the last record that the client has; -1 unknown
	from      record.Offset
	maxBytes  int32

	highWatermark, logStart record.Offset // last told to the session; -1 to tell again
	cached                  *fetchPart    // the session's own copy of this part
}

// decode walks a body that has passed its shape.
func (q *fetchRequest) decode(body []byte, version int16, flexible bool) {
	w := walk{b: body, version: version, flexible: flexible, maxTags: checkedTags}
	q.replica, q.sessionEpoch = -1, -1
	if version <= 14 {
		q.replica = w.int32()
	}
	q.maxWait = time.Duration(max(w.int32(), 0)) * time.Millisecond
	q.minBytes = int(w.int32())
	q.maxBytes = int(w.int32())
	q.committed = w.int8() == 1
	if version >= 7 {
		q.sessionID, q.sessionEpoch = w.int32(), w.int32()
	}
	at := place{}
	for range w.count() {
		at = w.topic(13)
		for range w.count() {
			q.parts = append(q.parts, w.fetchPart(at))
			w.end()
		}
		w.end()
	}
	if version >= 7 {
		for range w.count() {
			at = w.topic(13)
			for range w.count() {
				at.partition = w.int32()
				q.forgotten = append(q.forgotten, at)
			}
			w.end()
		}
	}
	if version >= 11 {
		w.text() // the client's rack: there is no other replica to send it to
	}
	if flexible {
		q.decodeTags(&w)
	}
}

// topic reads a topic's name or, from a version on, its id.
func (w *walk) topic(idsFrom int16) (at place) {
	if w.version >= idsFrom {
		at.id = w.topicID()
	} else {
		at.topic = string(w.text())
	}
	return at
}

func (w *walk) fetchPart(at place) fetchPart {
	p := fetchPart{at: at, epoch: -1, lastEpoch: -1, highWatermark: -1, logStart: -1}
	p.at.partition = w.int32()
	if w.version >= 9 {
		p.epoch = record.LeaderEpoch(w.int32())
	}
	p.from = record.Offset(w.int64())
	if w.version >= 12 {
		p.lastEpoch = record.LeaderEpoch(w.int32())
	}
	if w.version >= 5 {
		w.int64() // a follower's log start
	}
	p.maxBytes = w.int32()
	return p
}

// decodeTags looks for the tagged field by which newer followers give their id.
func (q *fetchRequest) decodeTags(w *walk) {
	const replicaState = 1
	for n := w.uvarint(); n > 0 && !w.failed; n-- {
		tag := w.uvarint()
		value := walk{b: w.take(int(w.uvarint()))}
		if tag == replicaState {
			q.replica = value.int32()
		}
	}
}

// fetchResult is the answer for one part.
type fetchResult struct {
	code                                int16
	highWatermark, lastStable, logStart record.Offset
	records                             []byte
	aborted                             []replica.AbortedTxn
	diverging                           *replica.EpochEnd
	leader                              currentLeader // who leads instead, where the code says so
}

// appendHead appends what stands before the records, with their length.
func (f *fetchResult) appendHead(dst []byte, r *fetchForm, partition int32) []byte {
	dst = appendInt32(dst, partition)
	dst = appendInt16(dst, f.code)
	dst = appendInt64(dst, int64(f.highWatermark))
	dst = appendInt64(dst, int64(f.lastStable))
	if r.version >= 5 {
		dst = appendInt64(dst, int64(f.logStart))
	}
	if r.committed && f.code == codeNone {
		dst = appendCount(dst, len(f.aborted), r.flexible)
		for _, a := range f.aborted {
			dst = appendInt64(dst, int64(a.Producer))
			dst = appendInt64(dst, int64(a.First))
			dst = appendNoTags(dst, r.flexible)
		}
	} else {
		dst = appendCount(dst, -1, r.flexible)
	}
	if r.version >= 11 {
		dst = appendInt32(dst, -1) // no preferred read replica
	}
	return appendLength(dst, len(f.records), 4, r.flexible)
}

// appendTail appends what stands behind the records.
func (f *fetchResult) appendTail(dst []byte, r *fetchForm) []byte {
	if !r.flexible {
		return dst
	}
	led := f.tellsLeader(r.version)
	tags := byte(0)
	if f.diverging != nil {
		tags++
	}
	if led {
		tags++
	}
	dst = append(dst, tags)
	if f.diverging != nil {
		dst = append(dst, 0, 13)
		dst = appendInt32(dst, int32(f.diverging.Epoch))
		dst = appendInt64(dst, int64(f.diverging.End))
		dst = append(dst, 0)
	}
	if led {
		dst = f.leader.appendTo(dst, 1)
	}
	return dst
}

// tellsLeader reports whether the answer says who leads instead.
func (f *fetchResult) tellsLeader(version int16) bool {
	return version >= 16 && (f.code == codeNotLeaderOrFollower || f.code == codeFencedLeaderEpoch)
}

// fetchForm is what decides how a response is written.
type fetchForm struct {
	version   int16
	flexible  bool
	committed bool
}

// appendFetchHead appends the response up to its topics.
func appendFetchHead(dst []byte, version int16, code int16, session int32) []byte {
	dst = appendInt32(dst, 0) // throttle time
	if version >= 7 {
		dst = appendInt16(dst, code)
		dst = binary.BigEndian.AppendUint32(dst, uint32(session))
	}
	return dst
}

// fetchWriter lays a response out in memory: the frame begins with the first metadata, large records follow as they were read,
// and the metadata between them stands in one buffer more.
type fetchWriter struct {
	q        *fetchRequest
	response server.Response
	buf      *server.Buffer // takes the metadata
	start    int            // where in buf the present stretch begins
}

// topic writes n parts from the first, which are all of one topic.
func (o *fetchWriter) topic(conn *server.Conn, first, n int) {
	form := &o.q.form
	at := o.q.parts[first].at
	if form.version >= 13 {
		o.buf.B = append(o.buf.B, at.id[:]...)
	} else {
		o.buf.B = appendText(o.buf.B, at.topic, form.flexible)
	}
	o.buf.B = appendCount(o.buf.B, n, form.flexible)
	for i := first; i < first+n; i++ {
		f := &o.q.results[i]
		o.buf.B = f.appendHead(o.buf.B, form, o.q.parts[i].at.partition)
		o.records(conn, f.records)
		o.buf.B = f.appendTail(o.buf.B, form)
	}
	o.buf.B = appendNoTags(o.buf.B, form.flexible)
}

func (o *fetchWriter) records(conn *server.Conn, b []byte) {
	if len(b) <= copyBelow {
		o.buf.B = append(o.buf.B, b...)
		return
	}
	o.closeStretch()
	o.response.Parts = append(o.response.Parts, b)
	if o.buf == o.response.Frame {
		o.buf = conn.Buffer(256)
		o.response.Held = append(o.response.Held, o.buf)
	}
	o.start = len(o.buf.B)
}

// closeStretch makes a part of the metadata since the last records.
func (o *fetchWriter) closeStretch() {
	if o.buf != o.response.Frame {
		o.response.Parts = append(o.response.Parts, o.buf.B[o.start:len(o.buf.B):len(o.buf.B)])
	}
}

func (o *fetchWriter) finish(m *memory) server.Response {
	o.closeStretch()
	o.response.Held = append(o.response.Held, o.q.held...)
	if n := o.q.heldBytes; n > 0 {
		o.response.Done = func() { m.release(n) }
	}
	return o.response
}
