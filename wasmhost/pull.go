package wasmhost

import (
	"context"
	"fmt"
	"iter"

	"github.com/tetratelabs/wazero/sys"

	"github.com/millrun/millrun/wasmhost/abi"
)

// pull is what an instance has more whose guest asks for its records itself, as
// Redpanda's do: main registers a callback and never returns. The guest runs on a
// goroutine of its own, which is never awake together with the one that owns the
// instance: Transform wakes it with rows, and goes on when it asks for the next
// batch, so that calls look as those of any transform do from outside. Between calls
// it is parked in read_batch_header.
type pull struct {
	wake func() (struct{}, bool) // runs the guest until it is parked; false: it has ended
	end  func()                  // ends a parked guest
	park func(struct{}) bool     // called by the guest's host function; false: it has to end
	err  error                   // what the runtime said when it ended; nil: it returned

	header  abi.BatchHeader
	largest int    // payload of a record in this call
	rows    []byte // what the guest has not read yet
	left    int    // how many
	source  uint32 // index of the record it has read last, or 0
	active  bool   // there is a batch
	out     []byte // output rows of this call; its memory is kept
	most    int    // bytes of out
}

// keptOutput bounds the memory for output rows that is kept from call to call.
const keptOutput = 4 << 20

// begin runs _start until the guest asks for its first batch.
func (i *Instance) begin(ctx context.Context) error {
	i.run = i.module.ExportedFunction(abi.ExportStart)
	p := &pull{}
	p.wake, p.end = iter.Pull(func(yield func(struct{}) bool) {
		p.park = yield
		p.err = i.run.CallWithStack(&i.context, nil)
	})
	i.pull = p
	return i.resume(ctx, i.pull, true)
}

// resume lets the guest run until it is parked: for as long as a call may take, or a
// step of starting.
func (i *Instance) resume(ctx context.Context, p *pull, starting bool) error {
	limit := i.program.timeout
	if starting {
		limit = startTimeout
	}
	if err := i.grant(ctx, limit, abi.ExportStart, i.run); err != nil {
		return err
	}
	_, parked := p.wake()
	i.allowance.release()
	if parked {
		return nil
	}
	if p.err == nil {
		return i.fault(Exit, abi.ExportStart, "returned, but a transform asks for batches for ever")
	}
	return i.failed(ctx, abi.ExportStart, p.err)
}

// waitForBatch is where the guest is parked. It runs on the guest's goroutine.
func (p *pull) waitForBatch() {
	p.active = false
	if !p.park(struct{}{}) {
		panic(sys.NewExitError(0)) // the instance is closed
	}
}

// pulled is Transform for such a guest: rows as one batch, and what it has written
// when it asks for the next. Records that it has not read are dropped.
func (i *Instance) pulled(ctx context.Context, call abi.Call, in []byte, n int) ([]byte, error) {
	if i.failure != nil {
		return nil, i.failure
	}
	if n == 0 {
		return nil, nil
	}
	i.out.begin()
	i.where, i.call, i.head, i.random = call, &i.where, in[:min(len(in), seedHead)], nil
	i.time.real = call.BaseTimestamp
	p := i.pull
	if err := p.load(call, in, n); err != nil {
		return nil, fmt.Errorf("module %s: %w", i.program.name, err)
	}
	if p.most = i.program.output; p.most == 0 {
		p.most = abi.OutputCap(len(in))
	}
	err := i.resume(ctx, p, false)
	i.head, p.rows = nil, nil
	if err != nil {
		return nil, i.dead(err)
	}
	return p.out, nil
}

// load makes a batch of rows.
func (p *pull) load(call abi.Call, in []byte, n int) error {
	p.rows, p.left, p.source, p.largest, p.active = in, n, 0, 0, true
	if p.out = p.out[:0]; cap(p.out) > keptOutput {
		p.out = nil
	}
	const none = -1 // what the chunk of a batch does not know of it
	h := abi.BatchHeader{
		RecordCount: int32(n), PartitionLeaderEpoch: none, ProducerID: none, ProducerEpoch: none, BaseSequence: none,
	}
	for k := range n {
		row, ok := abi.ReadRowHead(in)
		if !ok {
			return fmt.Errorf("%d rows are given, row %d: %w", n, k, abi.ErrInput)
		}
		in = in[row.Size:]
		offset := call.BaseOffset + int64(row.OffsetDelta)
		if k == 0 {
			h.BaseOffset, h.BaseTimestamp, h.MaxTimestamp = offset, row.Timestamp, row.Timestamp
		}
		h.LastOffsetDelta, h.MaxTimestamp = int32(offset-h.BaseOffset), max(h.MaxTimestamp, row.Timestamp)
		p.largest = max(p.largest, row.Payload)
	}
	p.header = h
	return nil
}
