package transform

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
)

// pool keeps the started instances of one program. A guest's state between calls means nothing, so any instance serves
// any partition. There are never more than processors, each of which holds one at most, and only in a step.
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

// What an idle deployment keeps, when it has had nothing to do for a while: one instance, so that the next record does not
// wait for a start, unless that has grown large.
const (
	keepIdleFor   = 30 * time.Second
	keptInstance  = 16 << 20
	keptInstances = 1
)

// surplus is how many of the idle instances are more than what is kept: those at the front. The caller holds mu.
func (p *pool) surplus() int {
	slices.SortStableFunc(p.idle, func(a, b *guest) int { return cmp.Compare(b.memory, a.memory) })
	n := max(len(p.idle)-keptInstances, 0)
	for n < len(p.idle) && p.idle[n].memory > keptInstance {
		n++
	}
	return n
}

// hasSurplus tells whether trim would end anything.
func (p *pool) hasSurplus() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.surplus() > 0
}

// trim ends the idle instances that are not kept.
func (p *pool) trim(ctx context.Context) {
	p.mu.Lock()
	n := p.surplus()
	ended := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.mu.Unlock()
	for _, g := range ended {
		_ = g.Close(ctx) // as in closeIdle
	}
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
