// Command build builds the example guests that are committed as they were built.
//
//	go run ./examples/guests/build           build and write
//	go run ./examples/guests/build -check    build and compare with what is committed
//
// It runs in the repository's root. The compilers must be those named below: others
// make other bytes. What is missing is said and left out; with MILLRUN_TOOLCHAINS=all it is an error.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/millrun/millrun/examples/guests"
	"github.com/millrun/millrun/plugins/project"
)

// pinned are the commands that tell a compiler's version, and what they have to say.
var pinned = []struct {
	lang    string
	command []string
	says    string
}{
	{"rust", []string{"rustc", "--version"}, "rustc 1.95.0 "},
	{"assemblyscript", []string{"asc", "--version"}, "Version 0.28.20"},
	{"c", []string{"python3", "-m", "ziglang", "version"}, "0.13.0"},
}

func main() {
	check := flag.Bool("check", false, "compare with what is committed instead of writing")
	flag.Parse()
	if err := run(context.Background(), *check); err != nil {
		fmt.Fprintln(os.Stderr, "examples/guests/build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check bool) error {
	var failed []error
	for _, p := range pinned {
		said, err := exec.CommandContext(ctx, p.command[0], p.command[1:]...).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(said), p.says) {
			missing := fmt.Errorf("%s: '%s' does not say %q, but %q (%v)", p.lang, strings.Join(p.command, " "), p.says, said, err)
			if os.Getenv("MILLRUN_TOOLCHAINS") == "all" {
				return missing
			}
			fmt.Printf("skipped %v\n", missing)
			continue
		}
		for _, name := range guests.Modules() {
			if example, ok := strings.CutPrefix(name, p.lang+"-"); ok {
				failed = append(failed, build(ctx, p.lang, example, check))
			}
		}
	}
	return errors.Join(failed...)
}

func build(ctx context.Context, lang, example string, check bool) error {
	dir, err := os.MkdirTemp("", "millrun-guests-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out, name := filepath.Join(dir, "module.wasm"), lang+"-"+example
	source := filepath.Join("examples", "guests", lang, example)
	if lang == "rust" {
		if source, err = alone(source, filepath.Join(dir, example)); err != nil {
			return err
		}
	}
	if _, err := project.BuildTo(ctx, source, out); err != nil {
		return err
	}
	built, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	if before, err := guests.Module(name); err == nil && bytes.Equal(before, built) {
		fmt.Printf("%-26s %6d bytes, as committed\n", name, len(built))
		return nil
	}
	if check {
		return fmt.Errorf("%s: what is committed is not what the sources build: run `go run ./examples/guests/build`", name)
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	packed := e.EncodeAll(built, nil)
	fmt.Printf("%-26s %6d bytes, %d packed\n", name, len(built), len(packed))
	return errors.Join(e.Close(), os.WriteFile(filepath.Join("examples", "guests", "modules", name+".wasm.zst"), packed, 0o644))
}

// alone copies a Rust project with the SDK inside of it, as 'millrun wasm init' makes them:
// cargo names what lies outside by its folder, and the bytes would tell where the repository is.
func alone(source, to string) (string, error) {
	const sdk = "plugins/sdk/rust"
	manifest, err := os.ReadFile(filepath.Join(source, "Cargo.toml"))
	if err != nil {
		return "", err
	}
	manifest = append(bytes.Replace(manifest, []byte("../../../../"+sdk), []byte("sdk"), 1), "\n[workspace]\nmembers = [\"sdk\"]\n"...)
	return to, errors.Join(
		os.CopyFS(filepath.Join(to, "src"), os.DirFS(filepath.Join(source, "src"))),
		os.CopyFS(filepath.Join(to, "sdk", "src"), os.DirFS(filepath.Join(sdk, "src"))),
		copyFile(filepath.Join(sdk, "Cargo.toml"), filepath.Join(to, "sdk", "Cargo.toml")),
		os.WriteFile(filepath.Join(to, "Cargo.toml"), manifest, 0o644))
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}
