//go:build !windows

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/plugins/project"
)

// build runs 'millrun wasm build', for which a compiler may need minutes, and skips
// the test if there is none, unless MILLRUN_TOOLCHAINS=all says that all must be there.
func build(t *testing.T, args ...string) builtModule {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, append([]string{"millrun", "wasm", "build", "-o", "json"}, args...), strings.NewReader(""), &stdout, &stderr)
	if code != 0 {
		if strings.Contains(stderr.String(), " not installed: ") && os.Getenv("MILLRUN_TOOLCHAINS") != "all" {
			t.Skip(strings.TrimSpace(stderr.String()))
		}
		t.Fatalf("wasm build: exit %d: %s", code, stderr.String())
	}
	var built builtModule
	if err := json.Unmarshal(stdout.Bytes(), &built); err != nil {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	return built
}

func TestANewProjectBuildsAndPassesItsTest(t *testing.T) {
	skipIfShort(t)
	for _, lang := range project.Languages() {
		t.Run(lang, func(t *testing.T) {
			t.Chdir(t.TempDir())
			said := must(t, nil, "", "wasm", "init", "my-"+lang, "--lang", lang)
			if !strings.Contains(said, "millrun wasm build my-"+lang+"\n") {
				t.Errorf("init says %q", said)
			}
			built := build(t, "my-"+lang)
			module := filepath.Join("my-"+lang, "my-"+lang+".wasm")
			if info, err := os.Stat(module); err != nil || built != (builtModule{module, int(info.Size()), lang, "filter"}) {
				t.Errorf("built %+v, %v", built, err)
			}
			try := []string{"wasm", "test", module, "--records", "my-" + lang + "/records.jsonl", "--expect", "my-" + lang + "/expect.jsonl", "--config"}
			must(t, nil, "", append(try, "word=error")...)
			if r := verb(t, nil, "", append(try, "word=well")...); r.code != exitFailed || !strings.Contains(r.stdout, "all is well") {
				t.Errorf("another word gives what is expected of 'error': %+v", r)
			}
			for _, config := range []string{"word=", "colour=red"} {
				if r := verb(t, nil, "", append(try, config)...); r.code != exitFailed || !strings.Contains(r.stderr, "word") {
					t.Errorf("--config %s: %+v", config, r)
				}
			}
		})
	}
}

func TestAProjectNeedsANameAndALanguageThatAreKnown(t *testing.T) {
	t.Chdir(t.TempDir())
	refused(t, nil, exitUsage, append([]string{"--lang cobol"}, project.Languages()...), "wasm", "init", "x", "--lang", "cobol")
	refused(t, nil, exitUsage, []string{"X Y", "begins with a letter"}, "wasm", "init", "X Y")
	must(t, nil, "", "wasm", "init", "x")
	refused(t, nil, exitFailed, []string{"x", "exists"}, "wasm", "init", "x")
}

func TestAFolderThatIsNoProjectSaysWhatWouldBe(t *testing.T) {
	t.Chdir(t.TempDir())
	refused(t, nil, exitFailed, append([]string{"Cargo.toml"}, project.Languages()...), "wasm", "build")
	for _, file := range []string{"go.mod", "Cargo.toml"} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, nil, exitFailed, []string{"in go or in rust"}, "wasm", "build", ".")
	refused(t, nil, exitFailed, []string{"go.mod is a file"}, "wasm", "build", "go.mod")
	refused(t, nil, exitFailed, []string{"nowhere"}, "wasm", "build", "nowhere")
}

func TestWhatIsMissingForABuildIsNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, lang := range project.Languages() {
		must(t, nil, "", "wasm", "init", lang, "--lang", lang)
	}
	t.Setenv("PATH", t.TempDir())
	for lang, want := range map[string]string{
		"go":             "go.dev/dl",
		"rust":           "rustup.rs",
		"assemblyscript": "nodejs.org",
		"c":              "pip install ziglang",
	} {
		refused(t, nil, exitFailed, []string{"not installed: ", want}, "wasm", "build", lang)
	}
}
