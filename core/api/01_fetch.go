package api

import (
	"context"
	"time"

	"github.com/millrun/millrun/core/replica"
	"github.com/millrun/millrun/core/server"
)

// Versions of Fetch that change something here: v5 log start offset, v7 sessions, v9 leader epochs, v10 zstd, v11 racks, v12
// flexible and diverging epochs, v13 topic ids, v15 the replica's id in a tag, v16 current leaders.

// fetchRequest is one request on its way.
type fetchRequest struct {
	replica      int32
	maxWait      time.Duration
	minBytes     int
	maxBytes     int
	committed    bool
	sessionID    int32
	sessionEpoch int32
	parts        []fetchPart
	forgotten    []place
	session      *fetchSession // nil without one
	full         bool          // the request begins its session
	expected     int32         // the session's epoch while this request is the last
	results      []fetchResult // of parts, by index
	read         int           // bytes of records in results
	urgent       bool          // some result must not wait
	served       int           // partitions that are here, and so can be waited for
	held         []*server.Buffer
	heldBytes    int64
	replicas     []*replica.Partition // of parts, nil where there is none here
	sizes        []int64              // of replicas, when they were read
	form         fetchForm
}

const (
	// minPatience is how long a fetch waits for memory at least, so that one that does not wait for data gets some in the end.
	minPatience = time.Second
	// maxPartRead bounds what is read from one partition for one response.
	maxPartRead = 4 << 20
	// copyBelow is up to which size records are copied into the response instead of being written from where they were read.
	copyBelow = 16 << 10
	// minRoom is the room left in a buffer below which the next partition is read into a fresh one.
	minRoom = 256 << 10
)

// fetch answers at once if there is enough, on the read loop; otherwise it waits in its place for the partitions to move.
func (h *Handler) fetch(ctx context.Context, r *server.Request) server.Pending {
	q := &fetchRequest{form: fetchForm{version: r.Version, flexible: r.Flexible}}
	q.decode(r.Body, r.Version, r.Flexible)
	q.form.committed = q.committed
	q.maxWait = min(q.maxWait, h.fetchMaxWait)
	q.maxBytes = min(max(q.maxBytes, 0), h.fetchMaxBytes)
	if q.replica >= 0 {
		return server.Ready(h.refuseFetch(r, q, codeClusterAuthorizationFailed))
	}
	if code := h.sessions.begin(q, r.Version >= 13); code != codeNone {
		return server.Ready(h.refuseFetch(r, q, code))
	}
	h.findReplicas(q)
	deadline := h.cfg.Now().Add(q.maxWait)
	if !r.Conn.Busy() {
		if h.readAll(nil, r, q) && (q.maxWait == 0 || q.done()) {
			return server.Ready(h.finishFetch(r, q))
		}
		h.discard(r, q)
	}
	return server.Pending{Wait: func(ctx context.Context) server.Response { return h.poll(ctx, r, q, deadline) }}
}

// done reports whether the response need not wait any longer.
func (q *fetchRequest) done() bool { return q.urgent || q.served == 0 || q.read >= q.minBytes }

// findReplicas looks up every part.
func (h *Handler) findReplicas(q *fetchRequest) {
	q.replicas = make([]*replica.Partition, len(q.parts))
	q.results = make([]fetchResult, len(q.parts))
	for i := range q.parts {
		p, code := h.locate(q.parts[i].at)
		if code == codeNone && q.form.version < 10 && h.storesZstd(p.Topic()) {
			p, code = nil, codeUnsupportedCompressionType
		}
		q.replicas[i] = p
		q.results[i] = failedFetch(code)
		switch code {
		case codeNone:
			q.served++
		case codeNotLeaderOrFollower:
			q.results[i].leader = h.leaderOf(q.parts[i].at)
			q.urgent = true
		}
	}
}

// storesZstd reports whether a topic's batches are all recompressed with zstd, which fetches before version 10 do not know.
func (h *Handler) storesZstd(topic string) bool {
	t, ok := h.cfg.Cluster.Image().Topic(topic)
	return ok && t.Configs["compression.type"] == "zstd"
}

func failedFetch(code int16) fetchResult {
	return fetchResult{code: code, highWatermark: -1, lastStable: -1, logStart: -1}
}

// readAll reads what there is for every part, in order, as far as the request's and the broker's limits go. The first records
// found come with at least one whole batch, however large. It waits for memory until ctx is done; without a context it does not,
// and returns false if that would be needed.
func (h *Handler) readAll(ctx context.Context, r *server.Request, q *fetchRequest) bool {
	q.read = 0
	left := q.maxBytes
	short := false // of memory: the other parts get no records this time
	for i, p := range q.replicas {
		if p == nil {
			continue
		}
		query := replica.ReadQuery{
			From:               q.parts[i].from,
			Committed:          q.committed,
			CurrentLeaderEpoch: q.parts[i].epoch,
			LastFetchedEpoch:   q.parts[i].lastEpoch,
		}
		var into *server.Buffer
		if !short && hasRecords(p, &query) {
			query.MinOne = q.read == 0
			query.MaxBytes = min(max(int(q.parts[i].maxBytes), 0), left, maxPartRead, int(p.Size()))
			if into = h.room(ctx, r, q, query.MaxBytes); into == nil {
				if ctx == nil && q.read == 0 {
					return false
				}
				short, query.MinOne, query.MaxBytes = true, false, 0
			}
		}
		h.readPart(q, i, into, query)
		left = max(left-len(q.results[i].records), 0)
	}
	return true
}

// hasRecords reports whether there is anything to read, so that a consumer at the end takes no memory.
func hasRecords(p *replica.Partition, query *replica.ReadQuery) bool {
	_, highWatermark, lastStable, _ := p.Offsets()
	if query.Committed {
		return query.From < lastStable
	}
	return query.From < highWatermark
}

// room returns a buffer with room for records, taken from what the broker may hold for fetches; nil if there is none left.
func (h *Handler) room(ctx context.Context, r *server.Request, q *fetchRequest, want int) *server.Buffer {
	if n := len(q.held); n > 0 {
		if b := q.held[n-1]; cap(b.B)-len(b.B) >= min(want, minRoom) {
			return b
		}
	}
	want = max(want, 1<<10)
	if q.read > 0 {
		ctx = nil // what holds memory does not wait for more
	}
	if !h.memory.take(ctx, int64(want)) {
		return nil
	}
	q.heldBytes += int64(want)
	b := r.Conn.Buffer(want)
	q.held = append(q.held, b)
	return b
}

// readPart reads one part behind what the buffer holds.
func (h *Handler) readPart(q *fetchRequest, i int, into *server.Buffer, query replica.ReadQuery) {
	var dst []byte
	if into != nil {
		dst = into.B[len(into.B):]
	}
	res, err := q.replicas[i].ReadInto(dst, query)
	if err != nil {
		h.failPart(q, i, err)
		return
	}
	n := len(res.Records)
	if into != nil && n <= cap(dst) { // else the partition allocated: one batch larger than the room
		into.B = into.B[:len(into.B)+n]
	}
	q.results[i] = fetchResult{
		highWatermark: res.HighWatermark, lastStable: res.LastStable, logStart: res.LogStart,
		records: res.Records, aborted: res.Aborted, diverging: res.Diverging,
	}
	q.urgent = q.urgent || res.Diverging != nil
	q.read += n
}

func (h *Handler) failPart(q *fetchRequest, i int, err error) {
	at := q.parts[i].at
	f := failedFetch(codeOf(err))
	switch f.code {
	case codeNotLeaderOrFollower, codeFencedLeaderEpoch:
		f.leader = h.leaderOf(at)
	case codeUnknownServerError, codeKafkaStorageError:
		h.cfg.Logger.Error("cannot read", "topic", at.topic, "id", at.id, "partition", at.partition, "err", err)
	}
	q.results[i] = f
	q.urgent = true
}

// discard gives back what readAll found.
func (h *Handler) discard(r *server.Request, q *fetchRequest) {
	for _, b := range q.held {
		r.Conn.Release(b)
	}
	q.held = nil
	h.memory.release(q.heldBytes)
	q.heldBytes = 0
	for i := range q.results {
		q.results[i].records = nil
	}
}

// poll waits until there is enough, the time is over or ctx is done, and answers with what there is then.
func (h *Handler) poll(ctx context.Context, r *server.Request, q *fetchRequest, deadline time.Time) server.Response {
	w := replica.NewWatcher()
	q.watch(w)
	defer q.unwatch(w)
	wait := deadline.Sub(h.cfg.Now())
	timer := time.NewTimer(wait)
	defer timer.Stop()
	patience, cancel := context.WithTimeout(ctx, max(wait, minPatience))
	defer cancel()
	for over := false; ; {
		q.measure()
		h.readAll(patience, r, q)
		if over || q.done() {
			return h.finishFetch(r, q)
		}
		h.discard(r, q)
		if over = !q.await(ctx, w, timer.C); over && ctx.Err() != nil {
			return server.Response{Close: true}
		}
	}
}

func (q *fetchRequest) watch(w *replica.Watcher) {
	for _, p := range q.replicas {
		if p != nil {
			p.Watch(w)
		}
	}
}

func (q *fetchRequest) unwatch(w *replica.Watcher) {
	for _, p := range q.replicas {
		if p != nil {
			p.Unwatch(w)
		}
	}
}

// measure notes how large the partitions are.
func (q *fetchRequest) measure() {
	q.sizes = q.sizes[:0]
	for _, p := range q.replicas {
		n := int64(0)
		if p != nil {
			n = p.Size()
		}
		q.sizes = append(q.sizes, n)
	}
}

// await waits until reading again is worth while, and returns false when the time is over. While only little is appended at a
// time it counts the growth instead of reading the same records over and over.
func (q *fetchRequest) await(ctx context.Context, w *replica.Watcher, over <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-over:
			return false
		case <-w.C():
		}
		grown := int64(0)
		for i, p := range q.replicas {
			if p != nil {
				grown += p.Size() - q.sizes[i]
			}
		}
		if grown <= 0 || int64(q.read)+grown >= int64(q.minBytes) {
			return true
		}
	}
}

// finishFetch encodes the response: what stands between the records goes to buffers of its own, the records are written from
// where they were read, unless they are so few that copying is cheaper.
func (h *Handler) finishFetch(r *server.Request, q *fetchRequest) server.Response {
	session := int32(0)
	if q.session != nil {
		if !q.session.settle(q) {
			h.discard(r, q)
			return h.refuseFetch(r, q, codeInvalidFetchSessionEpoch)
		}
		session = q.session.id
	}
	h.traffic.fetched.Add(uint64(q.read))
	out := fetchWriter{q: q, buf: beginResponse(r, 256+64*len(q.parts)+min(q.read, copyBelow))}
	out.response.Frame = out.buf
	out.buf.B = appendFetchHead(out.buf.B, r.Version, codeNone, session)
	out.buf.B = appendCount(out.buf.B, countTopics(q.parts), r.Flexible)
	for i := 0; i < len(q.parts); {
		n := sameTopic(q.parts[i:])
		out.topic(r.Conn, i, n)
		i += n
	}
	if r.Flexible {
		out.buf.B = appendEndpoints(out.buf.B, h.leaders(r, q))
	}
	return out.finish(h.memory)
}

// leaders returns the addresses of the brokers that the results name.
func (h *Handler) leaders(r *server.Request, q *fetchRequest) []endpoint {
	var list []endpoint
	for i := range q.results {
		if f := &q.results[i]; f.tellsLeader(r.Version) {
			list = h.addEndpoint(list, f.leader.node, r.Conn.ListenerName())
		}
	}
	return list
}

// refuseFetch answers a whole request with one code: before version 7, which has no place for it, for each part.
func (h *Handler) refuseFetch(r *server.Request, q *fetchRequest, code int16) server.Response {
	if r.Version < 7 {
		q.results = make([]fetchResult, len(q.parts))
		for i := range q.results {
			q.results[i] = failedFetch(code)
		}
		q.session = nil
		return h.finishFetch(r, q)
	}
	b := beginResponse(r, 64)
	b.B = appendFetchHead(b.B, r.Version, code, 0)
	b.B = appendCount(b.B, 0, r.Flexible)
	b.B = appendNoTags(b.B, r.Flexible)
	return server.Response{Frame: b}
}

// sameTopic returns how many of the first parts are of one topic: they are written as one.
func sameTopic(parts []fetchPart) int {
	n := 1
	for n < len(parts) && parts[n].at.topic == parts[0].at.topic && parts[n].at.id == parts[0].at.id {
		n++
	}
	return n
}

func countTopics(parts []fetchPart) int {
	n := 0
	for i := 0; i < len(parts); n++ {
		i += sameTopic(parts[i:])
	}
	return n
}
