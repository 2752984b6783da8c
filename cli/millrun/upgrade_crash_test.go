//go:build !windows

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrun/millrun/core/transform"
)

// TestABrokerKilledDuringAnUpgradeRunsOneVersionAndLosesNothing kills the broker at random moments while a deployment is
// upgraded or rolled back, with records on their way. Each version writes to a topic of its own, so that what is there
// tells who processed what: after all, each version has written every record from where it took over to where the next
// one did, and no other.
func TestABrokerKilledDuringAnUpgradeRunsOneVersionAndLosesNothing(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	args := []string{"--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}
	p := startDev(t, args...)
	must(t, p, "", "topic", "create", "in", "-p", "2")
	must(t, p, "", "wasm", "deploy", "filter", "--name", "f", "--input", "in", "--output", "out-0", "--create-outputs", "--config", "text=y")
	versions := map[int32]transform.VersionStatus{} // all that ever were: the history forgets
	learn := func(s *transform.Status) int32 {
		for _, v := range s.Versions {
			versions[v.Version] = v
		}
		return s.Module.Version
	}
	begun := time.Now()
	must(t, p, "", "wasm", "upgrade", "f", "--output", "out-first")
	window := time.Since(begun) * 3 / 2 // of the moments when it is killed
	produced, present := 0, int32(2)
	for round := 1; round <= rounds; round++ {
		var batch bytes.Buffer
		for range 100 {
			produced++
			fmt.Fprintf(&batch, "y%d\n", produced)
		}
		must(t, p, batch.String(), "produce", "in")
		change := []string{"wasm", "upgrade", "f", "--output", fmt.Sprintf("out-%d", round)}
		if present > 2 && random.IntN(4) == 0 {
			change = []string{"wasm", "rollback", "f"}
		}
		verb := startVerb(t, p, change...)
		if change[1] == "upgrade" && random.IntN(2) == 0 {
			awaitTopic(t, p, change[4], window) // the switch is near
			time.Sleep(time.Duration(random.IntN(20_000)) * time.Microsecond)
		} else {
			time.Sleep(time.Duration(random.Int64N(int64(window)))) // the process has to start, too
		}
		p.kill()
		verb.cmd.Wait()
		answered := verb.cmd.ProcessState.Success()
		p = startDev(t, args...)
		found := learn(waitForState(t, p, func(s *transform.Status) bool { return s.State == "running" }))
		t.Logf("%s of version %d: answered %v, then version %d", change[1], present, answered, found)
		if found != present+1 && (answered || found != present) {
			t.Fatalf("%s of version %d, answered: %v; after the restart version %d runs", change[1], present, answered, found)
		}
		present = found
	}
	t.Logf("killed within %s", window)
	waitForState(t, p, func(s *transform.Status) bool { return s.Lag == 0 })
	must(t, p, "", "wasm", "pause", "f") // it has committed all it has done
	checkVersions(t, p, versions, present)
}

// awaitTopic returns when a topic is there, or some time is over.
func awaitTopic(t *testing.T, p *process, topic string, limit time.Duration) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Kafka))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if topics, err := kadm.NewClient(client).ListTopics(t.Context()); err == nil && topics.Has(topic) {
			return
		}
	}
}

// checkVersions compares the outputs with what the versions were to write, by where each began.
func checkVersions(t *testing.T, p *process, versions map[int32]transform.VersionStatus, present int32) {
	t.Helper()
	want := map[string]map[string]bool{} // by output
	for _, r := range readRecordsOf(t, p, "in") {
		of := int32(1)
		for v := int32(1); v <= present; v++ {
			begun, ok := versions[v]
			if !ok {
				t.Fatalf("version %d was never seen", v)
			}
			if begun.From[*r.Partition].Offset <= *r.Offset {
				of = v
			}
		}
		topic := versions[of].Outputs[0]
		if want[topic] == nil {
			want[topic] = map[string]bool{}
		}
		want[topic][string(r.Value)] = true
	}
	seen := 0
	for _, v := range versions {
		topic := v.Outputs[0]
		got := map[string]bool{}
		for _, r := range readRecordsOf(t, p, topic) {
			got[string(r.Value)] = true
			seen++
		}
		if !maps.Equal(got, want[topic]) {
			t.Errorf("%s has %d different records, not %d: %q", topic, len(got), len(want[topic]), slices.Sorted(maps.Keys(got)))
		}
	}
	t.Logf("%d versions, %d records written", present, seen)
}

func readRecordsOf(t *testing.T, p *process, topic string) (out []recordView) {
	t.Helper()
	for _, line := range lines(must(t, p, "", "consume", topic, "--exit", "-o", "json")) {
		var r recordView
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}
