//go:build linux || darwin

package wasmhost

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// niceness of the child: the broker goes first.
const niceness = 5

// limitProcess sets what the system enforces: tooLong is called when the processor time is used up, and a second later
// the process is killed.
func (c compiler) limitProcess(tooLong func()) error {
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGXCPU)
	signal.Ignore(syscall.SIGXFSZ) // a write that is over the limit fails
	go func() {
		<-over
		tooLong()
	}()
	return errors.Join(
		setLimit(syscall.RLIMIT_CORE, 0, 0),
		setLimit(syscall.RLIMIT_CPU, uint64(c.seconds), uint64(c.seconds)+1),
		setLimit(syscall.RLIMIT_FSIZE, maxCodeBytes+1, maxCodeBytes+1),
		c.limitData(),
		syscall.Setpriority(syscall.PRIO_PGRP, 0, niceness), // of all threads: the child leads a group of its own
	)
}

// setLimit lowers a limit of this process; one that is lower already stays.
func setLimit(resource int, soft, hard uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(resource, &now); err != nil {
		return err
	}
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: min(soft, now.Max), Max: min(hard, now.Max)})
}
