//go:build !windows

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/plugins"
	"github.com/millrun/millrun/wasmhost"
	"github.com/millrun/millrun/wasmhost/abi"
)

// trial is a module with what it needs to be tried on records, without a broker.
type trial struct {
	name       string // the module's or the deployment's: errors begin with it
	moduleName string
	module     []byte
	config     map[string]string
	inputs     []string
	outputs    []string
	memory     int64
	timeout    time.Duration
	log        abi.LogFunc
}

// The results of one record.
const (
	resultPassed  = "passed"
	resultDropped = "dropped"
	resultFailed  = "failed"
)

// attempt is what became of one record.
type attempt struct {
	In     recordView   `json:"in"`
	Result string       `json:"result"`
	Out    []recordView `json:"out"`
	failureView
}

// failureView is how a record failed; all of it is empty if it did not.
type failureView struct {
	Reason string `json:"reason,omitempty"` // trap, timeout, ...
	Error  string `json:"error,omitempty"`
	Stack  string `json:"stack,omitempty"`
}

// limitFlags are the flags that say how a module is tried.
func limitFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "config", KeepSpace: true, Usage: "`NAME=VALUE` for the module; may be repeated"},
		&cli.DurationFlag{Name: "timeout", Usage: "longest time of one call", Value: transform.DefaultTimeout},
		&cli.StringFlag{Name: "memory", Usage: "most memory of one instance", Value: "64MiB"},
	}
}

// trialOf takes the settings from the flags; the module has yet to be read.
func trialOf(c *cli.Context, file, input string, outputs []string) (*trial, error) {
	config, err := pairs(c, "config")
	if err != nil {
		return nil, err
	}
	memory, err := transform.ParseBytes(c.String("memory"))
	if err != nil {
		return nil, usagef("--memory %v", err)
	}
	name := strings.TrimSuffix(filepath.Base(file), ".wasm")
	return &trial{
		name: name, moduleName: name, config: config, inputs: []string{input}, outputs: outputs, memory: memory, timeout: c.Duration("timeout"), log: guestLog(c),
	}, nil
}

// guestLog shows on stderr what a guest says.
func guestLog(c *cli.Context) abi.LogFunc {
	return func(_ int, message string) { fmt.Fprintf(c.App.ErrWriter, "guest: %s\n", printable(message)) }
}

// readModuleBytes reads a module from a file, or takes the one of that name that ships with millrun.
func readModuleBytes(file string) ([]byte, error) {
	module, err := readModule(file)
	if err == nil && module == nil {
		module, _ = plugins.Module(file)
	}
	return module, err
}

// load compiles the module, in a child process within limits as a broker does, and starts it. close ends it again.
func (t *trial) load(ctx context.Context) (p *wasmhost.Program, close func(), err error) {
	code, err := os.MkdirTemp("", "millrun-compiled-")
	if err != nil {
		return nil, nil, err
	}
	host := wasmhost.New(wasmhost.Config{CacheDir: code, Compile: wasmhost.CompileChild{}.Compile})
	end := func() {
		_ = host.Close(context.WithoutCancel(ctx)) // nothing of it runs any more
		_ = os.RemoveAll(code)
	}
	p, err = host.Load(ctx, wasmhost.Spec{Wasm: t.module, Name: t.name, Config: t.config, Inputs: t.inputs, Outputs: len(t.outputs), Topics: t.outputs,
		MemoryBytes: t.memory, Timeout: t.timeout, Log: t.log})
	if err != nil {
		end()
		return nil, nil, err
	}
	return p, end, nil
}

// try gives records of one partition, in order, to the module and tells what became of each. One that fails does not
// keep the others from being tried. An error is none of the records'.
func (t *trial) try(ctx context.Context, p *wasmhost.Program, topic string, partition int32, records []recordView) ([]attempt, error) {
	given := make([]wasmhost.Record, len(records))
	attempts := make([]attempt, len(records))
	for i, r := range records {
		given[i] = hostRecord(r, int64(i))
		attempts[i] = attempt{In: r, Result: resultDropped, Out: []recordView{}}
	}
	for first := 0; first < len(given); {
		made, err := p.Try(ctx, topic, partition, given[first:], t.log)
		for _, o := range made {
			a := &attempts[first+o.Source]
			a.Result, a.Out = resultPassed, append(a.Out, viewOutput(o, t.outputs))
		}
		if err == nil {
			return attempts, nil
		}
		var failed *wasmhost.RecordError
		if !errors.As(err, &failed) || ctx.Err() != nil {
			return nil, err
		}
		a := &attempts[first+failed.Index]
		a.Result, a.Out, a.failureView = resultFailed, []recordView{}, failureOf(failed.Err)
		first += failed.Index + 1
	}
	return attempts, nil
}

func failureOf(err error) failureView {
	v := failureView{Reason: "failure", Error: err.Error()}
	var guest *wasmhost.Error
	if errors.As(err, &guest) {
		v.Reason, v.Stack = guest.Kind.String(), guest.Stack
	}
	return v
}
