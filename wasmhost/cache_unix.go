//go:build unix

package wasmhost

import (
	"fmt"
	"os"
	"syscall"
)

// privateDir refuses a folder that somebody else may write to: what lies there is run.
func privateDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("compiled code: %s is no folder: remove it", dir)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("compiled code: %s belongs to user %d and not to user %d, as whom this runs: remove it, or change its owner", dir, stat.Uid, os.Geteuid())
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("compiled code: others may write to %s, and what lies there is run: remove it", dir)
	}
	if info.Mode().Perm() != 0o700 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}
