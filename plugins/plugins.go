// Package plugins holds the modules that ship with millrun, as they were built, and
// the guest SDKs, for projects that `millrun wasm init` makes.
//
// The modules are built from the folders of the same name by
//
//	go run ./plugins/build
//
// with a pinned toolchain, and committed compressed; -check builds them again and
// compares.
package plugins

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/zstd"
)

//go:embed modules/*.zst
var modules embed.FS

//go:embed sdk/go
//go:embed sdk/rust/Cargo.toml sdk/rust/README.md sdk/rust/src
//go:embed sdk/assemblyscript/package.json sdk/assemblyscript/README.md sdk/assemblyscript/assembly
//go:embed sdk/c/millrun.h
var sdk embed.FS

// maxModule bounds what a module may decompress to.
const maxModule = 16 << 20

// Names are the modules that ship with millrun, in order.
func Names() []string {
	entries, err := modules.ReadDir("modules")
	if err != nil {
		panic(fmt.Sprintf("plugins: the embedded modules: %v", err)) // they are part of the program
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".wasm.zst"))
	}
	return names
}

// Module is the module of that name, decompressed anew at each call: a megabyte or
// two that only a deployment needs.
func Module(name string) ([]byte, bool) {
	packed, err := modules.ReadFile("modules/" + name + ".wasm.zst")
	if err != nil {
		return nil, false
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModule))
	if err != nil {
		panic(fmt.Sprintf("plugins: %v", err)) // only options can be wrong
	}
	defer d.Close()
	b, err := d.DecodeAll(packed, nil)
	if err != nil {
		panic(fmt.Sprintf("plugins: the embedded module %s: %v", name, err))
	}
	return b, true
}

// SDK is the source of the SDK for a language, without its tests: what a new
// project gets a copy of, so that it builds without a network.
//
// The copy for Go needs a go.mod that names the module
// github.com/millrun/millrun/plugins/sdk/go, and the project's points there with a
// replace line; without that line the published package has the same import path.
func SDK(lang string) (fs.FS, error) {
	all, err := fs.Sub(sdk, "sdk/"+lang)
	if err != nil {
		return nil, fmt.Errorf("the embedded SDK: %w", err)
	}
	if _, err := fs.Stat(all, "."); err != nil {
		return nil, fmt.Errorf("there is no SDK for %s: %w", lang, err)
	}
	return withoutTests{all}, nil
}

// withoutTests hides test files.
type withoutTests struct{ fs.FS }

func (w withoutTests) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(w.FS, name)
	kept := entries[:0]
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			kept = append(kept, e)
		}
	}
	return kept, err
}
