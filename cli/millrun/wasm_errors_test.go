//go:build !windows

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/plugins/hostile"
)

// guestFile writes a guest for tests into a folder and returns its path. trap-bang fails on values that begin with "!".
func guestFile(t *testing.T, dir, name string) string {
	t.Helper()
	module, err := hostile.Module(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name+".wasm")
	if err := os.WriteFile(path, module, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func jsonLines[T any](t *testing.T, text string) (out []T) {
	t.Helper()
	for _, line := range lines(text) {
		out = append(out, decode[T](t, line))
	}
	return out
}

func TestADryRunShowsWhatWouldComeOutAndTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	bang, pass := guestFile(t, dir, "trap-bang"), guestFile(t, dir, "pass")
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "", "topic", "create", "in", "-p", "3")
	must(t, p, `{"key":"k","value":"one","timestamp":1000,"partition":0,"headers":[]}
{"key":null,"value":"!two","timestamp":2000,"partition":2,"headers":[{"key":"h","value":null}]}
{"key":{"base64":"/w=="},"value":null,"timestamp":3000,"partition":0,"headers":[]}
{"key":"k","value":"!four","timestamp":4000,"partition":0,"headers":[]}
{"key":"k","value":"five","timestamp":5000,"partition":0,"headers":[]}
`, "produce", "in", "-o", "json")
	r := verb(t, p, "", "wasm", "dry-run", bang, "--input", "in", "--last", "4", "-o", "json", "--output", "out")
	got := jsonLines[attempt](t, r.stdout)
	if r.code != exitFailed || !strings.Contains(r.stderr, "2 of 4 records failed") || len(got) != 4 {
		t.Fatalf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	var results []string
	for _, a := range got {
		results = append(results, string(a.In.Value)+" "+a.Result)
	}
	if !slices.Equal(results, []string{"!two failed", " passed", "!four failed", "five passed"}) {
		t.Errorf("results: %q", results)
	}
	if a := got[0]; a.Reason != "trap" || !strings.Contains(a.Error, "unreachable") || a.Stack == "" || *a.In.Partition != 2 || len(a.In.Headers) != 1 {
		t.Errorf("the failure: %+v", a)
	}
	if a := got[1]; len(a.Out) != 1 || a.Out[0].Topic != "out" || a.Out[0].Value != nil || string(a.Out[0].Key) != "\xff" {
		t.Errorf("the tombstone: %+v", a)
	}
	shown := verb(t, p, "", "wasm", "dry-run", bang, "--input", "in").stdout
	for _, want := range []string{"k=one", `\xff=null`, "failed", "5 records of in in: 3 passed, 0 dropped, 2 failed; 3 records out"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not shown in\n%s", want, shown)
		}
	}
	must(t, p, "", "wasm", "dry-run", pass, "--input", "in", "--last", "100000")
	if topics := decode[[]topicView](t, must(t, p, "", "topic", "list", "-o", "json")); len(topics) != 1 {
		t.Errorf("topics after it: %+v", topics)
	}
	if groups := must(t, p, "", "group", "list", "-o", "json"); strings.TrimSpace(groups) != "[]" {
		t.Errorf("groups after it: %s", groups)
	}
	refused(t, p, exitFailed, []string{"nowhere", "not exist"}, "wasm", "dry-run", pass, "--input", "nowhere")
	refused(t, p, exitFailed, []string{"absent.wasm"}, "wasm", "dry-run", "absent.wasm", "--input", "in")
	refused(t, p, exitUsage, []string{"--last 0"}, "wasm", "dry-run", pass, "--input", "in", "--last", "0")
	refused(t, p, exitUsage, []string{"--watch", "filter"}, "wasm", "dry-run", "filter", "--input", "in", "--watch")
	refused(t, p, exitUsage, []string{"input"}, "wasm", "dry-run", pass)
}

// lockedBuffer is written by a verb that runs and read by its test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// until waits for a condition, for longer than any machine needs.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestADryRunIsRepeatedWhenTheModuleIsBuiltAgain(t *testing.T) {
	dir := t.TempDir()
	bang, pass := guestFile(t, dir, "trap-bang"), guestFile(t, dir, "pass")
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "a\n!b\n", "produce", "in")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stdout, stderr lockedBuffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"millrun", "wasm", "dry-run", bang, "--input", "in", "--watch", "-b", p.Kafka}, strings.NewReader(""), &stdout, &stderr)
	}()
	until(t, "the first run fails on a record", func() bool { return strings.Contains(stderr.String(), "1 of 2 records failed") })
	module, err := os.ReadFile(pass)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bang, module, 0o644); err != nil {
		t.Fatal(err)
	}
	until(t, "the new build passes all", func() bool { return strings.Contains(stdout.String(), "2 passed, 0 dropped, 0 failed") })
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit %d after Ctrl-C: %s", got, stderr.String())
	}
}

func TestAFailingRecordIsSavedMendedAndReplayed(t *testing.T) {
	dir := t.TempDir()
	bang, pass := guestFile(t, dir, "trap-bang"), guestFile(t, dir, "pass")
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "", "topic", "create", "in", "-p", "1")
	must(t, p, "", "wasm", "deploy", bang, "--name", "f", "--input", "in", "--output", "out", "--create-outputs", "--on-error", "dlq", "--retries", "0")
	must(t, p, "a\n!b\nc\n!d\n", "produce", "in", "-H", "trace=7")
	awaitLag(t, p, "f", 0)
	if s := describeWasm(t, p, "f"); s.Policy != (transform.PolicyStatus{OnError: "dlq", DLQ: "f.dlq"}) || s.Counters.Failed != 2 || s.LastError == nil ||
		s.LastError.Offset == nil || *s.LastError.Offset != 3 {
		t.Errorf("%+v, last error %+v", s.Policy, s.LastError)
	}
	if shown := must(t, p, "", "wasm", "describe", "f"); !strings.Contains(shown, "after 0 retries a dead letter in f.dlq") {
		t.Errorf("describe: %s", shown)
	}
	cases := filepath.Join(dir, "cases")
	must(t, p, "", "wasm", "save", "f", "--last", "5", "--to", cases)
	saved := filepath.Join(cases, "f-in-0-3.millcase")
	if _, err := os.Stat(filepath.Join(cases, "f-in-0-1.millcase")); err != nil {
		t.Error(err)
	}
	r := verb(t, nil, "", "wasm", "test", saved)
	if r.code != exitFailed || !strings.Contains(r.stdout, "then:    trap: module f: millrun_filter: unreachable") || !strings.Contains(r.stderr, "in/0 offset 3 fails") {
		t.Errorf("the case with its own module: %+v", r)
	}
	v := decode[caseView](t, must(t, nil, "", "wasm", "test", saved, "--module", pass, "-o", "json"))
	if v.Now.Result != resultPassed || v.Then.Reason != "trap" || v.Then.Stack == "" || v.Module.Name != "trap-bang" || len(v.Now.Out) != 1 ||
		v.Now.Out[0].Topic != "out" || string(v.Now.Out[0].Value) != "!d" || len(v.Now.In.Headers) != 1 {
		t.Errorf("the case with a mended module: %+v", v)
	}
	expect := filepath.Join(dir, "expect.jsonl")
	if err := os.WriteFile(expect, []byte(`{"key":null,"value":"!d"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, nil, "", "wasm", "test", saved, "--module", pass, "--expect", expect)
	refused(t, nil, exitUsage, []string{"is a case"}, "wasm", "test", saved, "--records", expect)
	refused(t, nil, exitUsage, []string{"--module"}, "wasm", "test", pass, "--records", expect, "--module", pass)
	must(t, p, "", "wasm", "save", "f", "--record", "in/0/0", "--to", cases)
	must(t, nil, "", "wasm", "test", filepath.Join(cases, "f-in-0-0.millcase"))
	refused(t, p, exitFailed, []string{"no record at offset 99"}, "wasm", "save", "f", "--record", "in/0/99")
	refused(t, p, exitUsage, []string{"topic/partition/offset"}, "wasm", "save", "f", "--record", "in")

	if out := must(t, p, "", "wasm", "replay", "f"); !strings.Contains(out, "replayed 2 dead letters: 0 passed, 0 dropped, 2 failed again") {
		t.Errorf("before the fix: %s", out)
	}
	must(t, p, "", "wasm", "upgrade", "f", pass)
	replayed := decode[transform.Replay](t, must(t, p, "", "wasm", "replay", "f", "-o", "json"))
	if replayed.Replayed != 2 || replayed.Passed != 2 || replayed.Left != 0 {
		t.Errorf("after the fix: %+v", replayed)
	}
	out := jsonLines[recordView](t, must(t, p, "", "consume", "out", "--exit", "-o", "json"))
	var values []string
	for _, v := range out {
		values = append(values, string(v.Value))
		if len(v.Headers) != 1 || v.Headers[0].Key != "trace" {
			t.Errorf("%s has the headers %v", v.Value, v.Headers)
		}
	}
	if !slices.Equal(values, []string{"a", "c", "!b", "!d"}) {
		t.Errorf("out: %q", values)
	}
	must(t, p, "", "wasm", "save", "f", "--to", cases) // with the module of the letter, not with the one that runs now
	if r := verb(t, nil, "", "wasm", "test", saved); r.code != exitFailed {
		t.Errorf("the case saved after the upgrade: %+v", r)
	}
}

func TestADeploymentThatHasStoppedGivesItsRecord(t *testing.T) {
	dir := t.TempDir()
	bang := guestFile(t, dir, "trap-bang")
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "", "topic", "create", "in", "-p", "1")
	must(t, p, "", "wasm", "deploy", bang, "--name", "f", "--input", "in", "--output", "out", "--create-outputs", "--retries", "0")
	refused(t, p, exitFailed, []string{"no record is known"}, "wasm", "save", "f")
	refused(t, p, exitFailed, []string{"no dead letters", "stop"}, "wasm", "replay", "f")
	must(t, p, "a\n!b\n", "produce", "in")
	until(t, "it stops", func() bool { return describeWasm(t, p, "f").State == "stopped" })
	must(t, p, "", "wasm", "save", "f", "--to", dir)
	if r := verb(t, nil, "", "wasm", "test", filepath.Join(dir, "f-in-0-1.millcase")); r.code != exitFailed || !strings.Contains(r.stdout, "unreachable") {
		t.Errorf("%+v", r)
	}
}

func TestFailingDeploymentsDoNotTouchAHealthyOne(t *testing.T) {
	const records = 1000
	dir := t.TempDir()
	p := startDev(t, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, p, "", "topic", "create", "in", "-p", "2")
	for name, policy := range map[string]string{"trap-record": "dlq", "trap-hundredth": "skip", "pass": "stop"} {
		must(t, p, "", "wasm", "deploy", guestFile(t, dir, name), "--name", name, "--input", "in", "--output", name+".out", "--create-outputs",
			"--on-error", policy, "--retries", "0")
	}
	must(t, p, sequence(1, records), "produce", "in", "-z", "none")
	for _, name := range []string{"pass", "trap-hundredth", "trap-record"} {
		awaitLag(t, p, name, 0)
	}
	count := func(topic string) int {
		seen := map[string]bool{}
		for _, v := range lines(must(t, p, "", "consume", topic, "--exit")) {
			seen[v] = true
		}
		return len(seen)
	}
	if s := describeWasm(t, p, "pass"); count("pass.out") != records || s.Counters.Out != records || s.Counters.Failed+s.Counters.Retries+s.Counters.Restarts != 0 || s.LastError != nil {
		t.Errorf("the healthy one: %d of %d, %+v, %+v", count("pass.out"), records, s.Counters, s.LastError)
	}
	if s := describeWasm(t, p, "trap-record"); s.State != "running" || count("trap-record.dlq") != records || s.Counters.Failed != records || s.Counters.Out != 0 {
		t.Errorf("the one that always traps: %d dead letters, %+v", count("trap-record.dlq"), s.Counters)
	}
	s := describeWasm(t, p, "trap-hundredth")
	if s.State != "running" || s.Counters.Failed == 0 || int(s.Counters.Failed)+count("trap-hundredth.out") != records {
		t.Errorf("the one that traps on every hundredth: %d passed, %+v", count("trap-hundredth.out"), s.Counters)
	}
}

// Whatever is killed, each record has come out, or is a dead letter.
func TestKilledWhileItDeadLettersTheBrokerLosesNothing(t *testing.T) {
	const records, kills = 2000, 4
	dir := t.TempDir()
	args := []string{"--kafka", freeAddress(t), "--http", "127.0.0.1:0", "--data", filepath.Join(dir, "data")}
	bang := guestFile(t, dir, "trap-bang")
	p := startDev(t, args...)
	must(t, p, "", "topic", "create", "in", "-p", "2")
	must(t, p, "", "wasm", "deploy", bang, "--name", "f", "--input", "in", "--output", "out", "--create-outputs", "--on-error", "dlq", "--retries", "1")
	var input strings.Builder
	for i := range records {
		fmt.Fprintf(&input, "%s%d\n", []string{"!", ""}[min(i%3, 1)], i)
	}
	must(t, p, input.String(), "produce", "in")
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	for range kills {
		time.Sleep(time.Duration(50+random.IntN(400)) * time.Millisecond)
		p.kill()
		p = startDev(t, args...)
	}
	awaitLag(t, p, "f", 0)
	seen := map[string]bool{}
	for _, topic := range []string{"out", "f.dlq"} {
		for _, v := range lines(must(t, p, "", "consume", topic, "--exit")) {
			if strings.HasPrefix(v, "!") != (topic == "f.dlq") {
				t.Fatalf("%s is in %s", v, topic)
			}
			seen[strings.TrimPrefix(v, "!")] = true
		}
	}
	for i := range records {
		if !seen[strconv.Itoa(i)] {
			t.Fatalf("record %d of %d is neither in the output nor a dead letter", i, records)
		}
	}
}

// A guest of Go that looks at the clocks and at random numbers makes the same bytes every time.
func TestATestMakesTheSameBytesEveryTime(t *testing.T) {
	skipIfShort(t)
	t.Chdir(t.TempDir())
	must(t, nil, "", "wasm", "init", "dice", "--lang", "go")
	const source = `package main

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	millrun "github.com/millrun/millrun/plugins/sdk/go"
	"github.com/millrun/millrun/plugins/sdk/go/transform"
)

func init() {
	transform.Register(transform.Module{
		Wants: millrun.Value,
		Map: func(r *millrun.Record, out *transform.Output) error {
			secret := make([]byte, 8)
			rand.Read(secret)
			began := time.Now()
			out.To(0).Value(fmt.Appendf(nil, "%x %d %d %s", secret, mathrand.Int64(), began.UnixNano(), time.Since(began)))
			return nil
		},
	})
}

func main() {}
`
	if err := os.WriteFile("dice/main.go", []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	build(t, "dice")
	var input bytes.Buffer
	for i := range 100 {
		if err := json.NewEncoder(&input).Encode(map[string]any{"key": nil, "value": fmt.Sprint(i), "timestamp": 1_700_000_000_000 + i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("r.jsonl", input.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	first := must(t, nil, "", "wasm", "test", "dice/dice.wasm", "--records", "r.jsonl")
	second := must(t, nil, "", "wasm", "test", "dice/dice.wasm", "--records", "r.jsonl")
	if first != second || len(lines(first)) != 100 || !strings.Contains(first, "1700000000") {
		t.Errorf("twice the same module and records:\n%.300s\n%.300s", first, second)
	}
}
