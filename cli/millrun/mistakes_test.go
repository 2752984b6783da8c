//go:build !windows

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrun/millrun/core/transform"
)

func TestAMistakeInACommandLineIsOneLineAboutWhatWasTyped(t *testing.T) {
	dir := t.TempDir()
	not := filepath.Join(dir, "not.millcase")
	if err := os.WriteFile(not, []byte("no zip archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"wasm deploy":                 "millrun wasm deploy needs --name, --input and --output: see 'millrun wasm deploy --help'",
		"wasm deploy filter --name n": "millrun wasm deploy needs --input and --output:",
		"wasm dry-run":                "millrun wasm dry-run needs --input:",
		"group reset":                 "millrun group reset needs --topic and --to:",
		"server":                      "millrun server needs --config:",
		"wasm deploy filter --nme n":  "there is no flag --nme: see 'millrun wasm deploy --help'",
		"wasm deploy filter --name":   "--name needs a value:",
		"wasm deploy filter --name n --input i --output o --timeout soon": `--timeout "soon": it must be a length of time, as 500ms or 2s:`,
		"topic create t -p many": `-p "many": it must be a whole number:`,
		"consume t --exit=maybe": `--exit "maybe": it must be true or false:`,
		"wasm list all":          `millrun wasm list takes no argument, but was given "all"`,
		"version all":            `millrun version takes no argument, but was given "all"`,
		"wasm deploy filter --name n --input i --output o --members 0":          "--members 0 is not between 1 and 64",
		"wasm deploy filter --name n --input i --output o --retries 4294967299": "--retries 4294967299 is not between 0 and",
		"wasm upgrade n --members 0":                                            "--members 0 is not between 1 and 64",
		"wasm upgrade n --retries 4294967299":                                   "--retries 4294967299 is not between 0 and",
		"wasm test " + filepath.Join(dir, "recs"):                               "needs --records",
	} {
		refused(t, nil, exitUsage, []string{want}, strings.Fields(line)...)
		if r := verb(t, nil, "", strings.Fields(line)...); r.stdout != "" {
			t.Errorf("millrun %s prints %q beside the error", line, r.stdout)
		}
	}
	refused(t, nil, exitFailed, []string{"gone.millcase", "no such file"}, "wasm", "test", filepath.Join(dir, "gone.millcase"))
	refused(t, nil, exitFailed, []string{not}, "wasm", "test", not)
	refused(t, nil, exitFailed, []string{"nowhere: there is no such folder"}, "wasm", "build", filepath.Join(dir, "nowhere"))
}

func TestAFileThatIsNoModuleIsRefusedByItsName(t *testing.T) {
	dir := t.TempDir()
	empty, huge := filepath.Join(dir, "empty.wasm"), filepath.Join(dir, "huge.wasm")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(huge, make([]byte, transform.MaxModuleBytes+1), 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		dir:   "module " + dir + ": is a directory",
		empty: "module " + empty + ": the file is empty",
		huge:  "module " + huge + " has more than 10485760 bytes",
	} {
		refused(t, nil, exitFailed, []string{want}, "wasm", "deploy", file, "--name", "n", "--input", "i", "--output", "o")
		refused(t, nil, exitFailed, []string{want}, "wasm", "upgrade", "n", file)
	}
}

func TestWhatABrokerRefusesIsSaidOnceAndAboutTheRightThing(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.wasm")
	if err := os.WriteFile(text, []byte("hello, I am no module"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "", "topic", "create", "in")
	must(t, p, "", "topic", "create", "out")
	refused(t, p, exitFailed, []string{"module text is refused: this is no WebAssembly module"}, "wasm", "deploy", text, "--name", "n", "--input", "in", "--output", "out")
	refused(t, p, exitFailed, []string{"--input /orders[/: missing closing ]: `[`"}, "wasm", "deploy", text, "--name", "n", "--input", "/orders[/", "--output", "out")
	refused(t, p, exitFailed, []string{"there is no deployment nobody"}, "wasm", "logs", "nobody")

	guest := guestFile(t, dir, "pass")
	must(t, p, "", "wasm", "deploy", guest, "--name", "n", "--input", "in", "--output", "out")
	if logs := must(t, p, "", "wasm", "logs", "n"); logs != "" {
		t.Errorf("a module that logs nothing has logged %q", logs)
	}
	for verb, state := range map[string]string{"pause": "paused", "resume": ""} {
		if s := decode[transform.Status](t, must(t, p, "", "wasm", verb, "n", "-o", "json")); s.Name != "n" || state != "" && s.State != state {
			t.Errorf("%s -o json: %+v", verb, s)
		}
	}
}

func TestDifferencesFromWhatWasExpectedAreJSONOnDemand(t *testing.T) {
	dir := t.TempDir()
	records, expected := filepath.Join(dir, "records"), filepath.Join(dir, "expected")
	if err := os.WriteFile(records, []byte("{\"value\":\"a\"}\n{\"value\":\"b\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(expected, []byte("{\"value\":\"a\"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := verb(t, nil, "", "wasm", "test", guestFile(t, dir, "pass"), "--records", records, "--expect", expected, "-o", "json")
	var got difference
	if err := json.Unmarshal([]byte(r.stdout), &got); r.code != exitFailed || err != nil {
		t.Fatalf("exit %d: %v: %s%s", r.code, err, r.stdout, r.stderr)
	}
	if got.Record != 2 || got.Expected != nil || got.Made == nil || string(got.Made.Value) != "b" {
		t.Errorf("the difference: %+v", got)
	}
}
