package quorum

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func module(size int) (sha string, b []byte) {
	b = make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size)})
	r.Read(b)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), b
}

func TestModulesOfAnySizeComeBackAfterARestart(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	sizes := []int{0, 1, 128 << 10, 128<<10 + 1, 1 << 20, MaxModuleSize}
	none, _ := module(7)
	if _, err := l.Module(t.Context(), none); !errors.Is(err, ErrNoModule) {
		t.Errorf("before any: %v", err)
	}
	if err := l.DeleteModule(t.Context(), none); err != nil {
		t.Errorf("deleted before any: %v", err)
	}
	countModules(t, l, 0)
	for _, size := range sizes {
		sha, b := module(size)
		for range 2 {
			if err := l.PutModule(t.Context(), sha, b); err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
		}
	}
	closeLog(t, l)
	l = openLog(t, dir)
	countModules(t, l, len(sizes))
	for _, size := range sizes {
		sha, b := module(size)
		got, err := l.Module(t.Context(), sha)
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: %d bytes, %v", size, len(got), err)
		}
		if err := l.DeleteModule(t.Context(), sha); err != nil {
			t.Errorf("delete: %v", err)
		}
		if err := l.DeleteModule(t.Context(), sha); err != nil {
			t.Errorf("delete again: %v", err)
		}
		if _, err := l.Module(t.Context(), sha); !errors.Is(err, ErrNoModule) {
			t.Errorf("deleted: %v", err)
		}
	}
	countModules(t, l, 0)
	sha, b := module(1)
	if err := l.PutModule(t.Context(), sha, b); err != nil {
		t.Errorf("put again: %v", err)
	}
	if got, err := l.Module(t.Context(), sha); err != nil || !bytes.Equal(got, b) {
		t.Errorf("put again: %v", err)
	}
	if hashes, err := l.ModuleHashes(t.Context()); err != nil || len(hashes) != 1 || hashes[0] != sha {
		t.Errorf("put again: %q, %v", hashes, err)
	}
}

func countModules(t *testing.T, l *Log, want int) {
	t.Helper()
	if hashes, err := l.ModuleHashes(t.Context()); err != nil || len(hashes) != want {
		t.Errorf("%d modules are listed, not %d: %v", len(hashes), want, err)
	}
}

func TestBytesThatAreNotTheModuleAreRefused(t *testing.T) {
	l := openLog(t, t.TempDir())
	sha, b := module(100)
	if err := l.PutModule(t.Context(), sha, b[1:]); !errors.Is(err, ErrBadModule) {
		t.Errorf("other bytes: %v", err)
	}
	big, bigBytes := module(MaxModuleSize + 1)
	if err := l.PutModule(t.Context(), big, bigBytes); !errors.Is(err, ErrBadModule) {
		t.Errorf("too many: %v", err)
	}
}

func TestADamagedModuleIsNotHandedOut(t *testing.T) {
	dir := t.TempDir()
	sha, b := module(300 << 10)
	l := openLog(t, dir)
	if err := l.PutModule(t.Context(), sha, b); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	files, err := filepath.Glob(dir + "/meta/solo/jetstream/META/streams/OBJ_modules/msgs/*.blk")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := flip(files[0], int64(len(data)/2)); err != nil {
		t.Fatal(err)
	}
	l, err = Open(t.Context(), quiet(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Module(t.Context(), sha); !errors.Is(err, ErrBadModule) && !errors.Is(err, ErrNoModule) {
		t.Errorf("a damaged one: %v", err)
	}
	if err := l.PutModule(t.Context(), sha, b); err != nil {
		t.Errorf("put again: %v", err)
	}
	if got, err := l.Module(t.Context(), sha); err != nil || !bytes.Equal(got, b) {
		t.Errorf("put again: %v", err)
	}
}
