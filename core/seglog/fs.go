package seglog

import (
	"io"
	"os"
	"time"
)

// FS is what a log needs of a file system. Package faultfs has one that crashes and fails on demand.
type FS interface {
	// Open opens a file; flag is made of os.O_RDONLY or os.O_RDWR, os.O_CREATE, os.O_EXCL, os.O_TRUNC.
	Open(name string, flag int) (File, error)
	// Stat does not follow what a directory entry may point to any differently than os.Stat.
	Stat(name string) (Stat, error)
	// ReadDir returns the names in a directory, sorted.
	ReadDir(name string) ([]string, error)
	MkdirAll(name string) error
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
}

// File is one open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync makes the file's contents and size durable.
	Sync() error
}

// Stat is what a log wants to know of a file without opening it.
type Stat struct {
	Size    int64
	ModTime time.Time
	IsDir   bool
}

// OS returns the file system of the machine.
func OS() FS { return osFS{} }

type osFS struct{}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncData(f.File) }

func (osFS) Open(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Stat(name string) (Stat, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Stat{}, err
	}
	return Stat{Size: info.Size(), ModTime: info.ModTime(), IsDir: info.IsDir()}, nil
}

func (osFS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) MkdirAll(name string) error   { return os.MkdirAll(name, 0o755) }
func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(name string) error     { return os.Remove(name) }

func (osFS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// readFile returns a whole file of at most limit bytes.
func readFile(fs FS, name string, limit int64) ([]byte, error) {
	st, err := fs.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.Size > limit {
		return nil, formatError(name, "%d bytes are more than the %d that such a file may have", st.Size, limit)
	}
	f, err := fs.Open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, st.Size)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return b[:n], nil
}

// replaceFile puts b in the place of a file so that a crash leaves either the old or the new contents.
func replaceFile(fs FS, dir, name string, b []byte) error {
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
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.Rename(tmp, path)
	}
	if err != nil {
		return err
	}
	return fs.SyncDir(dir)
}
