//go:build !windows

package main

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestFlagsMayStandBeforeOrAfterArguments(t *testing.T) {
	app := newApp(strings.NewReader(""), io.Discard, io.Discard)
	for given, want := range map[string]string{
		"millrun topic create a -p 3":                      "millrun topic create -p 3 a",
		"millrun topic create -p 3 a":                      "millrun topic create -p 3 a",
		"millrun topic create a --config k=v -r 1 b":       "millrun topic create --config k=v -r 1 a b",
		"millrun -b host:1 topic list":                     "millrun topic list -b host:1",
		"millrun topic -b host:1 list":                     "millrun topic list -b host:1",
		"millrun consume a --exit -n 3":                    "millrun consume --exit -n 3 a",
		"millrun consume --exit a":                         "millrun consume --exit a",
		"millrun consume a --from=earliest":                "millrun consume --from=earliest a",
		"millrun produce a -K : -- -x":                     "millrun produce -K : a -- -x",
		"millrun wasm logs n -f":                           "millrun wasm logs -f n",
		"millrun wasm deploy f.wasm --name n --input a,b":  "millrun wasm deploy --name n --input a,b f.wasm",
		"millrun group reset g --dry-run --topic t --to 5": "millrun group reset --dry-run --topic t --to 5 g",
		"millrun nonsense -x":                              "millrun nonsense -x",
		"millrun":                                          "millrun",
	} {
		if got := reorder(app, strings.Fields(given)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s\n  becomes %s\n  not     %s", given, strings.Join(got, " "), want)
		}
	}
}

func TestAShellCanCompleteVerbsAndFlags(t *testing.T) {
	for line, want := range map[string][]string{
		"millrun":                      {"topic", "wasm", "completion"},
		"millrun topic":                {"create", "delete"},
		"millrun topic create --parti": {"--partitions"},
		"millrun wasm deploy --creat":  {"--create-outputs"},
	} {
		// As a process: the library looks at the process's own arguments.
		cmd := exec.Command(os.Args[0], append(strings.Fields(line)[1:], completionWord)...)
		cmd.Env = append(os.Environ(), asMain+"=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		offered := strings.Fields(string(out))
		for _, w := range want {
			if !slices.Contains(offered, w) {
				t.Errorf("%s: %q is not among what is offered: %q", line, w, offered)
			}
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out strings.Builder
		if code := run(t.Context(), []string{"millrun", "completion", shell}, strings.NewReader(""), &out, io.Discard); code != 0 || !strings.Contains(out.String(), "millrun") {
			t.Errorf("completion %s: exit %d: %q", shell, code, out.String())
		}
	}
}

func TestTopicListsAreSplitAtCommasButNotInsideAPattern(t *testing.T) {
	for given, want := range map[string]string{
		"a,b":             "a|b",
		" a , b,":         "a|b",
		"/x{1,2}/":        "/x{1,2}/",
		"/x{1,2}/,b":      "/x{1,2}/|b",
		"a,/x{1,2}/, /y/": "a|/x{1,2}/|/y/",
		"/open,b":         "/open,b",
	} {
		if got := strings.Join(splitCommas([]string{given}), "|"); got != want {
			t.Errorf("%q is split into %q, not %q", given, got, want)
		}
	}
}
