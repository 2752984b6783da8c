package redpanda

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redpanda-data/common-go/rpadmin"
)

// find returns a transform of the list.
func (b *broker) find(name string) *rpadmin.TransformMetadata {
	b.Helper()
	all, err := b.admin.ListWasmTransforms(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if n := slices.IndexFunc(all, func(t rpadmin.TransformMetadata) bool { return t.Name == name }); n >= 0 {
		return &all[n]
	}
	return nil
}

// refused checks that err is an answer in Redpanda's shape.
func (b *broker) refused(err error, want string) {
	b.Helper()
	var response *rpadmin.HTTPResponseError
	if !errors.As(err, &response) {
		b.Fatalf("want %q, got %v", want, err)
	}
	body, err := response.DecodeGenericErrorBody()
	if err != nil || body.Code != http.StatusBadRequest || response.Response.StatusCode != http.StatusBadRequest || !strings.Contains(body.Message, want) {
		b.Errorf("want %q, got %d: %+v, %v", want, response.Response.StatusCode, body, err)
	}
}

func TestRedpandasClientDrivesTheBroker(t *testing.T) {
	b := newBroker(t)
	file, err := guests["go"]()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	b.refused(b.deploy(file, "driven", "hi"), "driven-in does not exist")
	b.createTopics("driven-in", "driven-out", "driven-other")
	if err := b.deploy(file, "driven", "hi"); err != nil {
		t.Fatal(err)
	}
	b.until("driven", "running", running)
	b.produce("driven-in", "one")
	b.read("driven-out", 1)
	got := b.find("driven")
	if got == nil || got.InputTopic != "driven-in" || !slices.Equal(got.OutputTopics, []string{"driven-out", "driven-other"}) ||
		!slices.Equal(got.Environment, []rpadmin.EnvironmentVariable{{Key: "GREETING", Value: "hi"}}) || len(got.Status) != 2 {
		t.Fatalf("%+v", got)
	}
	for n, s := range got.Status {
		if s.Partition != n || s.Status != "running" || s.NodeID != 1 {
			t.Errorf("partition %d: %+v", n, s)
		}
	}

	if err := b.admin.PauseTransform(ctx, "driven"); err != nil {
		t.Fatal(err)
	}
	b.produce("driven-in", "two")
	if got := b.find("driven"); got.Status[0].Status != "inactive" || got.Status[0].Lag < 1 {
		t.Errorf("paused: %+v", got.Status)
	}
	if err := b.admin.ResumeTransform(ctx, "driven"); err != nil {
		t.Fatal(err)
	}
	if got := values(b.read("driven-out", 2)); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("after it went on: %q", got)
	}
	// A deploy of the same name is an upgrade, here and there.
	for range 2 {
		if err := b.deploy(file, "driven", "good day"); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.find("driven"); len(got.Environment) != 1 || got.Environment[0].Value != "good day" {
		t.Errorf("deployed again: %+v", got)
	}
	b.until("driven", "running", running)
	b.produce("driven-in", "environment")
	if got := values(b.read("driven-out", 3)); !strings.HasSuffix(got[2], " good day") {
		t.Errorf("after the upgrade: %q", got)
	}
	b.refused(b.deploy(file, "driven", "exit"), "exit code 3")
	b.refused(b.admin.SetTransformCompressionMode(ctx, "driven", "lz4"), "compression lz4 is not supported")

	if err := b.admin.DeleteWasmTransform(ctx, "driven"); err != nil {
		t.Fatal(err)
	}
	if b.find("driven") != nil {
		t.Error("a deleted transform is listed")
	}
	b.refused(b.admin.DeleteWasmTransform(ctx, "driven"), "there is no deployment driven")
	b.refused(b.admin.PauseTransform(ctx, "driven"), "there is no deployment driven")
}

func TestATransformMayBeginAtTheStart(t *testing.T) {
	b := newBroker(t)
	file, err := guests["go"]()
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b.createTopics("early-in", "early-out")
	b.produce("early-in", "one", "two")
	deploy := func(format string, value int64) error {
		return b.admin.DeployWasmTransform(t.Context(), rpadmin.TransformMetadata{
			Name: "early", InputTopic: "early-in", OutputTopics: []string{"early-out"}, CompressionMode: "none",
			FromOffset: &rpadmin.Offset{Format: format, Value: value},
		}, bytes.NewReader(module))
	}
	b.refused(deploy("from_end", 5), "is not supported")
	b.refused(deploy("nowhere", 0), "Unsupported format")
	if err := deploy("from_start", 0); err != nil {
		t.Fatal(err)
	}
	if got := values(b.read("early-out", 2)); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("got %q", got)
	}
}
