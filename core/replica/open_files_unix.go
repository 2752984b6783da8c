//go:build unix

package replica

import "golang.org/x/sys/unix"

// openFilesAllowed is half of the files that this process may have open: the other half is for connections.
func openFilesAllowed() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	const enough = 1 << 20
	return int(min(uint64(limit.Cur)/2, enough))
}
