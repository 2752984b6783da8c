//go:build !windows

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/plugins/hostile"
)

// pullGuest writes a guest of Redpanda's ABI to a file.
func pullGuest(t *testing.T, name string) string {
	t.Helper()
	wasm, err := hostile.Module(name)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// describeUntil waits until a deployment is as it should be.
func describeUntil(t *testing.T, p *process, name string, ok func(s *transform.Status) bool) {
	t.Helper()
	var s transform.Status
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(20 * time.Millisecond) {
		if err := json.Unmarshal([]byte(must(t, p, "", "wasm", "describe", name, "-o", "json")), &s); err != nil {
			t.Fatal(err)
		}
		if ok(&s) {
			return
		}
	}
	t.Fatalf("%s: %+v", name, s)
}

func TestAModuleOfRedpandasIsDeployedAsRedpandasToolsDo(t *testing.T) {
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "", "topic", "create", "in", "-p", "2")
	must(t, p, "", "topic", "create", "out", "-p", "2")
	wasm, err := hostile.Module("pull-copy")
	if err != nil {
		t.Fatal(err)
	}
	body := append([]byte(`{"name":"copy","input_topic":"in","output_topics":["out"],"environment":[{"key":"K","value":"v"}]}`), wasm...)
	for range 2 { // the second is an upgrade to what runs already
		resp, err := http.Post(p.HTTP+"/v1/transform/deploy", "application/json+wasm", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || string(text) != "{}\n" {
			t.Fatalf("%s: %s", resp.Status, text)
		}
	}
	var records strings.Builder
	rests := []string{
		`"timestamp":1700000000000,"key":"a","value":"one","headers":[{"key":"h","value":"x"},{"key":"n","value":null}]}`,
		`"timestamp":1700000000001,"key":"a","value":null,"headers":[]}`,
		`"timestamp":1700000000002,"key":null,"value":"","headers":[]}`,
	}
	for _, rest := range rests {
		records.WriteString(`{"partition":1,` + rest + "\n")
	}
	must(t, p, records.String(), "produce", "in", "-o", "json")
	got := lines(must(t, p, "", "consume", "out", "--from", "earliest", "-n", "3", "-o", "json"))
	for n, rest := range rests {
		if want := fmt.Sprintf(`{"topic":"out","partition":1,"offset":%d,%s`, n, rest); n >= len(got) || got[n] != want {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "records.jsonl")
	if err := os.WriteFile(file, []byte("{"+strings.Join(rests, "\n{")), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, p, "", "wasm", "test", pullGuest(t, "pull-copy"), "--records", file, "--expect", file)
}

// After all of them the broker serves, and another deployment has lost nothing.
func TestHostileModulesOfRedpandasFailByThemselves(t *testing.T) {
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	for _, topic := range []string{"in", "out", "waste"} {
		must(t, p, "", "topic", "create", topic, "-p", "1")
	}
	must(t, p, "", "wasm", "deploy", pullGuest(t, "pull-copy"), "--name", "copy", "--input", "in", "--output", "out")
	hostiles := []string{"pull-exit", "pull-spin", "pull-bomb", "pull-lying-buffer", "pull-lying-header", "pull-lying-write"}
	for _, name := range hostiles {
		must(t, p, "", "wasm", "deploy", pullGuest(t, name), "--name", name, "--input", "in", "--output", "waste", "--on-error", "skip", "--retries", "0",
			"--timeout", "50ms")
	}
	r := verb(t, p, "", "wasm", "deploy", pullGuest(t, "pull-return"), "--name", "back", "--input", "in", "--output", "waste")
	if r.code != 1 || !strings.Contains(r.stderr, "returned, but a transform asks for batches for ever") {
		t.Errorf("a module that returns: %+v", r)
	}
	must(t, p, "1\n2\n3\n", "produce", "in")
	for _, name := range hostiles {
		describeUntil(t, p, name, func(s *transform.Status) bool {
			return s.State == "running" && s.Counters.Failed == 3 && s.Counters.Out == 0
		})
	}
	if got := must(t, p, "", "consume", "out", "--from", "earliest", "-n", "3"); got != "1\n2\n3\n" {
		t.Errorf("the other deployment made %q", got)
	}
	for begin := time.Now(); !strings.Contains(must(t, p, "", "wasm", "logs", "pull-exit"), "warn  [-1] it is enough\n"); {
		if time.Since(begin) > time.Minute {
			t.Fatal("what the guest said is not in the logs")
		}
	}
	for _, name := range hostiles {
		must(t, p, "", "wasm", "delete", name)
	}
	must(t, p, "4\n", "produce", "in")
	if got := must(t, p, "", "consume", "out", "--from", "earliest", "-n", "4"); got != "1\n2\n3\n4\n" {
		t.Errorf("at the end there is %q", got)
	}
}
