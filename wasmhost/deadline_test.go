package wasmhost

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
	"github.com/millrun/millrun/wasmhost/meter"
)

// late is far more than a guest takes beyond its time, on any machine: one that is not
// stopped runs for ever.
const late = time.Minute

func TestNoGuestRunsBeyondItsTime(t *testing.T) {
	for _, name := range []string{"spin", "fill-bomb", "call-bomb", "random-bomb", "miss-bomb"} {
		i := start(t, load(t, Spec{Wasm: guest(t, name), Name: "m", Timeout: 20 * time.Millisecond}), nil)
		begin := time.Now()
		_, err := i.Filter(context.Background(), abi.Call{}, make([]byte, 100), 1)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Timeout || !strings.Contains(err.Error(), "did not return within 20ms") || e.Stack == "" {
			t.Errorf("%s: got %v", name, err)
		}
		took := time.Since(begin)
		if t.Logf("%s: %v, %d units", name, took, i.Fuel()); took > late {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func TestAThreadThatIsHeldUpCostsItsGuestLittle(t *testing.T) {
	i := start(t, load(t, Spec{Wasm: guest(t, "pass"), Name: "m"}), nil)
	ended := func(a *allowance) (why string) {
		defer func() {
			if r := recover(); r != nil {
				why = r.(*guestPanic).Error()
			}
		}()
		a.look()
		return ""
	}
	a := &allowance{ctx: context.Background(), running: i.run, limit: 2*longStep + longStep/2, counted: time.Now(), deadline: time.Now().Add(time.Hour)}
	for range 2 {
		a.counted = time.Now().Add(-time.Minute)
		if why := ended(a); why != "" {
			t.Fatalf("after %v: %s", a.spent, why)
		}
	}
	a.counted = time.Now().Add(-time.Minute)
	if why := ended(a); !strings.Contains(why, "did not return") {
		t.Errorf("when its time is over: %q", why)
	}
	a.spent, a.deadline = 0, time.Now().Add(-time.Second)
	if why := ended(a); !strings.Contains(why, "did not return") {
		t.Errorf("long after the call began: %q", why)
	}
}

func TestNoGuestStartsForEver(t *testing.T) {
	for name, fn := range map[string]string{"spin-start": "start", "spin-configure": abi.ExportConfigure, "pull-spin-start": abi.ExportStart} {
		// A slow machine may not come as far as fn in the time: it is given more.
		for limit := 20 * time.Millisecond; ; limit *= 2 {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			begin := time.Now()
			_, err := shared.Load(ctx, Spec{Wasm: guest(t, name), Name: "m", Outputs: 1})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > limit+late {
				t.Errorf("%s after %v: %v", name, time.Since(begin), err)
				break
			}
			if strings.Contains(err.Error(), ": "+fn+": ") {
				break
			}
			if limit > startTimeout {
				t.Fatalf("%s does not come to %s: %v", name, fn, err)
			}
		}
	}
}

func TestRecursionEndsBeforeTheStackIsLarge(t *testing.T) {
	for _, name := range []string{"recurse", "fat-frames"} {
		i := start(t, load(t, Spec{Wasm: guest(t, name), Name: "m", Timeout: time.Minute}), nil)
		begin := time.Now()
		_, err := i.Filter(context.Background(), abi.Call{}, make([]byte, 100), 1)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Trap || !strings.Contains(err.Error(), "stack overflow: its calls took more than 16 MiB") {
			t.Errorf("%s: got %v", name, err)
		}
		size := meter.StackBytes(i.run)
		if t.Logf("%s: %v, stack of %d KiB", name, time.Since(begin), size>>10); size < callStackBytes || size > 4*callStackBytes {
			t.Errorf("%s: a stack of %d bytes", name, size)
		}
	}
}

// While a guest runs the collector waits for it: yields bound for how long.
func TestAGuestThatSpinsDoesNotHoldOthersUp(t *testing.T) {
	i := start(t, load(t, Spec{Wasm: guest(t, "spin"), Name: "m", Timeout: time.Minute}), nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := i.Filter(ctx, abi.Call{}, make([]byte, 100), 1)
		done <- err
	}()
	var longest time.Duration
	for range 20 {
		begin := time.Now()
		runtime.GC()
		longest = max(longest, time.Since(begin))
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if t.Logf("longest collection %v", longest); longest > late {
		t.Errorf("a collection took %v", longest)
	}
}

func TestFuelIsWhatWasDone(t *testing.T) {
	i := start(t, load(t, Spec{Wasm: guest(t, "trap-hundredth"), Name: "m"}), nil)
	used := func(n int) uint64 {
		var rows []byte
		for range n {
			rows = abi.AppendInputRow(rows, 0, 0, 0, nil, nil, []abi.Header(nil))
		}
		before := i.Fuel()
		if _, err := i.Filter(context.Background(), abi.Call{}, rows, n); err != nil {
			t.Fatal(err)
		}
		return i.Fuel() - before
	}
	used(50_000) // the largest first: memory grows once
	one, two, many := used(1), used(2), used(50_001)
	if step := two - one; step < 5 || step > 100 || many-one != 50_000*step {
		t.Errorf("1 record: %d units, 2: %d, 50,001: %d", one, two, many)
	}
}
