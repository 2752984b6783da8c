package project

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func holdsC(dir string) bool { return has(dir, "*.c") }

// What every C module is compiled and linked with.
var (
	cCompile = []string{"-O3", "-msimd128", "-mbulk-memory", "-ffreestanding"}
	cLink    = []string{"--no-entry", "--strip-all", "-z", "stack-size=131072"}
)

// flagsFile holds a project's own flags, one a line; clang's tools read it as well.
const flagsFile = "compile_flags.txt"

func buildC(ctx context.Context, dir, out string) error {
	files, err := filepath.Glob(filepath.Join(escaped(dir), "*.c"))
	if err != nil {
		return err
	}
	for i, file := range files {
		files[i] = filepath.Base(file)
	}
	own, err := cFlags(dir)
	if err != nil {
		return err
	}
	compile := slices.Concat(cCompile, own)
	if zig := zigCommand(ctx, dir); zig != nil {
		args := append(zig[1:], "cc", "-target", "wasm32-freestanding", "-nostdlib", "-fno-sanitize=undefined", "-o", out)
		args = append(append(args, compile...), files...)
		args = append(args, "-Wl,"+strings.Join(cLink, ","))
		_, err := run(ctx, dir, nil, zig[0], args...)
		return err
	}
	return buildClang(ctx, dir, out, compile, files)
}

// cFlags are the project's own flags, without a target: that is there for clang's tools.
func cFlags(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, flagsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var flags []string
	for line := range strings.Lines(string(text)) {
		if flag := strings.TrimSpace(line); flag != "" && !strings.HasPrefix(flag, "--target=") {
			flags = append(flags, flag)
		}
	}
	return flags, err
}

// zigCommand is how zig is called, or nil: itself, or what PyPI's ziglang brings.
func zigCommand(ctx context.Context, dir string) []string {
	if zig, ok := found("zig"); ok {
		return []string{zig}
	}
	if python, ok := found("python3", "python"); ok {
		if _, err := run(ctx, dir, nil, python, "-m", "ziglang", "version"); err == nil {
			return []string{python, "-m", "ziglang"}
		}
	}
	return nil
}

// buildClang compiles and links in two steps: in one, clang runs whatever wasm-opt
// it finds over the module, and old ones refuse SIMD.
func buildClang(ctx context.Context, dir, out string, compile, files []string) error {
	missing := &Missing{"c", "a C compiler for WebAssembly is not installed", "run 'python3 -m pip install ziglang', or install zig, or clang and wasm-ld (lld)"}
	clang, ok := found("clang")
	if !ok {
		return missing
	}
	linker, ok := found("wasm-ld")
	if !ok {
		missing.What = "wasm-ld, with which clang links, is not installed"
		return missing
	}
	objects, err := os.MkdirTemp("", "millrun-c-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(objects)
	link := append([]string{"-o", out, "--stack-first"}, cLink...) // a stack that runs over traps; zig does it by itself
	for _, file := range files {
		object := filepath.Join(objects, file+".o")
		args := append([]string{"--target=wasm32", "-nostdlib", "-c", "-o", object, file}, compile...)
		if _, err := run(ctx, dir, nil, clang, args...); err != nil {
			return err
		}
		link = append(link, object)
	}
	_, err = run(ctx, dir, nil, linker, link...)
	return err
}
