package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// meteredBytes bounds what the child reads: metering makes a module larger, hardly ever twice as large.
const meteredBytes = 8 * 10 << 20

// compiler is the child of a CompileChild, as its arguments describe it.
type compiler struct {
	seconds  int   // of processor time
	memory   int64 // bytes
	cacheDir string
}

// CompileMain is the whole of a process that compiles one module for a CompileChild: args are what follows CompileVerb,
// stdin is the module. It limits the whole process before it reads a byte, and returns the exit code.
func CompileMain(args []string, stdin io.Reader, stderr io.Writer) int {
	c, err := compilerOf(args)
	if err == nil {
		err = c.limit(func(reason string) {
			fmt.Fprintln(stderr, reason)
			os.Exit(exitRefused)
		})
	}
	if err == nil {
		err = c.run(stdin)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, err)
	var refused *CompileError
	if errors.As(err, &refused) {
		return exitRefused
	}
	return exitTrouble
}

func compilerOf(args []string) (c compiler, err error) {
	if len(args) != 3 {
		return c, errors.New(CompileVerb + " SECONDS BYTES FOLDER is how the broker compiles a module: it is of no use otherwise")
	}
	if c.seconds, err = strconv.Atoi(args[0]); err != nil || c.seconds < 1 {
		return c, fmt.Errorf("%q seconds", args[0])
	}
	if c.memory, err = strconv.ParseInt(args[1], 10, 64); err != nil || c.memory < 1 {
		return c, fmt.Errorf("%q bytes", args[1])
	}
	c.cacheDir = args[2]
	return c, nil
}

// limit holds the process to its limits: refuse is called, on another goroutine, when it is over one of them.
func (c compiler) limit(refuse func(reason string)) error {
	debug.SetMemoryLimit(c.memory / 4 * 3) // the collector works harder from here on
	parent := os.Getppid()
	if err := c.limitProcess(func() { refuse(tooMuchTime(c.seconds)) }); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	go func() {
		for range time.Tick(watchEvery) {
			if residentPeak() > c.memory {
				refuse(tooMuchMemory(c.memory))
			}
			if os.Getppid() != parent {
				os.Exit(exitTrouble) // nobody waits for this any more
			}
		}
	}()
	return nil
}

// watchEvery is how often the child looks at what it takes: a compiler takes some 100 MiB in a second.
const watchEvery = 10 * time.Millisecond

func (c compiler) run(stdin io.Reader) error {
	wasm, err := io.ReadAll(io.LimitReader(stdin, meteredBytes+1))
	if err != nil {
		return fmt.Errorf("module: %w", err)
	}
	if len(wasm) > meteredBytes {
		return &CompileError{fmt.Sprintf("has more than %s with its meter", byteSize(meteredBytes))}
	}
	return CompileInto(context.Background(), c.cacheDir, wasm)
}
