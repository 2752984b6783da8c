//go:build linux || darwin

package api

import "golang.org/x/sys/unix"

// fileSystemSize tells how large the file system is that holds dir, and how much of it this process may still use.
func fileSystemSize(dir string) (total, usable int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return int64(s.Blocks) * int64(s.Bsize), int64(s.Bavail) * int64(s.Bsize), nil
}
