package seglog_test

import (
	"errors"
	"testing"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/seglog"
	"github.com/millrun/millrun/core/seglog/faultfs"
)

func TestDiscardClosesWithoutASync(t *testing.T) {
	fs := faultfs.New()
	files := seglog.NewFiles(10)
	l, _, err := seglog.Open(seglog.Options{FS: fs, Dir: "/log", Files: files}, seglog.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	b := record.NewBuilder(nil)
	b.Append(1, nil, []byte("x"), nil)
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(batch); err != nil {
		t.Fatal(err)
	}
	before := fs.Mutations()
	l.Discard()
	l.Discard()
	if n := fs.Mutations() - before; n != 0 || files.Open() != 0 {
		t.Errorf("%d writes, %d files open", n, files.Open())
	}
	if _, err := l.Append(batch); !errors.Is(err, seglog.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := l.ReadInto(nil, 0, 1, 100, true); !errors.Is(err, seglog.ErrClosed) {
		t.Errorf("read: %v", err)
	}
}

func TestALazyLogTakesNothingOfTheDiskBeforeItsFirstAppend(t *testing.T) {
	fs := faultfs.New()
	o := seglog.Options{FS: fs, Dir: "/data/log", Lazy: true}
	b := record.NewBuilder(nil)
	b.Append(1, nil, []byte("x"), nil)
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l, r, err := seglog.Open(o, seglog.DefaultConfig())
		if err != nil || !r.Created {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, _, err := l.OffsetForTimestamp(0, 10); err != nil {
			t.Error(err)
		}
		if _, ok, err := l.MaxTimestamp(); ok || err != nil {
			t.Error(ok, err)
		}
		if out, err := l.ReadInto(nil, 0, 10, 100, true); len(out) != 0 || err != nil {
			t.Error(out, err)
		}
		if _, err := l.Retain(0); err != nil {
			t.Error(err)
		}
		if _, err := l.Flush(); err != nil {
			t.Error(err)
		}
		mark, err := l.Close()
		if err != nil {
			t.Fatal(err)
		}
		o.Clean = &mark
		if n := fs.Mutations(); n != 0 {
			t.Fatalf("%d changes of the disk", n)
		}
	}
	l, _, err := seglog.Open(o, seglog.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	fs.SetSpace(0)
	if _, err := l.Append(batch); !errors.Is(err, seglog.ErrNoSpace) {
		t.Errorf("on a full disk: %v", err)
	}
	fs.SetSpace(-1)
	if _, err := l.Append(batch); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := fs.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	fs.Restart(faultfs.LoseUnsynced, nil)
	o.Clean = nil
	l, r, err := seglog.Open(o, seglog.DefaultConfig())
	if err != nil || r.Created || l.EndOffset() != 1 {
		t.Errorf("after a power cut: %+v, %v", r, err)
	}
}

func TestALogShorterThanAnIndexIntervalGetsNoIndex(t *testing.T) {
	fs := faultfs.New()
	l, _, err := seglog.Open(seglog.Options{FS: fs, Dir: "/log"}, seglog.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	b := record.NewBuilder(nil)
	b.Append(1, nil, []byte("x"), nil)
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(batch); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// kafka-dump-log fails on a time index without an offset index beside it.
	if names, err := fs.ReadDir("/log"); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}
