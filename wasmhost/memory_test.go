package wasmhost

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
)

func TestMemoryGrowsInPlaceUpToItsLimit(t *testing.T) {
	for name, newMemory := range map[string]func() *linearMemory{
		"as the system does it": func() *linearMemory { m := &linearMemory{limit: 10 * pageBytes}; m.Allocate(0, 0); return m },
		"copied":                func() *linearMemory { return &linearMemory{limit: 10 * pageBytes} },
	} {
		m := newMemory()
		b := m.Reallocate(pageBytes)
		if len(b) != pageBytes || !bytes.Equal(b, make([]byte, pageBytes)) {
			t.Fatalf("%s: the first page has %d bytes, or is not empty", name, len(b))
		}
		b[0], b[pageBytes-1] = 1, 2
		for _, pages := range []int{2, 3, 10} {
			if b = m.Reallocate(uint64(pages * pageBytes)); len(b) != pages*pageBytes {
				t.Fatalf("%s: %d pages have %d bytes", name, pages, len(b))
			}
			b[len(b)-1] = 3
		}
		if b[0] != 1 || b[pageBytes-1] != 2 || b[pageBytes] != 0 || b[4*pageBytes] != 0 {
			t.Errorf("%s: what was there is gone, or what is new is not zero", name)
		}
		if m.denied || m.Reallocate(11*pageBytes) != nil || !m.denied {
			t.Errorf("%s: more than the limit was given", name)
		}
		if m.mapped != nil && cap(b) != len(b) {
			t.Errorf("%s: %d bytes beyond the memory are in reach", name, cap(b)-len(b))
		}
		m.Free()
		m.Free()
	}
}

// resident is what the system has given this process; 0 where that cannot be known.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

func TestWhatAnInstanceTouchedGoesBackWhenItIsClosed(t *testing.T) {
	if resident() == 0 {
		t.Skip("this system does not tell what is resident")
	}
	p := load(t, Spec{Wasm: guest(t, "pass"), Name: "m", MemoryBytes: 1 << 30})
	in := make([]byte, 8<<20)
	debug.FreeOSMemory()
	before := resident()
	var most int64
	for n := range 1000 {
		i, err := p.Instance(context.Background(), nil)
		if err != nil {
			t.Fatalf("instance %d: %v", n, err)
		}
		if n%50 == 0 { // every one would take long
			if _, err := i.Filter(context.Background(), abi.Call{}, in, 1); err != nil {
				t.Fatal(err)
			}
			most = max(most, resident())
		}
		if err := i.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	debug.FreeOSMemory()
	if most-before < int64(len(in)) {
		t.Errorf("at most %d KiB were resident beside what was there before: nothing was touched", (most-before)>>10)
	}
	if after := resident(); after-before > 8*int64(len(in)) { // 20 times as much was touched
		t.Errorf("%d MiB are not given back", (after-before)>>20)
	}
}

// A thousand instances with a limit of a GiB each take addresses and not memory.
func TestAnInstanceTakesWhatItTouchesAndNotItsLimit(t *testing.T) {
	if resident() == 0 {
		t.Skip("this system does not tell what is resident")
	}
	p := load(t, Spec{Wasm: guest(t, "pass"), Name: "m", MemoryBytes: 1 << 30})
	before := resident()
	const instances = 300
	for range instances {
		start(t, p, nil)
	}
	if each := (resident() - before) / instances; each > 1<<20 {
		t.Errorf("an instance takes %d KiB", each>>10)
	}
}

func TestAnInstanceThatRunsIsNotClosed(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	i := start(t, load(t, Spec{Wasm: guest(t, "spin"), Name: "m", Timeout: time.Hour}), nil)
	begun := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		close(begun)
		_, err := i.Filter(ctx, abi.Call{}, make([]byte, 100), 1)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the call ended with %v", err)
		}
	})
	<-begun
	for i.state.Load() != inCall {
		runtime.Gosched()
	}
	if err := i.Close(ctx); !errors.Is(err, errBusy) {
		t.Errorf("closed in a call: %v", err)
	}
	if _, err := i.Filter(ctx, abi.Call{}, nil, 0); !errors.Is(err, errBusy) {
		t.Errorf("called in a call: %v", err)
	}
	cancel()
	running.Wait()
	for range 2 {
		if err := i.Close(context.Background()); err != nil {
			t.Errorf("closed by its owner: %v", err)
		}
	}
	if _, err := i.Filter(context.Background(), abi.Call{}, nil, 0); !errors.Is(err, errDiscarded) {
		t.Errorf("called after its end: %v", err)
	}
}
