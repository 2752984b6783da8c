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
