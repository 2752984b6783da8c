//go:build linux || darwin

package wasmhost

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/plugins/hostile"
)

// child compiles in a process of its own: this test binary, see TestMain.
func child() CompileChild { return CompileChild{Path: os.Args[0]} }

func TestACompileChildPutsTheCodeWhereTheHostFindsIt(t *testing.T) {
	dir := t.TempDir()
	if err := loadOn(t, Config{CacheDir: dir, Compile: child().Compile}, guest(t, "pass")); err != nil {
		t.Fatal(err)
	}
	never := func(context.Context, string, []byte) error { return errors.New("compiled again") }
	if err := loadOn(t, Config{CacheDir: dir, Compile: never}, guest(t, "pass")); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, tempPrefix+"*")); len(left) != 0 {
		t.Errorf("the child has left %v", left)
	}
}

func TestACompileChildSaysWhatIsWrongWithAModule(t *testing.T) {
	b := guest(t, "pass")
	at := strings.LastIndex(string(b), "\x41\x80\x08\x0b") // i32.const 1024, end
	bad := append([]byte{}, b...)
	copy(bad[at:], "\x42\x80\x08") // i64.const 1024
	err := loadOn(t, Config{CacheDir: t.TempDir(), Compile: child().Compile}, bad)
	var refused *Error
	if !errors.As(err, &refused) || refused.Kind != Refused || !strings.Contains(err.Error(), "module m: ") ||
		!strings.Contains(err.Error(), "cannot use i64 as result[0] type i32") {
		t.Errorf("got %v", err)
	}
}

func TestACompileBombCostsTheChildAndNotTheHost(t *testing.T) {
	for _, c := range []struct {
		kind      string
		functions int
		child     CompileChild
		want      string
	}{
		{hostile.BombLoops, 40, CompileChild{CPU: time.Second}, "needs more than 1 s of processor time to compile"},
		{hostile.BombBlocks, 40, CompileChild{CPU: time.Second}, "needs more than 1 s of processor time to compile"},
		{hostile.BombTargets, 40, CompileChild{MemoryBytes: 192 << 20}, "needs more than 192 MiB of memory to compile"},
	} {
		c.child.Path, c.child.Time = os.Args[0], 10*time.Minute // it may wait for a busy machine
		dir := t.TempDir()
		h := New(Config{CacheDir: dir, Compile: c.child.Compile})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := h.Load(context.Background(), Spec{Wasm: hostile.CompileBomb(c.kind, c.functions), Name: "m", Outputs: 1})
		runtime.ReadMemStats(&after)
		var refused *Error
		if !errors.As(err, &refused) || refused.Kind != Refused || err.Error() != "module m: "+c.want {
			t.Errorf("%s: %v", c.kind, err)
		}
		// Checking and metering take a few times the module's size; compiling takes hundreds of MiB.
		if used := after.TotalAlloc - before.TotalAlloc; used > 150<<20 {
			t.Errorf("%s: the host itself allocated %d MiB", c.kind, used>>20)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 1 { // the runtime's own folder
			t.Errorf("%s: %v are left", c.kind, left)
		}
		if _, err := h.Load(context.Background(), Spec{Wasm: guest(t, "pass"), Name: "m", Outputs: 1}); err != nil {
			t.Errorf("after %s: %v", c.kind, err)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// Should it take memory faster than it is watched, the system refuses it.
func TestTheSystemHoldsTheChildToItsMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux counts what a process maps")
	}
	cmd := exec.Command(os.Args[0], hogVerb)
	var said complaint
	cmd.Stderr = &said
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() == exitTrouble { // how Go ends without memory is its own affair
		t.Errorf("it took 1 GiB with a limit of 64 MiB: %v, %q", err, said.line())
	}
}

func TestAChildIsKilledWhenNobodyWaitsForItAnyMore(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	h := New(Config{CacheDir: dir, Compile: child().Compile})
	defer h.Close(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := h.Load(ctx, Spec{Wasm: hostile.CompileBomb(hostile.BombLoops, 40), Name: "m", Outputs: 1})
		failed <- err
	}()
	for begun := false; !begun; time.Sleep(time.Millisecond) {
		found, _ := filepath.Glob(filepath.Join(dir, tempPrefix+"*", "*"))
		begun = len(found) > 0
	}
	cancel()
	select {
	case err := <-failed:
		var refused *Error
		if !errors.Is(err, context.Canceled) || errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
	case <-time.After(20 * time.Second): // well below what the bomb may take
		t.Error("the load goes on")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, tempPrefix+"*")); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
}

func TestAModuleWhoseCodeIsThereDoesNotWaitForACompiler(t *testing.T) {
	ctx := context.Background()
	begun, goOn := make(chan struct{}), make(chan struct{})
	compile := func(ctx context.Context, dir string, wasm []byte) error {
		if len(wasm) > 10<<10 {
			close(begun)
			<-goOn
		}
		return CompileInto(ctx, dir, wasm)
	}
	h := New(Config{CacheDir: t.TempDir(), Compile: compile})
	defer h.Close(ctx)
	pass := Spec{Wasm: guest(t, "pass"), Name: "m", Outputs: 1}
	if _, err := h.Load(ctx, pass); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := h.Load(ctx, Spec{Wasm: hostile.TypeBomb(40), Name: "slow", Outputs: 1})
		done <- err
	}()
	<-begun
	if _, err := h.Load(ctx, pass); err != nil {
		t.Error(err)
	}
	waiting, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := h.Load(waiting, Spec{Wasm: guest(t, "spin"), Name: "m", Outputs: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("who waits for the turn to compile, and gives up: %v", err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAProgramThatCannotBeStartedIsNotTheModulesFault(t *testing.T) {
	absent := CompileChild{Path: filepath.Join(t.TempDir(), "absent")}
	err := loadOn(t, Config{CacheDir: t.TempDir(), Compile: absent.Compile}, guest(t, "pass"))
	var refused *Error
	if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "compiling process: ") {
		t.Errorf("got %v", err)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	err = child().Compile(context.Background(), gone, guest(t, "pass"))
	var fault *CompileError
	if err == nil || errors.As(err, &fault) || !strings.Contains(err.Error(), gone) {
		t.Errorf("a folder that is gone: %v", err)
	}
}
