package transform_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/transform"
)

func TestRatesErrorsAndCountersOutliveAPauseAndEndWithTheDeployment(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	spec := filterSpec("f")
	spec.Module, spec.OnError, spec.Retries = "poisoned", transform.OnErrorSkip, new(int32)
	n.deploy(spec)
	n.produce("in", 1, "yes", "no", "poison")
	s := n.untilDone("f")
	if s.Rates.In <= 0 || s.Rates.Out <= 0 || s.Rates.Dropped <= 0 || s.Rates.Failed <= 0 {
		t.Errorf("right after the start: %+v", s.Rates)
	}
	e := s.LastError
	if e == nil || e.Topic != "in" || *e.Partition != 0 || *e.Offset != 2 || !strings.Contains(e.Message, "unreachable") || time.Since(e.Time) > time.Minute {
		t.Fatalf("last error: %+v", e)
	}
	metrics := func() string { return n.text("/metrics") }
	for _, want := range []string{`millrun_wasm_partition_lag{deployment="f",topic="in",partition="0"} 0`, `millrun_wasm_records_failed_total{deployment="f"} 1`} {
		if !strings.Contains(metrics(), want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	for _, verb := range []string{"pause", "resume"} {
		if status := n.http("POST", "/v1/deployments/f/"+verb, nil, nil); status != http.StatusOK {
			t.Fatalf("%s: %d", verb, status)
		}
		s = n.describe("f")
		if s.LastError == nil || *s.LastError.Offset != 2 || s.Counters.In != 3 {
			t.Errorf("after %s: %+v, %+v", verb, s.LastError, s.Counters)
		}
		if verb == "pause" && s.Memory.Instances != 0 {
			t.Errorf("paused, it has %d instances", s.Memory.Instances)
		}
	}
	if status := n.http("DELETE", "/v1/deployments/f", nil, nil); status != http.StatusOK {
		t.Fatalf("delete: %d", status)
	}
	if m := metrics(); strings.Contains(m, "millrun_wasm_") {
		t.Error("a deployment that is gone has metrics")
	}
	n.deploy(spec)
	if s := n.describe("f"); s.LastError != nil || s.Counters.In != 0 {
		t.Errorf("another one of the same name: %+v, %+v", s.LastError, s.Counters)
	}
}

func TestDeploymentsAreListedWithWhatEachGroupHasCommitted(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 2)
	n.createTopic("out", 2)
	n.deploy(filterSpec("a"))
	n.produce("in", 2, "yes")
	shared := filterSpec("b")
	shared.Group = "a"
	n.deploy(shared)
	n.untilDone("a")
	other := filterSpec("c")
	other.From = "earliest"
	n.deploy(other)
	n.untilDone("c")
	var list []transform.Summary
	n.http("GET", "/v1/deployments", nil, &list)
	if len(list) != 3 || len(list[0].Members) != 2 || len(list[1].Members) != 2 || len(list[2].Members) != 1 || list[0].Lag+list[1].Lag+list[2].Lag != 0 {
		t.Fatalf("%+v", list)
	}
	if m := list[2].Members[0]; !m.Local || len(m.Partitions) != 2 || m.Client != "millrun-wasm-c" {
		t.Errorf("%+v", m)
	}
}

// text is the answer to a request whose answer is no JSON.
func (n *node) text(path string) string {
	n.Helper()
	resp, err := http.Get("http://" + strings.TrimPrefix(n.HTTPAddr(), "http://") + path)
	if err != nil {
		n.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		n.Fatal(err)
	}
	return string(text)
}
