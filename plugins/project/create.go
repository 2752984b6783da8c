package project

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/millrun/millrun/plugins"
)

// templates holds a folder for each language, whose files end in .tmpl so that no
// tool takes them for its own, and the records that all of them are tested on.
//
//go:embed all:templates
var templates embed.FS

// placeholder stands for the project's name in templates.
const placeholder = "PROJECT"

// ErrUsage marks a name or a language that cannot be.
var ErrUsage = errors.New("usage")

// validName keeps a name usable as a folder, a Go module, a crate and a deployment at once.
var validName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// Create makes the folder name below parent: a filter that keeps the records whose value
// contains a word, the SDK it is built with, and records to try it on. It returns
// the commands that come next, one a line.
func Create(parent, name, lang string) (next string, err error) {
	at := slices.Index(Languages(), lang)
	if at < 0 {
		return "", fmt.Errorf("%w: --lang %s: modules can be started in %s; for another language spec/wasm-abi.md says what a module exports",
			ErrUsage, lang, strings.Join(Languages(), ", "))
	}
	if !validName.MatchString(name) {
		return "", fmt.Errorf("%w: wasm init %s: a name begins with a letter and has lower-case letters, digits, '-' and '_'", ErrUsage, name)
	}
	dir := filepath.Join(parent, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("wasm init: %w", err)
	}
	if err := errors.Join(writeTemplates(dir, name, lang), writeSDK(dir, lang)); err != nil {
		return "", fmt.Errorf("wasm init: %w", err)
	}
	if once := languages()[at].next; once != "" {
		next = once + "\n"
	}
	next += "millrun wasm build PROJECT\n" +
		"millrun wasm test PROJECT/PROJECT.wasm --records PROJECT/records.jsonl --expect PROJECT/expect.jsonl --config word=error\n"
	return strings.ReplaceAll(next, placeholder, name), nil
}

func writeTemplates(dir, name, lang string) error {
	write := func(from, to string) error {
		b, err := templates.ReadFile(from)
		if err != nil {
			return err
		}
		to = filepath.Join(dir, filepath.FromSlash(to))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, []byte(strings.ReplaceAll(string(b), placeholder, name)), 0o644)
	}
	root := "templates/" + lang
	err := fs.WalkDir(templates, root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return write(path, strings.TrimSuffix(strings.TrimPrefix(path, root+"/"), ".tmpl"))
	})
	return errors.Join(err, write("templates/records.jsonl", "records.jsonl"), write("templates/expect.jsonl", "expect.jsonl"))
}

// writeSDK writes the SDK beside the module, so that it builds without a network.
func writeSDK(dir, lang string) error {
	sdk, err := plugins.SDK(lang)
	if err != nil {
		return err
	}
	to := filepath.Join(dir, "sdk")
	if err := os.CopyFS(to, sdk); err != nil {
		return err
	}
	if lang != "go" {
		return nil
	}
	return os.WriteFile(filepath.Join(to, "go.mod"), []byte("module github.com/millrun/millrun/plugins/sdk/go\n\ngo 1.26\n"), 0o644)
}
