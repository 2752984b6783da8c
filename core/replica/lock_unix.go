//go:build unix

package replica

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dirLock keeps a data directory to one process. The kernel lets go of it when the process ends, however it ends.
type dirLock struct{ f *os.File }

// lockFileName is Kafka's, so that a Kafka broker stays out too.
const lockFileName = ".lock"

// lockDir takes the lock of a directory, and fails with the directory's name and its holder if there is one.
func lockDir(dir string) (*dirLock, error) {
	path := join(dir, lockFileName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder := "another process"
		if b, rerr := io.ReadAll(io.LimitReader(f, 32)); rerr == nil {
			if pid, perr := strconv.Atoi(strings.TrimSpace(string(b))); perr == nil {
				holder = fmt.Sprintf("process %d", pid)
			}
		}
		return nil, errors.Join(fmt.Errorf("data directory %s is in use by %s: stop it, or choose another directory", dir, holder), f.Close())
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
	}
	return &dirLock{f}, nil
}

func (l *dirLock) release() error { return l.f.Close() }
