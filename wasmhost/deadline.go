package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/millrun/millrun/wasmhost/meter"
)

// This file alone knows how a guest is stopped that does not return: its module was
// rewritten (wasmhost/meter), so that it counts fuel and calls yield when it has used
// up a slice. There the host looks at the clock, at the caller's context and at the
// guest's stack, lets other goroutines run, and hands out the next slice or panics.
// A call that needs no yield costs nothing for it.

// callContext is the context of a guest's calls: host functions find their instance
// in it.
type callContext struct {
	context.Context
	instance *Instance
}

type instanceKey struct{}

func (c *callContext) Value(key any) any {
	if key == (instanceKey{}) {
		return c.instance
	}
	return c.Context.Value(key)
}

// allowance is what one instance may use. Its zero value is good.
type allowance struct {
	ctx      context.Context
	limit    time.Duration // of the call that runs
	spent    time.Duration // by the call that runs, up to counted
	counted  time.Time     // zero until the call's first yield
	deadline time.Time     // on the clock, for a call that is held up; set with counted
	running  api.Function
	turns    *turns
	hasTurn  bool
	slice    int64     // units handed out at a yield
	granted  int64     // at the last one
	used     uint64    // before the last one
	resumed  time.Time // when the last one ended, if it was in this call
	yields   int       // without giving up the turn
	handled  int       // bytes that host functions worked through since the last look at the clock
}

// errGivenUp ends a guest whose caller's context has ended.
var errGivenUp = errors.New("the caller gave up")

// invoke calls f with i.stack, where its results are afterwards. It ends after limit
// or with ctx, at the guest's next yield.
func (i *Instance) invoke(ctx context.Context, limit time.Duration, name string, f api.Function) error {
	if err := i.grant(ctx, limit, name, f); err != nil {
		return err
	}
	err := f.CallWithStack(&i.context, i.stack[:])
	i.allowance.release()
	if err != nil {
		return i.failed(ctx, name, err)
	}
	return nil
}

// grant lets f run from now on as far as limit and ctx allow.
func (i *Instance) grant(ctx context.Context, limit time.Duration, name string, f api.Function) error {
	if ctx.Err() != nil {
		return i.failed(ctx, name, errGivenUp)
	}
	a := &i.allowance
	a.ctx, a.limit, a.running, a.spent, a.counted, a.resumed = ctx, limit, f, 0, time.Time{}, time.Time{}
	i.context.Context, i.memory.denied = ctx, false
	if a.turns = i.program.host.turns; !a.turns.take(ctx) {
		return i.failed(ctx, name, errGivenUp)
	}
	a.hasTurn = true
	return nil
}

// release gives back the turn that grant took, unless it was lost in pause.
func (a *allowance) release() {
	if a.hasTurn {
		a.hasTurn = false
		a.turns.give()
	}
}

// pause lets others run: other threads, as guests may keep all processors busy; other
// goroutines; and guests that wait for a turn, which does not count as this one's time.
// Goroutines come seldom: one that gives way goes on in another thread, and two guests
// that did so every 100 us ended up on one processor of two.
func (a *allowance) pause() {
	if !a.turns.wanted() {
		if a.yields++; a.yields%threadYields == 0 {
			runtime.Gosched()
		} else {
			yieldThread()
		}
		return
	}
	yieldThread()
	begin := time.Now()
	a.release()
	if !a.turns.take(a.ctx) {
		panic(errGivenUp)
	}
	a.hasTurn = true
	a.deadline = a.deadline.Add(time.Since(begin))
}

// Fuel is how many units of work the guest was charged since it was started: at least
// as many as it ran instructions, several times as many where its loops are large
// (wasmhost/meter), and the same for the same calls on any machine. Only the goroutine
// that owns the instance may ask.
func (i *Instance) Fuel() uint64 {
	return i.allowance.used + uint64(i.allowance.granted-int64(i.fuel.Get()))
}

// provideYield makes the module that the meter imports from.
func provideYield(ctx context.Context, runtime wazero.Runtime) error {
	yield := func(ctx context.Context, _ api.Module, stack []uint64) {
		stack[0] = uint64(ctx.Value(instanceKey{}).(*Instance).allowance.next(int64(stack[0])))
	}
	_, err := runtime.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(yield), []api.ValueType(i64), []api.ValueType(i64)).
		Export(meter.ImportYield).Instantiate(ctx)
	if err != nil {
		return fmt.Errorf("import module %s: %w", meter.ImportModule, err)
	}
	return nil
}

// next is the yield: left, which is below 0, is what the guest has of its slice.
func (a *allowance) next(left int64) int64 {
	a.used, a.granted = a.used+uint64(a.granted-left), left // look may be the end
	now := a.look()
	if a.slice == 0 {
		a.slice = firstSlice
	}
	if !a.resumed.IsZero() {
		switch took := now.Sub(a.resumed); {
		case took < sliceTime/2:
			a.slice = min(2*a.slice, maxSlice)
		case took > sliceTime:
			a.slice = max(a.slice/2, minSlice)
		}
	}
	a.pause()
	a.granted, a.resumed = a.slice, time.Now()
	a.counted = a.resumed
	return a.granted
}

// look ends the guest if its caller gave up, its time is over or its stack too large. Its time is what it ran for: a machine
// that is kept busy by others holds threads up, for seconds at times, which is no fault of the guest's. What lies between two
// looks is a slice; if it took much longer than that, the thread did not run.
func (a *allowance) look() time.Time {
	a.handled = 0
	if a.ctx.Err() != nil {
		panic(errGivenUp)
	}
	now := time.Now()
	if a.counted.IsZero() {
		a.deadline = now.Add(heldUp * a.limit)
	} else {
		a.spent += min(now.Sub(a.counted), longStep)
	}
	a.counted = now
	if a.spent > a.limit || now.After(a.deadline) {
		panic(&guestPanic{Timeout, fmt.Sprintf("did not return within %v", a.limit)})
	}
	if size := meter.StackBytes(a.running); size < 0 || size > callStackBytes {
		panic(&guestPanic{Trap, fmt.Sprintf("stack overflow: its calls took more than %s", byteSize(callStackBytes))})
	}
	return now
}

// handle is told what a host function works through on the guest's behalf, as a guest
// that does little else yields rarely.
func (a *allowance) handle(bytes int) {
	if a.handled += bytes; a.handled > handledBytes {
		a.look()
	}
}
