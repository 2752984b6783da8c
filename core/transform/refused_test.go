package transform_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrun/millrun/core/transform"
)

func TestWhatCannotWorkIsRefusedAtDeployByName(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 4)
	n.createTopic("out", 4)
	n.createTopic("narrow", 2)
	n.deploy(filterSpec("taken"))
	for want, change := range map[string]func(s *transform.DeploySpec){
		"400 input topic absent does not exist":                       func(s *transform.DeploySpec) { s.Input = []string{"absent"} },
		"400 output topic absent does not exist":                      func(s *transform.DeploySpec) { s.Output = []string{"absent"} },
		"400 output topic narrow has 2 partitions and input topic in": func(s *transform.DeploySpec) { s.Output = []string{"narrow"} },
		"400 topic in is an input and an output":                      func(s *transform.DeploySpec) { s.Output = []string{"in"} },
		"400 output topic __consumer_offsets is the broker's own":     func(s *transform.DeploySpec) { s.Output = []string{"__consumer_offsets"} },
		"400 module gone is refused: imports unknown function gone":   func(s *transform.DeploySpec) { s.Module = "gone" },
		"400 module contains is a filter, which has exactly one":      func(s *transform.DeploySpec) { s.Output = []string{"out", "other"}; s.CreateOutputs = true },
		"400 deployment name \"a b\"":                                 func(s *transform.DeploySpec) { s.Name = "a b" },
		"400 deployment f has no output topic":                        func(s *transform.DeploySpec) { s.Output = nil },
		"400 --memory 2147483648 bytes is not between":                func(s *transform.DeploySpec) { s.Memory = "2GiB" },
		"400 --input \"a topic\"":                                     func(s *transform.DeploySpec) { s.Input = []string{"a topic"} },
		"400 --from \"yesterday\"":                                    func(s *transform.DeploySpec) { s.From = "yesterday" },
		"400 --timeout \"soon\"":                                      func(s *transform.DeploySpec) { s.Timeout = "soon" },
		"400 --timeout 10m0s is not between":                          func(s *transform.DeploySpec) { s.Timeout = "10m" },
		"400 --memory \"lots\"":                                       func(s *transform.DeploySpec) { s.Memory = "lots" },
		"400 --members -1":                                            func(s *transform.DeploySpec) { s.Members = -1 },
		"400 --partition \"random\"":                                  func(s *transform.DeploySpec) { s.Partition = "random" },
		"400 --input /in(/: missing closing ): `in(`":                 func(s *transform.DeploySpec) { s.Input = []string{"/in(/"} },
		"400 --input /in: a pattern is":                               func(s *transform.DeploySpec) { s.Input = []string{"/in"} },
		"400 --dlq dead: --on-error is stop":                          func(s *transform.DeploySpec) { s.DLQ = "dead" },
		"400 --dlq \"a b\"":                                           func(s *transform.DeploySpec) { s.OnError, s.DLQ = "dlq", "a b" },
		"400 dead-letter topic in is an input":                        func(s *transform.DeploySpec) { s.OnError, s.DLQ = "dlq", "in" },
		"400 dead-letter topic out is an output":                      func(s *transform.DeploySpec) { s.OnError, s.DLQ = "dlq", "out" },
		"400 dead-letter topic __consumer_offsets is the broker's":    func(s *transform.DeploySpec) { s.OnError, s.DLQ = "dlq", "__consumer_offsets" },
		"400 dead-letter topic \"fffff":                               func(s *transform.DeploySpec) { s.OnError, s.Name = "dlq", strings.Repeat("f", 249) },
		"501 --guarantee exactly-once":                                func(s *transform.DeploySpec) { s.Guarantee = "exactly-once" },
		"409 deployment taken exists":                                 func(s *transform.DeploySpec) { s.Name = "taken" },
	} {
		spec := filterSpec("f")
		change(&spec)
		var answer struct{ Error string }
		status := n.http("POST", "/v1/deployments", spec, &answer)
		if got := fmt.Sprint(status, " ", answer.Error); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	var all []transform.Summary
	if n.http("GET", "/v1/deployments", nil, &all); len(all) != 1 {
		t.Errorf("%d deployments after all refusals", len(all))
	}
}
