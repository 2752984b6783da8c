package wasmhost

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/experimental/wazerotest"
	"github.com/tetratelabs/wazero/sys"

	"github.com/millrun/millrun/wasmhost/abi"
)

// wasi calls one function of preview 1 on a memory of one page.
type wasi struct {
	t   *testing.T
	i   *Instance
	mem *wazerotest.Memory
}

func newWASI(t *testing.T, log abi.LogFunc, environ ...string) wasi {
	i := &Instance{program: &Program{environ: environ}, out: output{log: log, now: time.Now}}
	return wasi{t, i, wazerotest.NewFixedMemory(wazerotest.PageSize)}
}

func (w wasi) call(name string, args ...uint64) uint64 {
	w.t.Helper()
	for _, f := range wasiFuncs() {
		if f.name == name {
			if len(args) != len(f.params) {
				w.t.Fatalf("%s takes %d arguments", name, len(f.params))
			}
			stack := append(args, 0)
			f.call(w.i, w.mem, stack)
			return stack[0]
		}
	}
	w.t.Fatalf("there is no %s", name)
	return 0
}

func (w wasi) want(errno uint64, name string, args ...uint64) {
	w.t.Helper()
	if got := w.call(name, args...); got != errno {
		w.t.Errorf("%s%v: errno %d, want %d", name, args, got, errno)
	}
}

func (w wasi) u64(at uint32) uint64 {
	v, ok := w.mem.ReadUint64Le(at)
	if !ok {
		w.t.Fatalf("%d is outside of memory", at)
	}
	return v
}

const outside = 65_535 // a pointer at the last byte of memory

func TestFilesAndNetworkAnswerNoSuchFunction(t *testing.T) {
	w := newWASI(t, nil)
	for _, f := range wasiFuncs() {
		if strings.HasPrefix(f.name, "path_") || strings.HasPrefix(f.name, "sock_") || f.name == "fd_pread" || f.name == "fd_readdir" || f.name == "proc_raise" {
			w.want(wasiNoSys, f.name, make([]uint64, len(f.params))...)
		}
	}
}

func TestOnlyTheStandardDescriptorsExist(t *testing.T) {
	w := newWASI(t, nil)
	w.want(wasiBadF, "fd_prestat_get", 3, 0)
	w.want(wasiBadF, "fd_fdstat_get", 3, 0)
	w.want(wasiBadF, "fd_close", math.MaxUint32)
	w.want(wasiOK, "fd_close", 1)
	w.want(wasiNotPip, "fd_seek", 1, 0, 0, 0)
	w.want(wasiOK, "fd_fdstat_get", 1, 64)
	if stat, _ := w.mem.Read(64, 24); stat[0] != 2 || w.u64(72) != 1<<6 || w.u64(80) != 0 {
		t.Errorf("stdout is % x", stat)
	}
	w.want(wasiFault, "fd_fdstat_get", 1, outside)
	w.mem.WriteUint32Le(0, 7)
	w.want(wasiOK, "fd_read", 0, 0, 0, 0)
	if n, _ := w.mem.ReadUint32Le(0); n != 0 {
		t.Errorf("%d bytes of standard input", n)
	}
	w.want(wasiBadF, "fd_read", 1, 0, 0, 0)
	w.want(wasiFault, "fd_read", 0, 0, 0, outside)
}

func TestWritesBecomeLines(t *testing.T) {
	var lines heard
	w := newWASI(t, lines.log)
	w.mem.WriteString(100, "hello, \nworld")
	for n, v := range []uint32{100, 7, 107, 6} {
		w.mem.WriteUint32Le(uint32(4*n), v)
	}
	w.want(wasiOK, "fd_write", 2, 0, 2, 50)
	w.i.out.flush()
	if n, _ := w.mem.ReadUint32Le(50); n != 13 || strings.Join(lines, "|") != "warn hello, |warn world" {
		t.Errorf("%d bytes, %q", n, lines)
	}
	w.want(wasiBadF, "fd_write", 3, 0, 1, 50)
	w.want(wasiFault, "fd_write", 1, 0, 1, outside)
	w.want(wasiFault, "fd_write", 1, outside, 1, 50)
	w.mem.WriteUint32Le(4, math.MaxUint32)
	w.mem.WriteUint32Le(0, outside)
	w.want(wasiFault, "fd_write", 1, 0, 1, 50)
}

func TestTheEnvironmentIsWrittenAsWASIWantsIt(t *testing.T) {
	w := newWASI(t, nil, "A=1", "BC=")
	w.want(wasiOK, "environ_sizes_get", 0, 4)
	if n := w.u64(0); n != 2|8<<32 {
		t.Errorf("sizes %x", n)
	}
	w.want(wasiOK, "environ_get", 16, 32)
	text, _ := w.mem.Read(32, 8)
	if w.u64(16) != 32|36<<32 || string(text) != "A=1\x00BC=\x00" {
		t.Errorf("pointers %x, text %q", w.u64(16), text)
	}
	w.want(wasiFault, "environ_get", outside, 32)
	w.want(wasiFault, "environ_get", 16, outside)
	w.want(wasiOK, "args_sizes_get", 0, 4)
	if w.u64(0) != 0 {
		t.Error("there are arguments")
	}
}

func TestOnlyRedpandasModulesHaveArgumentsAndVariables(t *testing.T) {
	spec := Spec{Name: "fold", Config: map[string]string{"B": "2", "A": "1"}, Inputs: []string{"in", "in2"}, Outputs: 2, Topics: []string{"out", "rest"}}
	ours, theirs := Program{}, Program{shape: shape{redpanda: true}}
	if err := errors.Join(ours.surround(&spec), theirs.surround(&spec)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(append(ours.args, ours.environ...), " "); got != "MILLRUN_OUTPUT_TOPIC_0=out MILLRUN_OUTPUT_TOPIC_1=rest" {
		t.Errorf("ours: %s", got)
	}
	want := "fold A=1 B=2 REDPANDA_INPUT_TOPIC=in REDPANDA_OUTPUT_TOPIC_0=out REDPANDA_OUTPUT_TOPIC_1=rest"
	if got := strings.Join(append(theirs.args, theirs.environ...), " "); got != want {
		t.Errorf("Redpanda's: %s", got)
	}
	w := newWASI(t, nil)
	w.i.program.args = theirs.args
	w.want(wasiOK, "args_sizes_get", 0, 4)
	if n := w.u64(0); n != 1|5<<32 {
		t.Errorf("sizes %x", n)
	}
	w.want(wasiOK, "args_get", 16, 32)
	if text, _ := w.mem.Read(32, 5); string(text) != "fold\x00" {
		t.Errorf("text %q", text)
	}
}

func TestTimeIsTheRecordsAndMovesOnlyForward(t *testing.T) {
	w := newWASI(t, nil)
	at := func(clock uint64) uint64 {
		w.want(wasiOK, "clock_time_get", clock, 0, 8)
		return w.u64(8)
	}
	if at(0) != 0 {
		t.Error("there is a time before the first call")
	}
	for ms, want := range map[int64]uint64{1_700_000_000_123: 1_700_000_000_123_000_000, -1: 0, math.MaxInt64: math.MaxInt64 / 1_000_000 * 1_000_000} {
		w.i.time.real = ms
		if got := at(0); got != want || at(0) != want {
			t.Errorf("%d ms: %d", ms, got)
		}
	}
	if a, b := at(1), at(1); b <= a {
		t.Errorf("the monotonic clock went from %d to %d", a, b)
	}
	w.want(wasiInval, "clock_time_get", 4, 0, 8)
	w.want(wasiFault, "clock_time_get", 1, 0, outside)
	w.want(wasiOK, "clock_res_get", 0, 8)
	if w.u64(8) != 1_000_000 {
		t.Errorf("resolution %d", w.u64(8))
	}
}

func TestWaitingMovesTheClockAndTakesNoTime(t *testing.T) {
	w := newWASI(t, nil)
	sub := make([]byte, 96)
	le := binary.LittleEndian
	le.PutUint64(sub, 0xabcd)                    // user data
	le.PutUint32(sub[16:], 1)                    // monotonic
	le.PutUint64(sub[24:], uint64(24*time.Hour)) // relative
	le.PutUint64(sub[48:], 0xef)                 // a second one: fd_read of a descriptor that does not exist
	sub[56] = 1
	le.PutUint32(sub[64:], 9)
	w.mem.Write(0, sub)
	w.want(wasiOK, "poll_oneoff", 0, 1000, 2, 2000)
	if n, _ := w.mem.ReadUint32Le(2000); n != 2 || w.u64(1000) != 0xabcd || w.u64(1008) != 0 || w.u64(1032) != 0xef || w.u64(1040) != wasiBadF|1<<16 {
		t.Errorf("%d events: %x %x %x %x", n, w.u64(1000), w.u64(1008), w.u64(1032), w.u64(1040))
	}
	if w.i.time.monotonic != uint64(24*time.Hour) {
		t.Errorf("the clock stands at %d", w.i.time.monotonic)
	}
	le.PutUint64(sub[24:], uint64(48*time.Hour))
	sub[40] = 1 // absolute
	w.mem.Write(0, sub)
	w.want(wasiOK, "poll_oneoff", 0, 1000, 1, 2000)
	w.want(wasiOK, "poll_oneoff", 0, 1000, 1, 2000)
	if w.i.time.monotonic != uint64(48*time.Hour) {
		t.Errorf("the clock stands at %d", w.i.time.monotonic)
	}
	le.PutUint64(sub[24:], math.MaxUint64)
	sub[40] = 0
	w.mem.Write(0, sub)
	w.want(wasiOK, "poll_oneoff", 0, 1000, 1, 2000)
	if w.i.time.monotonic != uint64(48*time.Hour) {
		t.Errorf("the clock went round to %d", w.i.time.monotonic)
	}
	w.want(wasiInval, "poll_oneoff", 0, 0, 0, 0)
	w.want(wasiInval, "poll_oneoff", 0, 0, math.MaxUint32, 0)
	w.want(wasiFault, "poll_oneoff", 0, 0, pollSubscribe, 0)
}

func TestRandomNumbersFollowFromTheRecords(t *testing.T) {
	draw := func(call *abi.Call, head string) string {
		w := newWASI(t, nil)
		w.i.call, w.i.head = call, []byte(head)
		w.want(wasiOK, "random_get", 0, 32)
		w.want(wasiFault, "random_get", outside, 2)
		b, _ := w.mem.Read(0, 32)
		return string(bytes.Clone(b))
	}
	a := abi.Call{Topic: "t", BaseOffset: 1}
	b := abi.Call{Topic: "t", BaseOffset: 2}
	if draw(&a, "x") != draw(&a, "x") || draw(nil, "") != draw(nil, "") {
		t.Error("the same call has other numbers")
	}
	seen := map[string]bool{}
	for _, s := range []string{draw(&a, "x"), draw(&b, "x"), draw(&a, "y"), draw(nil, "")} {
		seen[s] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d different draws of 4", len(seen))
	}
}

func TestExitEndsTheInstance(t *testing.T) {
	w := newWASI(t, nil)
	defer func() {
		var exit *sys.ExitError
		if err, _ := recover().(error); !errors.As(err, &exit) || exit.ExitCode() != 7 || !w.i.exited {
			t.Errorf("recovered %v", err)
		}
	}()
	w.call("proc_exit", 7)
}

// A guest that exits with the code by which the runtime tells of a deadline is
// still one that exited.
func TestExitCodesDoNotPassForATimeout(t *testing.T) {
	w := newWASI(t, nil)
	w.i.exited = true
	var e *Error
	if err := w.i.failed(context.Background(), "f", sys.NewExitError(sys.ExitCodeDeadlineExceeded)); !errors.As(err, &e) || e.Kind != Exit {
		t.Errorf("got %v", err)
	}
}

func TestTheContextIsWrittenIfItFits(t *testing.T) {
	w := newWASI(t, nil)
	stack := []uint64{16, 64}
	hostContext(w.i, w.mem, stack)
	if stack[0] != 0 {
		t.Errorf("outside of a call: %d", stack[0])
	}
	call := abi.Call{Topic: "orders", Partition: 3, BaseOffset: 4096, BaseTimestamp: 5}
	w.i.call = &call
	for _, c := range []struct {
		room    uint64
		written bool
	}{{31, false}, {32, true}, {1000, true}} {
		w.mem.Write(16, make([]byte, 64))
		stack = []uint64{16, c.room}
		hostContext(w.i, w.mem, stack)
		b, _ := w.mem.Read(16, 64)
		if got, err := abi.ParseContext(b); stack[0] != 32 || (err == nil && got == call) != c.written {
			t.Errorf("room for %d: %d, %+v", c.room, stack[0], got)
		}
	}
	defer func() {
		if p, ok := recover().(*guestPanic); !ok || p.kind != Trap {
			t.Errorf("a pointer outside of memory: %v", p)
		}
	}()
	hostContext(w.i, w.mem, []uint64{outside, 64})
}
