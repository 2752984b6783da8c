// Package faultfs is a file system in memory for tests of whatever writes through [seglog.FS]: it crashes at a chosen
// operation, loses what was not synced, fails a chosen write or fsync, and runs out of space.
//
// It is strict where real file systems are kind: after a power cut a file that was synced is lost all the same if its
// directory was not.
package faultfs

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrun/millrun/core/seglog"
)

// ErrCrashed is what every operation returns between the crash and Restart.
var ErrCrashed = errors.New("faultfs: the machine has crashed")

// Op is a kind of operation that can be made to fail.
type Op int

const (
	Write Op = iota
	Sync
	SyncDir
	Create
	Truncate
	Rename
	Remove
	Read
	numOps
)

// Loss says what a stop does to what was not synced.
type Loss int

const (
	// LoseNothing is kill -9: the page cache stays.
	LoseNothing Loss = iota
	// LoseUnsynced is a power cut before the kernel has written anything by itself.
	LoseUnsynced
	// LoseSome is a power cut after the kernel has written some: of each file's unsynced growth a random part is there.
	LoseSome
)

// FS is the file system. All methods may be called by any goroutine.
type FS struct {
	mu      sync.Mutex
	names   map[string]*node // what programs see
	durable map[string]*node // what a power cut leaves of the names
	epoch   int              // of restarts; files opened before are dead
	crashed bool

	mutations int   // operations so far that change something
	crashAt   int   // the mutation at which to crash, -1 never
	crashPart int   // bytes of that write that are carried out
	space     int64 // bytes that may be stored, -1 any number
	faults    [numOps][]fault
	now       func() time.Time
}

type fault struct {
	after int // operations of the kind that still succeed
	part  int // bytes of a write that are carried out
	err   error
}

type node struct {
	data   []byte
	synced []byte
	dir    bool
	mod    time.Time
}

// New returns an empty file system with a root directory.
func New() *FS {
	root := &node{dir: true}
	return &FS{
		names: map[string]*node{"/": root}, durable: map[string]*node{"/": root}, crashAt: -1, space: -1, now: time.Now,
	}
}

// CrashAt makes the n-th mutation from now (0 is the next) the last one: it is not carried out, but for the first part
// bytes if it is a write.
func (f *FS) CrashAt(n, part int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashAt, f.crashPart = f.mutations+n, part
}

// Mutations is the number of operations so far that change something: writes, syncs, truncations, and those on names.
func (f *FS) Mutations() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mutations
}

// Crashed tells whether the crash has happened.
func (f *FS) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crashed
}

// Fail makes one operation of the kind fail with err after n more have succeeded; of a write the first part bytes are
// carried out.
func (f *FS) Fail(op Op, n, part int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[op] = append(f.faults[op], fault{n, part, err})
}

// SetSpace allows n more bytes to be stored; a negative n takes the limit away.
func (f *FS) SetSpace(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.space = n; n >= 0 {
		f.space += f.used()
	}
}

func (f *FS) used() int64 {
	n := int64(0)
	for _, x := range f.names {
		n += int64(len(x.data))
	}
	return n
}

// Restart ends a crash (or the present life, if there was none). Files opened before are dead. rng is for LoseSome.
func (f *FS) Restart(loss Loss, rng *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch++
	f.crashed, f.crashAt = false, -1
	f.faults = [numOps][]fault{}
	if loss == LoseUnsynced {
		f.names = map[string]*node{}
		for name, x := range f.durable {
			if f.reachable(name) {
				f.names[name] = x
			}
		}
	}
	for _, x := range f.names {
		switch {
		case loss == LoseUnsynced:
			x.data = slices.Clone(x.synced)
		case loss == LoseSome && len(x.data) > len(x.synced) && string(x.data[:len(x.synced)]) == string(x.synced):
			x.data = slices.Clone(x.data[:len(x.synced)+rng.IntN(len(x.data)-len(x.synced)+1)])
		}
	}
}

// reachable tells whether all directories above a durable name are durable.
func (f *FS) reachable(name string) bool {
	for name != "/" {
		name = path.Dir(name)
		if f.durable[name] == nil {
			return false
		}
	}
	return true
}

// begin is called, with mu held, by every operation of a kind that changes something. It returns how many of n bytes to
// carry out and the error to return.
func (f *FS) begin(op Op, n int) (int, error) {
	if f.crashed {
		return 0, ErrCrashed
	}
	if f.mutations == f.crashAt {
		f.crashed = true
		return min(n, f.crashPart), ErrCrashed
	}
	f.mutations++
	return f.fault(op, n)
}

func (f *FS) fault(op Op, n int) (int, error) {
	var hit *fault
	kept := f.faults[op][:0]
	for _, x := range f.faults[op] {
		if x.after == 0 && hit == nil {
			hit = &x
			continue
		}
		x.after--
		kept = append(kept, x)
	}
	f.faults[op] = kept
	if hit != nil {
		return min(n, hit.part), hit.err
	}
	return n, nil
}

func clean(name string) string { return path.Clean("/" + name) }

func notExist(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

// Open implements seglog.FS.
func (f *FS) Open(name string, flag int) (seglog.File, error) {
	name = clean(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	x := f.names[name]
	switch {
	case x != nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case x == nil && flag&os.O_CREATE == 0, f.names[path.Dir(name)] == nil:
		return nil, notExist("open", name)
	case x == nil:
		if _, err := f.begin(Create, 0); err != nil {
			return nil, err
		}
		x = &node{mod: f.now()}
		f.names[name] = x
	case flag&os.O_TRUNC != 0:
		if _, err := f.begin(Truncate, 0); err != nil {
			return nil, err
		}
		x.data = nil
	}
	return &file{fs: f, node: x, epoch: f.epoch, name: name}, nil
}

// Stat implements seglog.FS.
func (f *FS) Stat(name string) (seglog.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return seglog.Stat{}, ErrCrashed
	}
	x := f.names[clean(name)]
	if x == nil {
		return seglog.Stat{}, notExist("stat", name)
	}
	return seglog.Stat{Size: int64(len(x.data)), ModTime: x.mod, IsDir: x.dir}, nil
}

// ReadDir implements seglog.FS.
func (f *FS) ReadDir(name string) ([]string, error) {
	name = clean(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	if x := f.names[name]; x == nil || !x.dir {
		return nil, notExist("readdir", name)
	}
	var names []string
	for n := range f.names {
		if n != name && path.Dir(n) == name {
			names = append(names, path.Base(n))
		}
	}
	slices.Sort(names)
	return names, nil
}

// MkdirAll implements seglog.FS.
func (f *FS) MkdirAll(name string) error {
	name = clean(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.begin(Create, 0); err != nil {
		return err
	}
	for n := name; f.names[n] == nil; n = path.Dir(n) {
		f.names[n] = &node{dir: true, mod: f.now()}
	}
	return nil
}

// Rename implements seglog.FS. A directory takes along what is in it.
func (f *FS) Rename(from, to string) error {
	from, to = clean(from), clean(to)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return ErrCrashed
	}
	if f.names[from] == nil {
		return notExist("rename", from)
	}
	if _, err := f.begin(Rename, 0); err != nil {
		return err
	}
	moved := map[string]*node{}
	for n, x := range f.names {
		if n == from || strings.HasPrefix(n, from+"/") {
			delete(f.names, n)
			moved[to+strings.TrimPrefix(n, from)] = x
		}
	}
	for n, x := range moved {
		f.names[n] = x
	}
	return nil
}

// Remove implements seglog.FS.
func (f *FS) Remove(name string) error {
	name = clean(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return ErrCrashed
	}
	if f.names[name] == nil {
		return notExist("remove", name)
	}
	if _, err := f.begin(Remove, 0); err != nil {
		return err
	}
	delete(f.names, name)
	return nil
}

// SyncDir implements seglog.FS.
func (f *FS) SyncDir(name string) error {
	name = clean(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.begin(SyncDir, 0); err != nil {
		return err
	}
	for n := range f.durable {
		if n != "/" && path.Dir(n) == name && f.names[n] == nil {
			delete(f.durable, n)
		}
	}
	for n, x := range f.names {
		if path.Dir(n) == name {
			f.durable[n] = x
		}
	}
	return nil
}

// ReadFile returns a copy of a file's contents, for a test to look at.
func (f *FS) ReadFile(name string) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.names[clean(name)]
	if x == nil {
		return nil, false
	}
	return slices.Clone(x.data), true
}

// WriteFile puts a file there, durably, for a test to damage things.
func (f *FS) WriteFile(name string, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = clean(name)
	x := &node{data: slices.Clone(b), synced: slices.Clone(b), mod: f.now()}
	f.names[name], f.durable[name] = x, x
}

type file struct {
	fs    *FS
	node  *node
	epoch int
	name  string
}

// dead tells, with mu held, whether the file was opened before the last restart.
func (x *file) dead() error {
	if x.fs.crashed || x.epoch != x.fs.epoch {
		return ErrCrashed
	}
	return nil
}

func (x *file) ReadAt(b []byte, off int64) (int, error) {
	x.fs.mu.Lock()
	defer x.fs.mu.Unlock()
	if err := x.dead(); err != nil {
		return 0, err
	}
	if _, err := x.fs.fault(Read, 0); err != nil {
		return 0, err
	}
	if off >= int64(len(x.node.data)) {
		return 0, io.EOF
	}
	n := copy(b, x.node.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (x *file) WriteAt(b []byte, off int64) (int, error) {
	x.fs.mu.Lock()
	defer x.fs.mu.Unlock()
	if x.epoch != x.fs.epoch {
		return 0, ErrCrashed
	}
	n, err := x.fs.begin(Write, len(b))
	if room := x.fs.space - x.fs.used() + int64(len(x.node.data)) - off; x.fs.space >= 0 && int64(n) > room {
		n, err = int(max(room, 0)), syscall.ENOSPC
	}
	if n > 0 {
		if end := off + int64(n); end > int64(len(x.node.data)) {
			x.node.data = append(x.node.data, make([]byte, end-int64(len(x.node.data)))...)
		}
		copy(x.node.data[off:], b[:n])
		x.node.mod = x.fs.now()
	}
	return n, err
}

func (x *file) Truncate(size int64) error {
	x.fs.mu.Lock()
	defer x.fs.mu.Unlock()
	if x.epoch != x.fs.epoch {
		return ErrCrashed
	}
	if _, err := x.fs.begin(Truncate, 0); err != nil {
		return err
	}
	if size <= int64(len(x.node.data)) {
		x.node.data = x.node.data[:size]
	} else {
		x.node.data = append(x.node.data, make([]byte, size-int64(len(x.node.data)))...)
	}
	return nil
}

func (x *file) Sync() error {
	x.fs.mu.Lock()
	defer x.fs.mu.Unlock()
	if x.epoch != x.fs.epoch {
		return ErrCrashed
	}
	if _, err := x.fs.begin(Sync, 0); err != nil {
		return err
	}
	x.node.synced = slices.Clone(x.node.data)
	return nil
}

func (x *file) Close() error { return nil }
