package wasmhost

import "syscall"

// yieldThread lets the system run another thread that is ready, of this process or another, before this one goes on. It is
// a system call as Go knows it: however long the thread waits, Go's collector does not wait for it.
func yieldThread() { _, _, _ = syscall.Syscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
