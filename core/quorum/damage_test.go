package quorum

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrun/millrun/core/meta"
)

// newerSnapshot is the snapshot with an image of a version that does not exist yet.
func newerSnapshot(s *snapshot) []byte {
	b := s.encode()
	image := b[snapshotHeader : len(b)-sha256.Size]
	image[8]++ // the version, behind the magic
	sum := sha256.Sum256(image[:len(image)-sha256.Size])
	copy(image[len(image)-sha256.Size:], sum[:])
	sum = sha256.Sum256(b[:len(b)-sha256.Size])
	copy(b[len(b)-sha256.Size:], sum[:])
	return b
}

// twoCopies makes a log and returns a copy of its folder as kill -9 would leave it, and one as closing does.
func twoCopies(t *testing.T) (killed, stopped string, hash [32]byte) {
	t.Helper()
	killed, stopped = t.TempDir(), t.TempDir()
	l := openLog(t, stopped)
	for i := range 40 {
		mustChange(t, l, set(fmt.Sprint("k", i), strings.Repeat("v", i)))
	}
	hash = l.Image().Hash()
	copyDir(t, killed, stopped)
	closeLog(t, l)
	return killed, stopped, hash
}

func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// A damaged folder either gives the image that it held, or an error that names it: never another image.
func TestADamagedFolderIsNeverTakenForAnother(t *testing.T) {
	killed, stopped, hash := twoCopies(t)
	refused, whole := 0, 0
	for name, from := range map[string]string{"killed": killed, "stopped": stopped} {
		dir := filepath.Join(t.TempDir(), "copy")
		try := func(what string, damage func() error) {
			t.Helper()
			copyDir(t, dir, from)
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			l, err := Open(t.Context(), quiet(dir))
			if err != nil {
				if refused++; !strings.Contains(err.Error(), dir) {
					t.Errorf("%s, %s: the error does not name the folder: %v", name, what, err)
				}
				return
			}
			if whole++; l.Image().Hash() != hash {
				t.Errorf("%s, %s: opened with another image, sequence %d", name, what, l.Image().Seq())
			}
			closeLog(t, l)
		}
		eachFile(t, from, func(path string, size int64) {
			file := filepath.Join(dir, path)
			step := max(size/4, 1)
			for at := int64(0); at < size; at += step {
				try(fmt.Sprintf("%s cut to %d of %d bytes", path, at, size), func() error { return os.Truncate(file, at) })
				try(fmt.Sprintf("%s flipped at %d of %d", path, at, size), func() error { return flip(file, at) })
			}
			try(path+" removed", func() error { return os.Remove(file) })
		})
	}
	t.Logf("%d refused, %d opened whole", refused, whole)
	if refused == 0 || whole == 0 {
		t.Error("the damage was of one kind only")
	}
}

func eachFile(t *testing.T, dir string, fn func(path string, size int64)) {
	t.Helper()
	if err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fn(path, info.Size())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func flip(file string, at int64) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 0x20
	_, err = f.WriteAt(b[:], at)
	return err
}

func TestALostJetStreamFolderIsNoNewCluster(t *testing.T) {
	_, stopped, _ := twoCopies(t)
	for _, part := range []string{"jetstream", "jetstream/META", "jetstream/META/streams/META", "jetstream/META/streams/META/msgs", "jetstream/META/streams/META/meta.inf"} {
		dir := filepath.Join(t.TempDir(), "copy")
		copyDir(t, dir, stopped)
		if err := os.RemoveAll(filepath.Join(dir, "meta/solo", part)); err != nil {
			t.Fatal(err)
		}
		if _, err := tryOpen(t, dir); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), dir) {
			t.Errorf("without %s: %v", part, err)
		}
	}
}

func TestALogWithoutItsTailMarkOpensAndGetsOne(t *testing.T) {
	_, dir, hash := twoCopies(t)
	file := filepath.Join(dir, "meta/solo/tail")
	for name, damage := range map[string]func() error{
		"removed": func() error { return os.Remove(file) },
		"emptied": func() error { return os.Truncate(file, 0) },
		"damaged": func() error { return flip(file, 9) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		l := openLog(t, dir)
		if l.Image().Hash() != hash {
			t.Errorf("%s: another image", name)
		}
		mustChange(t, l, noop)
		hash = l.Image().Hash()
		closeLog(t, l)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if mark, err := decodeTail(b); err != nil || mark.seq != l.Image().Seq() {
			t.Errorf("%s: the new mark is %d, %v", name, mark.seq, err)
		}
	}
}

func TestACommandOfANewerBinaryStopsTheLog(t *testing.T) {
	for name, tt := range map[string]struct {
		command []byte
		want    error
	}{
		"newer":   {[]byte{1, 200, 1, 1}, meta.ErrUnknownCommand},
		"damaged": {[]byte{1}, meta.ErrCorrupt},
	} {
		dir := t.TempDir()
		l := openLog(t, dir)
		s := l.Stats()
		if err := l.node.publish("", "x", s.Committed, chainHash(s.Chain).seal(tt.command)); err != nil {
			t.Fatal(err)
		}
		<-l.Stopped()
		if !errors.Is(l.Err(), tt.want) {
			t.Errorf("%s: %v", name, l.Err())
		}
		if _, err := l.Change(t.Context(), noop); !errors.Is(err, tt.want) {
			t.Errorf("%s: a change: %v", name, err)
		}
		closeLog(t, l)
		if _, err := tryOpen(t, dir); !errors.Is(err, tt.want) {
			t.Errorf("%s: opened again: %v", name, err)
		}
	}
}
