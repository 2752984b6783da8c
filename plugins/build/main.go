// Command build builds the modules that ship with millrun, the hostile guests of the
// tests, the example of spec/wasm-abi.md and the guests of spec/bench that are written as text.
//
//	go run ./plugins/build           build and write
//	go run ./plugins/build -check    build and compare with what is committed
//
// It runs in any folder of the repository. The modules need the toolchain named
// below, the filter also the C compiler (pip install ziglang==0.13.0), what is written
// as text needs wabt's wat2wasm; what is missing is said and left out.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// toolchain builds the same bytes from the same source on any machine.
const toolchain = "go1.26.8"

// compiler is the version of PyPI's ziglang, which does so for C.
const compiler = "0.13.0"

var names = []string{"filter", "redact", "route"}

var errStale = errors.New("what is committed is not what the sources build: run `go run ./plugins/build`")

func main() {
	check := flag.Bool("check", false, "compare with what is committed instead of writing")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "plugins/build:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	root, err := output(".", nil, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	base := strings.TrimSpace(string(root))
	plugins := filepath.Join(base, "plugins")
	return errors.Join(
		buildModules(plugins, check),
		buildText(filepath.Join(plugins, "hostile"), check),
		buildText(filepath.Join(base, "spec", "vectors", "wasm"), check),
		buildText(filepath.Join(base, "spec", "bench", "guests"), check))
}

// environment is what decides the bytes, whatever the caller's says.
func environment() []string {
	return append(os.Environ(), "GOTOOLCHAIN="+toolchain, "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWASM=", "GOEXPERIMENT=", "CGO_ENABLED=0",
		"GOFIPS140=off", "GOWORK=off")
}

func buildModules(plugins string, check bool) error {
	if _, err := output(plugins, environment(), "go", "version"); err != nil {
		fmt.Printf("skipped the modules: the toolchain %s is not there (%v)\n", toolchain, err)
		return nil
	}
	dir, err := os.MkdirTemp("", "millrun-modules-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var failed []error
	for _, name := range names {
		out := filepath.Join(dir, name+".wasm")
		_, err := output(plugins, environment(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-buildmode=c-shared",
			"-o", out, "./"+name)
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		built, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		if object := filepath.Join(plugins, name, "simd", simdFunc+".c"); exists(object) {
			if built, err = withSIMD(built, object, filepath.Join(dir, simdFunc+".wasm")); err != nil {
				return fmt.Errorf("module %s: %w", name, err)
			}
			if built == nil {
				fmt.Printf("skipped %s: the compiler is not there: pip install ziglang==%s\n", name, compiler)
				continue
			}
		}
		failed = append(failed, settle(filepath.Join(plugins, "modules", name+".wasm.zst"), built, pack, unpack, check))
	}
	return errors.Join(failed...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// withSIMD compiles a C source and links it into a module; nil if there is no compiler.
func withSIMD(module []byte, source, out string) ([]byte, error) {
	version, err := output(".", os.Environ(), "python3", "-m", "ziglang", "version")
	if err != nil || strings.TrimSpace(string(version)) != compiler {
		return nil, nil
	}
	_, err = output(filepath.Dir(source), os.Environ(), "python3", "-m", "ziglang", "cc", "-target", "wasm32-freestanding", "-O3",
		"-msimd128", "-mbulk-memory", "-fno-jump-tables", "-nostdlib", "-Wl,--no-entry", "-s", "-o", out, filepath.Base(source))
	if err != nil {
		return nil, err
	}
	object, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return link(module, object)
}

// buildText builds the modules that are written as text.
func buildText(dir string, check bool) error {
	sources, err := filepath.Glob(filepath.Join(dir, "*.wat"))
	if err != nil {
		return err
	}
	if _, err := exec.LookPath("wat2wasm"); err != nil {
		fmt.Printf("skipped what is written as text in %s: wat2wasm (wabt) is not there\n", dir)
		return nil
	}
	same := func(b []byte) ([]byte, error) { return b, nil }
	var failed []error
	for _, source := range sources {
		built, err := output(dir, os.Environ(), "wat2wasm", source, "--output=-")
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		failed = append(failed, settle(strings.TrimSuffix(source, ".wat")+".wasm", built, same, same, check))
	}
	return errors.Join(failed...)
}

// settle writes what was built unless it is there already, or with check compares.
func settle(path string, built []byte, pack, unpack func([]byte) ([]byte, error), check bool) error {
	name := filepath.Base(path)
	if packed, err := os.ReadFile(path); err == nil {
		if before, err := unpack(packed); err == nil && bytes.Equal(before, built) {
			fmt.Printf("%-24s %8d bytes, sha256 %.16x, as committed\n", name, len(built), sha256.Sum256(built))
			return nil
		}
	}
	if check {
		return fmt.Errorf("%s: %w", name, errStale)
	}
	packed, err := pack(built)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Printf("%-24s %8d bytes, sha256 %.16x, %d packed\n", name, len(built), sha256.Sum256(built), len(packed))
	return os.WriteFile(path, packed, 0o644)
}

func pack(b []byte) ([]byte, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return e.EncodeAll(b, nil), e.Close()
}

func unpack(b []byte) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(b, nil)
}

func output(dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
