package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/millrun/millrun/plugins/sdk/go/jsonscan"
	"github.com/millrun/millrun/wasmhost/abi"
	"github.com/millrun/millrun/wasmhost/meter"
)

// Instance is a started module. It belongs to one goroutine, which also closes it,
// between calls. What a call returns is valid until the next, or until Close, which
// takes the memory away that it lies in; after an error the instance is good for
// nothing but Close.
type Instance struct {
	state   atomic.Int32 // idle, inCall or closed
	program *Program
	module  api.Module
	alloc   api.Function
	run     api.Function // millrun_filter, millrun_transform or _start
	pull    *pull        // nil: the host calls the guest
	wants   abi.Wants
	failure error // why it is of no more use

	stack     [3]uint64 // arguments and results of a call
	context   callContext
	allowance allowance
	fuel      api.Global
	memory    linearMemory
	buffer    uint32 // where the guest takes its input
	room      uint32 // how much

	// What host functions see.
	call   *abi.Call // nil while it starts
	where  abi.Call
	head   []byte // the start of the call's input
	out    output
	time   guestTime
	random *rand.ChaCha8
	exited bool
	dotted string        // the last path that millrun.json_field was asked for
	path   jsonscan.Path // what it means
}

var errDiscarded = errors.New("this instance has failed before")

// start instantiates the module and takes it through _initialize,
// millrun_configure and millrun_wants.
func (p *Program) start(ctx context.Context, log abi.LogFunc) (*Instance, error) {
	runtime, err := p.host.running(ctx)
	if err != nil {
		return nil, err
	}
	i := &Instance{program: p, out: output{log: log, now: p.host.config.Now}}
	i.memory.limit = p.memory
	i.context.instance = i
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	i.module, err = runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, &i.memory), p.compiled, config)
	if err != nil {
		i.memory.Free() // which the runtime forgets where data does not fit into it
		return nil, i.failed(ctx, "start", err)
	}
	i.fuel = i.module.ExportedGlobal(meter.ExportFuel)
	if err := i.prepare(ctx); err != nil {
		_ = i.Close(ctx)
		return nil, err
	}
	i.random = nil
	return i, nil
}

func (i *Instance) prepare(ctx context.Context) error {
	p := i.program
	i.alloc = i.module.ExportedFunction(abi.ExportAlloc)
	i.run = i.module.ExportedFunction(abi.ExportTransform)
	if p.shape.filter {
		i.run = i.module.ExportedFunction(abi.ExportFilter)
	}
	if f := i.module.ExportedFunction(meter.ExportStart); f != nil {
		if err := i.invoke(ctx, startTimeout, "start", f); err != nil {
			return err
		}
	}
	if p.shape.redpanda {
		i.wants = abi.WantRows
		return i.begin(ctx)
	}
	if p.shape.hasInit {
		if err := i.invoke(ctx, startTimeout, abi.ExportInit, i.module.ExportedFunction(abi.ExportInit)); err != nil {
			return err
		}
	}
	if p.shape.hasConfigure {
		if err := i.configure(ctx); err != nil {
			return err
		}
	}
	i.wants = abi.DefaultWants(p.shape.filter)
	if p.shape.hasWants {
		if err := i.invoke(ctx, startTimeout, abi.ExportWants, i.module.ExportedFunction(abi.ExportWants)); err != nil {
			return err
		}
		i.wants = abi.Wants(uint32(i.stack[0]))
	}
	return nil
}

func (i *Instance) configure(ctx context.Context) error {
	i.out.begin()
	if err := i.put(ctx, startTimeout, i.program.config); err != nil {
		return err
	}
	i.stack = [3]uint64{uint64(i.buffer), uint64(len(i.program.config))}
	if err := i.invoke(ctx, startTimeout, abi.ExportConfigure, i.module.ExportedFunction(abi.ExportConfigure)); err != nil {
		return err
	}
	if code := int32(uint32(i.stack[0])); code != 0 {
		return i.fault(Refused, abi.ExportConfigure, "refused its configuration (%d)", code)
	}
	return nil
}

// fault is an error that the host found in what the guest did.
func (i *Instance) fault(kind Kind, fn, format string, args ...any) error {
	e := &Error{Kind: kind, Module: i.program.name, Func: fn, Reason: fmt.Sprintf(format, args...), Said: i.out.said()}
	if i.memory.denied {
		e.Kind = Memory
		e.Reason = fmt.Sprintf("%s after it was refused more than %s of memory", e.Reason, byteSize(i.memory.limit))
	}
	return e
}

// put copies b to the guest's input buffer, asking for a larger one if need be.
func (i *Instance) put(ctx context.Context, limit time.Duration, b []byte) error {
	if uint64(len(b)) > maxMemoryBytes {
		return i.fault(Memory, abi.ExportAlloc, "an input of %d bytes", len(b))
	}
	if size := uint32(len(b)); size > i.room || i.buffer == 0 {
		if err := i.allocate(ctx, limit, roundUp(size)); err != nil {
			return err
		}
	}
	if !i.module.Memory().Write(i.buffer, b) {
		return i.fault(BadOutput, abi.ExportAlloc, "the buffer at %#x reaches beyond memory", i.buffer)
	}
	return nil
}

// roundUp asks for more than is needed now, so that a buffer soon fits all that
// comes; large ones only to the next page, as memory is limited.
func roundUp(n uint32) uint32 {
	if n > 1<<20 {
		return (n + pageBytes - 1) / pageBytes * pageBytes
	}
	size := uint32(4 << 10)
	for size < n {
		size *= 2
	}
	return size
}

func (i *Instance) allocate(ctx context.Context, limit time.Duration, size uint32) error {
	i.buffer, i.room = 0, 0
	i.stack[0] = uint64(size)
	if err := i.invoke(ctx, limit, abi.ExportAlloc, i.alloc); err != nil {
		return err
	}
	p := uint32(i.stack[0])
	switch {
	case p == 0:
		return i.fault(Memory, abi.ExportAlloc, "no buffer of %d bytes", size)
	case p%16 != 0:
		return i.fault(BadOutput, abi.ExportAlloc, "the buffer at %#x is not aligned to 16 bytes", p)
	case uint64(p)+uint64(size) > uint64(i.module.Memory().Size()):
		return i.fault(BadOutput, abi.ExportAlloc, "the buffer of %d bytes at %#x reaches beyond memory", size, p)
	}
	i.buffer, i.room = p, size
	return nil
}

// Filter gives n records to a filter and returns a bitmap with a bit for each: see
// abi.Passes and its like. in is a records section or rows, as Wants says.
func (i *Instance) Filter(ctx context.Context, call abi.Call, in []byte, n int) (bitmap []byte, err error) {
	if err := i.enter(); err != nil {
		return nil, err
	}
	defer i.leave()
	if err := i.do(ctx, true, call, in, n); err != nil {
		return nil, err
	}
	p := uint32(i.stack[0])
	if p == 0 {
		return nil, i.dead(i.fault(Failure, abi.ExportFilter, "failed"))
	}
	bitmap, ok := i.module.Memory().Read(p, uint32(abi.BitmapLen(n)))
	if !ok {
		return nil, i.dead(i.fault(BadOutput, abi.ExportFilter, "the bitmap at %#x reaches beyond memory", p))
	}
	return bitmap, nil
}

// Transform gives n rows to a transform and returns the rows it made, which
// abi.OutputReader has yet to check.
func (i *Instance) Transform(ctx context.Context, call abi.Call, in []byte, n int) (rows []byte, err error) {
	if err := i.enter(); err != nil {
		return nil, err
	}
	defer i.leave()
	if i.pull != nil {
		return i.pulled(ctx, call, in, n)
	}
	if err := i.do(ctx, false, call, in, n); err != nil {
		return nil, err
	}
	result := int64(i.stack[0])
	if result < 0 {
		return nil, i.dead(i.fault(Failure, abi.ExportTransform, "failed"))
	}
	p, size := uint32(result>>32), uint32(result)
	most := i.program.output
	if most == 0 {
		most = abi.OutputCap(len(in))
	}
	if int64(size) > int64(most) {
		return nil, i.dead(i.fault(BadOutput, abi.ExportTransform, "%d bytes of output for %d of input, at most %d are allowed", size, len(in), most))
	}
	rows, ok := i.module.Memory().Read(p, size)
	if !ok {
		return nil, i.dead(i.fault(BadOutput, abi.ExportTransform, "the %d bytes at %#x reach beyond memory", size, p))
	}
	return rows, nil
}

// do makes one call of the guest, whose results are then in i.stack.
func (i *Instance) do(ctx context.Context, filter bool, call abi.Call, in []byte, n int) error {
	if i.failure != nil {
		return i.failure
	}
	if filter != i.program.shape.filter {
		return fmt.Errorf("module %s: called as a filter: %v, but that it is: %v", i.program.name, filter, i.program.shape.filter)
	}
	i.where, i.call, i.head, i.random = call, &i.where, in[:min(len(in), seedHead)], nil
	i.time.real = call.BaseTimestamp
	i.out.begin()
	err := i.put(ctx, i.program.timeout, in)
	if err == nil {
		name := abi.ExportTransform
		if filter {
			name = abi.ExportFilter
		}
		i.stack = [3]uint64{uint64(i.buffer), uint64(len(in)), uint64(uint32(n))}
		err = i.invoke(ctx, i.program.timeout, name, i.run)
	}
	i.head = nil
	i.out.endCall()
	if err != nil {
		return i.dead(err)
	}
	return nil
}

// MemoryBytes is the size of the guest's linear memory. Only the goroutine that owns
// the instance may ask.
func (i *Instance) MemoryBytes() int64 { return int64(i.module.Memory().Size()) }

// dead marks the instance: later calls say so, and why this one failed.
func (i *Instance) dead(err error) error {
	i.failure = fmt.Errorf("%w: %w", errDiscarded, err)
	return err
}

const (
	idle = iota
	inCall
	closed
)

// errBusy: to take a guest's memory away while it runs would end the process.
var errBusy = errors.New("this instance runs: only the goroutine that owns it calls and closes it, between calls")

// enter begins a call, which nobody else may begin until leave.
func (i *Instance) enter() error {
	switch {
	case i.state.CompareAndSwap(idle, inCall):
		return nil
	case i.state.Load() == closed:
		return i.failure
	}
	return errBusy
}

func (i *Instance) leave() { i.state.Store(idle) }

// Close ends the instance and gives its memory back. Only the goroutine that owns it
// may, between calls: in a call it is refused. It may be closed again.
func (i *Instance) Close(ctx context.Context) error {
	if err := i.enter(); err != nil {
		if errors.Is(err, errDiscarded) {
			return nil
		}
		return err
	}
	defer i.state.Store(closed)
	i.out.flush()
	i.out.tellDropped()
	if i.pull != nil {
		i.pull.end()
	}
	if i.failure == nil {
		i.failure = errDiscarded
	}
	return i.module.Close(ctx)
}
