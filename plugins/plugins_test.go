package plugins

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestModulesAreThereByName(t *testing.T) {
	if got := Names(); !slices.Equal(got, []string{"filter", "redact", "route"}) {
		t.Fatalf("names %v", got)
	}
	for _, name := range Names() {
		if b, ok := Module(name); !ok || !strings.HasPrefix(string(b), "\x00asm") {
			t.Errorf("%s: %v, %d bytes", name, ok, len(b))
		}
	}
	for _, name := range []string{"", "nothing", "../plugins", "filter.wasm"} {
		if _, ok := Module(name); ok {
			t.Errorf("there is a module %q", name)
		}
	}
}

func TestTheSDKsAreWholeAndWithoutTests(t *testing.T) {
	for lang, wants := range map[string][]string{
		"go":             {"doc.go", "guest_wasip1.go", "filter/filter.go", "filter/filter_wasip1.go", "transform/output.go", "internal/le/le.go"},
		"rust":           {"Cargo.toml", "src/lib.rs", "src/find.rs"},
		"assemblyscript": {"package.json", "assembly/index.ts", "assembly/json.ts", "assembly/tsconfig.json"},
		"c":              {"millrun.h"},
	} {
		sdk, err := SDK(lang)
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		err = fs.WalkDir(sdk, ".", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !slices.Contains(files, want) {
				t.Errorf("%s: %s is missing from %v", lang, want, files)
			}
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s: %s is among them", lang, file)
			}
		}
	}
	if _, err := SDK("cobol"); err == nil {
		t.Error("there is an SDK for COBOL")
	}
}
