package replica

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/millrun/millrun/core/seglog"
)

// maxSmallFile bounds the files that are read whole here, none of which has more than a few lines.
const maxSmallFile = 64 << 10

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// readFile returns a small file, and nil if there is none.
func readFile(fs seglog.FS, path string) ([]byte, error) {
	f, err := fs.Open(path, os.O_RDONLY)
	if isNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxSmallFile+1))
	if err == nil && len(b) > maxSmallFile {
		err = fmt.Errorf("%s: longer than %d bytes", path, maxSmallFile)
	}
	return b, err
}

// replaceFile puts b in the place of a file, so that a crash leaves either the old or the new contents.
func replaceFile(fs seglog.FS, dir, name string, b []byte) error {
	path := join(dir, name)
	tmp := path + ".tmp"
	f, err := fs.Open(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(tmp, path); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}

// syncFile makes a file durable that was written before.
func syncFile(fs seglog.FS, path string) error {
	f, err := fs.Open(path, os.O_RDWR)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// unsynced is a file system whose writes a power cut may undo. It is for files that can be made anew from others, or that
// are synced later, when it matters.
type unsynced struct{ seglog.FS }

type unsyncedFile struct{ seglog.File }

func (u unsynced) Open(name string, flag int) (seglog.File, error) {
	f, err := u.FS.Open(name, flag)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (unsynced) SyncDir(string) error { return nil }
func (unsyncedFile) Sync() error      { return nil }

// removeTree removes a directory with everything in it.
func removeTree(fs seglog.FS, dir string) error {
	names, err := fs.ReadDir(dir)
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		path := join(dir, name)
		st, err := fs.Stat(path)
		if err == nil && st.IsDir {
			err = removeTree(fs, path)
		} else if err == nil {
			err = fs.Remove(path)
		}
		if err != nil && !isNotExist(err) {
			return err
		}
	}
	return fs.Remove(dir)
}
