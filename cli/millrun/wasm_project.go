//go:build !windows

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/plugins"
)

const sdkImport = "github.com/millrun/millrun/plugins/sdk/go"

func wasmInitCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make a folder with a module that builds, and sample records to test it on", ArgsUsage: "NAME",
		Flags:  []cli.Flag{outputFlag(), &cli.StringFlag{Name: "lang", Usage: "the module's `LANGUAGE`: go", Value: "go"}},
		Action: wasmInit,
	}
}

// projectName keeps the name usable as a folder, a Go module and a deployment at once.
var projectName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

func wasmInit(c *cli.Context) error {
	name, err := oneArgument(c, "a project's name")
	if err != nil {
		return err
	}
	if lang := c.String("lang"); lang != "go" {
		return usagef("--lang %s: modules can be started in go; for another language spec/wasm-abi.md says what a module exports", lang)
	}
	if !projectName.MatchString(name) {
		return usagef("wasm init %s: a name begins with a letter and has lower-case letters, digits, '-' and '_'", name)
	}
	if err := os.Mkdir(name, 0o755); err != nil {
		return fmt.Errorf("wasm init: %w", err)
	}
	for file, content := range projectFiles(name) {
		if err := os.WriteFile(filepath.Join(name, file), []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := copySDK(filepath.Join(name, "sdk")); err != nil {
		return err
	}
	if wantsJSON(c) {
		return writeJSON(c.App.Writer, map[string]string{"name": name, "language": "go"})
	}
	_, err = fmt.Fprintf(c.App.Writer, "made %s; next:\n  millrun wasm build %s\n  millrun wasm test %s/%s.wasm --records %s/records.jsonl --expect %s/expect.jsonl --config word=error\n",
		name, name, name, name, name, name)
	return err
}

func projectFiles(name string) map[string]string {
	return map[string]string{
		"go.mod": "module example.com/" + name + "\n\ngo 1.26\n\nrequire " + sdkImport + " v0.0.0\n\nreplace " + sdkImport + " => ./sdk\n",
		"main.go": `// Command ` + name + ` keeps the records whose value contains a word.
package main

import (
	"bytes"
	"fmt"

	millrun "` + sdkImport + `"
	"` + sdkImport + `/filter"
)

var word []byte

func init() {
	filter.Register(filter.Module{
		Wants: millrun.Value,
		Configure: func(config millrun.Config) error {
			for key, value := range config {
				if key != "word" {
					return fmt.Errorf("unknown key %q: say --config word=...", key)
				}
				word = []byte(value)
			}
			if len(word) == 0 {
				return fmt.Errorf("which word? say --config word=...")
			}
			return nil
		},
		Keep: func(r *millrun.Record) bool { return bytes.Contains(r.Value, word) },
	})
}

func main() {}
`,
		"records.jsonl": `{"key":"1","value":"all is well"}` + "\n" + `{"key":"2","value":"an error, at last"}` + "\n" + `{"key":"3","value":null}` + "\n",
		"expect.jsonl":  `{"key":"2","value":"an error, at last"}` + "\n",
		".gitignore":    "*.wasm\n",
	}
}

// copySDK writes the guest SDK beside the module, so that it builds without a network.
func copySDK(dir string) error {
	sdk, err := plugins.GoSDK()
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, sdk); err != nil {
		return fmt.Errorf("wasm init: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+sdkImport+"\n\ngo 1.26\n"), 0o644)
}

func wasmBuildCommand() *cli.Command {
	return &cli.Command{
		Name: "build", Usage: "build the module in a folder", ArgsUsage: "[DIR]",
		Flags: []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			dir := "."
			if c.NArg() > 0 {
				var err error
				if dir, err = oneArgument(c, "a folder"); err != nil {
					return err
				}
			}
			shown := showProgress(c.App.ErrWriter, elapsed("building "+dir))
			file, err := buildModule(c.Context, dir)
			shown.finish()
			if err != nil {
				return err
			}
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return writeJSON(c.App.Writer, map[string]any{"file": file, "bytes": info.Size()})
			}
			_, err = fmt.Fprintf(c.App.Writer, "built %s, %d KiB\n", file, info.Size()>>10)
			return err
		},
	}
}

// buildModule builds the Go module in dir into a file of the folder's name beside it.
func buildModule(ctx context.Context, dir string) (string, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(full, "go.mod")); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s holds no go.mod: 'millrun wasm init NAME' makes a folder that builds", dir)
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("the go command is not installed: get Go 1.26 or newer from https://go.dev/dl")
	}
	file := filepath.Join(dir, filepath.Base(full)+".wasm")
	cmd := exec.CommandContext(ctx, compiler, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-buildmode=c-shared", "-o", filepath.Base(file), ".")
	cmd.Dir = full
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go build in %s: %w\n%s", dir, err, strings.TrimSpace(said.String()))
	}
	return file, nil
}
