package transform

import (
	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/internal/le"
)

// Output takes the rows that are made of one record.
type Output struct {
	rows   []byte
	source uint32
	record *millrun.Record
	row    Row
	open   bool // row has not been written yet
}

const (
	rowHead = 32
	copied  = -2
	null    = -1
)

// To begins a row for one of the deployment's outputs, counted from 0. What is not
// set on it is the record's. The row is valid until the next call of To.
func (o *Output) To(output int) *Row {
	o.finish()
	o.open = true
	o.row = Row{output: uint16(output), timestamp: -1, partition: -1, headers: o.row.headers[:0], record: o.record, copyKey: true, copyValue: true, copyHeaders: true}
	return &o.row
}

func (o *Output) reset() {
	o.rows, o.open = o.rows[:0], false
}

// finish writes the row that was begun last.
func (o *Output) finish() {
	if !o.open {
		return
	}
	o.open = false
	r := &o.row
	start := len(o.rows)
	b := append(o.rows, make([]byte, rowHead)...)
	if !r.copyKey {
		b = append(b, r.key...)
	}
	if !r.copyValue {
		b = append(b, r.value...)
	}
	headersAt := len(b)
	if !r.copyHeaders && len(r.headers) > 0 {
		b = append(b, r.headers...)
		le.PutUint32(b[headersAt:], r.count)
	}
	head := b[start:]
	le.PutUint64(head, uint64(r.timestamp))
	le.PutUint32(head[8:], fieldLen(r.key, r.copyKey))
	le.PutUint32(head[12:], fieldLen(r.value, r.copyValue))
	le.PutUint32(head[16:], headersLen(len(b)-headersAt, r.copyHeaders))
	le.PutUint32(head[20:], o.source)
	le.PutUint16(head[24:], r.output)
	if r.partition >= 0 {
		le.PutUint16(head[26:], 1)
		le.PutUint32(head[28:], uint32(r.partition))
	}
	o.rows = b
}

func fieldLen(b []byte, copy bool) uint32 {
	n := int32(len(b))
	switch {
	case copy:
		n = copied
	case b == nil:
		n = null
	}
	return uint32(n)
}

func headersLen(size int, copy bool) uint32 {
	n := int32(size)
	if copy {
		n = copied
	}
	return uint32(n)
}

// Row is one record on its way out. Its setters keep the slices they are given
// until the row is written, at the next To or when Map returns. A nil key or value
// is null.
type Row struct {
	timestamp   int64
	key, value  []byte
	headers     []byte // count, then headers; empty: none
	count       uint32
	output      uint16
	partition   int32
	record      *millrun.Record
	copyKey     bool
	copyValue   bool
	copyHeaders bool
}

// Key sets the key.
func (r *Row) Key(key []byte) *Row {
	r.key, r.copyKey = key, false
	return r
}

// Value sets the value.
func (r *Row) Value(value []byte) *Row {
	r.value, r.copyValue = value, false
	return r
}

// Timestamp sets the time in milliseconds.
func (r *Row) Timestamp(ms int64) *Row {
	r.timestamp = ms
	return r
}

// Partition picks the partition, counted from 0; it must exist.
func (r *Row) Partition(partition int32) *Row {
	r.partition = partition
	return r
}

// NoHeaders drops the record's headers.
func (r *Row) NoHeaders() *Row {
	r.headers, r.count, r.copyHeaders = r.headers[:0], 0, false
	return r
}

// Header adds a header to those of the record, which the module must have asked
// for (millrun.Headers), or to none after NoHeaders.
func (r *Row) Header(key string, value []byte) *Row {
	if r.copyHeaders {
		if r.record.RawHeaders() == nil {
			panic("transform: Header needs millrun.Headers among the module's Wants, or NoHeaders before it")
		}
		r.headers = append(r.headers[:0], r.record.RawHeaders()...)
		r.count, r.copyHeaders = uint32(r.record.NumHeaders()), false
	}
	if len(r.headers) == 0 {
		r.headers = append(r.headers, 0, 0, 0, 0)
	}
	r.headers = le.AppendUint32(r.headers, uint32(len(key)))
	r.headers = append(r.headers, key...)
	r.headers = le.AppendUint32(r.headers, fieldLen(value, false))
	r.headers = append(r.headers, value...)
	r.count++
	return r
}
