package seglog

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync: it leaves out the modification time, which spares a journal write when the size stays.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}
