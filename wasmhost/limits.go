package wasmhost

import (
	"time"

	"github.com/millrun/millrun/wasmhost/binary"
)

// Every limit of the host, with the reason for its size. spec/limits.md lists them.
const (
	defaultMemoryBytes = 64 << 20 // a plain-Go guest starts at 2.2 MiB and reaches 8
	maxMemoryBytes     = 1 << 30  // pointers come back in the upper half of a signed 64-bit number
	pageBytes          = 64 << 10

	defaultTimeout = time.Second
	startTimeout   = 10 * time.Second // instantiating, _initialize, millrun_configure and millrun_wants, each

	// A slice of fuel is sized so that it takes about sliceTime: short enough for the
	// collector and other goroutines to wait for, long enough that yields do not show.
	sliceTime    = 100 * time.Microsecond
	threadYields = 16                   // of so many yields one lets other goroutines run, the others other threads
	longStep     = 5 * time.Millisecond // what is counted of a longer one; filling 64 MiB takes as long
	heldUp       = 10                   // times its limit is what a call may take on the clock
	firstSlice   = 200_000
	minSlice     = 50_000
	maxSlice     = 2_000_000

	callStackBytes = 16 << 20  // seen at a yield; the runtime doubles it from 10 KiB, so calls have 10 MiB
	handledBytes   = 256 << 10 // by host functions, between two looks at the clock

	// What a child process may take to compile a module (CompileChild). The largest modules of
	// compilers that were tried take a fifth of it.
	compileCPU     = 30 * time.Second
	compileTime    = 90 * time.Second // on the clock, where others use the processor too
	compileMemory  = 512 << 20
	maxCodeBytes   = 128 << 20 // of one module; it has four times the module's size
	maxCached      = 64        // modules whose compiled code is kept
	maxCachedBytes = 512 << 20

	configBytes = 1 << 20 // of millrun_configure's JSON

	pathBytes = 4 << 10 // of a path given to millrun.json_field

	logLineBytes = 4 << 10 // a longer line is cut
	logBurst     = 1000    // lines of an instance at once
	logPerSecond = 100     // lines of an instance from then on

	writeBytes    = 64 << 10 // taken by one fd_write; the guest writes the rest with another
	writeBuffers  = 1024     // looked at by one fd_write
	pollSubscribe = 4096     // subscriptions of one poll_oneoff

	stackBytes = 8 << 10 // of a guest's stack trace kept in an error
)

// structural are the limits on a module before it is compiled. They pass the
// largest real modules that were tried and refuse those made to cost the compiler
// minutes.
var structural = binary.Limits{
	ModuleBytes: 10 << 20,
	BodyBytes:   128 << 10,
	Blocks:      4_000,
	Loops:       500,
	Nesting:     1_000,
	LoopNesting: 64,
	BrTable:     4_096,
	Locals:      1_000,
	TableSize:   64 << 10,

	TypeValues: 50_000, // ways in and out of compiled code are made in this process
	Types:      10_000,
	Params:     1_000,
	Imports:    1_000,
	Funcs:      100_000,
	Tables:     16,
	Globals:    10_000,
	Exports:    10_000,
	Segments:   100_000,
}
