package abi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxRowsPerRecord bounds how many rows a transform may make of one record.
const MaxRowsPerRecord = 10_000

const flagPartition = 1

// ErrBadOutput is wrapped by every error about rows that a guest returned.
var ErrBadOutput = errors.New("bad output")

// OutputCap is how many bytes a call may return that was given in bytes. The
// caller of a transform must hold the *expanded* rows to it as well: a row of 32
// bytes may stand for a copy of its whole input record.
func OutputCap(in int) int { return 4*in + 1<<20 }

// OutputRow is one row that a transform returned. Key, Value and Headers are views.
type OutputRow struct {
	Timestamp  int64  // NoTimestamp: the input's
	Source     uint32 // index of the input row in the call
	Output     uint16 // index among the declared outputs
	Partition  int32  // -1 unless the guest chose one; whether the topic has it is the caller's check
	Key, Value []byte // nil: null, or a copy
	Headers    Headers

	CopyKey, CopyValue, CopyHeaders bool // take the input's
}

// OutputReader reads what a transform returned and trusts none of it: lengths,
// indexes, flags and the order of sources are checked.
type OutputReader struct {
	rest       []byte
	n, outputs int
	row        int
	source     uint32
	ofSource   int
}

// NewOutputReader reads the rows of a call that was given n records, by a
// deployment with that many outputs.
func NewOutputReader(rows []byte, n, outputs int) OutputReader {
	return OutputReader{rest: rows, n: n, outputs: outputs}
}

// Next reads the next row into r; false with a nil error is the end. After an
// error, which wraps ErrBadOutput and names the row, the reader is of no more use.
func (o *OutputReader) Next(r *OutputRow) (bool, error) {
	if len(o.rest) == 0 {
		return false, nil
	}
	if len(o.rest) < outputHead {
		return false, o.bad("%d bytes are left, a row has at least %d", len(o.rest), outputHead)
	}
	f, ok := splitRow(o.rest, outputHead)
	if !ok {
		return false, o.bad("lengths %d, %d, %d do not fit %d bytes", f.keyLen, f.valueLen, f.headersLen, len(o.rest))
	}
	if f.headersLen > 0 && !checkHeaders(f.headers) {
		return false, o.bad("malformed headers")
	}
	if f.timestamp < NoTimestamp {
		return false, o.bad("timestamp %d", f.timestamp)
	}
	le := binary.LittleEndian
	*r = OutputRow{
		Timestamp:   f.timestamp,
		Source:      le.Uint32(o.rest[20:]),
		Output:      le.Uint16(o.rest[24:]),
		Partition:   -1,
		Key:         f.key,
		Value:       f.value,
		Headers:     f.headers,
		CopyKey:     f.keyLen == lenNone,
		CopyValue:   f.valueLen == lenNone,
		CopyHeaders: f.headersLen == lenNone,
	}
	flags := le.Uint16(o.rest[26:])
	if flags&flagPartition != 0 {
		r.Partition = int32(le.Uint32(o.rest[28:]))
		if r.Partition < 0 {
			return false, o.bad("partition %d", r.Partition)
		}
	}
	if err := o.checkIndexes(r, flags); err != nil {
		return false, err
	}
	o.rest = o.rest[f.size:]
	o.row++
	return true, nil
}

func (o *OutputReader) checkIndexes(r *OutputRow, flags uint16) error {
	switch {
	case flags&^flagPartition != 0:
		return o.bad("flags %#x", flags)
	case int64(r.Source) >= int64(o.n):
		return o.bad("source %d of %d records", r.Source, o.n)
	case int(r.Output) >= o.outputs:
		return o.bad("output %d of %d", r.Output, o.outputs)
	case r.Source < o.source:
		return o.bad("source falls from %d to %d", o.source, r.Source)
	}
	if r.Source != o.source {
		o.source, o.ofSource = r.Source, 0
	}
	if o.ofSource++; o.ofSource > MaxRowsPerRecord {
		return o.bad("more than %d rows of record %d", MaxRowsPerRecord, r.Source)
	}
	return nil
}

func (o *OutputReader) bad(format string, args ...any) error {
	return fmt.Errorf("%w: row %d: %s", ErrBadOutput, o.row, fmt.Sprintf(format, args...))
}

// AppendOutputRow appends r as a guest would, with these headers: for tests.
func AppendOutputRow(dst []byte, r *OutputRow, headers []Header) []byte {
	le := binary.LittleEndian
	length := func(b []byte, copied bool) int32 {
		if copied {
			return lenNone
		}
		return fieldLen(b)
	}
	headersLen := length(nil, r.CopyHeaders)
	var block []byte
	if !r.CopyHeaders && len(headers) > 0 {
		block = appendHeaders(nil, headers)
		headersLen = int32(len(block))
	}
	var flags uint16
	partition := int32(0)
	if r.Partition >= 0 {
		flags, partition = flagPartition, r.Partition
	}
	dst = le.AppendUint64(dst, uint64(r.Timestamp))
	dst = le.AppendUint32(dst, uint32(length(r.Key, r.CopyKey)))
	dst = le.AppendUint32(dst, uint32(length(r.Value, r.CopyValue)))
	dst = le.AppendUint32(dst, uint32(headersLen))
	dst = le.AppendUint32(dst, r.Source)
	dst = le.AppendUint16(dst, r.Output)
	dst = le.AppendUint16(dst, flags)
	dst = le.AppendUint32(dst, uint32(partition))
	if !r.CopyKey {
		dst = append(dst, r.Key...)
	}
	if !r.CopyValue {
		dst = append(dst, r.Value...)
	}
	return append(dst, block...)
}
