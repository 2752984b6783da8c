package wasmhost

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
)

// heard collects log lines as "level text".
type heard []string

func (h *heard) log(level int, msg string) { *h = append(*h, abi.LevelName(level)+" "+msg) }

func TestAFloodOfLinesIsHeldToARateAndCounted(t *testing.T) {
	now := time.Unix(0, 0)
	h := New(Config{Now: func() time.Time { return now }})
	defer h.Close(context.Background())
	p, err := h.Load(context.Background(), Spec{Wasm: guest(t, "flood"), Name: "m", Outputs: 1})
	if err != nil {
		t.Fatal(err)
	}
	var lines heard
	i, err := p.Instance(context.Background(), lines.log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Filter(context.Background(), abi.Call{}, []byte{0}, 1); err != nil {
		t.Fatal(err)
	}
	told := fmt.Sprintf("warn %d lines were dropped: more than %d a second", 100_000-logBurst, logPerSecond)
	if len(lines) != logBurst+1 || lines[0] != "info drip" || lines[logBurst] != told {
		t.Fatalf("%d lines, the first %q, the last %q", len(lines), lines[0], lines[len(lines)-1])
	}
	if _, err := i.Filter(context.Background(), abi.Call{}, []byte{0}, 1); err != nil || len(lines) != logBurst+1 {
		t.Fatalf("%d lines after another flood at once, %v", len(lines), err)
	}
	now = now.Add(time.Second)
	if _, err := i.Filter(context.Background(), abi.Call{}, []byte{0}, 1); err != nil {
		t.Fatal(err)
	}
	again := fmt.Sprintf("warn 100000 lines were dropped: more than %d a second", logPerSecond)
	rest := fmt.Sprintf("warn %d lines were dropped: more than %d a second", 100_000-logPerSecond, logPerSecond)
	if len(lines) != logBurst+logPerSecond+3 || lines[logBurst+1] != again || lines[len(lines)-1] != rest {
		t.Errorf("%d lines after a second, among them %q, the last %q", len(lines), lines[logBurst+1], lines[len(lines)-1])
	}
	if _, err := i.Filter(context.Background(), abi.Call{}, []byte{0}, 1); err != nil {
		t.Fatal(err)
	}
	if err := i.Close(context.Background()); err != nil || lines[len(lines)-1] != again {
		t.Errorf("at the end %q, %v", lines[len(lines)-1], err)
	}
}

func TestOneWriteTakesABoundedPiece(t *testing.T) {
	var lines heard
	i := start(t, load(t, Spec{Wasm: guest(t, "write-bomb"), Name: "m"}), lines.log)
	if _, err := i.Filter(context.Background(), abi.Call{}, []byte{0}, 1); err != nil {
		t.Fatal(err)
	}
	if taken, _ := i.module.Memory().ReadUint32Le(512); taken != writeBytes {
		t.Errorf("one fd_write took %d bytes", taken)
	}
}

func TestBytesOfStdoutBecomeLines(t *testing.T) {
	var lines heard
	o := output{log: lines.log, now: time.Now}
	for _, piece := range []string{"one\ntw", "o\r\n", "\n", "bad \xff byte\n", strings.Repeat("x", logLineBytes+3) + "\n", "rest"} {
		o.write(1, []byte(piece))
	}
	o.write(2, []byte("trouble\n"))
	o.flush()
	want := []string{"info one", "info two", "info ", "info bad \uFFFD byte", "info " + strings.Repeat("x", logLineBytes), "info xxx",
		"warn trouble", "info rest"}
	if strings.Join(lines, "|") != strings.Join(want, "|") {
		t.Errorf("got %q", lines)
	}
}

func TestTheReasonOfACrashIsTheLineThatTellsIt(t *testing.T) {
	for text, want := range map[string]string{
		"loading\nbad thing\n": "bad thing",
		"panic: index out of range [5]\n\ngoroutine 1 [running]:\nmain.f(...)\n\t/x.go:3 +0x2\n":                "panic: index out of range [5]",
		"\nthread 'main' panicked at src/lib.rs:4:5:\nboom\nnote: run with `RUST_BACKTRACE=1` environment...\n": "thread 'main' panicked at src/lib.rs:4:5: boom",
		"no line feed": "no line feed",
	} {
		o := output{now: time.Now}
		o.write(2, []byte(text))
		if got := o.said(); got != want {
			t.Errorf("%q: said %q", text, got)
		}
		o.begin()
		if got := o.said(); got != "" {
			t.Errorf("the next call remembers %q", got)
		}
	}
}

func TestTheStackThatAGuestPrintsIsKeptWithinItsBound(t *testing.T) {
	o := output{now: time.Now}
	o.write(2, []byte("loading\npanic: index out of range [5]\n\ngoroutine 1 [running]:\nmain.f(...)\n\t/x.go:3 +0x2\n"))
	if got, want := o.stack(), "goroutine 1 [running]:\nmain.f(...)\n\t/x.go:3 +0x2"; got != want {
		t.Errorf("stack %q, not %q", got, want)
	}
	o.write(2, []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", 200)))
	if n := len(o.stack()); n > stackBytes || n < stackBytes-100 {
		t.Errorf("a stack of %d bytes", n)
	}
	o.begin()
	if got := o.stack(); got != "" {
		t.Errorf("the next call remembers %q", got)
	}
	if got := joinStacks("own", "theirs"); got != "own\ntheirs" || joinStacks("", "theirs") != "theirs" || len(joinStacks(strings.Repeat("o", stackBytes), "x")) != stackBytes {
		t.Errorf("joined %q", got)
	}
}
