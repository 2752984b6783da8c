package abi

import (
	"encoding/binary"
	"math"
)

// A record's payload is its part of a v2 batch from the key on, both ways between
// the host and a guest of Redpanda's ABI:
//
//	varint keyLen (-1: null) | key | varint valueLen (-1: null) | value |
//	varint headers, then for each: varint keyLen | key | varint valueLen (-1: null) | value
//
// Varints are zigzag, as Kafka's and as Go's encoding/binary writes them.

// RowHead is what there is to know of an input row before its payload is made.
type RowHead struct {
	Timestamp   int64
	OffsetDelta uint32
	Size        int // bytes of the row
	Payload     int // bytes that AppendPayload appends for it
}

// ReadRowHead reads the first of rows, which must have all columns. It reports
// whether there is one that is well formed to its last byte.
func ReadRowHead(rows []byte) (h RowHead, ok bool) {
	if len(rows) < inputHead {
		return h, false
	}
	le := binary.LittleEndian
	keyLen, valueLen, headersLen := int32(le.Uint32(rows[8:])), int32(le.Uint32(rows[12:])), int32(le.Uint32(rows[16:]))
	if keyLen < lenNull || valueLen < lenNull || headersLen < 4 {
		return h, false
	}
	key, value := int(max(keyLen, 0)), int(max(valueLen, 0))
	headersAt := inputHead + key + value
	size := headersAt + int(headersLen)
	if size > len(rows) {
		return h, false
	}
	payload := varintLen(int64(keyLen)) + key + varintLen(int64(valueLen)) + value + 1
	if headers := rows[headersAt:size]; headersLen > 4 || le.Uint32(headers) != 0 {
		if !checkHeaders(headers) {
			return h, false
		}
		payload += headersSize(headers) - 1
	}
	return RowHead{int64(le.Uint64(rows)), le.Uint32(rows[20:]), size, payload}, true
}

// headersSize is how many bytes headers have in a payload, their count included.
func headersSize(headers Headers) int {
	size := varintLen(int64(headers.Len()))
	for k, v := range headers.All {
		size += varintLen(int64(len(k))) + len(k) + varintLen(int64(fieldLen(v))) + len(v)
	}
	return size
}

// AppendPayload appends key, value and headers of a row that ReadRowHead has read.
func AppendPayload(dst, row []byte) []byte {
	le := binary.LittleEndian
	at := inputHead
	for _, n := range [...]int32{int32(le.Uint32(row[8:])), int32(le.Uint32(row[12:]))} {
		dst = binary.AppendVarint(dst, int64(n))
		if n > 0 {
			dst = append(dst, row[at:at+int(n)]...)
			at += int(n)
		}
	}
	headers := Headers(row[at:])
	if headers.Len() == 0 {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(headers.Len()))
	for k, v := range headers.All {
		dst = append(binary.AppendVarint(dst, int64(len(k))), k...)
		dst = append(binary.AppendVarint(dst, int64(fieldLen(v))), v...)
	}
	return dst
}

func varintLen(n int64) int {
	size := 1
	for u := uint64(n<<1) ^ uint64(n>>63); u >= 0x80; u >>= 7 {
		size++
	}
	return size
}

// AppendPayloadRow appends what a payload says as an output row, with the input's
// timestamp. It reports whether the payload is well formed to its last byte; dst is
// returned as it was if not. A null key of a header is an empty one, as Redpanda
// takes it.
func AppendPayloadRow(dst, payload []byte, source uint32, output uint16) ([]byte, bool) {
	le := binary.LittleEndian
	p := sizedReader{rest: payload, ok: true}
	key, keyLen := p.field()
	value, valueLen := p.field()
	count := p.varint()
	if !p.ok || count < 0 || count > int64(len(p.rest))/2 {
		return dst, false
	}
	start, timestamp := len(dst), int64(NoTimestamp)
	dst = le.AppendUint64(dst, uint64(timestamp))
	dst = le.AppendUint32(dst, uint32(keyLen))
	dst = le.AppendUint32(dst, uint32(valueLen))
	dst = le.AppendUint32(dst, 0) // headersLen
	dst = le.AppendUint32(dst, source)
	dst = le.AppendUint16(dst, output)
	dst = append(dst, 0, 0, 0, 0, 0, 0) // flags and partition: not chosen
	dst = append(dst, key...)
	dst = append(dst, value...)
	if count > 0 {
		at := len(dst)
		dst = le.AppendUint32(dst, uint32(count))
		for ; count > 0; count-- {
			name, _ := p.field()
			dst = append(le.AppendUint32(dst, uint32(len(name))), name...)
			value, valueLen := p.field()
			dst = append(le.AppendUint32(dst, uint32(valueLen)), value...)
		}
		le.PutUint32(dst[start+16:], uint32(len(dst)-at))
	}
	if !p.ok || len(p.rest) > 0 {
		return dst[:start], false
	}
	return dst, true
}

// sizedReader reads varints and what they are the lengths of. It stops at the
// first thing that is wrong.
type sizedReader struct {
	rest []byte
	ok   bool
}

func (r *sizedReader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.rest, r.ok = nil, false
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// field returns the bytes behind a length, and the length: -1 for null.
func (r *sizedReader) field() ([]byte, int32) {
	n := r.varint()
	if !r.ok || n < lenNull || n > int64(len(r.rest)) || n > math.MaxInt32 {
		r.rest, r.ok = nil, false
		return nil, 0
	}
	if n == lenNull {
		return nil, lenNull
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b, int32(n)
}

// OutputTopic reads the options of a write: which topic they name, nil for none.
// It reports whether they are well formed; the last one of several counts.
func OutputTopic(options []byte) (topic []byte, ok bool) {
	const optionTopic = 0x01
	for len(options) > 0 {
		if options[0] != optionTopic {
			return nil, false
		}
		p := sizedReader{rest: options[1:], ok: true}
		name, n := p.field()
		if !p.ok || n < 0 {
			return nil, false
		}
		topic, options = name, p.rest
	}
	return topic, true
}
