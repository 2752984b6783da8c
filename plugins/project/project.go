// Package project makes and builds the folders that guests are written in: one table
// of languages, what each of them needs to be installed, and how it is called.
package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// language is one that guests are written in.
type language struct {
	name string
	// mine says whether a folder with these entries holds a project in it.
	mine func(dir string) bool
	// build writes dir's module to the file out; both are absolute.
	build func(ctx context.Context, dir, out string) error
	// next is what has to be done once before the first build, if anything.
	next string
}

// languages in the order in which they are listed.
func languages() []language {
	return []language{
		{name: "go", mine: holdsGo, build: buildGo},
		{name: "rust", mine: holdsRust, build: buildRust},
		{name: "assemblyscript", mine: holdsAssemblyScript, build: buildAssemblyScript, next: "(cd " + placeholder + " && npm install)"},
		{name: "c", mine: holdsC, build: buildC},
	}
}

// Languages are the names of the languages, in order.
func Languages() []string {
	var names []string
	for _, l := range languages() {
		names = append(names, l.name)
	}
	return names
}

// Missing says what has to be installed for a build, and how.
type Missing struct {
	Language, What, How string
}

func (m *Missing) Error() string { return fmt.Sprintf("%s: %s", m.What, m.How) }

// Language tells which language the project in dir is written in.
func Language(dir string) (string, error) {
	l, err := recognise(dir)
	return l.name, err
}

func recognise(dir string) (language, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return language{}, fmt.Errorf("%s: there is no such folder: name the one that holds the project", dir)
	}
	if err != nil {
		return language{}, err
	}
	if !info.IsDir() {
		return language{}, fmt.Errorf("%s is a file: name the folder that holds the project", dir)
	}
	var found []language
	for _, l := range languages() {
		if l.mine(dir) {
			found = append(found, l)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return language{}, fmt.Errorf("%s holds no project that could be built, which has go.mod or *.go (Go), Cargo.toml (Rust), asconfig.json or assembly/index.ts "+
			"(AssemblyScript), or *.c (C): 'millrun wasm init NAME --lang %s' makes one", dir, strings.Join(Languages(), "|"))
	}
	return language{}, fmt.Errorf("%s could be a project in %s or in %s: keep one of them", dir, found[0].name, found[1].name)
}

// Build builds the project in dir into a file of the folder's name inside of it, and
// returns the file's path. A *Missing error says what is not installed.
func Build(ctx context.Context, dir string) (file, lang string, err error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", "", err
	}
	name := filepath.Base(full) + ".wasm"
	lang, err = BuildTo(ctx, dir, filepath.Join(full, name))
	return filepath.Join(dir, name), lang, err
}

// BuildTo is Build into the file out.
func BuildTo(ctx context.Context, dir, out string) (lang string, err error) {
	l, err := recognise(dir)
	if err != nil {
		return "", err
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return l.name, err
	}
	if out, err = filepath.Abs(out); err != nil {
		return l.name, err
	}
	return l.name, l.build(ctx, full, out)
}

// has tells whether one of these files is in dir; names may be patterns.
func has(dir string, names ...string) bool {
	for _, name := range names {
		if found, err := filepath.Glob(filepath.Join(escaped(dir), name)); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// escaped is a folder's name inside a pattern.
func escaped(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
