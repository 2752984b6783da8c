package wasmhost

import (
	"os"
	"syscall"
)

func ownProgram() (string, error) { return os.Executable() }

// childAttributes cannot ask the system to end the child with its parent: the child looks itself.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// limitData has nothing to set: this system does not count what is mapped.
func (c compiler) limitData() error { return nil }

// residentPeak is the most bytes that were resident; 0 if it cannot be known.
func residentPeak() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Maxrss
}
