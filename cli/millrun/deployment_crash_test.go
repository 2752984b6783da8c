//go:build !windows

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/transform"
)

// TestABrokerKilledWhileADeploymentIsChangedKnowsItBeforeOrAfter kills the broker at random moments while a deployment is
// deployed, paused, resumed or deleted. After the restart the deployment is as it was before or as it was to be; if the
// change was answered, it is the latter. Whatever it is, it can be changed again, and in the end nothing is lost.
func TestABrokerKilledWhileADeploymentIsChangedKnowsItBeforeOrAfter(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 4
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	args := []string{"--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}
	p := startDev(t, args...)
	must(t, p, "", "topic", "create", "in", "-p", "2")
	deploy := []string{"wasm", "deploy", "../../spec/vectors/wasm/example.wasm", "--name", "f", "--input", "in", "--output", "out", "--create-outputs",
		"--from", "earliest", "--config", "first=y"}
	const gone = "gone"
	state := gone
	produced := 0
	for range rounds {
		produced++
		must(t, p, fmt.Sprintf("y%d\n", produced), "produce", "in")
		var change []string
		after := ""
		switch state {
		case gone:
			change, after = deploy, "running"
		case "running":
			change, after = []string{"wasm", "pause", "f"}, "paused"
		case "paused":
			change, after = []string{"wasm", "resume", "f"}, "running"
		}
		if state != gone && random.IntN(4) == 0 {
			change, after = []string{"wasm", "delete", "f"}, gone
		}
		verb := startVerb(t, p, change...)
		time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond) // the process has to start, too
		p.kill()
		verb.cmd.Wait()
		answered := verb.cmd.ProcessState.Success()
		p = startDev(t, args...)
		found := settledState(t, p)
		t.Logf("%s while %s: answered %v, then %s", change[1], state, answered, found)
		if found != after && (answered || found != state) {
			t.Fatalf("%s of a deployment that was %s, answered: %v; after the restart it is %s", change[1], state, answered, found)
		}
		state = found
	}
	switch state {
	case gone:
		must(t, p, "", deploy...)
	case "paused":
		must(t, p, "", "wasm", "resume", "f")
	}
	waitForState(t, p, func(s *transform.Status) bool { return s.State == "running" && s.Lag == 0 })
	seen := make(map[string]bool)
	for _, v := range lines(must(t, p, "", "consume", "out", "--exit")) {
		seen[v] = true
	}
	for n := 1; n <= produced; n++ {
		if !seen[fmt.Sprintf("y%d", n)] {
			t.Errorf("y%d is lost", n)
		}
	}
}

// settledState is the deployment's state when it has started, "gone" if there is none.
func settledState(t *testing.T, p *process) string {
	t.Helper()
	r := verb(t, p, "", "wasm", "describe", "f")
	if r.code != 0 {
		if !strings.Contains(r.stderr, "there is no deployment f") {
			t.Fatalf("describe: %s", r.stderr)
		}
		return "gone"
	}
	return waitForState(t, p, func(s *transform.Status) bool { return s.State != "starting" }).State
}

func waitForState(t *testing.T, p *process, ok func(*transform.Status) bool) *transform.Status {
	t.Helper()
	var s transform.Status
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		s = transform.Status{}
		if err := json.Unmarshal([]byte(must(t, p, "", "wasm", "describe", "f", "-o", "json")), &s); err != nil {
			t.Fatal(err)
		}
		if ok(&s) {
			return &s
		}
	}
	t.Fatalf("it never comes: %+v", s)
	return nil
}
