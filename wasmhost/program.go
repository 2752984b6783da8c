package wasmhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/millrun/millrun/wasmhost/abi"
)

// Spec is a module and the limits to run it in.
type Spec struct {
	Wasm        []byte
	Name        string            // in errors: the deployment's
	Config      map[string]string // given to millrun_configure, or the environment of Redpanda's modules
	Inputs      []string          // the inputs' names: the first is in the environment of Redpanda's modules; may be nil
	Outputs     int               // how many are declared; a filter has one
	Topics      []string          // the outputs' names, in order: the guest's environment; may be nil
	MemoryBytes int64             // of one instance; 0: 64 MiB
	Timeout     time.Duration     // of one call; 0: 1 s
	OutputBytes int               // of one call; 0: abi.OutputCap
	Log         abi.LogFunc       // takes what the guest says on its trial; may be nil
}

func (s *Spec) check() error {
	if s.MemoryBytes == 0 {
		s.MemoryBytes = defaultMemoryBytes
	}
	if s.Timeout == 0 {
		s.Timeout = defaultTimeout
	}
	switch {
	case s.MemoryBytes < pageBytes || s.MemoryBytes > maxMemoryBytes:
		return fmt.Errorf("a memory limit of %s: it must be between 64 KiB and 1 GiB", byteSize(s.MemoryBytes))
	case s.Timeout < 0:
		return fmt.Errorf("a timeout of %v: it must be above 0", s.Timeout)
	case s.Outputs < 1:
		return errors.New("no output is declared")
	case len(s.Topics) > 0 && len(s.Topics) != s.Outputs:
		return fmt.Errorf("%d outputs are declared, but %d are named", s.Outputs, len(s.Topics))
	case s.OutputBytes < 0:
		return fmt.Errorf("an output limit of %d bytes", s.OutputBytes)
	}
	return nil
}

// Program is a module that was loaded: it links, it starts, and it accepts its
// configuration. It may be used by many goroutines.
type Program struct {
	host     *Host
	name     string
	shape    shape
	config   []byte // JSON
	args     []string
	environ  []string // NAME=value
	topics   []string // the outputs
	memory   int64
	timeout  time.Duration
	output   int // bytes of a call; 0: by the input
	outputs  int
	wants    abi.Wants
	compiled wazero.CompiledModule
}

// Load checks, compiles and links a module and starts it once on trial. What is
// wrong with the module comes back as an *Error of kind Refused, whatever stage
// found it: one line with the module's name and the reason.
func (h *Host) Load(ctx context.Context, s Spec) (*Program, error) {
	p, err := h.load(ctx, s)
	if err == nil {
		return p, nil
	}
	var guest *Error
	if errors.As(err, &guest) {
		guest.Kind = Refused
		return nil, guest
	}
	return nil, err
}

func (h *Host) load(ctx context.Context, s Spec) (*Program, error) {
	refuse := func(err error) error { return &Error{Kind: Refused, Module: s.Name, Reason: err.Error()} }
	if err := s.check(); err != nil {
		return nil, refuse(err)
	}
	shape, err := check(s.Wasm, s.MemoryBytes)
	if err != nil {
		return nil, refuse(err)
	}
	if shape.filter && s.Outputs != 1 {
		return nil, refuse(fmt.Errorf("is a filter, which has exactly one output, but %d are declared", s.Outputs))
	}
	config, err := configJSON(s.Config)
	if err != nil {
		return nil, refuse(err)
	}
	p := &Program{
		host: h, name: s.Name, shape: shape, config: config,
		memory: s.MemoryBytes, timeout: s.Timeout, output: s.OutputBytes, outputs: s.Outputs, topics: s.Topics,
	}
	if err := p.surround(&s); err != nil {
		return nil, refuse(err)
	}
	p.compiled, err = h.compiled(ctx, shape.wasm)
	if err != nil {
		var fault *CompileError
		if errors.As(err, &fault) {
			return nil, refuse(fault)
		}
		return nil, fmt.Errorf("module %s: %w", s.Name, err)
	}
	p.shape.wasm = nil // the compiled form is enough
	if err := p.trial(ctx, s.Log); err != nil {
		_ = p.compiled.Close(ctx)
		return nil, err
	}
	return p, nil
}

// trial starts the module once to learn what it wants.
func (p *Program) trial(ctx context.Context, log abi.LogFunc) error {
	i, err := p.start(ctx, log)
	if err != nil {
		return err
	}
	p.wants = i.wants
	if !p.shape.redpanda {
		err = i.allocate(ctx, startTimeout, roundUp(0)) // better now than at the first record
	}
	if err := errors.Join(err, i.Close(ctx)); err != nil {
		return err
	}
	if err := p.wants.Check(p.shape.filter); err != nil {
		return &Error{Kind: Refused, Module: p.name, Reason: err.Error()}
	}
	return nil
}

// configJSON is the object that millrun_configure gets: keys in order, nothing
// escaped that JSON does not ask for.
func configJSON(config map[string]string) ([]byte, error) {
	if config == nil {
		config = map[string]string{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(config); err != nil {
		return nil, err
	}
	out := bytes.TrimRight(b.Bytes(), "\n")
	if len(out) > configBytes {
		return nil, fmt.Errorf("its configuration has %d bytes, at most %d are allowed", len(out), configBytes)
	}
	return out, nil
}

// Filter tells whether the module is a filter; else it is a transform.
func (p *Program) Filter() bool { return p.shape.filter }

// Redpanda tells whether the module is one of Redpanda's; such a one is a transform.
func (p *Program) Redpanda() bool { return p.shape.redpanda }

// Wants are the columns the guest asked for.
func (p *Program) Wants() abi.Wants { return p.wants }

// Instance starts the module. What it says goes to log (which may be nil), on the
// goroutine that calls the instance.
func (p *Program) Instance(ctx context.Context, log abi.LogFunc) (*Instance, error) {
	i, err := p.start(ctx, log)
	if err != nil {
		return nil, err
	}
	if i.wants != p.wants {
		_ = i.Close(ctx)
		return nil, &Error{Kind: Refused, Module: p.name, Func: abi.ExportWants,
			Reason: fmt.Sprintf("answers %d now and answered %d before", i.wants, p.wants)}
	}
	return i, nil
}

// Close lets go of the compiled module. Instances that are left go on.
func (p *Program) Close(ctx context.Context) error { return p.compiled.Close(ctx) }
