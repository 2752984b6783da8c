package redpanda

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redpanda-data/common-go/rpadmin"
	"github.com/twmb/franz-go/pkg/kgo"
)

// deploy deploys by Redpanda's client, with the outputs NAME-out and NAME-other of the input NAME-in.
func (b *broker) deploy(file, name, greeting string) error {
	b.Helper()
	module, err := os.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer module.Close()
	return b.admin.DeployWasmTransform(b.Context(), rpadmin.TransformMetadata{
		Name: name, InputTopic: name + "-in", OutputTopics: []string{name + "-out", name + "-other"},
		Environment: []rpadmin.EnvironmentVariable{{Key: "GREETING", Value: greeting}},
	}, module)
}

func TestAModuleDoesWhatItDoesInRedpanda(t *testing.T) {
	eachGuest(t, func(b *broker, file, language string) {
		name := "does-" + language
		b.createTopics(name+"-in", name+"-out", name+"-other")
		if err := b.deploy(file, name, "hello"); err != nil {
			b.Fatal(err)
		}
		b.produce(name+"-in", "plain", "both", "headers", "tombstone", "keyless", "environment", "clock", "registry", "undeclared", "log", "drop", "last")
		out := b.read(name+"-out", 10)
		want := []string{"plain", "both", "headers", "null", "keyless", fmt.Sprintf("%s %[1]s-in %[1]s-out %[1]s-other hello", name),
			"1700000000006 1700000000006", "off", "refused", "last"}
		if got := values(out); !slices.Equal(got, want) {
			b.Fatalf("got  %q\nwant %q", got, want)
		}
		headers := func(r *kgo.Record) (all []string) {
			for _, h := range r.Headers {
				all = append(all, fmt.Sprintf("%s=%s/%v", h.Key, h.Value, h.Value == nil))
			}
			return all
		}
		if got := headers(out[0]); !slices.Equal(got, []string{"h=1/false", "null=/true"}) {
			b.Errorf("headers %q", got)
		}
		if got := headers(out[2]); !slices.Equal(got, []string{"h=1/false", "null=/true", "seen-by=hello/false", "nothing=/true"}) {
			b.Errorf("headers %q", got)
		}
		if out[4].Key != nil || string(out[0].Key) != "k" {
			b.Errorf("keys %q, %q", out[0].Key, out[4].Key)
		}
		for n, r := range out[:9] {
			if r.Timestamp.UnixMilli() != 1_700_000_000_000+int64(n) || r.Partition != 0 {
				b.Errorf("record %d: %v in partition %d", n, r.Timestamp, r.Partition)
			}
		}
		if got := values(b.read(name+"-other", 1)); !slices.Equal(got, []string{"both"}) {
			b.Errorf("the other output has %q", got)
		}
		d := b.until(name, "through", func(d deployment) bool { return d.Lag == 0 })
		if d.Counters.In != 12 || d.Counters.Out != 11 || d.Counters.Dropped != 2 || d.Counters.Failed != 0 {
			b.Errorf("counters %+v", d.Counters)
		}
		b.logs(name)
	})
}

// logs checks what the module has logged, and that it is in the shape of OpenTelemetry.
func (b *broker) logs(name string) {
	b.Helper()
	var lines []string
	for seen := 0; !slices.Contains(lines, "13 a warn line"); {
		all := b.read("_redpanda.transform_logs", seen+1)
		seen, lines = len(all), nil
		for _, r := range all {
			var record struct {
				Body           struct{ StringValue string }
				TimeUnixNano   int64
				SeverityNumber int
				Attributes     []struct {
					Key   string
					Value struct {
						StringValue string
						IntValue    int
					}
				}
			}
			if err := json.Unmarshal(r.Value, &record); err != nil {
				b.Fatalf("%s: %v", r.Value, err)
			}
			if string(r.Key) != name {
				continue
			}
			if a := record.Attributes; len(a) != 2 || a[0].Key != "transform_name" || a[0].Value.StringValue != name || a[1].Key != "node" || record.TimeUnixNano == 0 {
				b.Errorf("%s", r.Value)
			}
			lines = append(lines, fmt.Sprint(record.SeverityNumber, " ", record.Body.StringValue))
		}
	}
	if !slices.Contains(lines, "9 starting with hello") || !slices.Contains(lines, "9 an info line") {
		b.Errorf("logged %q", lines)
	}
	if out, err := b.millrun("wasm", "logs", name); err != nil || !strings.Contains(out, "a warn line") {
		b.Errorf("millrun wasm logs: %v\n%s", err, out)
	}
}

// Redpanda would start such a module again for ever.
func TestARecordThatAModuleFailsOnMeetsThePolicy(t *testing.T) {
	eachGuest(t, func(b *broker, file, language string) {
		name := "fails-" + language
		b.createTopics(name+"-in", name+"-out", name+"-other")
		out, err := b.millrun("wasm", "deploy", file, "--name", name, "--input", name+"-in", "--output", name+"-out,"+name+"-other",
			"--on-error", "skip", "--retries", "0", "--timeout", "3s")
		if err != nil {
			b.Fatal(err, out)
		}
		b.produce(name+"-in", "one", "error", "two", "panic", "three", "exit", "four", "loop", "five")
		if got := values(b.read(name+"-out", 5)); !slices.Equal(got, []string{"one", "two", "three", "four", "five"}) {
			b.Errorf("got %q", got)
		}
		d := b.until(name, "through", func(d deployment) bool { return d.Lag == 0 })
		if d.State != "running" || d.Counters.Failed != 4 {
			b.Errorf("%+v", d)
		}
	})
}

func TestAModuleThatFailsStopsWithItsWords(t *testing.T) {
	eachGuest(t, func(b *broker, file, language string) {
		name := "stops-" + language
		b.createTopics(name+"-in", name+"-out", name+"-other")
		if err := b.deploy(file, name, "hello"); err != nil {
			b.Fatal(err)
		}
		b.produce(name+"-in", "one", "error", "two")
		d := b.until(name, "stopped", func(d deployment) bool { return d.State == "stopped" })
		if !strings.Contains(d.Reason, "no good") {
			b.Errorf("the reason is %q", d.Reason)
		}
		if got := values(b.read(name+"-out", 1)); !slices.Equal(got, []string{"one"}) {
			b.Errorf("got %q", got)
		}
	})
}

func TestAModuleThatEndsBeforeItsFirstBatchIsRefused(t *testing.T) {
	eachGuest(t, func(b *broker, file, language string) {
		name := "ends-" + language
		b.createTopics(name+"-in", name+"-out", name+"-other")
		if err := b.deploy(file, name, "exit"); err == nil || !strings.Contains(err.Error(), "exit code 3: starting with exit") {
			b.Errorf("got %v", err)
		}
	})
}
