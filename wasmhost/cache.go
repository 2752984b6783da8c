package wasmhost

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
)

// This file alone knows how compiled code lies on disk.
//
//	wazero-VERSION-ARCH-OS/KEY   the code of a module, as the runtime writes and reads it
//	SHA256.sum                   by the SHA-256 of the metered module: that file's SHA-256 and name, as sha256sum prints them
//	tmp-*                        code that is being written
//
// The runtime's own checksum covers the instructions but not the numbers around them, so nothing is given to it that
// the sum does not fit. Any of the files may be deleted at any time.

// codeCache is a folder of compiled code. It belongs to one Host at a time.
type codeCache struct{ dir string }

const (
	sumSuffix  = ".sum"
	tempPrefix = "tmp-"
)

// sumLine is the whole of a .sum file.
var sumLine = regexp.MustCompile(`^([0-9a-f]{64})  (wazero-[^/]+/[0-9a-f]{64})\n$`)

// errNotCached: the folder has no code for the module that fits.
var errNotCached = errors.New("no compiled code")

// open makes the folder if need be, refuses one that others could write to, and removes what a killed process has left.
func (c codeCache) open() error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	if err := privateDir(c.dir); err != nil {
		return err
	}
	return c.sweep()
}

// sweep removes what was begun and not ended. Nobody may be compiling.
func (c codeCache) sweep() error {
	left, err := filepath.Glob(filepath.Join(c.dir, tempPrefix+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	return nil
}

// sumPath is where the sum of a metered module's code is.
func (c codeCache) sumPath(wasm []byte) string {
	module := sha256.Sum256(wasm)
	return filepath.Join(c.dir, hex.EncodeToString(module[:])+sumSuffix)
}

// verify returns nil if the code of a metered module is there and whole, and marks it as used; else errNotCached.
func (c codeCache) verify(wasm []byte) error {
	path := c.sumPath(wasm)
	sum, name, err := readSum(path)
	if err != nil {
		return err
	}
	got, err := hashFile(filepath.Join(c.dir, name))
	if errors.Is(err, os.ErrNotExist) || err == nil && got != sum {
		return errNotCached
	}
	if err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // it is only in danger of being removed too early
	return nil
}

func readSum(path string) (sum, name string, err error) {
	line, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", "", errNotCached
	}
	if err != nil {
		return "", "", fmt.Errorf("compiled code: %w", err)
	}
	parts := sumLine.FindSubmatch(line)
	if parts == nil {
		return "", "", errNotCached
	}
	return string(parts[1]), string(parts[2]), nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if n, err := io.Copy(h, io.LimitReader(f, maxCodeBytes+1)); err != nil || n > maxCodeBytes {
		return "", err // no sum fits what is too large
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// drop forgets a module's code, which the runtime did not take.
func (c codeCache) drop(wasm []byte) error {
	path := c.sumPath(wasm)
	_, name, err := readSum(path)
	if err == nil {
		err = os.Remove(filepath.Join(c.dir, name))
	}
	if err == nil || errors.Is(err, os.ErrNotExist) || errors.Is(err, errNotCached) {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("compiled code: %w", err)
	}
	return nil
}

// CompileInto compiles a module that a Host has checked and metered into the folder that hosts read compiled code from,
// and takes as long and as much memory as it takes: it is what a process of its own does (CompileChild). The error is a
// *CompileError if it is the module's fault.
func CompileInto(ctx context.Context, cacheDir string, wasm []byte) error {
	c := codeCache{cacheDir}
	temp, err := os.MkdirTemp(cacheDir, tempPrefix)
	if err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := compileTo(ctx, temp, wasm); err != nil {
		return err
	}
	made, err := filepath.Glob(filepath.Join(temp, "wazero-*", "*"))
	if err != nil || len(made) != 1 {
		return fmt.Errorf("compiled code: the runtime left %d files in %s: %w", len(made), temp, err)
	}
	return c.adopt(made[0], temp, wasm)
}

// compileTo has a runtime of its own compile the module into an empty folder.
func compileTo(ctx context.Context, dir string, wasm []byte) (err error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	runtime := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(cache))
	defer func() {
		// Whoever asked gave up meanwhile, or not: the runtime has to go.
		err = errors.Join(err, runtime.Close(context.WithoutCancel(ctx)), cache.Close(context.WithoutCancel(ctx)))
	}()
	_, err = compile(ctx, runtime, wasm)
	return err
}

// adopt moves code to where hosts look for it, and says so in its sum.
func (c codeCache) adopt(code, temp string, wasm []byte) error {
	sum, err := hashFile(code)
	if err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	if sum == "" {
		return &CompileError{fmt.Sprintf("its compiled code takes more than %s", byteSize(maxCodeBytes))}
	}
	name, err := filepath.Rel(temp, code)
	if err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	name = filepath.ToSlash(name)
	newSum := filepath.Join(temp, "sum")
	if err := os.WriteFile(newSum, fmt.Appendf(nil, "%s  %s\n", sum, name), 0o600); err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	to := filepath.Join(c.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	if err := errors.Join(os.Rename(code, to), os.Rename(newSum, c.sumPath(wasm))); err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	return nil
}

// entry is the compiled code of one module.
type entry struct {
	sum, code string // paths
	bytes     int64  // of the code; 0: there is none
	used      time.Time
}

// prune removes what was not used for longest, until the rest is within the limits, and code that no sum speaks of: that
// of other versions of the runtime. Nobody may be compiling.
func (c codeCache) prune() error {
	entries, err := c.entries()
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.sum, b.sum)) })
	kept, total := map[string]bool{}, int64(0)
	for n, e := range entries {
		if total += e.bytes; e.bytes == 0 || n > 0 && (n >= maxCached || total > maxCachedBytes) {
			err = errors.Join(err, os.Remove(e.sum))
			continue
		}
		kept[e.code] = true
	}
	code, globErr := filepath.Glob(filepath.Join(c.dir, "wazero-*", "*"))
	err = errors.Join(err, globErr)
	for _, path := range code {
		if !kept[path] {
			err = errors.Join(err, os.Remove(path))
		}
	}
	if err != nil {
		return fmt.Errorf("compiled code: %w", err)
	}
	return nil
}

func (c codeCache) entries() ([]entry, error) {
	sums, err := filepath.Glob(filepath.Join(c.dir, "*"+sumSuffix))
	if err != nil {
		return nil, fmt.Errorf("compiled code: %w", err)
	}
	var entries []entry
	for _, path := range sums {
		e := entry{sum: path}
		if _, name, err := readSum(path); err == nil {
			e.code = filepath.Join(c.dir, filepath.FromSlash(name))
		}
		if info, err := os.Stat(path); err == nil {
			e.used = info.ModTime()
		}
		if info, err := os.Stat(e.code); err == nil {
			e.bytes = info.Size()
		}
		entries = append(entries, e)
	}
	return entries, nil
}
