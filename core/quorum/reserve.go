package quorum

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/millrun/millrun/core/meta"
)

// reserveSize is what is kept of the disk for the commands that make room: with it gone, a full disk could only be
// cleared by hand. Half of it lets one command through, so that a second try succeeds if somebody was quicker.
const reserveSize = 4 * minFree

// reserve is a file of no content that is cut when the disk is full and the space is needed.
type reserve struct {
	path string
	size int64 // of the file, 0 without one
}

// openReserve finds what is left of the reserve from before.
func openReserve(cfg Config) reserve {
	if cfg.NoReserve {
		return reserve{}
	}
	r := reserve{path: filepath.Join(cfg.Dir, "meta", "reserve")}
	if info, err := os.Stat(r.path); err == nil {
		r.size = min(info.Size(), reserveSize)
	}
	return r
}

// fill makes the file as large as it should be, where there is more than enough room for it.
func (r *reserve) fill(free int64) error {
	if r.path == "" || r.size == reserveSize || free < minFree+2*reserveSize {
		return nil
	}
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	err = errors.Join(allocate(f, reserveSize), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(r.path))
	}
	r.size = reserveSize
	return nil
}

// give cuts what one command needs off the file. It reports whether there was anything to cut.
func (r *reserve) give() (bool, error) {
	if r.size == 0 {
		return false, nil
	}
	size := max(r.size-reserveSize/2, 0)
	if err := os.Truncate(r.path, size); err != nil {
		return false, err
	}
	r.size = size
	return true, nil
}

// writeZeros is how a file system that cannot allocate is made to.
func writeZeros(f *os.File, size int64) error {
	zeros := make([]byte, 64<<10)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(size-at, int64(len(zeros)))], at); err != nil {
			return err
		}
	}
	return nil
}

// checkRoom refuses a command on a disk that is all but full. If JetStream met the end of it, no append would succeed
// until the next start, though there may be space again long before. A command that makes room may use the reserve.
func (l *Log) checkRoom(c meta.Command) error {
	free, err := l.free(l.dir)
	if err == nil && free < minFree && meta.MakesRoom(c) {
		var gave bool
		if gave, err = l.reserve.give(); err == nil && gave {
			l.cfg.Logger.Warn("the disk is full: a change that makes room uses what was reserved for it", "dir", l.dir)
			free, err = l.free(l.dir)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: free space of %s: %w", ErrUnavailable, l.dir, err)
	}
	if free < minFree {
		return fmt.Errorf("%w: %w: %s has %d bytes, %d are needed", ErrUnavailable, meta.ErrNoSpace, l.dir, free, minFree)
	}
	if err := l.reserve.fill(free); err != nil {
		l.cfg.Logger.Warn("no space could be reserved for changes on a full disk", "file", l.reserve.path, "error", err)
		l.reserve.path = "" // it will not go better next time
	}
	return nil
}
