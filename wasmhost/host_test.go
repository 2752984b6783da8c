package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/plugins/hostile"
	"github.com/millrun/millrun/wasmhost/abi"
)

// shared is one host for all tests: modules are compiled once.
var shared *Host

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == CompileVerb { // a child of a test in child_test.go
		os.Exit(CompileMain(os.Args[2:], os.Stdin, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == hogVerb {
		os.Exit(hog())
	}
	dir, err := os.MkdirTemp("", "millrun-wasmhost-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared = New(Config{CacheDir: dir})
	code := m.Run()
	if err := errors.Join(shared.Close(context.Background()), os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func guest(t testing.TB, name string) []byte {
	t.Helper()
	b, err := hostile.Module(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func load(t testing.TB, s Spec) *Program {
	t.Helper()
	if s.Outputs == 0 {
		s.Outputs = 1
	}
	p, err := shared.Load(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

func start(t testing.TB, p *Program, log abi.LogFunc) *Instance {
	t.Helper()
	i, err := p.Instance(context.Background(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close(context.Background()) })
	return i
}

func TestAModuleThatCannotRunIsRefusedByNameAndReason(t *testing.T) {
	for _, c := range []struct {
		guest, want string
	}{
		{"unknown-import", "module m: imports env.foo, which millrun does not provide"},
		{"wrong-import", "imports millrun.log as (i32) -> (), but it is (i32, i32, i32) -> ()"},
		{"global-import", "imports env.base, which is no function"},
		{"command", "exports _start"},
		{"both", "exports both of millrun_filter and millrun_transform"},
		{"neither", "exports neither of"},
		{"unmarked", "does not export millrun_abi_v1 () -> ()"},
		{"wrong-type", "exports millrun_filter as (i32) -> i32, but it must be (i32, i32, i32) -> i32"},
		{"bad-wants", "millrun_wants returned 5: RAW stands alone"},
		{"greedy", "starts with 128 MiB of memory, its limit is 64 MiB"},
		{"trap-start", "_initialize: unreachable"},
		{"export-import", "exports millrun_configure, which it imports"},
		{"meter-import", "imports millrun.meter.yield, which millrun does not provide"},
		{"meter-export", "exports millrun.meter.fuel, which is the host's own"},
		{"refuse", "millrun_configure: refused its configuration (1): key 'x' is not known"},
		{"bad-alloc", "the buffer of 4096 bytes at 0xfff0 reaches beyond memory"},
	} {
		_, err := shared.Load(context.Background(), Spec{Wasm: guest(t, c.guest), Name: "m", Outputs: 1})
		var refused *Error
		if !errors.As(err, &refused) || refused.Kind != Refused || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.guest, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the reason has more than a line: %q", c.guest, err)
		}
	}
}

func TestASpecThatMakesNoSenseIsRefused(t *testing.T) {
	for want, s := range map[string]Spec{
		"no output is declared":       {},
		"exactly one output, but 2":   {Outputs: 2},
		"between 64 KiB and 1 GiB":    {Outputs: 1, MemoryBytes: 1 << 31},
		"a timeout of -1s":            {Outputs: 1, Timeout: -time.Second},
		"at most 1048576 are allowed": {Outputs: 1, Config: map[string]string{"x": strings.Repeat("y", 1<<20)}},
	} {
		s.Wasm, s.Name = guest(t, "pass"), "m"
		if _, err := shared.Load(context.Background(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := shared.Load(context.Background(), Spec{Wasm: []byte("PK\x03\x04"), Name: "m", Outputs: 1}); err == nil ||
		!strings.Contains(err.Error(), "no WebAssembly module") {
		t.Errorf("a zip file: %v", err)
	}
}

// What the structure does not show the compiler's validation finds.
func TestAModuleThatDoesNotValidateIsRefused(t *testing.T) {
	b := guest(t, "pass")
	at := strings.LastIndex(string(b), "\x41\x80\x08\x0b") // i32.const 1024, end
	bad := append([]byte{}, b...)
	copy(bad[at:], "\x42\x80\x08") // i64.const 1024
	_, err := shared.Load(context.Background(), Spec{Wasm: bad, Name: "m", Outputs: 1})
	var refused *Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "cannot use i64 as result[0] type i32") {
		t.Errorf("got %v", err)
	}
}

func TestAPassingFilterPassesEverything(t *testing.T) {
	p := load(t, Spec{Wasm: guest(t, "pass"), Name: "m"})
	if !p.Filter() || p.Wants() != abi.WantRaw {
		t.Errorf("filter %v wants %v", p.Filter(), p.Wants())
	}
	i := start(t, p, nil)
	for _, n := range []int{1, 7, 8, 9, 1000} {
		for _, size := range []int{1, 5000, 300_000} {
			bitmap, err := i.Filter(context.Background(), abi.Call{}, make([]byte, size), n)
			if err != nil || len(bitmap) != abi.BitmapLen(n) || !abi.AllPass(bitmap, n) {
				t.Fatalf("%d records of %d bytes: %x, %v", n, size, bitmap, err)
			}
		}
	}
	if _, err := i.Transform(context.Background(), abi.Call{}, nil, 0); err == nil {
		t.Error("a filter was called as a transform")
	}
}

func TestAFailingCallSaysHowAndEndsTheInstance(t *testing.T) {
	for _, c := range []struct {
		guest  string
		kind   Kind
		want   string
		stack  string
		memory int64
	}{
		{guest: "trap-record", kind: Trap, want: "module m: millrun_filter: unreachable", stack: "$2(i32,i32,i32) i32"},
		{guest: "fail", kind: Failure, want: "millrun_filter: failed: no luck today"},
		{guest: "exit", kind: Exit, want: "exit code 3"},
		{guest: "abort", kind: Trap, want: "abort: oh !", stack: "env.abort(i32,i32,i32,i32)"},
		{guest: "hog", kind: Memory, want: "unreachable after it was refused more than 8 MiB of memory", memory: 8 << 20},
		{guest: "bad-bitmap", kind: BadOutput, want: "the bitmap at 0xfffffff8 reaches beyond memory"},
		{guest: "bad-length", kind: BadOutput, want: "2147483647 bytes of output for 100 of input, at most 1048976"},
		{guest: "bad-end", kind: BadOutput, want: "the 32 bytes at 0xfff0 reach beyond memory"},
		{guest: "bad-log", kind: Trap, want: "millrun.log got a pointer outside of memory: 8 bytes at 0xfffc"},
	} {
		p := load(t, Spec{Wasm: guest(t, c.guest), Name: "m", MemoryBytes: c.memory})
		i := start(t, p, nil)
		call := i.Filter
		if !p.Filter() {
			call = i.Transform
		}
		_, err := call(context.Background(), abi.Call{}, make([]byte, 100), 1)
		var e *Error
		if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(err.Error(), c.want) || !strings.Contains(e.Stack, c.stack) {
			t.Errorf("%s: got %v with stack %q, want %v %q", c.guest, err, e.Stack, c.kind, c.want)
		}
		if _, again := call(context.Background(), abi.Call{}, make([]byte, 100), 1); !errors.Is(again, errDiscarded) {
			t.Errorf("%s: called again: %v", c.guest, again)
		}
	}
}

func TestRowsThatLieAreFoundByTheReader(t *testing.T) {
	i := start(t, load(t, Spec{Wasm: guest(t, "bad-rows"), Name: "m"}), nil)
	rows, err := i.Transform(context.Background(), abi.Call{}, make([]byte, 100), 1)
	if err != nil {
		t.Fatal(err)
	}
	out := abi.NewOutputReader(rows, 1, 1)
	if _, err := out.Next(new(abi.OutputRow)); !errors.Is(err, abi.ErrBadOutput) {
		t.Errorf("got %v", err)
	}
}

func TestACallThatDoesNotReturnIsEnded(t *testing.T) {
	p := load(t, Spec{Wasm: guest(t, "spin"), Name: "m", Timeout: 20 * time.Millisecond})
	i := start(t, p, nil)
	_, err := i.Filter(context.Background(), abi.Call{}, make([]byte, 100), 1)
	var e *Error
	if !errors.As(err, &e) || e.Kind != Timeout || !strings.Contains(err.Error(), "did not return within 20ms") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	i = start(t, load(t, Spec{Wasm: guest(t, "spin"), Name: "m", Timeout: time.Hour}), nil)
	if _, err := i.Filter(ctx, abi.Call{}, make([]byte, 100), 1); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &e) {
		t.Errorf("a caller that gave up blames the guest: %v", err)
	}
	if _, err := shared.Load(ctx, Spec{Wasm: guest(t, "spin-start"), Name: "m", Outputs: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a start that does not return: %v", err)
	}
}

func TestOneGuestsFailureLeavesOthersRunning(t *testing.T) {
	good := start(t, load(t, Spec{Wasm: guest(t, "pass"), Name: "good"}), nil)
	for range 20 {
		bad, err := load(t, Spec{Wasm: guest(t, "hog"), Name: "bad", MemoryBytes: 4 << 20}).Instance(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bad.Filter(context.Background(), abi.Call{}, make([]byte, 10), 1); err == nil {
			t.Fatal("the hog was satisfied")
		}
		if err := bad.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := good.Filter(context.Background(), abi.Call{}, make([]byte, 10), 1); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACallMayTrapOnOneRecordOnly(t *testing.T) {
	p := load(t, Spec{Wasm: guest(t, "trap-hundredth"), Name: "m"})
	if p.Wants() != 0 {
		t.Fatal(p.Wants())
	}
	for delta, ok := range map[uint32]bool{98: true, 99: false, 100: true, 199: false} {
		row := abi.AppendInputRow(nil, p.Wants(), 0, delta, nil, nil, []abi.Header(nil))
		if _, err := start(t, p, nil).Filter(context.Background(), abi.Call{}, row, 1); (err == nil) != ok {
			t.Errorf("record %d: %v", delta, err)
		}
	}
}

func TestAClosedHostLoadsNothing(t *testing.T) {
	h := New(Config{})
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := h.Load(context.Background(), Spec{Wasm: guest(t, "pass"), Name: "m", Outputs: 1}); !errors.Is(err, errClosed) || errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}

func TestCompiledCodeIsKeptInTheCacheFolder(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		h := New(Config{CacheDir: dir})
		if _, err := h.Load(context.Background(), Spec{Wasm: guest(t, "pass"), Name: "m", Outputs: 1}); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestAModuleSaysWhatItIsBeforeItIsCompiled(t *testing.T) {
	for name, want := range map[string]string{"pass": "filter", "bad-rows": "transform"} {
		if kind, err := Inspect(guest(t, name)); err != nil || kind != want {
			t.Errorf("%s is a %q, %v", name, kind, err)
		}
	}
	if _, err := Inspect(guest(t, "both")); err == nil || !strings.Contains(err.Error(), "exports both of") {
		t.Errorf("got %v", err)
	}
}

// hogVerb makes the test binary a compiling process that takes 1 GiB and is allowed 64 MiB.
const hogVerb = "hog"

func hog() int {
	c := compiler{seconds: 60, memory: 64 << 20}
	if err := c.limitProcess(func() {}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitTrouble
	}
	taken := make([]byte, 1<<30)
	for n := 0; n < len(taken); n += 4096 {
		taken[n] = 1
	}
	return 0
}
