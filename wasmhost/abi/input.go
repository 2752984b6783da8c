package abi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	lenNull = -1 // the field is null
	lenNone = -2 // in a row to the guest: not asked for; in a row from it: the input's

	inputHead  = 24
	outputHead = 32

	// ChunkBytes is how many bytes of input one call gets at most, unless a single
	// record is larger: a batch is cut between records.
	ChunkBytes = 128 << 10

	// NoTimestamp stands for "none" in an input row and for "the input's" in an output row.
	NoTimestamp = -1
)

// ErrInput is returned for bytes that are no input rows.
var ErrInput = errors.New("malformed input rows")

func fieldLen(b []byte) int32 {
	if b == nil {
		return lenNull
	}
	return int32(len(b))
}

// AppendInputRow appends one record as a row with the columns of w, which must not
// hold WantRaw. A nil key or value is null.
func AppendInputRow[H HeaderLike](dst []byte, w Wants, timestamp int64, offsetDelta uint32, key, value []byte, headers []H) []byte {
	le := binary.LittleEndian
	keyLen, valueLen := int32(lenNone), int32(lenNone)
	if w.Has(WantKey) {
		keyLen = fieldLen(key)
	} else {
		key = nil
	}
	if w.Has(WantValue) {
		valueLen = fieldLen(value)
	} else {
		value = nil
	}
	if !w.Has(WantTimestamp) {
		timestamp = NoTimestamp
	}
	start, none := len(dst), int32(lenNone)
	dst = le.AppendUint64(dst, uint64(timestamp))
	dst = le.AppendUint32(dst, uint32(keyLen))
	dst = le.AppendUint32(dst, uint32(valueLen))
	dst = le.AppendUint32(dst, uint32(none))
	dst = le.AppendUint32(dst, offsetDelta)
	dst = append(dst, key...)
	dst = append(dst, value...)
	if w.Has(WantHeaders) {
		at := len(dst)
		dst = appendHeaders(dst, headers)
		le.PutUint32(dst[start+16:], uint32(len(dst)-at))
	}
	return dst
}

// InputRow is one row as a guest sees it. Key, Value and Headers are views.
type InputRow struct {
	Timestamp   int64
	OffsetDelta uint32
	Key, Value  []byte // nil: null, or not asked for
	Headers     Headers
	Has         Wants // which of key, value and headers the row carries
}

// InputReader reads rows as a guest does: for tests, and for guests in Go.
type InputReader struct {
	rest []byte
	row  int
}

// NewInputReader reads the rows of one call.
func NewInputReader(rows []byte) InputReader { return InputReader{rest: rows} }

// Next reads the next row into r; false with a nil error is the end.
func (in *InputReader) Next(r *InputRow) (bool, error) {
	if len(in.rest) == 0 {
		return false, nil
	}
	h, ok := splitRow(in.rest, inputHead)
	if !ok || h.headersLen == lenNull || h.headersLen >= 0 && !checkHeaders(h.headers) {
		return false, fmt.Errorf("%w: row %d", ErrInput, in.row)
	}
	*r = InputRow{
		Timestamp:   h.timestamp,
		OffsetDelta: binary.LittleEndian.Uint32(in.rest[20:]),
		Key:         h.key,
		Value:       h.value,
		Headers:     h.headers,
	}
	if h.keyLen != lenNone {
		r.Has |= WantKey
	}
	if h.valueLen != lenNone {
		r.Has |= WantValue
	}
	if h.headersLen != lenNone {
		r.Has |= WantHeaders
	}
	in.rest = in.rest[h.size:]
	in.row++
	return true, nil
}

// fields is what input and output rows have in common.
type fields struct {
	timestamp                    int64
	keyLen, valueLen, headersLen int32
	key, value                   []byte
	headers                      []byte
	size                         int
}

// splitRow cuts the row at the start of p, whose head has the given size. It
// checks the lengths against p and nothing else.
func splitRow(p []byte, head int) (f fields, ok bool) {
	le := binary.LittleEndian
	if len(p) < head {
		return f, false
	}
	f.timestamp = int64(le.Uint64(p))
	f.keyLen = int32(le.Uint32(p[8:]))
	f.valueLen = int32(le.Uint32(p[12:]))
	f.headersLen = int32(le.Uint32(p[16:]))
	if f.keyLen < lenNone || f.valueLen < lenNone || f.headersLen < lenNone {
		return f, false
	}
	// Three lengths below 2^31 and a head cannot overflow 64 bits.
	size := int64(head) + int64(max(f.keyLen, 0)) + int64(max(f.valueLen, 0)) + int64(max(f.headersLen, 0))
	if size > int64(len(p)) {
		return f, false
	}
	f.size = int(size)
	at := head
	f.key, at = cut(p, at, f.keyLen)
	f.value, at = cut(p, at, f.valueLen)
	f.headers, _ = cut(p, at, f.headersLen)
	return f, true
}

// cut returns n bytes of p from at (nil if n is negative) and where they end.
func cut(p []byte, at int, n int32) ([]byte, int) {
	if n < 0 {
		return nil, at
	}
	end := at + int(n)
	return p[at:end:end], end
}
