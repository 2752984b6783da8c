//go:build !linux && !darwin

package wasmhost

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

func ownProgram() (string, error) { return os.Executable() }

func childAttributes() *syscall.SysProcAttr { return nil }

func (c compiler) limitProcess(func()) error {
	return errors.New("a process cannot limit itself on " + runtime.GOOS)
}

func residentPeak() int64 { return 0 }
