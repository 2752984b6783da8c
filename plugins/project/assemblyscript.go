package project

import (
	"context"
	"os"
	"path/filepath"
)

func holdsAssemblyScript(dir string) bool { return has(dir, "asconfig.json", "assembly/index.ts") }

func buildAssemblyScript(ctx context.Context, dir, out string) error {
	command, err := assemblyScriptCompiler(dir)
	if err != nil {
		return err
	}
	args := append(command[1:], "assembly/index.ts", "--outFile", out)
	if has(dir, "asconfig.json") {
		args = append(args, "--target", "release")
	} else {
		args = append(args, "--enable", "simd", "-O3")
	}
	_, err = run(ctx, dir, nil, command[0], args...)
	return err
}

// assemblyScriptCompiler is the project's own compiler, else the one that is installed for all.
func assemblyScriptCompiler(dir string) ([]string, error) {
	node, ok := found("node")
	if !ok {
		return nil, &Missing{"assemblyscript", "Node.js is not installed", "get version 20 or newer from https://nodejs.org"}
	}
	for up := dir; ; up = filepath.Dir(up) {
		asc := filepath.Join(up, "node_modules", "assemblyscript", "bin", "asc.js")
		if _, err := os.Stat(asc); err == nil {
			return []string{node, asc}, nil
		}
		if up == filepath.Dir(up) {
			break
		}
	}
	if asc, ok := found("asc"); ok {
		return []string{asc}, nil
	}
	return nil, &Missing{"assemblyscript", "the AssemblyScript compiler is not installed", "run 'npm install' in " + dir + ", or 'npm install --global assemblyscript'"}
}
