package wasmhost

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// ownProgram is this program, even if its file was replaced meanwhile.
func ownProgram() (string, error) { return "/proc/self/exe", nil }

func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// dataSlack is what a Go program maps and does not touch: parts of its heap, and the stacks of its threads.
const dataSlack = 256 << 20

// limitData bounds what the process may map to write to, should it take memory faster than it is watched. What Go
// reserves and does not use does not count.
func (c compiler) limitData() error {
	most := uint64(c.memory) + dataSlack
	return setLimit(syscall.RLIMIT_DATA, most, most)
}

// residentPeak is the most bytes that were resident since the program began; 0 if it cannot be known. (What getrusage
// says includes the parent's, from before the program began.)
func residentPeak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	kib, _, _ := bytes.Cut(bytes.TrimSpace(after), []byte(" "))
	n, err := strconv.ParseInt(string(kib), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
