package record

import (
	"fmt"
	"unsafe"
)

// Header is one header of a record. A nil Value is null.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record of a batch. A nil Key or Value is null.
type Record struct {
	Attributes     int8
	OffsetDelta    int32
	TimestampDelta int64
	Key, Value     []byte
	Headers        []Header
	// Raw is the whole record as it stands in the section, its length prefix included.
	Raw []byte
}

// Reader iterates over the records of one uncompressed section. It checks every length against the bytes that are left,
// so that a lying section ends in an error, never in a panic.
type Reader struct {
	section []byte
	at      int
	left    int
	index   int
}

// NewReader reads a section in which the batch's header says that there are n records.
func NewReader(section []byte, n int) Reader {
	return Reader{section: section, left: n}
}

// Next fills rec with the next record. It returns false after the last one, when the section must be used up, else
// ErrInvalid. Everything in rec, the headers' keys too, are views of the section and change with it; rec.Headers is
// overwritten by the next call with the same rec: nothing is allocated once that slice has grown. Clone what must last.
func (r *Reader) Next(rec *Record) (bool, error) {
	if r.left <= 0 {
		if r.at != len(r.section) {
			return false, fmt.Errorf("%w: %d bytes follow the last record", ErrInvalid, len(r.section)-r.at)
		}
		return false, nil
	}
	start := r.at
	body, end := recordBody(r.section, start)
	if end < 0 {
		return false, r.bad("length")
	}
	if what := rec.parse(body); what != "" {
		return false, r.bad(what)
	}
	rec.Raw = r.section[start:end:end]
	r.at = end
	r.left--
	r.index++
	return true, nil
}

// Skip steps over the next record, and checks no more than that it lies in the section.
func (r *Reader) Skip() error {
	size, n := varint32(r.section[r.at:])
	if n == 0 || size <= 0 || int(size) > len(r.section)-r.at-n || r.left <= 0 {
		return r.bad("length")
	}
	r.at += n + int(size)
	r.left--
	r.index++
	return nil
}

// NextStored steps to the next record without looking into it: rest is what stands behind its offset delta, key, value and
// headers, a view of the section, for [Builder.AppendStored]. It checks no more than that the record is there.
func (r *Reader) NextStored() (timestampDelta int64, rest []byte, err error) {
	start := r.at
	if err := r.Skip(); err != nil {
		return 0, nil, err
	}
	rest = r.section[start:r.at:r.at]
	_, n := varint32(rest)
	rest = rest[n+1:] // and the attributes
	timestampDelta, n = varint64(rest)
	if n == 0 {
		return 0, nil, r.bad("timestamp delta")
	}
	rest = rest[n:]
	if _, n = varint32(rest); n == 0 {
		return 0, nil, r.bad("offset delta")
	}
	return timestampDelta, rest[n:], nil
}

func (r *Reader) bad(what string) error {
	return fmt.Errorf("%w: record %d at byte %d: bad %s", ErrInvalid, r.index, r.at, what)
}

// recordBody returns the record that begins at section[at:], without its length, and where it ends; -1 if it does not
// fit.
func recordBody(section []byte, at int) ([]byte, int) {
	size, n := varint32(section[at:])
	if n == 0 || size < 0 || int(size) > len(section)-at-n {
		return nil, -1
	}
	end := at + n + int(size)
	return section[at+n : end : end], end
}

// parse fills rec from a record's body and returns the name of the first field that is wrong.
func (rec *Record) parse(b []byte) string {
	if len(b) == 0 {
		return "attributes"
	}
	rec.Attributes = int8(b[0])
	b = b[1:]
	var n int
	if rec.TimestampDelta, n = varint64(b); n == 0 {
		return "timestamp delta"
	}
	b = b[n:]
	if rec.OffsetDelta, n = varint32(b); n == 0 {
		return "offset delta"
	}
	b = b[n:]
	var ok bool
	if rec.Key, b, ok = nullable(b); !ok {
		return "key"
	}
	if rec.Value, b, ok = nullable(b); !ok {
		return "value"
	}
	return rec.parseHeaders(b)
}

func (rec *Record) parseHeaders(b []byte) string {
	count, n := varint32(b)
	b = b[max(n, 0):]
	// A header takes two bytes at least: a count beyond that is a lie, and must not size anything.
	if n == 0 || count < 0 || int(count) > len(b)/2 {
		return "header count"
	}
	rec.Headers = rec.Headers[:0]
	for range count {
		key, rest, ok := nullable(b)
		if !ok || key == nil {
			return "header key"
		}
		value, rest, ok := nullable(rest)
		if !ok {
			return "header value"
		}
		b = rest
		rec.Headers = append(rec.Headers, Header{Key: viewString(key), Value: value})
	}
	if len(b) != 0 {
		return "length"
	}
	return ""
}

// nullable splits a length-prefixed field off b; length -1 is nil, any other negative one is wrong.
func nullable(b []byte) (field, rest []byte, ok bool) {
	size, n := varint32(b)
	if n == 0 {
		return nil, nil, false
	}
	b = b[n:]
	if size < 0 {
		return nil, b, size == -1
	}
	if int(size) > len(b) {
		return nil, nil, false
	}
	return b[:size:size], b[size:], true
}

// viewString is b as a string without a copy: a header's key would otherwise be an allocation for every record.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
