package transform

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

func (g *goGuest) instances() (open, starts int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.starts
}

func TestAnIdleDeploymentKeepsOneInstanceUnlessItHasGrownLarge(t *testing.T) {
	for memory, kept := range map[int64]int{1 << 20: 1, keptInstance + 1: 0} {
		synctest.Test(t, func(t *testing.T) {
			m := oneToOne()
			g := &goGuest{filter: contains("yes"), wants: abi.WantRaw, memory: memory}
			b := start(t, m, g, []string{"out"})
			b.assign(t, in0)
			for n := range 5 { // as long as there is work, the instance stays
				m.put(t, in0, batchOf(t, record.CodecNone, "yes"))
				time.Sleep(keepIdleFor / 2)
				if open, starts := g.instances(); open != 1 || starts != 1 {
					t.Fatalf("%d bytes, record %d: %d instances are open of %d", memory, n, open, starts)
				}
			}
			time.Sleep(keepIdleFor)
			if open, _ := g.instances(); open != kept {
				t.Errorf("%d bytes: %d instances are open, %d are to be kept", memory, open, kept)
			}
			if got := b.counters.memory.Load(); got != memory*int64(kept) {
				t.Errorf("%d bytes: %d are counted", memory, got)
			}
			m.put(t, in0, batchOf(t, record.CodecNone, "yes"))
			time.Sleep(time.Second)
			if got := len(m.values(t, out0)); got != 6 {
				t.Errorf("%d bytes: %d records came out", memory, got)
			}
			b.stop()
		})
	}
}

// Members that have become idle share what is kept: the smallest of all.
func TestOfSeveralIdleInstancesTheSmallestIsKept(t *testing.T) {
	g := &goGuest{filter: contains("yes"), wants: abi.WantRaw}
	p := &pool{program: g, log: func(int32, int, string) {}, counters: new(counters)}
	var guests []*guest
	for _, memory := range []int64{3 << 20, 1 << 20, 2 << 20} {
		g.memory = memory
		one, err := p.get(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		guests = append(guests, one)
	}
	if p.hasSurplus() {
		t.Error("what is in use is surplus")
	}
	for _, one := range guests {
		p.put(one)
	}
	if !p.hasSurplus() {
		t.Error("three are idle, and none is surplus")
	}
	p.trim(t.Context())
	if open, _ := g.instances(); open != 1 || len(p.idle) != 1 || p.idle[0] != guests[1] {
		t.Errorf("%d are open, %d idle", open, len(p.idle))
	}
	if err := p.close(t.Context()); err != nil {
		t.Error(err)
	}
	if open, _ := g.instances(); open != 0 {
		t.Errorf("%d are open", open)
	}
}
