// Package hostile holds guests that misbehave, each in one way, for the tests of
// whatever runs guests: NAME.wat is the source and says in its first line what it
// does, NAME.wasm is what `go run ./plugins/build` made of it with wabt's wat2wasm.
// The one named "pass" behaves well: what the others are compared with.
package hostile

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.wasm
var modules embed.FS

// Module is the guest of that name.
func Module(name string) ([]byte, error) {
	b, err := modules.ReadFile(name + ".wasm")
	if err != nil {
		return nil, fmt.Errorf("no hostile guest is called %q", name)
	}
	return b, nil
}

// Names are the names of all guests, in order.
func Names() []string {
	entries, err := modules.ReadDir(".")
	if err != nil {
		panic(err) // it is part of the program
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".wasm")
	}
	return names
}
