package project

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrun/millrun/plugins"
)

func TestTheReadmeShowsWhatANewProjectHolds(t *testing.T) {
	sdk, err := plugins.SDK("assemblyscript")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := fs.ReadFile(sdk, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := templates.ReadFile("templates/assemblyscript/assembly/index.ts.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "\n\n")
	if !strings.Contains(string(readme), "```ts\n"+code+"```\n") {
		t.Error("plugins/sdk/assemblyscript/README.md shows other code than the template has")
	}
}

func TestAProjectsFilesSayItsLanguage(t *testing.T) {
	for file, want := range map[string]string{"go.mod": "go", "main.go": "go", "Cargo.toml": "rust", "asconfig.json": "assemblyscript",
		"assembly/index.ts": "assemblyscript", "filter.c": "c", "readme.txt": ""} {
		dir := filepath.Join(t.TempDir(), "a [folder]*")
		path := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if lang, err := Language(dir); lang != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", file, lang, err)
		}
	}
}

func TestTheModuleOfABuildIsTheProjectsOwn(t *testing.T) {
	manifest := filepath.Join(t.TempDir(), "Cargo.toml")
	if err := os.WriteFile(manifest, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	messages := `{"reason":"compiler-artifact","manifest_path":"/other/Cargo.toml","filenames":["/t/other.wasm"]}
{"reason":"build-script-executed"}
{"reason":"compiler-artifact","manifest_path":"` + manifest + `","filenames":["/t/libx.rlib","/t/x.wasm"]}
{"reason":"build-finished","success":true}
`
	if got, err := cargoModule([]byte(messages), manifest); err != nil || got != "/t/x.wasm" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := cargoModule([]byte(messages[:100]), manifest); err == nil || !strings.Contains(err.Error(), "cdylib") {
		t.Errorf("got %v", err)
	}
}
