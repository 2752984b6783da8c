package millrun

import "github.com/millrun/millrun/plugins/sdk/go/internal/le"

// Wants says which columns of its records a module is given. Ask for few: what is
// not asked for is not copied. The zero value asks for all.
type Wants uint32

// The columns. Raw is for filters with a Batch function, and alone: the records as
// they stand in a batch, nothing copied (spec/wasm-abi.md, section 4).
const (
	Raw       Wants = 1
	Key       Wants = 2
	Value     Wants = 4
	Headers   Wants = 8
	Timestamp Wants = 16
	All             = Key | Value | Headers | Timestamp
)

// Record is one record, as far as it was asked for. Its bytes belong to the batch:
// they must not be changed, nor kept when the function that got them returns.
type Record struct {
	Timestamp   int64  // ms; -1 if not asked for
	OffsetDelta uint32 // its offset is Current().BaseOffset + OffsetDelta
	Key, Value  []byte // nil: null, or not asked for

	headers []byte // u32 count, then the headers; nil if not asked for
}

// Header is one header of a record. A nil value is null.
type Header struct {
	Key   string
	Value []byte
}

// NumHeaders is the number of headers.
func (r *Record) NumHeaders() int {
	if len(r.headers) < 4 {
		return 0
	}
	return int(le.Uint32(r.headers))
}

// EachHeader calls yield with key and value (nil: null) of each header, until it
// returns false: for k, v := range r.EachHeader.
func (r *Record) EachHeader(yield func(key, value []byte) bool) {
	n := r.NumHeaders()
	if n == 0 {
		return
	}
	for p := r.headers[4:]; n > 0; n-- {
		size := int(le.Uint32(p))
		key := p[4 : 4+size : 4+size]
		p = p[4+size:]
		size = int(int32(le.Uint32(p)))
		p = p[4:]
		var value []byte
		if size >= 0 {
			value = p[:size:size]
			p = p[size:]
		}
		if !yield(key, value) {
			return
		}
	}
}

// Header finds the value of the last header with that key.
func (r *Record) Header(key string) (value []byte, ok bool) {
	for k, v := range r.EachHeader {
		if string(k) == key {
			value, ok = v, true
		}
	}
	return value, ok
}

// RawHeaders is the headers as they stand in a row, for those who pass them on.
func (r *Record) RawHeaders() []byte { return r.headers }

// Rows reads the records of one call: what filter and transform are made of, for
// those who want a whole batch at once. The host has checked its own rows; these
// are read without looking twice.
type Rows struct{ rest []byte }

// NewRows reads what millrun_filter or millrun_transform was given.
func NewRows(in []byte) Rows { return Rows{in} }

// Next reads the next record into r; false is the end.
func (rows *Rows) Next(r *Record) bool {
	p := rows.rest
	if len(p) < rowHead {
		return false
	}
	r.Timestamp = int64(le.Uint64(p))
	keyLen, valueLen, headersLen := int(int32(le.Uint32(p[8:]))), int(int32(le.Uint32(p[12:]))), int(int32(le.Uint32(p[16:])))
	r.OffsetDelta = le.Uint32(p[20:])
	p = p[rowHead:]
	r.Key, r.Value, r.headers = nil, nil, nil
	if keyLen >= 0 {
		r.Key, p = p[:keyLen:keyLen], p[keyLen:]
	}
	if valueLen >= 0 {
		r.Value, p = p[:valueLen:valueLen], p[valueLen:]
	}
	if headersLen >= 0 {
		r.headers, p = p[:headersLen:headersLen], p[headersLen:]
	}
	rows.rest = p
	return true
}

const rowHead = 24
