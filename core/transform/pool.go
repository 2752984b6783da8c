package transform

import (
	"context"
	"sync"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
)

// pool keeps the started instances of one program. A guest's state between calls means nothing, so any instance serves
// any partition.
type pool struct {
	program  Program
	log      func(partition int32, level int, msg string)
	counters *counters

	mu   sync.Mutex
	idle []*guest // guarded by mu
}

// guest is an instance in the hands of one goroutine.
type guest struct {
	Instance
	counters  *counters
	partition int32  // whose records it is given; what it logs is marked with it
	fuel      uint64 // what of its fuel has been counted
	memory    int64  // what of its memory has been counted
}

// noPartition marks what a guest says while it starts.
const noPartition = -1

// get returns an instance, a new one if none is idle.
func (p *pool) get(ctx context.Context, partition int32) (*guest, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		g := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		g.partition = partition
		return g, nil
	}
	p.mu.Unlock()
	g := &guest{partition: noPartition, counters: p.counters}
	instance, err := p.program.Instance(ctx, func(level int, msg string) { p.log(g.partition, level, msg) })
	if err != nil {
		return nil, err
	}
	g.Instance, g.partition, g.fuel = instance, partition, instance.Fuel()
	g.counters.instances.Add(1)
	g.countMemory(instance.MemoryBytes())
	return g, nil
}

// put gives back an instance whose last call succeeded.
func (p *pool) put(g *guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, g)
}

// close ends the idle instances and the program; by then no instance may be in anybody's hands.
func (p *pool) close(ctx context.Context) error {
	p.closeIdle(ctx)
	return p.program.Close(ctx)
}

// closeIdle ends the instances that nobody uses.
func (p *pool) closeIdle(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.idle {
		// An instance that does not end cleanly has nothing left that anybody needs.
		_ = g.Close(ctx)
	}
	p.idle = nil
}

// call gives n records to a guest, and counts what that took.
func (g *guest) call(ctx context.Context, filter bool, c abi.Call, in []byte, n int) (out []byte, err error) {
	begin := time.Now()
	if filter {
		out, err = g.Filter(ctx, c, in, n)
	} else {
		out, err = g.Transform(ctx, c, in, n)
	}
	g.counters.guestNs.Add(int64(time.Since(begin)))
	fuel := g.Fuel()
	g.counters.fuel.Add(int64(fuel - g.fuel))
	g.fuel = fuel
	g.countMemory(g.MemoryBytes())
	return out, err
}

func (g *guest) countMemory(bytes int64) {
	if bytes != g.memory {
		g.counters.memory.Add(bytes - g.memory)
		g.memory = bytes
	}
}

// Close ends the instance.
func (g *guest) Close(ctx context.Context) error {
	g.countMemory(0)
	g.counters.instances.Add(-1)
	return g.Instance.Close(ctx)
}
