// Package guests holds one filter, one transform and one scan of the stored batch in
// each language that has an SDK (Go has no scan: it has no SIMD), and the test that
// all of them make the same of the same records.
//
// What other compilers than Go's make is committed, so that 'go test' runs all of it
// everywhere;
//
//	go run ./examples/guests/build
//
// builds it again, and with -check compares.
package guests

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

//go:embed modules/*.zst
var modules embed.FS

// Modules are the committed ones, as LANGUAGE-EXAMPLE.
func Modules() []string {
	var names []string
	for _, lang := range []string{"rust", "assemblyscript", "c"} {
		for _, example := range []string{"filter", "transform", "scan"} {
			names = append(names, lang+"-"+example)
		}
	}
	return names
}

// Module is a committed module.
func Module(name string) ([]byte, error) {
	packed, err := fs.ReadFile(modules, "modules/"+name+".wasm.zst")
	if err != nil {
		return nil, err
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	wasm, err := d.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return wasm, nil
}
