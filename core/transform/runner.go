package transform

import (
	"context"
	"time"

	"github.com/millrun/millrun/wasmhost/abi"
)

// Spec is a module and the limits to run it in.
type Spec struct {
	Wasm        []byte
	Name        string            // of the deployment
	Config      map[string]string // given to the guest: as JSON, or as its environment if the module is one of Redpanda's
	Inputs      []string          // the inputs' names, as they were declared
	Outputs     int               // how many outputs are declared
	Topics      []string          // the outputs' names, in order: a guest that routes by name finds them in its environment
	MemoryBytes int64             // most linear memory of one instance
	Timeout     time.Duration     // of one call
	Log         abi.LogFunc       // takes what the guest says while it is started on trial
}

// Runner compiles a module, checks that it can be linked, and starts it once on trial. Its error says what is wrong with
// the module.
type Runner func(ctx context.Context, s Spec) (Program, error)

// Program is a module that can be started. It may be used by many goroutines.
type Program interface {
	// Filter tells whether the module is a filter; else it is a transform.
	Filter() bool
	// Redpanda tells whether it is one of Redpanda's modules: a transform whose log has another shape.
	Redpanda() bool
	// Wants are the columns the guest asks for.
	Wants() abi.Wants
	// Instance starts the module. What it says goes to log, on the goroutine that calls the instance.
	Instance(ctx context.Context, log abi.LogFunc) (Instance, error)
	// Close is called when no instance is left.
	Close(ctx context.Context) error
}

// Instance is a started module. It is used by one goroutine at a time. What it returns is valid until the next
// call, or until Close; after an error it is good for nothing but Close.
type Instance interface {
	// Filter gives n records to a filter and returns a bitmap of those that pass.
	Filter(ctx context.Context, call abi.Call, in []byte, n int) (bitmap []byte, err error)
	// Transform gives n rows to a transform and returns output rows, which are not checked.
	Transform(ctx context.Context, call abi.Call, in []byte, n int) (rows []byte, err error)
	// Fuel is how many units of work it was charged since it was started; it may be asked after an error too.
	Fuel() uint64
	// MemoryBytes is the size of its linear memory now; it may be asked after an error too.
	MemoryBytes() int64
	Close(ctx context.Context) error
}
