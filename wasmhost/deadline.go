package wasmhost

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// This file alone knows how a guest is stopped that does not return: the runtime
// checks the context at function entries and loop heads (WithCloseOnContextDone),
// which costs a goroutine and some allocations a call, and does not end a guest
// that only recurses before its stack is used up. Metering replaces what is here,
// and nothing else.

func interruptible(c wazero.RuntimeConfig) wazero.RuntimeConfig {
	return c.WithCloseOnContextDone(true)
}

// callContext is the context of a guest's call: host functions find their instance
// in it. Each call has its own, as the runtime's watcher may look at it a moment
// after the call has returned.
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

// bounded runs fn with the context that ends it after limit or with ctx.
func (i *Instance) bounded(ctx context.Context, limit time.Duration, fn func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	i.limit, i.memory.denied = limit, false
	return fn(&callContext{bounded, i})
}

// invoke calls f with i.stack, where its results are afterwards.
func (i *Instance) invoke(ctx context.Context, limit time.Duration, name string, f api.Function) error {
	err := i.bounded(ctx, limit, func(bounded context.Context) error { return f.CallWithStack(bounded, i.stack[:]) })
	if err != nil {
		return i.failed(ctx, name, err)
	}
	return nil
}
