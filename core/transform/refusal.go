package transform

import (
	"errors"
	"fmt"
)

// Why a request about deployments is refused; test with errors.Is. The text of the error that wraps one of them is
// complete without it.
var (
	ErrInvalid     = errors.New("invalid")       // what was asked for makes no sense, or the module is no good
	ErrExists      = errors.New("exists")        // a deployment of that name
	ErrUnknown     = errors.New("unknown")       // no deployment of that name
	ErrBusy        = errors.New("busy")          // the same is being done already
	ErrUnchanged   = errors.New("unchanged")     // an upgrade to what runs already
	ErrRegression  = errors.New("regression")    // the new version fails on a record that the old one passes
	ErrUnsupported = errors.New("not supported") // it makes sense, but this version does not do it
)

type refusal struct {
	kind error
	msg  string
}

func (r *refusal) Error() string { return r.msg }
func (r *refusal) Unwrap() error { return r.kind }

func refuse(kind error, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}
