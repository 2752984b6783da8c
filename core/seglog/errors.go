package seglog

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

var (
	// ErrOutOfRange: the offset lies before the log's start or after its end.
	ErrOutOfRange = errors.New("offset is out of range")
	// ErrNoSpace: the disk is full. The log's tail is as before the append, and appends work again when space returns.
	ErrNoSpace = errors.New("no space left on the disk")
	// ErrClosed: the log has been closed.
	ErrClosed = errors.New("log is closed")
	// ErrOffset: a batch does not begin at the end of the log, or does not span the offsets that it says.
	ErrOffset = errors.New("batch does not continue the log")
	// ErrFormat: a checkpoint, snapshot or index file is not in its format.
	ErrFormat = errors.New("file is malformed")
)

// errGone is met by a reader whose segment was deleted under it.
var errGone = errors.New("segment is gone")

// DamageError says that a file does not hold what was written to it. The files are left as they are: the caller sets the
// partition aside.
type DamageError struct {
	File     string
	Position int64 // in File
	Why      string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s: damaged at byte %d: %s", e.File, e.Position, e.Why)
}

// isNoSpace tells a full disk, or a quota that is used up, from an error that ends the log.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isTooManyOpen tells that a file could not be opened for want of descriptors: nothing was written, nothing is lost.
func isTooManyOpen(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
