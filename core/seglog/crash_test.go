package seglog_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

// life is what a program did to a log until the machine crashed.
type life struct {
	written []byte // every batch given to Append, acknowledged or not
	acked   int    // bytes of it that Append accepted
	durable int    // bytes of it that a Flush covered
	point   record.Offset
}

// live appends, flushes and rolls until the end or the crash.
func live(o seglog.Options, c seglog.Config) (x life) {
	l, _, err := seglog.Open(o, c)
	if err != nil {
		return x
	}
	for i := range 24 {
		b := batchAt(l.EndOffset(), 1+i%3, testTime+int64(i), 20)
		x.written = append(x.written, b...)
		if _, err := l.Append(b); err != nil {
			return x
		}
		x.acked = len(x.written)
		if i%5 == 4 {
			p, err := l.Flush()
			if err != nil {
				return x
			}
			x.durable, x.point = x.acked, p
		}
	}
	_, _ = l.Close()
	return x
}

// withDataDir is a file system with an empty data directory.
func withDataDir(t testing.TB) *faultfs.FS {
	fs := faultfs.New()
	if err := errors.Join(fs.MkdirAll("/data"), fs.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestACrashAtAnyWriteLosesNothingThatWasPromised(t *testing.T) {
	c := testConfig()
	c.SegmentBytes, c.IndexIntervalBytes = 1000, 200
	whole := withDataDir(t)
	before := whole.Mutations()
	o := testOptions("/data/log")
	o.FS = whole
	o.Files = seglog.NewFiles(4)
	live(o, c)
	for _, loss := range []faultfs.Loss{faultfs.LoseNothing, faultfs.LoseUnsynced, faultfs.LoseSome} {
		for at := range whole.Mutations() - before {
			for _, part := range []int{0, 1, 30, 70} {
				fs := withDataDir(t)
				o.FS, o.RecoveryPoint = fs, 0
				fs.CrashAt(at, part)
				x := live(o, c)
				if !fs.Crashed() {
					t.Fatalf("no crash at %d", at)
				}
				fs.Restart(loss, rand.New(rand.NewPCG(uint64(at), uint64(part))))
				o.RecoveryPoint = x.point
				checkAfterCrash(t, o, c, x, loss)
			}
		}
	}
}

func checkAfterCrash(t *testing.T, o seglog.Options, c seglog.Config, x life, loss faultfs.Loss) {
	t.Helper()
	l, _, err := seglog.Open(o, c)
	if loss == faultfs.LoseSome && errors.As(err, new(*seglog.DamageError)) {
		return // the kernel wrote a later segment before an earlier one: reported, not cut away
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(l, 400)
	promised := x.durable
	if loss == faultfs.LoseNothing {
		promised = x.acked
	}
	if err != nil || len(got) < promised || !bytes.HasPrefix(x.written, got) {
		t.Fatalf("read %d bytes, %d were promised: %v", len(got), promised, err)
	}
	b := mustAppend(t, l, 2, 10)
	if got, err = readAll(l, 400); err != nil || !bytes.HasSuffix(got, b) {
		t.Fatal(err)
	}
	mustClose(t, l)
}

func faultyLog(t *testing.T) (*faultfs.FS, seglog.Options, *seglog.Log) {
	fs := faultfs.New()
	o := testOptions("/log")
	o.FS = fs
	l := mustOpen(t, o, testConfig())
	mustAppend(t, l, 2, 100)
	return fs, o, l
}

func TestAFailedWriteStopsTheLogForEver(t *testing.T) {
	fs, o, l := faultyLog(t)
	fs.Fail(faultfs.Write, 0, 40, syscall.EIO)
	b := batchAt(l.EndOffset(), 3, testTime, 100)
	for range 3 {
		if _, err := l.Append(b); !errors.Is(err, syscall.EIO) {
			t.Fatalf("append: %v", err)
		}
	}
	if !errors.Is(l.Failed(), syscall.EIO) || l.EndOffset() != 2 {
		t.Fatal(l.Failed(), l.EndOffset())
	}
	if _, err := l.Flush(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("flush: %v", err)
	}
	if _, err := l.Close(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("close gave a mark: %v", err)
	}
	l, r, err := seglog.Open(o, testConfig())
	if err != nil || r.EndOffset != 2 || r.TruncatedBytes != 40 {
		t.Fatalf("%+v %v", r, err)
	}
	mustClose(t, l)
}

func TestAFailedFsyncStopsTheLogForEver(t *testing.T) {
	for _, op := range []faultfs.Op{faultfs.Sync, faultfs.SyncDir} {
		fs, _, l := faultyLog(t)
		fs.Fail(op, 0, 0, syscall.EIO)
		for range 2 {
			if p, err := l.Flush(); !errors.Is(err, syscall.EIO) || p != 0 {
				t.Fatalf("flush up to %d: %v", p, err)
			}
		}
		if _, err := l.Append(batchAt(2, 1, testTime, 1)); !errors.Is(err, syscall.EIO) {
			t.Fatalf("append: %v", err)
		}
	}
}

func TestAFullDiskCutsTheTailAndAppendsResume(t *testing.T) {
	fs, o, l := faultyLog(t)
	size := l.Size()
	fs.SetSpace(150)
	b := batchAt(2, 3, testTime, 100)
	for range 3 {
		if _, err := l.Append(b); !errors.Is(err, seglog.ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("append: %v", err)
		}
		if got, _ := fs.ReadFile("/log/" + seglog.FileName(0, seglog.LogSuffix)); int64(len(got)) != size {
			t.Fatalf("file has %d bytes", len(got))
		}
	}
	small := mustAppend(t, l, 1, 1)
	fs.SetSpace(-1)
	big := mustAppend(t, l, 3, 100)
	got, err := readAll(l, 1<<20)
	if err != nil || !bytes.HasSuffix(got, append(append([]byte{}, small...), big...)) {
		t.Fatal(err)
	}
	o.Clean = mustClose(t, l)
	mustClose(t, mustOpen(t, o, testConfig()))
}

func TestAFullDiskAtARollLeavesTheLogAsItWas(t *testing.T) {
	fs, _, l := faultyLog(t)
	c := testConfig()
	c.SegmentBytes = 400
	if err := l.SetConfig(c); err != nil {
		t.Fatal(err)
	}
	fs.Fail(faultfs.Create, 0, 0, syscall.ENOSPC)
	b := batchAt(2, 2, testTime, 100)
	if _, err := l.Append(b); !errors.Is(err, seglog.ErrNoSpace) {
		t.Fatalf("append: %v", err)
	}
	a, err := l.Append(b)
	if err != nil || !a.Rolled || a.RolledAt != 2 || len(l.Segments()) != 2 {
		t.Fatalf("%+v %v", a, err)
	}
}

// fewFiles fails to open files while it is told so.
type fewFiles struct {
	seglog.FS
	full bool
}

func (f *fewFiles) Open(name string, flag int) (seglog.File, error) {
	if f.full {
		return nil, syscall.EMFILE
	}
	return f.FS.Open(name, flag)
}

func TestWantOfFileDescriptorsPasses(t *testing.T) {
	fs, o := &fewFiles{FS: faultfs.New()}, testOptions("/log")
	o.FS, o.Files = fs, seglog.NewFiles(0)
	l := mustOpen(t, o, testConfig())
	mustAppend(t, l, 1, 1)
	o.Files.CloseIdle()
	o.Files.CloseIdle()
	fs.full = true
	_, appendErr := l.Append(batchAt(1, 1, testTime, 1))
	_, flushErr := l.Flush()
	_, readErr := l.ReadInto(nil, 0, 1, 100, true)
	for _, err := range []error{appendErr, flushErr, readErr} {
		if !errors.Is(err, syscall.EMFILE) {
			t.Error(err)
		}
	}
	fs.full = false
	mustAppend(t, l, 1, 1)
	if p, err := l.Flush(); err != nil || p != 2 {
		t.Fatal(p, err)
	}
}

func TestRetentionWorksWhereThereIsNoRoomForAName(t *testing.T) {
	c := testConfig()
	c.SegmentBytes, c.RetentionBytes, c.FileDeleteDelayMs = 500, 0, 60_000
	l, fs, _ := memLog(t, c)
	for range 10 {
		mustAppend(t, l, 1, 100)
	}
	for range 3 {
		fs.Fail(faultfs.Rename, 0, 0, syscall.ENOSPC)
	}
	if n, err := l.Retain(10); err != nil || n == 0 || l.Failed() != nil {
		t.Fatal(n, err, l.Failed())
	}
}

func TestAnErrorOfReadIsNotTakenForDamage(t *testing.T) {
	fs, _, l := faultyLog(t)
	fs.Fail(faultfs.Read, 0, 0, syscall.EIO)
	_, err := l.ReadInto(nil, 0, 2, 1000, true)
	if !errors.Is(err, syscall.EIO) || errors.As(err, new(*seglog.DamageError)) {
		t.Fatal(err)
	}
	if _, err = l.ReadInto(nil, 0, 2, 1000, true); err != nil {
		t.Fatal(err)
	}
}

// slowSync holds every fsync back until the test lets it go.
type slowSync struct {
	seglog.FS
	mu    sync.Mutex
	syncs int
	gate  chan struct{}
}

type slowFile struct {
	seglog.File
	fs *slowSync
}

func (s *slowSync) Open(name string, flag int) (seglog.File, error) {
	f, err := s.FS.Open(name, flag)
	return slowFile{f, s}, err
}

func (f slowFile) Sync() error {
	f.fs.mu.Lock()
	f.fs.syncs++
	f.fs.mu.Unlock()
	<-f.fs.gate
	return f.File.Sync()
}

func TestConcurrentFlushesShareAnFsync(t *testing.T) {
	fs := &slowSync{FS: faultfs.New(), gate: make(chan struct{})}
	o := testOptions("/log")
	o.FS = fs
	l := mustOpen(t, o, testConfig())
	var wg sync.WaitGroup
	const callers = 50
	for range callers {
		mustAppend(t, l, 1, 10)
		end := l.EndOffset()
		wg.Go(func() {
			if p, err := l.Flush(); err != nil || p < end {
				t.Errorf("flushed up to %d of %d: %v", p, end, err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for open := true; open; {
		select {
		case fs.gate <- struct{}{}:
		case <-done:
			open = false
		}
	}
	// The first covers some, the second all who came while it ran; a straggler may have come after it.
	if fs.syncs > 5 {
		t.Fatalf("%d fsyncs for %d flushes", fs.syncs, callers)
	}
	if _, err := l.ReadInto(nil, 0, 1, 10, true); err != nil && err != io.EOF {
		t.Fatal(err)
	}
}
