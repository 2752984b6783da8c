package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"
)

// Kind says how a guest failed.
type Kind int8

const (
	Refused   Kind = iota + 1 // at load: the module cannot be linked or started, or declined its configuration
	Trap                      // the guest stopped itself or was stopped: unreachable, a bad pointer, abort
	Exit                      // the guest ended itself with an exit code
	Timeout                   // the call took longer than it may
	Memory                    // the guest ran into its memory limit
	Failure                   // the guest says that it could not do it
	BadOutput                 // what the guest returned is not what the ABI says
)

var kindNames = [...]string{"unknown", "refused", "trap", "exit", "timeout", "memory", "failure", "bad output"}

// String is the kind's word in logs and in a dead letter's headers.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[0]
	}
	return kindNames[k]
}

// Error is a guest's failure. An error of Load or of a call that is no *Error is
// not the guest's fault: the caller's context ended, or the host was closed.
type Error struct {
	Kind   Kind
	Module string // the name it was loaded under
	Func   string // the export that was called, or empty
	Reason string // one line
	Said   string // the guest's last word on stderr or log, or empty
	Stack  string // the guest's call stack, a function a line, as the runtime or the guest itself tells it, or empty
}

// Error is one line, without the stack.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "module %s: ", e.Module)
	if e.Func != "" {
		fmt.Fprintf(&b, "%s: ", e.Func)
	}
	b.WriteString(e.Reason)
	if e.Said != "" {
		fmt.Fprintf(&b, ": %s", e.Said)
	}
	return b.String()
}

// GuestStack is the call stack for those who know this type only by its methods.
func (e *Error) GuestStack() string { return e.Stack }

// GuestFailure is the kind for those who know this type only by its methods.
func (e *Error) GuestFailure() string { return e.Kind.String() }

// guestPanic is what a host function panics with to stop its guest.
type guestPanic struct {
	kind   Kind
	reason string
}

func (p *guestPanic) Error() string { return p.reason }

// failed turns what the runtime returned from calling fn into this package's error.
func (i *Instance) failed(ctx context.Context, fn string, err error) error {
	e := &Error{Kind: Trap, Module: i.program.name, Func: fn, Said: i.out.said()}
	var (
		exit *sys.ExitError
		stop *guestPanic
	)
	switch {
	case errors.As(err, &exit) && i.exited:
		e.Kind, e.Reason = Exit, fmt.Sprintf("exit code %d", exit.ExitCode())
	case errors.Is(err, errGivenUp):
		return fmt.Errorf("module %s: %s: %w", i.program.name, fn, context.Cause(ctx))
	case errors.As(err, &stop):
		e.Kind, e.Reason, e.Stack = stop.kind, stop.reason, stackOf(err)
		if e.Kind == Timeout {
			e.Said = "" // whatever it was, it is not why
		}
	default:
		e.Reason, e.Stack = trapOf(err), stackOf(err)
	}
	if e.Kind != Timeout {
		e.Stack = joinStacks(i.out.stack(), e.Stack)
	}
	if i.memory.denied && e.Kind != Timeout {
		e.Kind = Memory
		e.Reason = fmt.Sprintf("%s after it was refused more than %s of memory", e.Reason, byteSize(i.memory.limit))
	}
	return e
}

// joinStacks puts the stack that the guest printed, which may know files and lines, before the runtime's.
func joinStacks(own, runtime string) string {
	if own == "" || runtime == "" {
		return own + runtime
	}
	stack := own + "\n" + runtime
	return strings.ToValidUTF8(stack[:min(len(stack), stackBytes)], "")
}

const stackMark = "wasm stack trace:"

// trapOf is the first line of a runtime's error, without its name.
func trapOf(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(line, "wasm error: ")
}

// stackOf is the part of a runtime's error that lists the guest's functions.
func stackOf(err error) string {
	_, stack, ok := strings.Cut(err.Error(), stackMark)
	if !ok {
		return ""
	}
	stack, _, _ = strings.Cut(stack, "\n\n")
	lines := strings.FieldsFunc(stack, func(r rune) bool { return r == '\n' })
	for n := range lines {
		lines[n] = strings.TrimSpace(lines[n])
	}
	stack = strings.Join(lines, "\n")
	if len(stack) > stackBytes {
		stack = strings.ToValidUTF8(stack[:stackBytes], "")
	}
	return stack
}

func byteSize(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
