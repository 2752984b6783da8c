package wasmhost

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/millrun/millrun/wasmhost/abi"
)

// Record is one record for Try, with nil for a null key or value.
type Record struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []abi.Header
}

// Output is one record that a module made.
type Output struct {
	Record
	Output    int   // index among the declared outputs
	Partition int32 // that the module picked, or -1
	Source    int   // index of the record it was made of
}

// RecordError says which record a module failed on.
type RecordError struct {
	Index int
	Err   error
}

func (e *RecordError) Error() string { return fmt.Sprintf("record %d: %v", e.Index+1, e.Err) }

// Unwrap gives the module's failure.
func (e *RecordError) Unwrap() error { return e.Err }

// Try runs the module over records of one partition, whose offsets must rise, as
// the broker does: in chunks of the same size, and again record by record when a
// chunk fails. It needs no broker; the same records give the same result, every
// time. An error about a record is a *RecordError, with the outputs of those before.
func (p *Program) Try(ctx context.Context, topic string, partition int32, records []Record, log abi.LogFunc) ([]Output, error) {
	t := trial{program: p, log: log, topic: topic, partition: partition}
	defer t.stop(ctx)
	var out []Output
	for first := 0; first < len(records); {
		chunk := t.encode(records[first:])
		made, err := t.run(ctx, records[first:first+chunk], first)
		for alone := 0; err != nil && alone < chunk; alone++ {
			t.encode(records[first+alone : first+alone+1])
			one, failed := t.run(ctx, records[first+alone:first+alone+1], first+alone)
			if failed != nil {
				return append(out, made...), &RecordError{first + alone, failed}
			}
			if made = append(made, one...); alone == chunk-1 {
				err = nil // together they fail, alone they do not: so it is in the broker
			}
		}
		out = append(out, made...)
		first += chunk
	}
	return out, nil
}

// trial is one Try: the instance, and the encoded chunk.
type trial struct {
	program   *Program
	log       abi.LogFunc
	topic     string
	partition int32
	instance  *Instance
	in, raw   []byte
}

func (t *trial) stop(ctx context.Context) {
	if t.instance != nil {
		_ = t.instance.Close(ctx)
		t.instance = nil
	}
}

// encode makes a chunk of the first records and says how many went in: at least one.
func (t *trial) encode(records []Record) int {
	t.in = t.in[:0]
	size := 0 // in the batch: what chunks are measured by, whatever the module wants
	for n := range records {
		r, delta := &records[n], records[n].Offset-records[0].Offset
		t.raw = appendRaw(t.raw[:0], r, delta, r.Timestamp-records[0].Timestamp)
		if size += len(t.raw); n > 0 && size > abi.ChunkBytes {
			return n
		}
		if t.program.wants.Raw() {
			t.in = append(t.in, t.raw...)
		} else {
			t.in = abi.AppendInputRow(t.in, t.program.wants, r.Timestamp, uint32(delta), r.Key, r.Value, r.Headers)
		}
	}
	return len(records)
}

// appendRaw appends a record as it stands in a v2 batch.
func appendRaw(dst []byte, r *Record, offsetDelta, timestampDelta int64) []byte {
	body := append([]byte(nil), 0) // attributes
	body = binary.AppendVarint(body, timestampDelta)
	body = binary.AppendVarint(body, offsetDelta)
	body = appendBytes(body, r.Key)
	body = appendBytes(body, r.Value)
	body = binary.AppendVarint(body, int64(len(r.Headers)))
	for _, h := range r.Headers {
		body = append(binary.AppendVarint(body, int64(len(h.Key))), h.Key...)
		body = appendBytes(body, h.Value)
	}
	return append(binary.AppendVarint(dst, int64(len(body))), body...)
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

// run gives the chunk to the module. A failed instance is replaced by a new one.
func (t *trial) run(ctx context.Context, records []Record, first int) (out []Output, err error) {
	if t.instance == nil {
		if t.instance, err = t.program.Instance(ctx, t.log); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			t.stop(ctx)
		}
	}()
	call := abi.Call{Topic: t.topic, Partition: t.partition, BaseOffset: records[0].Offset, BaseTimestamp: records[0].Timestamp}
	if t.program.Filter() {
		bitmap, err := t.instance.Filter(ctx, call, t.in, len(records))
		for n := range records {
			if err == nil && abi.Passes(bitmap, n) {
				out = append(out, Output{records[n], 0, -1, first + n})
			}
		}
		return out, err
	}
	rows, err := t.instance.Transform(ctx, call, t.in, len(records))
	if err != nil {
		return nil, err
	}
	return t.outputs(rows, records, first)
}

// outputs reads rows and fills in what they copy.
func (t *trial) outputs(rows []byte, records []Record, first int) ([]Output, error) {
	var (
		out    []Output
		row    abi.OutputRow
		reader = abi.NewOutputReader(rows, len(records), t.program.outputs)
	)
	for {
		ok, err := reader.Next(&row)
		if err != nil {
			return nil, &Error{Kind: BadOutput, Module: t.program.name, Func: abi.ExportTransform, Reason: err.Error()}
		}
		if !ok {
			return out, nil
		}
		o := Output{records[row.Source], int(row.Output), row.Partition, first + int(row.Source)}
		if row.Timestamp != abi.NoTimestamp {
			o.Timestamp = row.Timestamp
		}
		if !row.CopyKey {
			o.Key = clone(row.Key)
		}
		if !row.CopyValue {
			o.Value = clone(row.Value)
		}
		if !row.CopyHeaders {
			o.Headers = nil
			for k, v := range row.Headers.All {
				o.Headers = append(o.Headers, abi.Header{Key: string(k), Value: clone(v)})
			}
		}
		out = append(out, o)
	}
}

// clone keeps nil apart from empty.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}
