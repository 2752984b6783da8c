package transform

import (
	"context"
	"fmt"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

// transformBatch gives the records of a batch from the cursor on to a transform, chunk by chunk.
func (p *processor) transformBatch(ctx context.Context, part *partition, b record.Batch, section []byte, call abi.Call) (done bool, err error) {
	p.chunks.reset(b, section, p.wants)
	for first := true; first || !p.paused(); first = false {
		k, err := p.chunks.next(part.cursor, part.alone())
		if err != nil {
			return false, p.damaged(part, b, err)
		}
		if k.n == 0 {
			return true, nil
		}
		rows, err := p.callTransform(ctx, part, call, &k)
		switch {
		case err == nil:
			dropped, err := p.emitRows(part, b, rows, &k)
			if err != nil {
				return false, err
			}
			p.succeeded(part, &k, dropped)
		case !p.passOver(ctx, part, b, &k, err):
			return false, err
		}
		if p.outputs.full() {
			if err := p.appendOutputs(ctx, part); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// callTransform checks the rows, so that they can be used.
func (p *processor) callTransform(ctx context.Context, part *partition, c abi.Call, k *chunk) ([]byte, error) {
	rows, err := p.call(ctx, part, c, k)
	if err != nil {
		return nil, err
	}
	if err := p.checkRows(rows, k); err != nil {
		return nil, p.guestFailed(ctx, k, err)
	}
	return rows, nil
}

// checkRows reads all that the guest returned before any of it is used: bad output has no effect at all. What the rows
// stand for, copies included, is held to the cap too.
func (p *processor) checkRows(rows []byte, k *chunk) error {
	r := abi.NewOutputReader(rows, k.n, len(p.outputTopics))
	limit, size := abi.OutputCap(max(k.bytes, len(k.in))), 0
	var row abi.OutputRow
	for {
		ok, err := r.Next(&row)
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		if n := p.outputCounts[row.Output]; row.Partition >= n {
			return fmt.Errorf("%w: partition %d of topic %s, which has %d", abi.ErrBadOutput, row.Partition, p.outputTopics[row.Output], n)
		}
		if size += expandedSize(&row, &p.chunks.recs[row.Source]); size > limit {
			return fmt.Errorf("%w: the rows stand for more than %d bytes", abi.ErrBadOutput, limit)
		}
	}
}

func expandedSize(row *abi.OutputRow, rec *record.Record) int {
	size := len(row.Key) + len(row.Value) + len(row.Headers)
	if row.CopyKey {
		size += len(rec.Key)
	}
	if row.CopyValue {
		size += len(rec.Value)
	}
	if row.CopyHeaders {
		for _, h := range rec.Headers {
			size += len(h.Key) + len(h.Value)
		}
	}
	return size
}

// emitRows adds checked rows to the outputs and returns how many records had none.
func (p *processor) emitRows(part *partition, b record.Batch, rows []byte, k *chunk) (dropped int, err error) {
	r := abi.NewOutputReader(rows, k.n, len(p.outputTopics))
	dropped = k.n
	var row abi.OutputRow
	for last := -1; ; {
		ok, err := r.Next(&row)
		if err != nil || !ok {
			return dropped, err
		}
		if int(row.Source) != last {
			last = int(row.Source)
			dropped--
		}
		rec := &p.chunks.recs[row.Source]
		p.resolve(b, &row, rec)
		to, err := p.target(int(row.Output), part.tp, row.Key, row.Partition)
		if err != nil {
			return 0, err
		}
		if err := p.outputs.add(to, b.Codec(), row.Timestamp, row.Key, row.Value, p.headers); err != nil {
			return 0, err
		}
	}
}

// resolve puts the input's fields where the row asks for them. The headers go to p.headers.
func (p *processor) resolve(b record.Batch, row *abi.OutputRow, rec *record.Record) {
	if row.Timestamp == abi.NoTimestamp {
		row.Timestamp = timestampOf(b, rec)
	}
	if row.CopyKey {
		row.Key = rec.Key
	}
	if row.CopyValue {
		row.Value = rec.Value
	}
	p.headers = p.headers[:0]
	if row.CopyHeaders {
		p.headers = append(p.headers, rec.Headers...)
		return
	}
	for key, value := range row.Headers.All {
		p.headers = append(p.headers, record.Header{Key: string(key), Value: value})
	}
}
