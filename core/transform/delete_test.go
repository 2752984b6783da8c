package transform_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/millrun/millrun/core/transform"
)

func (n *node) deleted(name, query string) transform.Deleted {
	n.Helper()
	var answer transform.Deleted
	if status := n.http("DELETE", "/v1/deployments/"+name+query, nil, &answer); status != http.StatusOK || answer.Name != name {
		n.Fatalf("delete: %d %+v", status, answer)
	}
	return answer
}

// kinds writes things as kind name.
func kinds(things []transform.Thing) (out []string) {
	for _, t := range things {
		out = append(out, t.Kind+" "+t.Name)
	}
	return out
}

func TestADeleteSaysWhatItRemovedAndWhatIsLeftAndARedeployGoesOn(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	spec := filterSpec("f")
	spec.Module, spec.CreateOutputs, spec.OnError = "contains2", true, "dlq"
	n.deploy(spec)
	n.produce("in", 1, "yes1")
	sha := n.untilDone("f").Module.SHA256
	answer := n.deleted("f", "")
	if got := kinds(answer.Removed); !slices.Equal(got, []string{"deployment f", "members f", "module " + sha}) {
		t.Errorf("removed: %q", got)
	}
	if got := kinds(answer.Left); !slices.Equal(got, []string{"group f", "group f.replay", "topic out", "topic f.dlq"}) {
		t.Errorf("left: %q", got)
	}
	n.produce("in", 1, "yes2")
	n.deploy(spec)
	if n.untilDone("f"); !slices.Equal(n.read("out"), []string{"yes1", "yes2"}) {
		t.Errorf("a deployment that is deployed again goes on: %q", n.read("out"))
	}
	answer = n.deleted("f", "?purge=true")
	if got := kinds(answer.Removed); !slices.Contains(got, "group f") || slices.Contains(got, "group f.replay") { // nothing was replayed
		t.Errorf("purged: %q", got)
	}
	n.produce("in", 1, "yes3")
	n.deploy(spec)
	n.produce("in", 1, "yes4")
	if n.untilDone("f"); !slices.Equal(n.read("out"), []string{"yes1", "yes2", "yes4"}) {
		t.Errorf("after a purge it begins anew: %q", n.read("out"))
	}
	n.deleted("f", "")
	spec.From = "earliest"
	n.deploy(spec)
	if n.untilDone("f"); len(n.read("out")) != 7 {
		t.Errorf("what is asked for counts more than what is committed: %q", n.read("out"))
	}
}

func TestAGroupThatAnotherDeploymentIsInIsNotPurged(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	a, b := filterSpec("a"), filterSpec("b")
	a.Group, b.Group = "g", "g"
	n.deploy(a)
	n.deploy(b)
	n.http("POST", "/v1/deployments/b/pause", nil, nil)
	answer := n.deleted("a", "?purge=true")
	if got := kinds(answer.Left); !slices.Equal(got, []string{"group g", "topic out"}) || slices.Contains(kinds(answer.Removed), "group g") {
		t.Errorf("%+v", answer)
	}
	if got := kinds(answer.Removed); len(got) != 2 {
		t.Errorf("the module is b's too: %q", got)
	}
}

func TestModulesStayAsLongAsAVersionNamesThem(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(filterSpec("f"))
	first := n.untilDone("f").Module.SHA256
	stored := func() bool {
		return n.http("GET", "/v1/deployments/f/module?sha256="+first, nil, nil) == http.StatusOK
	}
	n.upgraded("f", transform.UpgradeSpec{Module: "contains2"})
	for i := range 9 {
		n.upgraded("f", transform.UpgradeSpec{Config: map[string]*string{"round": text(fmt.Sprint(i))}})
	}
	if !stored() {
		t.Error("the module of a version that is remembered is gone")
	}
	n.upgraded("f", transform.UpgradeSpec{Config: map[string]*string{"round": text("last")}})
	if s := n.describe("f"); len(s.Versions) != 11 || s.Versions[0].Version != 2 {
		t.Errorf("%d versions, the oldest %d", len(s.Versions), s.Versions[0].Version)
	}
	if stored() {
		t.Error("the module of a version that is forgotten is still there")
	}
}
