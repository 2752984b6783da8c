package wasmhost

import (
	"context"
	"errors"
	"testing"
)

// FuzzCompile: what passes the check reaches the compiler, which must take it or
// refuse it, and do either in the time of one guest.
func FuzzCompile(f *testing.F) {
	for _, name := range []string{"pass", "trap-hundredth", "flood", "hog", "abort", "spin-start", "bad-rows", "pull-codes"} {
		f.Add(guest(f, name))
	}
	host := New(Config{}) // without a folder that would fill up
	defer host.Close(context.Background())
	f.Fuzz(func(t *testing.T, wasm []byte) {
		s, err := check(wasm, defaultMemoryBytes)
		if err != nil {
			return
		}
		compiled, err := host.compiled(context.Background(), s.wasm)
		if err == nil {
			err = compiled.Close(context.Background())
		}
		var refused *CompileError
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
	})
}
