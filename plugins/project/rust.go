package project

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const rustTarget = "wasm32-unknown-unknown"

func holdsRust(dir string) bool { return has(dir, "Cargo.toml") }

// buildRust asks for SIMD whatever the project's .cargo/config.toml says, and keeps this
// machine's folders out of the file names in panics' messages: so the same source makes the same bytes.
func buildRust(ctx context.Context, dir, out string) error {
	cargo, ok := found("cargo")
	if !ok {
		return &Missing{"rust", "cargo is not installed", "get Rust 1.82 or newer from https://rustup.rs"}
	}
	rustc, ok := found("rustc")
	if !ok {
		return &Missing{"rust", "rustc is not installed", "get Rust 1.82 or newer from https://rustup.rs"}
	}
	libraries, err := run(ctx, dir, nil, rustc, "--print", "target-libdir", "--target", rustTarget)
	if err != nil {
		return err
	}
	if core, err := filepath.Glob(filepath.Join(escaped(strings.TrimSpace(string(libraries))), "libcore-*.rlib")); err != nil || len(core) == 0 {
		return &Missing{"rust", "Rust's target " + rustTarget + " is not installed", "run 'rustup target add " + rustTarget + "'"}
	}
	remapped, err := cargoFolders(ctx, cargo, dir)
	if err != nil {
		return err
	}
	flags := append([]string{"-C", "target-feature=+simd128"}, remapped...)
	said, err := run(ctx, dir, nil, cargo, "build", "--release", "--lib", "--target", rustTarget, "--message-format=json-render-diagnostics",
		"--config", "target."+rustTarget+".rustflags="+tomlList(flags))
	if err != nil {
		return fmt.Errorf("%s", withoutMessages(err.Error()))
	}
	module, err := cargoModule(said, filepath.Join(dir, "Cargo.toml"))
	if err != nil {
		return err
	}
	b, err := os.ReadFile(module)
	if err != nil {
		return err
	}
	return os.WriteFile(out, b, 0o644)
}

// cargoFolders are the flags that replace the folder of each package, the module's own
// and those it depends on, by the package's name.
func cargoFolders(ctx context.Context, cargo, dir string) ([]string, error) {
	said, err := run(ctx, dir, nil, cargo, "metadata", "--format-version=1", "--filter-platform="+rustTarget)
	if err != nil {
		return nil, err
	}
	var all struct {
		Packages []struct {
			Name         string
			ManifestPath string `json:"manifest_path"`
		}
	}
	if err := json.Unmarshal(said, &all); err != nil {
		return nil, fmt.Errorf("cargo metadata: %w", err)
	}
	var flags []string
	for _, p := range all.Packages {
		flags = append(flags, "--remap-path-prefix="+filepath.Dir(p.ManifestPath)+"="+p.Name)
	}
	slices.SortStableFunc(flags, func(a, b string) int { return len(a) - len(b) }) // of several that match the last counts: the innermost
	return flags, nil
}

// cargoModule finds the module among the messages of a build: the .wasm file of the
// package whose manifest it is.
func cargoModule(messages []byte, manifest string) (string, error) {
	lines := bufio.NewScanner(bytes.NewReader(messages))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var m struct {
			Reason       string
			ManifestPath string `json:"manifest_path"`
			Filenames    []string
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.Reason != "compiler-artifact" || !sameFile(m.ManifestPath, manifest) {
			continue
		}
		if at := slices.IndexFunc(m.Filenames, func(f string) bool { return strings.HasSuffix(f, ".wasm") }); at >= 0 {
			return m.Filenames[at], nil
		}
	}
	return "", errors.Join(lines.Err(), fmt.Errorf("%s makes no module: its [lib] needs crate-type = [\"cdylib\"]", manifest))
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// withoutMessages cuts cargo's messages for machines out of what people read.
func withoutMessages(text string) string {
	kept := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.HasPrefix(line, `{"reason":`) })
	return strings.Join(kept, "\n")
}

// tomlList is a list of strings as TOML, whose basic strings are JSON's.
func tomlList(items []string) string {
	b, err := json.Marshal(items)
	if err != nil {
		panic(fmt.Sprintf("project: strings as JSON: %v", err)) // strings always can be
	}
	return string(b)
}
