package wasmhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// CompileVerb is the first argument of a process that is to compile: the main function of the program that CompileChild
// starts hands what follows it to CompileMain, before it does anything else.
const CompileVerb = "wasm-compile"

// CompileChild compiles modules in a process of its own, which holds itself to limits and ends with this one. Its zero
// value starts this program again.
type CompileChild struct {
	Path        string        // the program to start, whose main calls CompileMain; empty: this one
	CPU         time.Duration // processor time, in whole seconds; 0: 30 s
	Time        time.Duration // on the clock; 0: 90 s
	MemoryBytes int64         // resident; 0: 512 MiB
}

// What the child ends with, besides 0.
const (
	exitRefused = 1 // the module's fault: the reason is the first line on stderr
	exitTrouble = 3 // nobody's
	// 2 is the Go runtime's own.
)

// complaintBytes is how much is kept of what the child writes to stderr.
const complaintBytes = 1 << 10

// Compile is a CompileFunc.
func (c CompileChild) Compile(ctx context.Context, cacheDir string, wasm []byte) error {
	if c.CPU == 0 {
		c.CPU = compileCPU
	}
	if c.Time == 0 {
		c.Time = compileTime
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = compileMemory
	}
	path := c.Path
	if path == "" {
		var err error
		if path, err = ownProgram(); err != nil {
			return fmt.Errorf("compiling process: %w", err)
		}
	}
	limited, cancel := context.WithTimeout(ctx, c.Time)
	defer cancel()
	cmd := exec.CommandContext(limited, path, CompileVerb, strconv.Itoa(c.seconds()), strconv.FormatInt(c.MemoryBytes, 10), cacheDir)
	var said complaint
	cmd.Stdin, cmd.Stderr = bytes.NewReader(wasm), &said
	cmd.Env = []string{"GOTRACEBACK=none"} // and nothing of this process's
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = childAttributes()
	// The child is told to end with the thread that started it: the thread stays while it runs.
	runtime.LockOSThread()
	err := cmd.Run()
	runtime.UnlockOSThread()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return &CompileError{fmt.Sprintf("was not compiled within %v", c.Time)}
	}
	return c.why(err, cmd.ProcessState, said.line())
}

// seconds is the limit of processor time in the system's unit.
func (c CompileChild) seconds() int { return int((c.CPU + time.Second - 1) / time.Second) }

// why tells the module's fault from what is not.
func (c CompileChild) why(err error, ended *os.ProcessState, said string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("compiling process: %w", err)
	}
	used := ended.UserTime() + ended.SystemTime()
	switch {
	case ended.ExitCode() == exitRefused:
		return &CompileError{said}
	case outOfMemory(said):
		return &CompileError{tooMuchMemory(c.MemoryBytes)}
	case used >= time.Duration(c.seconds())*time.Second:
		return &CompileError{tooMuchTime(c.seconds())}
	case ended.ExitCode() == 2:
		return &CompileError{"the compiler gave up: " + said}
	case said == "":
		said = ended.String() // "signal: killed"
	}
	return fmt.Errorf("compiling process: %s", said)
}

// outOfMemory tells the words of a Go program that the system gives no more memory.
func outOfMemory(said string) bool {
	return strings.Contains(said, "out of memory") || strings.Contains(said, "cannot allocate memory") ||
		strings.Contains(said, "failed to allocate") || strings.Contains(said, "pthread_create failed")
}

func tooMuchTime(seconds int) string {
	return fmt.Sprintf("needs more than %d s of processor time to compile", seconds)
}

func tooMuchMemory(limit int64) string {
	return fmt.Sprintf("needs more than %s of memory to compile", byteSize(limit))
}

// complaint keeps the beginning of what is written to it.
type complaint struct{ b []byte }

func (c *complaint) Write(b []byte) (int, error) {
	c.b = append(c.b, b[:min(len(b), complaintBytes-len(c.b))]...)
	return len(b), nil
}

// line is the first that says something.
func (c *complaint) line() string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(c.b)), "\n")
	return strings.ToValidUTF8(line, "")
}
