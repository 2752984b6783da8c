//go:build !windows

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/transform"
)

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func TestTopicsAreCreatedListedDescribedAlteredAndDeleted(t *testing.T) {
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "", "topic", "create", "orders", "-p", "3", "--config", "retention.ms=3600000")
	must(t, p, "", "topic", "create", "plain")
	list := decode[[]topicView](t, must(t, p, "", "topic", "list", "-o", "json"))
	if len(list) != 2 || list[0].Name != "orders" || len(list[0].Partitions) != 3 || len(list[1].Partitions) != 4 {
		t.Errorf("topic list: %+v", list)
	}
	must(t, p, "", "topic", "alter", "orders", "-p", "5", "--config", "retention.ms=", "--config", "segment.bytes=1048576")
	v := decode[topicView](t, must(t, p, "", "topic", "describe", "orders", "-o", "json"))
	if len(v.Partitions) != 5 || v.Configs["segment.bytes"] != "1048576" || v.Configs["retention.ms"] != "" || v.ID == "" {
		t.Errorf("topic describe: %+v", v)
	}
	for _, name := range []string{"h", "help"} { // the library has verbs of these names
		must(t, p, "", "topic", "create", name)
		if v := decode[topicView](t, must(t, p, "", "topic", "describe", name, "-o", "json")); v.Name != name {
			t.Errorf("topic %s is described as %q", name, v.Name)
		}
	}
	must(t, p, "", "topic", "delete", "plain")
	refused(t, p, exitFailed, []string{"plain", "does not exist"}, "topic", "describe", "plain")
	refused(t, p, exitFailed, []string{"orders", "exists"}, "topic", "create", "orders")
	refused(t, p, exitFailed, []string{"a b"}, "topic", "create", "a b")
	refused(t, p, exitFailed, []string{"retention.ms"}, "topic", "create", "x", "--config", "retention.ms=soon")
	refused(t, p, exitUsage, []string{"lst", "list"}, "topic", "lst")
	refused(t, p, exitUsage, []string{"--config"}, "topic", "create", "x", "--config", "novalue")
}

func TestRecordsComeBackAsTheyWereProduced(t *testing.T) {
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "", "topic", "create", "t", "-p", "1")
	must(t, p, "k1=v1\nk2=\nno key\n", "produce", "t", "-K", "=", "-H", "a=1", "-H", "b=", "--null", "-z", "zstd")
	must(t, p, `{"key":{"base64":"/w=="},"value":null,"headers":[{"key":"h","value":null}],"timestamp":1700000000000}`+"\n", "produce", "t", "-o", "json")
	got := lines(must(t, p, "", "consume", "t", "--exit", "-o", "json"))
	if len(got) != 4 {
		t.Fatalf("4 records were produced, consumed: %q", got)
	}
	for i, want := range []string{`"key":"k1","value":"v1"`, `"key":"k2","value":null`, `"key":null,"value":"no key"`, `"key":{"base64":"/w=="},"value":null`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("record %d is %s, not %s", i, got[i], want)
		}
	}
	if !strings.Contains(got[3], `"timestamp":1700000000000`) || !strings.Contains(got[3], `"headers":[{"key":"h","value":null}]`) {
		t.Errorf("timestamp and headers: %s", got[3])
	}
	again := strings.Join(got, "\n") + "\n"
	must(t, p, again, "produce", "copy", "-o", "json", "-p", "0")
	if back := lines(must(t, p, "", "consume", "copy", "--exit", "-o", "json")); len(back) != 4 || !strings.Contains(back[3], `"timestamp":1700000000000`) {
		t.Errorf("what consume prints can be produced again: %q", back)
	}
	if tail := lines(must(t, p, "", "consume", "t", "--from", "2", "-n", "1")); !slices.Equal(tail, []string{"no key"}) {
		t.Errorf("--from 2 -n 1: %q", tail)
	}
	refused(t, p, exitFailed, []string{"nowhere"}, "consume", "nowhere", "--exit")
	refused(t, p, exitUsage, []string{"sometime"}, "consume", "t", "--from", "sometime")
	refused(t, p, exitUsage, []string{"rar"}, "produce", "t", "-z", "rar")
}

func TestAGroupReadsOnWhereItStoppedAndCanBeReset(t *testing.T) {
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, sequence(1, 100), "produce", "t")
	if got := lines(must(t, p, "", "consume", "t", "-g", "g", "--exit")); len(got) != 100 {
		t.Errorf("the group read %d of 100", len(got))
	}
	must(t, p, sequence(101, 110), "produce", "t")
	v := decode[groupView](t, must(t, p, "", "group", "describe", "g", "-o", "json"))
	if v.Lag != 10 || v.State != "Empty" {
		t.Errorf("group describe: %+v", v)
	}
	if got := lines(must(t, p, "", "consume", "t", "-g", "g", "-n", "4")); len(got) != 4 {
		t.Errorf("-n 4 read %d", len(got))
	}
	if v := decode[groupView](t, must(t, p, "", "group", "describe", "g", "-o", "json")); v.Lag != 6 {
		t.Errorf("after four more records the lag is %d, not 6", v.Lag)
	}
	must(t, p, "", "group", "reset", "g", "--topic", "t", "--to", "earliest", "--dry-run")
	if v := decode[groupView](t, must(t, p, "", "group", "describe", "g", "-o", "json")); v.Lag != 6 {
		t.Errorf("a dry run moved the lag to %d", v.Lag)
	}
	must(t, p, "", "group", "reset", "g", "--topic", "t", "--to", "earliest")
	if got := lines(must(t, p, "", "consume", "t", "-g", "g", "--exit")); len(got) != 110 {
		t.Errorf("after the reset the group read %d of 110", len(got))
	}
	must(t, p, "", "group", "delete", "g")
	refused(t, p, exitFailed, []string{"group g"}, "group", "describe", "g")
	refused(t, p, exitFailed, []string{"nowhere"}, "group", "reset", "g", "--topic", "nowhere", "--to", "latest")
}

func TestADeploymentFiltersPausesAndGoesOn(t *testing.T) {
	skipIfShort(t)
	dir := t.TempDir()
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", dir)
	must(t, p, "", "topic", "create", "in", "-p", "2")
	must(t, p, "1\n", "produce", "in")
	must(t, p, "", "wasm", "deploy", "filter", "--name", "sevens", "--input", "in", "--output", "out", "--create-outputs", "--config", "text=7")
	must(t, p, sequence(1, 100), "produce", "in")
	awaitLag(t, p, "sevens", 0)
	if got := lines(must(t, p, "", "consume", "out", "--exit")); len(got) != 19 {
		t.Errorf("19 of the numbers to 100 have a 7, the filter let through %d", len(got))
	}
	must(t, p, "", "wasm", "pause", "sevens")
	if s := describeWasm(t, p, "sevens"); s.State != "paused" || len(s.Members) != 0 {
		t.Errorf("paused: %+v", s)
	}
	must(t, p, sequence(71, 79), "produce", "in")
	if s := describeWasm(t, p, "sevens"); s.Lag != 9 {
		t.Errorf("while it is paused the lag is %d, not 9", s.Lag)
	}
	must(t, p, "", "group", "reset", "sevens", "--topic", "in", "--to", "earliest")
	must(t, p, "", "wasm", "resume", "sevens")
	awaitLag(t, p, "sevens", 0)
	if got := lines(must(t, p, "", "consume", "out", "--exit")); len(got) != 19+19+9 {
		t.Errorf("after the reset all is filtered again: %d records, not 47", len(got))
	}
	list := decode[[]transform.Summary](t, must(t, p, "", "wasm", "list", "-o", "json"))
	if len(list) != 1 || list[0].Name != "sevens" || list[0].Module.Name != "filter" {
		t.Errorf("wasm list: %+v", list)
	}
	deleted := must(t, p, "", "wasm", "delete", "sevens")
	for _, want := range []string{"deleted sevens\n", "  removed  module ", "  left     group sevens: ", "  left     topic out: "} {
		if !strings.Contains(deleted, want) {
			t.Errorf("no %q in what a delete prints:\n%s", want, deleted)
		}
	}
	refused(t, p, exitFailed, []string{"sevens"}, "wasm", "describe", "sevens")
	for _, bad := range [][]string{
		{"nowhere", "wasm", "deploy", "filter", "--name", "x", "--input", "nowhere", "--output", "out", "--config", "text=1"},
		{"colour", "wasm", "deploy", "filter", "--name", "x", "--input", "in", "--output", "out", "--config", "colour=1"},
		{"no-such.wasm", "wasm", "deploy", "no-such.wasm", "--name", "x", "--input", "in", "--output", "out"},
		{"in", "wasm", "deploy", "filter", "--name", "x", "--input", "in", "--output", "in", "--config", "text=1"},
	} {
		refused(t, p, exitFailed, bad[:1], bad[1:]...)
	}
	refused(t, p, exitUsage, []string{"name"}, "wasm", "deploy", "filter", "--input", "in")
}

func TestAnUpgradeIsTriedShownMadeAndTakenBack(t *testing.T) {
	skipIfShort(t)
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", t.TempDir())
	must(t, p, "", "topic", "create", "in", "-p", "1")
	must(t, p, "", "wasm", "deploy", "filter", "--name", "f", "--input", "in", "--output", "out", "--create-outputs", "--config", "text=7")
	must(t, p, sequence(1, 10), "produce", "in")
	awaitLag(t, p, "f", 0)
	shadow := must(t, p, "", "wasm", "upgrade", "f", "--config", "text=8", "--shadow")
	for _, want := range []string{"in/0 offset 6  different", "  in   7\n", "  old  out/0 7\n", "  new  drops it\n", "tried 10 records: 8 the same, 2 different\n", "without --shadow"} {
		if !strings.Contains(shadow, want) {
			t.Errorf("no %q in what a shadow prints:\n%s", want, shadow)
		}
	}
	done := must(t, p, "", "wasm", "upgrade", "f", "--config", "text=8")
	if !strings.Contains(done, "upgraded f to version 2, module filter") || !strings.Contains(done, "  in from 0:10\n") {
		t.Errorf("upgrade: %s", done)
	}
	must(t, p, "", "wasm", "upgrade", "f", "redact", "--config", "remove=a", "--clear-config", "--timeout", "2s")
	if s := describeWasm(t, p, "f"); s.Module.Name != "redact" || len(s.Config) != 1 || len(s.Versions) != 3 || s.Versions[2].From[0].Offset != 10 {
		t.Errorf("%+v", s)
	}
	if done := must(t, p, "", "wasm", "rollback", "f"); !strings.Contains(done, "rolled back f to version 4, module filter, as in version 2") {
		t.Errorf("rollback: %s", done)
	}
	must(t, p, sequence(1, 10), "produce", "in")
	awaitLag(t, p, "f", 0)
	if got := lines(must(t, p, "", "consume", "out", "--exit")); strings.Join(got, " ") != "7 8" {
		t.Errorf("out: %q", got)
	}
	if text := must(t, p, "", "wasm", "describe", "f"); !strings.Contains(text, "filter (as in version 2)") {
		t.Errorf("describe: %s", text)
	}
	refused(t, p, exitFailed, []string{"nothing would change"}, "wasm", "upgrade", "f")
	refused(t, p, exitFailed, []string{"no deployment g"}, "wasm", "rollback", "g")
	refused(t, p, exitUsage, []string{"needs a deployment's name"}, "wasm", "upgrade")
}

func describeWasm(t *testing.T, p *process, name string) transform.Status {
	t.Helper()
	return decode[transform.Status](t, must(t, p, "", "wasm", "describe", name, "-o", "json"))
}

// awaitLag waits until a deployment runs and has the lag. Compiling the module takes most of it.
func awaitLag(t *testing.T, p *process, name string, lag int64) {
	t.Helper()
	var s transform.Status
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if s = describeWasm(t, p, name); s.State == "running" && s.Lag == lag {
			return
		}
		if s.State == "failed" || s.State == "stopped" {
			break
		}
	}
	t.Fatalf("%s is %s (%s) with lag %d, not %d", name, s.State, s.Reason, s.Lag, lag)
}

func TestAModuleIsTriedOnAFileOfRecords(t *testing.T) {
	skipIfShort(t)
	dir := t.TempDir()
	records, expect := filepath.Join(dir, "records.jsonl"), filepath.Join(dir, "expect.jsonl")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(records, `{"key":"a","value":"{\"n\":1}"}`+"\n"+`{"key":"b","value":"{\"n\":2}"}`+"\n")
	write(expect, `{"key":"b","value":"{\"n\":2}"}`+"\n")
	args := []string{"wasm", "test", "filter", "--records", records, "--config", "field=n", "--config", "op=gt", "--config"}
	if out := must(t, nil, "", append(args, "value=0")...); len(lines(out)) != 2 {
		t.Errorf("both records pass: %s", out)
	}
	must(t, nil, "", append(args, "value=1", "--expect", expect)...)
	write(records+".space", `{"key":"a","value":"one word"}`+"\n"+`{"key":"b","value":"two"}`+"\n")
	if out := must(t, nil, "", "wasm", "test", "filter", "--records", records+".space", "--config", "text= "); len(lines(out)) != 1 {
		t.Errorf("a blank is a value like any other: %s", out)
	}
	if r := verb(t, nil, "", append(args, "value=5", "--expect", expect)...); r.code != exitFailed || !strings.Contains(r.stdout, `"b"`) {
		t.Errorf("a difference: %+v", r)
	}
	refused(t, nil, exitUsage, []string{"records"}, "wasm", "test", "filter")
}

func TestTheLogOfAStoppedBrokerCanBeDumpedAndVerified(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", dir)
	must(t, p, "", "topic", "create", "t", "-p", "1")
	must(t, p, sequence(1, 50), "produce", "t")
	if err := p.interrupt(); err != nil {
		t.Fatalf("Ctrl-C: %v: %s", err, p.out)
	}
	must(t, nil, "", "log", "verify", dir)
	if out := lines(must(t, nil, "", "log", "dump", filepath.Join(dir, "t-0"), "--records", "-o", "json")); len(out) == 0 {
		t.Error("the dump is empty")
	}
	segment := filepath.Join(dir, "t-0", "00000000000000000000.log")
	text, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-3] ^= 0x40
	if err := os.WriteFile(segment, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := verb(t, nil, "", "log", "verify", dir); r.code != exitFailed || !strings.Contains(r.stdout, "t-0") {
		t.Errorf("a flipped bit: %+v", r)
	}
	refused(t, nil, exitFailed, []string{"nowhere"}, "log", "dump", filepath.Join(dir, "nowhere"))
}

func TestMistakesAtTheStartAreOneLineThatNamesTheThing(t *testing.T) {
	dir := t.TempDir()
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", dir)
	free := []string{"--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"}
	refused(t, nil, exitFailed, []string{p.Kafka, "address already in use"}, "dev", "--kafka", p.Kafka, "--http", "127.0.0.1:0")
	refused(t, nil, exitFailed, []string{dir, "in use"}, append([]string{"dev", "--data", dir}, free...)...)
	refused(t, nil, exitUsage, []string{"log.retention.hour", "log.retention.hours"}, append([]string{"dev", "--set", "log.retention.hour=1"}, free...)...)
	refused(t, nil, exitUsage, []string{"num.partitions"}, append([]string{"dev", "--set", "num.partitions=many"}, free...)...)
	refused(t, nil, exitUsage, []string{"0.0.0.0", "--insecure"}, "dev", "--kafka", "0.0.0.0:0", "--http", "127.0.0.1:0")
	refused(t, nil, exitUsage, []string{"advertised.listeners"}, "dev", "--kafka", "0.0.0.0:0", "--http", "127.0.0.1:0", "--insecure")
	config := filepath.Join(dir, "server.yaml")
	if err := os.WriteFile(config, []byte("num.partitions: 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, nil, exitUsage, []string{"log.dirs"}, "server", "--config", config)
	refused(t, nil, exitFailed, []string{"missing.yaml"}, "server", "--config", filepath.Join(dir, "missing.yaml"))
	refused(t, nil, exitFailed, []string{"127.0.0.1:1", "millrun dev"}, "topic", "list", "-b", "127.0.0.1:1")
}

func TestAModuleIsCompiledByAChildAndFoundAgainAfterARestart(t *testing.T) {
	dir := t.TempDir()
	args := []string{"--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", dir}
	p := startDev(t, args...)
	must(t, p, "", "topic", "create", "in", "-p", "1")
	must(t, p, "", "topic", "create", "out", "-p", "1")
	must(t, p, "", "wasm", "deploy", "redact", "--name", "r", "--input", "in", "--output", "out", "--config", "mask=a")
	written := func() time.Time {
		found, err := filepath.Glob(filepath.Join(dir, "compiled", "wazero-*", "*"))
		if err != nil || len(found) != 1 {
			t.Fatalf("the folder of compiled code has %v: %v", found, err)
		}
		info, err := os.Stat(found[0])
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	first := written()
	if err := p.interrupt(); err != nil {
		t.Fatal(err)
	}
	p = startDev(t, args...)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(must(t, p, "", "wasm", "list"), "running"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the deployment does not run again")
		}
	}
	if !written().Equal(first) {
		t.Error("the module was compiled again")
	}
}
