//go:build unix

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/millrun/millrun/plugins/hostile"
)

func languageBench() *bench {
	return &bench{options: options{pairs: 1, scale: 0.001}, table: newTable("W2", "")}
}

func TestCommittedGuestsAnswerAsNativeGoDoesAndAreMeasuredBesideIt(t *testing.T) {
	guests := committedGuests()
	if testing.Short() { // a Go guest takes long to compile
		guests = slices.DeleteFunc(guests, func(g jobGuest) bool { return g.language == shippedFilter })
	}
	b := languageBench()
	if err := b.languages(t.Context(), 0, guests); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	b.table.print(&out)
	lines := map[[3]string][]string{}
	for _, line := range b.table.grid {
		lines[[3]string(line)] = line
	}
	for _, g := range guests {
		line := lines[[3]string{g.job, g.way, g.language}]
		if line == nil || slices.Contains(line, "") || lines[[3]string{g.job, g.way, "native Go"}] == nil {
			t.Errorf("%s, %s, %s: the line %q in\n%s", g.job, g.way, g.language, line, out.String())
		}
	}
}

func TestAGuestThatAnswersOtherwiseIsNotMeasured(t *testing.T) {
	for way, module := range map[string]string{rawFilter: "pass", pullTransform: "pull-copy"} {
		g := jobGuest{job: "filter: text in 100 B", way: way, language: "WAT", wasm: func() ([]byte, error) { return hostile.Module(module) }}
		if err := languageBench().languages(t.Context(), 0, []jobGuest{g}); err == nil || !strings.Contains(err.Error(), "another answer") {
			t.Errorf("%s as a filter: %v", module, err)
		}
	}
}
