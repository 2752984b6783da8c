//go:build !windows

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/millrun/millrun/plugins/project"
	"github.com/millrun/millrun/wasmhost"
)

func wasmInitCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make a folder with a module that builds, and sample records to test it on", ArgsUsage: "NAME",
		Flags: []cli.Flag{outputFlag(),
			&cli.StringFlag{Name: "lang", Usage: "the module's `LANGUAGE`: " + strings.Join(project.Languages(), ", "), Value: "go"}},
		Action: wasmInit,
	}
}

func wasmInit(c *cli.Context) error {
	name, err := oneArgument(c, "a project's name")
	if err != nil {
		return err
	}
	lang := c.String("lang")
	next, err := project.Create(".", name, lang)
	if errors.Is(err, project.ErrUsage) {
		return usagef("%s", strings.TrimPrefix(err.Error(), project.ErrUsage.Error()+": "))
	}
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return writeJSON(c.App.Writer, map[string]string{"name": name, "language": lang})
	}
	_, err = fmt.Fprintf(c.App.Writer, "made %s; next:\n  %s\n", name, strings.ReplaceAll(strings.TrimSpace(next), "\n", "\n  "))
	return err
}

func wasmBuildCommand() *cli.Command {
	return &cli.Command{
		Name: "build", Usage: "build the module in a folder", ArgsUsage: "[DIR]",
		Description: "The folder's files say which language it is in: " + strings.Join(project.Languages(), ", ") + ". The module is\n" +
			"checked as a broker checks it, and lies in the folder under the folder's name.",
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
			built, err := buildModule(c.Context, dir)
			shown.finish()
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return writeJSON(c.App.Writer, built)
			}
			_, err = fmt.Fprintf(c.App.Writer, "built %s: a %s in %s, %s\n", built.File, built.Kind, built.Language, byteCount(int64(built.Bytes)))
			return err
		},
	}
}

// builtModule is what wasm build prints.
type builtModule struct {
	File     string `json:"file"`
	Bytes    int    `json:"bytes"`
	Language string `json:"language"`
	Kind     string `json:"kind"` // filter or transform
}

// buildModule builds the project in dir and checks what came out.
func buildModule(ctx context.Context, dir string) (builtModule, error) {
	file, lang, err := project.Build(ctx, dir)
	if err != nil {
		return builtModule{}, err
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		return builtModule{}, err
	}
	kind, err := wasmhost.Inspect(wasm)
	if err != nil {
		return builtModule{}, fmt.Errorf("%s was built, but no broker would take it: %w", file, err)
	}
	return builtModule{File: file, Bytes: len(wasm), Language: lang, Kind: kind}, nil
}
