// Package core_test holds the checks that concern the tree as a whole.
package core_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/millrun/millrun/"

// mayImport is the law of spec/architecture.md: which packages of the project a package's non-test code may import. A
// package is listed under its path; one that is not listed may not exist below core or wasmhost.
var mayImport = map[string][]string{
	"core/record":         {},
	"core/config":         {},
	"core/meta":           {},
	"wasmhost/abi":        {},
	"core/seglog":         {"core/record"},
	"core/seglog/faultfs": {"core/seglog"},
	"core/replica":        {"core/seglog", "core/record", "core/meta", "core/config"},
	"core/machine":        {"core/record"},
	"core/group":          {"core/machine", "core/meta", "core/record"},
	"core/quorum":         {"core/meta"},
	"core/server":         {},
	"core/api":            {"core/server", "core/meta", "core/replica", "core/group", "core/record", "core/config"},
	"core/transform":      {"core/record", "core/meta", "wasmhost/abi"},
	"core/admin":          {"core/transform", "core/meta"},
	"core/broker":         {"core/*"},
	"wasmhost":            {"wasmhost/abi", "wasmhost/binary", "wasmhost/meter", "plugins/sdk/go/jsonscan"},
	"wasmhost/binary":     {},
	"wasmhost/meter":      {"wasmhost/binary"},
	"cli/millrun":         {"*"},
	"plugins":             {},
	"plugins/sdk/go":      {},
	"examples":            {"*"},
}

// pure packages hold state machines: what they compute depends on their arguments alone.
var pure = []string{"core/meta", "core/group"}

var impure = []string{"os", "net", "sync", "sync/atomic", "os/exec", "io/fs", "math/rand", "math/rand/v2", "crypto/rand", "context"}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestPackagesImportOnlyWhatTheLawAllows(t *testing.T) {
	for _, p := range listPackages(t, "./core/...", "./wasmhost/...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := mayImport[name]
		if name == strings.TrimSuffix(module, "/")+"/core" || name == "core" {
			continue
		}
		if !known {
			t.Errorf("%s is not in the law of imports: add it to the table and to spec/architecture.md", name)
			continue
		}
		for _, imported := range p.Imports {
			ours, isOurs := strings.CutPrefix(imported, module)
			if isOurs && !permits(allowed, ours) {
				t.Errorf("%s imports %s", name, ours)
			}
		}
	}
}

func permits(allowed []string, imported string) bool {
	return slices.ContainsFunc(allowed, func(rule string) bool {
		if prefix, wild := strings.CutSuffix(rule, "*"); wild {
			return strings.HasPrefix(imported, prefix)
		}
		return rule == imported
	})
}

func TestStateMachinesArePure(t *testing.T) {
	for _, name := range pure {
		for _, p := range listPackages(t, "./"+name) {
			for _, imported := range p.Imports {
				if slices.Contains(impure, imported) {
					t.Errorf("%s imports %s: a state machine does no I/O, takes no lock and draws no random number", name, imported)
				}
			}
		}
	}
}

func TestOnlyGivenLibrariesAreUsedInCore(t *testing.T) {
	given := map[string][]string{
		"github.com/twmb/franz-go/pkg/kmsg":     {"core/"},
		"github.com/nats-io/":                   {"core/quorum"},
		"github.com/klauspost/compress":         {"core/record"},
		"github.com/pierrec/lz4":                {"core/record"},
		"golang.org/x/sys":                      {"core/"},
		"github.com/VictoriaMetrics/metrics":    {"core/admin"},
		"github.com/tetratelabs/wazero":         {"wasmhost"},
		"github.com/twmb/franz-go/pkg/kversion": {"core/api"},
	}
	for _, p := range listPackages(t, "./core/...", "./wasmhost/...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			first, _, _ := strings.Cut(imported, "/")
			if !strings.Contains(first, ".") || strings.HasPrefix(imported, module) {
				continue
			}
			if !givenTo(given, imported, name) {
				t.Errorf("%s imports %s, which is not given to it", name, imported)
			}
		}
	}
}

func givenTo(given map[string][]string, imported, name string) bool {
	for library, users := range given {
		if strings.HasPrefix(imported, library) {
			return slices.ContainsFunc(users, func(u string) bool { return strings.HasPrefix(name, u) })
		}
	}
	return false
}

func listPackages(t *testing.T, patterns ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports"}, patterns...)...)
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var packages []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
