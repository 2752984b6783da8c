//go:build !windows

package main

import (
	"context"
	"maps"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// assignment is what a group has given to this member, as the client's callbacks tell it. Without a group it is nil.
type assignment struct {
	topic string

	mu   sync.Mutex
	mine map[int32]bool // guarded by mu; nil until the first assignment
}

// partitions returns what is assigned, and whether anything was assigned yet, be it nothing.
func (a *assignment) partitions() (mine map[int32]bool, joined bool) {
	if a == nil {
		return nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.mine), a.mine != nil
}

func (a *assignment) options() []kgo.Opt {
	lost := func(_ context.Context, _ *kgo.Client, topics map[string][]int32) { a.change(topics[a.topic], false) }
	return []kgo.Opt{
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, topics map[string][]int32) { a.change(topics[a.topic], true) }),
		kgo.OnPartitionsRevoked(lost), kgo.OnPartitionsLost(lost),
	}
}

func (a *assignment) change(partitions []int32, mine bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mine == nil {
		a.mine = make(map[int32]bool)
	}
	for _, p := range partitions {
		a.mine[p] = mine
	}
}
