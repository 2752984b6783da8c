package project

import (
	"context"
)

func holdsGo(dir string) bool { return has(dir, "go.mod", "*.go") }

func buildGo(ctx context.Context, dir, out string) error {
	compiler, ok := found("go")
	if !ok {
		return &Missing{"go", "the go command is not installed", "get Go 1.26 or newer from https://go.dev/dl"}
	}
	_, err := run(ctx, dir, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"},
		compiler, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-buildmode=c-shared", "-o", out, ".")
	return err
}
