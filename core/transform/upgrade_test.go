package transform_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrun/millrun/core/transform"
	"github.com/twmb/franz-go/pkg/kgo"
)

// upgraded makes an upgrade, which has to be accepted.
func (n *node) upgraded(name string, spec transform.UpgradeSpec) transform.Upgraded {
	n.Helper()
	var answer struct {
		transform.Upgraded
		Error string
	}
	if status := n.http("POST", "/v1/deployments/"+name+"/upgrade", spec, &answer); status != http.StatusOK {
		n.Fatalf("upgrade: %d %s", status, answer.Error)
	}
	return answer.Upgraded
}

func (n *node) rolledBack(name string) transform.Upgraded {
	n.Helper()
	var answer struct {
		transform.Upgraded
		Error string
	}
	if status := n.http("POST", "/v1/deployments/"+name+"/rollback", nil, &answer); status != http.StatusOK {
		n.Fatalf("rollback: %d %s", status, answer.Error)
	}
	return answer.Upgraded
}

// refused makes a request that has to be answered with an error, and returns that behind its status.
func (n *node) refused(path string, spec any) string {
	n.Helper()
	var answer struct{ Error string }
	status := n.http("POST", path, spec, &answer)
	if status < 400 {
		n.Fatalf("POST %s was accepted: %d", path, status)
	}
	return fmt.Sprint(status, " ", answer.Error)
}

func text(s string) *string { return &s }

func TestAnUpgradeUnderLoadLosesNothingAndRepeatsNothing(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 4)
	n.createTopic("out", 4)
	spec := filterSpec("f")
	spec.Config = map[string]string{"text": "r"}
	spec.Members = 2
	n.deploy(spec)
	stop := make(chan struct{})
	var produced []string
	var done sync.WaitGroup
	done.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			value := fmt.Sprintf("r%06d", i)
			produced = append(produced, value)
			if err := n.client.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Partition: int32(i % 4), Value: []byte(value)}).FirstErr(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	n.until("f", "a hundred records", func(s transform.Status) bool { return s.Counters.In >= 100 })
	var last transform.Upgraded
	for i, change := range []transform.UpgradeSpec{
		{Module: "contains2"}, {Config: map[string]*string{"more": text("x")}}, {Members: 1}, {Module: "contains", Members: 3}, {Output: []string{"out"}, Timeout: "2s"},
	} {
		last = n.upgraded("f", change)
		if !last.Switched || last.State != "running" || last.Module.Version != int32(i+2) || last.Trial.Tried == 0 || last.Trial.Same != last.Trial.Tried {
			t.Errorf("upgrade %d: %+v with %+v", i+2, last, last.Trial)
		}
		t.Logf("upgrade to version %d: a pause of %.1f ms", last.Module.Version, last.PauseMs)
	}
	close(stop)
	done.Wait()
	s := n.untilDone("f")
	if got := n.read("out"); !slices.Equal(got, produced) {
		t.Errorf("%d records came out of %d; sorted they are not the same", len(got), len(produced))
	}
	if len(s.Versions) != 6 || s.Versions[0].Name != "contains" || s.Versions[1].Name != "contains2" {
		t.Fatalf("versions: %+v", s.Versions)
	}
	for i, v := range s.Versions {
		if len(v.From) != 4 || v.Version != int32(i+1) || v.Deployed == 0 {
			t.Errorf("version %+v", v)
		}
		for p, from := range v.From {
			if from.Topic != "in" || from.Partition != int32(p) || i > 0 && from.Offset < s.Versions[i-1].From[p].Offset {
				t.Errorf("version %d took over at %+v", v.Version, from)
			}
		}
	}
}

func TestANewVersionBeginsExactlyWhereTheOldOneStopped(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 2)
	n.createTopic("out", 2)
	n.deploy(filterSpec("f"))
	n.produce("in", 2, "yes1", "no1")
	n.untilDone("f")
	answer := n.upgraded("f", transform.UpgradeSpec{Config: map[string]*string{"text": text("no")}})
	if answer.Trial.Tried != 4 || answer.Trial.Different != 4 || answer.Config["text"] != "no" || answer.Trial.Records != nil {
		t.Errorf("%+v with %+v", answer.Status, answer.Trial)
	}
	n.produce("in", 2, "yes2", "no2")
	s := n.untilDone("f")
	if got := n.read("out"); !slices.Equal(got, []string{"no2", "no2", "yes1", "yes1"}) {
		t.Errorf("out: %q", got)
	}
	if v := s.Versions[1]; v.From[0].Offset != 2 || v.From[1].Offset != 2 || v.Config["text"] != "no" || s.Versions[0].Config["text"] != "yes" || s.Versions[0].From[0].Offset != 0 {
		t.Errorf("versions: %+v", s.Versions)
	}
}

func TestAVersionThatFailsWhereTheOldOneDoesNotIsRefused(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(filterSpec("f"))
	n.produce("in", 1, "yes1", "poison", "yes2")
	before := n.untilDone("f")
	want := `409 the new version fails where the old one does not: record in/0 offset 1: wasm trap: unreachable (1 of the 3 records`
	if got := n.refused("/v1/deployments/f/upgrade", transform.UpgradeSpec{Module: "poisoned"}); !strings.HasPrefix(got, want) {
		t.Errorf("%s", got)
	}
	if s := n.describe("f"); s.Module != before.Module || len(s.Versions) != 1 || s.State != "running" {
		t.Errorf("after the refusal: %+v", s)
	}
	shadow := n.upgraded("f", transform.UpgradeSpec{Module: "poisoned", Config: map[string]*string{"text": text("yes2")}, Shadow: true})
	if shadow.Switched || shadow.Status != nil || shadow.Trial.Tried != 3 || shadow.Trial.NewFails != 1 || shadow.Trial.Different != 1 || shadow.Trial.Same != 1 || len(shadow.Trial.Records) != 2 {
		t.Fatalf("shadow: %+v", shadow.Trial)
	}
	first, second := shadow.Trial.Records[0], shadow.Trial.Records[1]
	if first.Result != transform.TrialDifferent || string(first.Value) != "yes1" || len(first.Old.Outputs) != 1 || string(first.Old.Outputs[0].Value) != "yes1" ||
		first.Old.Outputs[0].Topic != "out" || len(first.New.Outputs) != 0 {
		t.Errorf("first: %+v", first)
	}
	if second.Result != transform.TrialNewFails || second.Offset != 1 || !strings.Contains(second.New.Error, "unreachable") || second.Old.Error != "" {
		t.Errorf("second: %+v", second)
	}
	if s := n.describe("f"); s.Module != before.Module || s.Counters.In != 3 {
		t.Errorf("after the shadow: %+v", s)
	}
	if got := n.read("out"); len(got) != 2 {
		t.Errorf("out: %q", got)
	}
	if s := n.upgraded("f", transform.UpgradeSpec{Module: "poisoned", Force: true}); s.Module.Name != "poisoned" || s.Trial.NewFails != 1 {
		t.Errorf("forced: %+v", s)
	}
}

func TestAnUpgradeTriesRecordsToComeWhereNoneWereRead(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(filterSpec("f"))
	n.http("POST", "/v1/deployments/f/pause", nil, nil)
	n.produce("in", 1, "yes", "poison")
	if got := n.refused("/v1/deployments/f/upgrade", transform.UpgradeSpec{Module: "poisoned"}); !strings.Contains(got, "in/0 offset 1") {
		t.Errorf("%s", got)
	}
}

func TestARollbackBringsBackModuleAndSettingsAndAgainGoesFurtherBack(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(filterSpec("f"))
	n.upgraded("f", transform.UpgradeSpec{Config: map[string]*string{"text": text("b")}})
	n.upgraded("f", transform.UpgradeSpec{Module: "contains2", Config: map[string]*string{"text": text("c")}, Retries: new(int32)})
	first := n.rolledBack("f")
	if v := first.Versions; first.Config["text"] != "b" || first.Module.Name != "contains" || first.Module.Version != 4 || v[3].Restores != 2 || first.Trial != nil {
		t.Errorf("%+v", first.Status)
	}
	n.produce("in", 1, "a", "b", "c", "yes")
	n.untilDone("f")
	second := n.rolledBack("f")
	if second.Config["text"] != "yes" || second.Module.Version != 5 || second.Versions[4].Restores != 1 || second.Versions[4].From[0].Offset != 4 {
		t.Errorf("%+v", second.Status)
	}
	n.produce("in", 1, "a", "b", "yes")
	n.untilDone("f")
	if got := n.read("out"); !slices.Equal(got, []string{"b", "yes"}) {
		t.Errorf("out: %q", got)
	}
	if got := n.refused("/v1/deployments/f/rollback", nil); !strings.HasPrefix(got, "400 deployment f has no earlier version") {
		t.Errorf("%s", got)
	}
}

func TestInputsAndOutputsMayChange(t *testing.T) {
	n := startNode(t, "")
	for _, topic := range []string{"in", "more", "out"} {
		n.createTopic(topic, 2)
	}
	n.produce("more", 2, "yes before")
	n.deploy(filterSpec("f"))
	n.produce("in", 2, "yes1")
	n.untilDone("f")
	create := true
	n.upgraded("f", transform.UpgradeSpec{Input: []string{"in", "more"}, Output: []string{"out2"}, CreateOutputs: &create})
	n.produce("in", 2, "yes2")
	n.produce("more", 2, "yes3")
	assigned := func(want int) func(s transform.Status) bool {
		return func(s transform.Status) bool {
			return s.State == "running" && s.Lag == 0 && len(s.Members) == 1 && len(s.Members[0].Partitions) == want
		}
	}
	n.until("f", "both inputs", assigned(4))
	if got := n.read("out2"); !slices.Equal(got, []string{"yes2", "yes2", "yes3", "yes3"}) {
		t.Errorf("out2: %q", got)
	}
	n.upgraded("f", transform.UpgradeSpec{Input: []string{"more"}})
	n.until("f", "one input", assigned(2))
	n.produce("in", 2, "yes4")
	n.upgraded("f", transform.UpgradeSpec{Input: []string{"in", "more"}, From: "latest"})
	n.until("f", "both inputs again", assigned(4))
	if got := n.read("out2"); len(got) != 6 {
		t.Errorf("an input that comes back goes on where the group was: %q", got)
	}
	if got := n.read("out"); !slices.Equal(got, []string{"yes1", "yes1"}) {
		t.Errorf("out: %q", got)
	}
}

func TestAnUpgradeLeavesPausedWhatIsPausedAndStartsWhatHasStopped(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	spec := filterSpec("f")
	spec.Module, spec.Retries = "poisoned", new(int32)
	n.deploy(spec)
	n.produce("in", 1, "yes1", "poison", "yes2")
	n.until("f", "stopped", func(s transform.Status) bool { return s.State == "stopped" && len(s.Members) == 0 })
	answer := n.upgraded("f", transform.UpgradeSpec{Module: "contains"})
	if answer.Trial.OldFails != 0 || answer.Trial.Same != 1 || answer.Reason != "" {
		t.Errorf("%+v with %+v", answer.Status, answer.Trial)
	}
	n.untilDone("f")
	n.http("POST", "/v1/deployments/f/pause", nil, nil)
	n.produce("in", 1, "yes3")
	answer = n.upgraded("f", transform.UpgradeSpec{Module: "contains2"})
	if answer.State != "paused" || answer.Lag != 1 || len(answer.Members) != 0 || answer.PauseMs != 0 || answer.Versions[2].From[0].Offset != 3 {
		t.Errorf("%+v", answer.Status)
	}
	n.http("POST", "/v1/deployments/f/resume", nil, nil)
	n.untilDone("f")
	if got := n.read("out"); !slices.Equal(got, []string{"yes1", "yes2", "yes3"}) {
		t.Errorf("out: %q", got)
	}
}

func TestAnUpgradeThatCannotWorkIsRefusedAndChangesNothing(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 2)
	n.createTopic("out", 2)
	n.createTopic("narrow", 1)
	n.deploy(filterSpec("f"))
	for want, spec := range map[string]transform.UpgradeSpec{
		"409 deployment f runs this module with these settings": {},
		"400 deployment f cannot be renamed to g":               {Name: "g"},
		"400 deployment f is in group f":                        {Group: "g"},
		"400 input topic absent does not exist":                 {Input: []string{"absent"}},
		"400 output topic absent does not exist":                {Output: []string{"absent"}},
		"400 output topic narrow has 1 partitions":              {Output: []string{"narrow"}},
		"400 topic in is an input and an output":                {Output: []string{"in"}},
		"400 module gone is refused: imports unknown":           {Module: "gone"},
		"400 deployment f has no output topic":                  {Output: []string{}},
		"400 --timeout":                                         {Timeout: "1h"},
		"400 --from":                                            {From: "noon"},
	} {
		if got := n.refused("/v1/deployments/f/upgrade", spec); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := n.refused("/v1/deployments/g/upgrade", transform.UpgradeSpec{}); !strings.HasPrefix(got, "404 there is no deployment g") {
		t.Errorf("%s", got)
	}
	if s := n.untilDone("f"); len(s.Versions) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAnOutsideConsumerKeepsItsPartitionsOverAnUpgrade(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 4)
	n.createTopic("out", 4)
	n.deploy(filterSpec("f"))
	o := n.join("f", kgo.CooperativeStickyBalancer())
	s := n.until("f", "half each", shared)
	for i := range 3 {
		n.upgraded("f", transform.UpgradeSpec{Config: map[string]*string{"round": text(fmt.Sprint(i))}})
		n.produce("in", 4, fmt.Sprintf("yes%d", i))
		n.until("f", "all read", func(s transform.Status) bool { return s.Lag == 0 })
	}
	if after := n.describe("f"); !shared(after) || !slices.Equal(outsiders(s), outsiders(after)) {
		t.Errorf("members were %+v and are %+v", s.Members, after.Members)
	}
	o.client.Close()
	seen := len(n.read("out"))
	for range o.values {
		seen++
	}
	if seen != 12 {
		t.Errorf("%d of 12 records were seen", seen)
	}
}

func outsiders(s transform.Status) (out []transform.MemberPartition) {
	for _, m := range s.Members {
		if !m.Local {
			out = append(out, m.Partitions...)
		}
	}
	return out
}

func TestAVersionOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(filterSpec("f"))
	n.upgraded("f", transform.UpgradeSpec{Config: map[string]*string{"text": text("b")}})
	before := n.describe("f").Versions
	n.stop()
	n = startNode(t, dir)
	n.produce("in", 1, "a", "b", "yes")
	if s := n.untilDone("f"); len(s.Versions) != 2 || s.Versions[1].Deployed != before[1].Deployed || s.Versions[1].Deployed > time.Now().UnixMilli() {
		t.Errorf("versions: %+v", s.Versions)
	}
	if answer := n.rolledBack("f"); answer.Config["text"] != "yes" {
		t.Errorf("%+v", answer.Status)
	}
	if got := n.read("out"); !slices.Equal(got, []string{"b"}) {
		t.Errorf("out: %q", got)
	}
}
