package transform

import (
	"context"
	"sync"

	"github.com/millrun/millrun/wasmhost/abi"
)

// pool keeps the started instances of one program. A guest's state between calls means nothing, so any instance serves
// any partition.
type pool struct {
	program Program
	log     func(partition int32, level int, msg string)

	mu   sync.Mutex
	idle []*guest // guarded by mu
}

// guest is an instance in the hands of one goroutine.
type guest struct {
	Instance
	partition int32 // whose records it is given; what it logs is marked with it
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
	g := &guest{partition: noPartition}
	instance, err := p.program.Instance(ctx, func(level int, msg string) { p.log(g.partition, level, msg) })
	if err != nil {
		return nil, err
	}
	g.Instance, g.partition = instance, partition
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
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.idle {
		// An instance that does not end cleanly has nothing left that anybody needs.
		_ = g.Close(ctx)
	}
	p.idle = nil
	return p.program.Close(ctx)
}

// call gives n records to a guest.
func (g *guest) call(ctx context.Context, filter bool, c abi.Call, in []byte, n int) ([]byte, error) {
	if filter {
		return g.Filter(ctx, c, in, n)
	}
	return g.Transform(ctx, c, in, n)
}
