package transform_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/wasmhost/abi"
)

// fixable is the module "fixable" of one node: a filter for the config's "text" that fails on some values, until it is fixed.
type fixable struct {
	mu   sync.Mutex
	bad  func(value string) bool // guarded by mu
	seen []string                // guarded by mu: "topic/partition offset" of what was given to the guest
}

func newFixable() *fixable {
	return &fixable{bad: func(value string) bool { return strings.HasPrefix(value, "poison") }}
}

func (f *fixable) run(ctx context.Context, s transform.Spec) (transform.Program, error) {
	if string(s.Wasm) == "fixable" {
		return &fixableProgram{program{"fixable", s.Config["text"]}, f}, nil
	}
	return goRunner(ctx, s)
}

// fix makes a node's module fail on one value at most.
func (n *node) fix(stillBad string) {
	n.fixable.mu.Lock()
	defer n.fixable.mu.Unlock()
	n.fixable.bad = func(value string) bool { return value == stillBad }
}

func (n *node) seen() []string {
	n.fixable.mu.Lock()
	defer n.fixable.mu.Unlock()
	return slices.Clone(n.fixable.seen)
}

type fixableProgram struct {
	program
	state *fixable
}

func (p *fixableProgram) Instance(_ context.Context, log abi.LogFunc) (transform.Instance, error) {
	return &fixableInstance{instance{&p.program, log}, p.state}, nil
}

type fixableInstance struct {
	instance
	state *fixable
}

func (i *fixableInstance) Filter(ctx context.Context, call abi.Call, in []byte, n int) ([]byte, error) {
	i.state.mu.Lock()
	defer i.state.mu.Unlock()
	r, rec := record.NewReader(in, n), record.Record{}
	for {
		ok, err := r.Next(&rec)
		if err != nil {
			return nil, err
		}
		if !ok {
			return i.instance.Filter(ctx, call, in, n)
		}
		i.state.seen = append(i.state.seen, fmt.Sprintf("%s/%d %d", call.Topic, call.Partition, call.BaseOffset+int64(rec.OffsetDelta)))
		if i.state.bad(string(rec.Value)) {
			return nil, errors.New("wasm trap: unreachable")
		}
	}
}
