//go:build !wasip1

package millrun

import "os"

// Outside of WebAssembly, where a module's tests run, log lines go to stderr and
// there is no call.

func hostLog(_ Level, message string) { _, _ = os.Stderr.WriteString(message + "\n") }

func hostContext([]byte) int { return 0 }
