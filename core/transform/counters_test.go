package transform

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/wasmhost/abi"
)

func TestARateIsOfTheLastTenSecondsAndOfLessRightAfterTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounters()
		rate := func() float64 { return c.rates(time.Now()).In }
		if rate() != 0 {
			t.Errorf("%v before anything came", rate())
		}
		c.in.Add(100)
		if rate() != 100 {
			t.Errorf("%v a second within the first second, not 100", rate())
		}
		time.Sleep(2 * time.Second)
		if rate() != 50 {
			t.Errorf("%v a second after two, not 50", rate())
		}
		for range 40 {
			c.in.Add(30)
			time.Sleep(time.Second)
		}
		if r := rate(); r < 29 || r > 31 {
			t.Errorf("%v a second where 30 come each", r)
		}
		time.Sleep(rateSeconds * time.Second)
		if rate() != 0 {
			t.Errorf("%v when idle", rate())
		}
		c.in.Add(10)
		if r := rate(); r < 1 || r > 1.2 {
			t.Errorf("%v a second for 10 after a long rest", r)
		}
		if c.in.Load() != 100+40*30+10 {
			t.Errorf("the sum is %d", c.in.Load())
		}
	})
}

func TestWhatARecordCostsIsOfTheModuleThatRuns(t *testing.T) {
	c := newCounters()
	c.runs("one")
	c.in.Add(10)
	c.fuel.Add(1000)
	c.guestNs.Add(500)
	c.runs("one") // paused and resumed
	if s := c.snapshot(); s.FuelPerRecord != 100 || s.NsPerRecord != 50 {
		t.Errorf("fuel %v, ns %v a record", s.FuelPerRecord, s.NsPerRecord)
	}
	c.runs("two") // upgraded
	if s := c.snapshot(); s.FuelPerRecord != 0 || s.NsPerRecord != 0 {
		t.Errorf("a module that has seen nothing: fuel %v, ns %v a record", s.FuelPerRecord, s.NsPerRecord)
	}
	c.in.Add(1)
	c.fuel.Add(7)
	if s := c.snapshot(); s.FuelPerRecord != 7 || s.Fuel != 1007 || s.In != 11 {
		t.Errorf("%+v", s)
	}
}

func TestFuelMemoryAndInstancesAreCountedAndGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		g := &goGuest{wants: abi.WantRaw, filter: func(v []byte) (bool, error) {
			if fail.Load() {
				return false, errors.New("wasm trap: unreachable")
			}
			return true, nil
		}}
		m := oneToOne()
		b := start(t, m, g, []string{"out"})
		b.assign(t, in0)
		defer b.stop()
		m.put(t, in0, batchOf(t, record.CodecNone, numbered("v", 5)...))
		synctest.Wait()
		if c, mem := b.counters.snapshot(), b.counters.memoryStatus(); c.Fuel != 5 || c.FuelPerRecord != 1 || mem != (MemoryStatus{1 << 16, 1}) {
			t.Errorf("after a batch: %+v, %+v", c, mem)
		}
		if b.counters.last() != nil {
			t.Errorf("an error: %+v", b.counters.last())
		}
		fail.Store(true)
		m.put(t, in0, batchOf(t, record.CodecNone, "x"))
		synctest.Wait()
		if mem := b.counters.memoryStatus(); mem != (MemoryStatus{}) {
			t.Errorf("after a trap: %+v", mem)
		}
		fail.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		last := b.counters.last()
		if last == nil || last.Topic != "in" || *last.Partition != 0 || *last.Offset != 5 || !strings.Contains(last.Message, "unreachable") {
			t.Errorf("after the recovery the last error is %+v", last)
		}
		if c := b.counters.snapshot(); c.Fuel != 7 || c.Out != 6 { // the call that failed was charged too
			t.Errorf("at the end: %+v", c)
		}
	})
}

func TestALongErrorIsCutBetweenCharacters(t *testing.T) {
	c := newCounters()
	c.erred("x" + strings.Repeat("ä", maxErrorBytes))
	if got := c.last().Message; len(got) > maxErrorBytes || !strings.HasSuffix(got, "ä") {
		t.Errorf("%d bytes, the end is %q", len(got), got[len(got)-3:])
	}
}
