package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/replica"
	"github.com/millrun/millrun/core/server"
)

// Versions of Produce that change something here: v5 log start offset, v7 zstd, v8 record errors and message, v9 flexible,
// v10 current leader, v13 topic ids. Versions 0-2 are advertised and refused.

// produceRequest is one request on its way: what was asked, and the answers as they become known. It is reused.
type produceRequest struct {
	acks    int16
	timeout time.Duration
	topics  []producedTopic
	parts   []producedPart // of all topics, in order
	waiting bool           // some part is not acknowledged yet
	failed  bool           // some part has an error

	endpoints []endpoint
}

type producedTopic struct {
	name  []byte // view of the request
	id    meta.TopicID
	parts int // how many of parts are this topic's
}

type producedPart struct {
	index    int32
	code     int16
	appended replica.Appended
	errs     []recordError
	message  *string
	leader   currentLeader      // who leads instead, with codeNotLeaderOrFollower
	replica  *replica.Partition // set while its acknowledgement is waited for
}

type recordError struct {
	index   int32
	message *string
}

// maxProduceWait bounds how long a producer may let its request wait for replicas.
const maxProduceWait = 5 * time.Minute

// produce appends each partition's batch in the order of the request, on the read loop: this is what fixes the order of a
// connection's batches. Only acknowledgements that are not there at once (replicas, fsync) are waited for later.
func (h *Handler) produce(_ context.Context, r *server.Request) server.Pending {
	q, _ := h.produces.Get().(*produceRequest)
	if q == nil {
		q = new(produceRequest)
	}
	h.appendAll(r, q)
	if q.acks == 0 {
		failed := q.failed
		h.putProduce(q)
		return server.Ready(server.Response{Close: failed})
	}
	if !q.waiting {
		return server.Ready(h.finishProduce(r, q))
	}
	deadline := time.Now().Add(q.timeout)
	return server.Pending{Wait: func(ctx context.Context) server.Response {
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		h.awaitAcks(ctx, q)
		return h.finishProduce(r, q)
	}}
}

// appendAll walks the request, which has passed its shape, and appends what it carries.
func (h *Handler) appendAll(r *server.Request, q *produceRequest) {
	w := walk{b: r.Body, version: r.Version, flexible: r.Flexible, maxTags: checkedTags}
	w.text() // the transactional id: that a batch is transactional is what counts
	q.acks = w.int16()
	q.timeout = min(max(time.Duration(w.int32()), 0)*time.Millisecond, maxProduceWait)
	for range w.count() {
		var t producedTopic
		at := place{}
		if r.Version >= 13 {
			t.id = w.topicID()
			at.id = t.id
		} else {
			t.name = w.text()
			at.topic = string(t.name)
		}
		t.parts = w.count()
		for range t.parts {
			at.partition = w.int32()
			q.parts = append(q.parts, h.appendPart(r, q.acks, at, w.bytes()))
			p := &q.parts[len(q.parts)-1]
			q.waiting = q.waiting || p.replica != nil
			q.failed = q.failed || p.code != codeNone
			w.end()
		}
		w.end()
		q.topics = append(q.topics, t)
	}
}

// appendPart appends one partition's records, which are stored as they came: the batch is a slice of the request.
func (h *Handler) appendPart(r *server.Request, acks int16, at place, records []byte) producedPart {
	out := producedPart{index: at.partition, appended: replica.Appended{Base: -1, LogAppendTime: -1, LogStart: -1}}
	if acks < -1 || acks > 1 {
		out.code = codeInvalidRequiredAcks
		return out
	}
	p, code := h.locate(at)
	if code != codeNone {
		return h.misplaced(out, at, code)
	}
	if h.isInternal(p.Topic()) {
		return out.fail(codeInvalidTopic, "The topic is internal: clients may not write to it.")
	}
	b, code, why := soleBatch(records, r.Version)
	if code != codeNone {
		return out.fail(code, why)
	}
	done, err := p.Append(b, replica.AppendOptions{Acks: acks, Origin: replica.FromClient})
	if err != nil {
		return h.refused(out, at, err)
	}
	h.traffic.produced.Add(uint64(len(b)))
	out.appended = done
	if acks != 0 && !p.AckedNow(done.Last, acks) {
		out.replica = p
	}
	return out
}

// soleBatch returns the batch that records consist of. A request carries exactly one, of format 2, for each partition.
func soleBatch(records []byte, version int16) (record.Batch, int16, string) {
	if len(records) == 0 {
		return nil, codeInvalidRecord, "There is no record batch."
	}
	b, rest, err := record.Next(records)
	switch {
	case errors.Is(err, record.ErrMagic):
		return nil, codeInvalidRecord, "Only record batches of format 2 are taken."
	case err != nil:
		return nil, codeCorruptMessage, err.Error()
	case len(rest) > 0:
		return nil, codeInvalidRecord, "There is more than one record batch for the partition."
	case b.IsTransactional():
		return nil, codeInvalidTxnState, "Transactions are not served."
	case b.Codec() == record.CodecZstd && version < 7:
		return nil, codeUnsupportedCompressionType, "Produce knows zstd from version 7 on."
	}
	return b, codeNone, ""
}

func (out producedPart) fail(code int16, why string) producedPart {
	out.code, out.message = code, &why
	return out
}

// misplaced is the answer for a partition that is not here.
func (h *Handler) misplaced(out producedPart, at place, code int16) producedPart {
	out.code = code
	if code == codeNotLeaderOrFollower {
		out.leader = h.leaderOf(at)
	}
	return out
}

// refused is the answer for a batch that the partition did not take.
func (h *Handler) refused(out producedPart, at place, err error) producedPart {
	out.code, out.message = codeOf(err), messageOf(err)
	var invalid *replica.RecordsError
	if errors.As(err, &invalid) {
		for i := range invalid.Records {
			out.errs = append(out.errs, recordError{invalid.Records[i].Index, &invalid.Records[i].Why})
		}
	}
	switch out.code {
	case codeNotLeaderOrFollower:
		out.leader = h.leaderOf(at)
	case codeUnknownServerError, codeKafkaStorageError:
		h.cfg.Logger.Error("cannot append", "topic", at.topic, "id", at.id, "partition", at.partition, "err", err)
		out.message = nil
	}
	return out
}

// isInternal reports whether a topic is one that only the broker writes to.
func (h *Handler) isInternal(topic string) bool {
	if !strings.HasPrefix(topic, "__") {
		return false
	}
	t, ok := h.cfg.Cluster.Image().Topic(topic)
	return ok && t.Internal
}

// awaitAcks waits until every part is acknowledged, or ctx is done.
func (h *Handler) awaitAcks(ctx context.Context, q *produceRequest) {
	for i := range q.parts {
		p := &q.parts[i]
		if p.replica == nil {
			continue
		}
		if err := p.replica.WaitAcked(ctx, p.appended.Last, q.acks); err != nil {
			if p.code = codeOf(err); p.code == codeUnknownServerError {
				h.cfg.Logger.Error("cannot acknowledge", "topic", p.replica.Topic(), "partition", p.index, "err", err)
			}
			p.appended.Base, p.appended.LogAppendTime, p.appended.LogStart = -1, -1, -1
		}
		p.replica = nil
	}
}

// finishProduce encodes the answers and gives q back.
func (h *Handler) finishProduce(r *server.Request, q *produceRequest) server.Response {
	if r.Version >= 10 && q.failed {
		for i := range q.parts {
			if p := &q.parts[i]; p.code == codeNotLeaderOrFollower {
				q.endpoints = h.addEndpoint(q.endpoints, p.leader.node, r.Conn.ListenerName())
			}
		}
	}
	b := beginResponse(r, 128)
	b.B = q.appendTo(b.B, r.Version, r.Flexible)
	h.putProduce(q)
	return server.Response{Frame: b}
}

func (h *Handler) putProduce(q *produceRequest) {
	clear(q.topics)
	clear(q.parts)
	clear(q.endpoints)
	*q = produceRequest{topics: q.topics[:0], parts: q.parts[:0], endpoints: q.endpoints[:0]}
	if cap(q.parts) <= maxPooledParts {
		h.produces.Put(q)
	}
}

// maxPooledParts bounds what a pooled request may keep.
const maxPooledParts = 256

// appendTo appends the response's body.
func (q *produceRequest) appendTo(dst []byte, version int16, flexible bool) []byte {
	dst = appendCount(dst, len(q.topics), flexible)
	parts := q.parts
	for i := range q.topics {
		t := &q.topics[i]
		if version >= 13 {
			dst = append(dst, t.id[:]...)
		} else {
			dst = appendText(dst, t.name, flexible)
		}
		dst = appendCount(dst, t.parts, flexible)
		for j := range t.parts {
			dst = parts[j].appendTo(dst, version, flexible)
		}
		parts = parts[t.parts:]
		dst = appendNoTags(dst, flexible)
	}
	dst = appendInt32(dst, 0) // throttle time
	if flexible {
		dst = appendEndpoints(dst, q.endpoints)
	}
	return dst
}

func (p *producedPart) appendTo(dst []byte, version int16, flexible bool) []byte {
	dst = appendInt32(dst, p.index)
	dst = appendInt16(dst, p.code)
	dst = appendInt64(dst, int64(p.appended.Base))
	dst = appendInt64(dst, p.appended.LogAppendTime)
	if version >= 5 {
		dst = appendInt64(dst, int64(p.appended.LogStart))
	}
	if version >= 8 {
		dst = appendCount(dst, len(p.errs), flexible)
		for _, e := range p.errs {
			dst = appendInt32(dst, e.index)
			dst = appendNullText(dst, e.message, flexible)
			dst = appendNoTags(dst, flexible)
		}
		dst = appendNullText(dst, p.message, flexible)
	}
	if flexible && version >= 10 && p.code == codeNotLeaderOrFollower {
		return p.leader.appendTo(append(dst, 1), 0)
	}
	return appendNoTags(dst, flexible)
}
