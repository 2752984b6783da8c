//go:build linux || darwin

package quorum

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeBytes tells how much of dir's file system this process may still use.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	if os.Geteuid() == 0 {
		return int64(s.Bfree) * int64(s.Bsize), nil
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
