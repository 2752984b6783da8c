package transform_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/transform"
)

func (n *node) replay(name string, body any) (r transform.Replay) {
	n.Helper()
	if status := n.http("POST", "/v1/deployments/"+name+"/replay", body, &r); status != http.StatusOK {
		n.Fatalf("replay: %d", status)
	}
	return r
}

func (n *node) produceRecords(records ...*kgo.Record) {
	n.Helper()
	if err := n.client.ProduceSync(n.Context(), records...).FirstErr(); err != nil {
		n.Fatal(err)
	}
}

// newestLetter reads the last dead letter with that value.
func (n *node) newestLetter(topic, value string) (own []record.Header, l transform.DeadLetter) {
	n.Helper()
	for _, r := range n.records(topic) {
		if string(r.Value) == value {
			own, l = letterOf(n.T, r)
		}
	}
	return own, l
}

func TestDeadLettersAreReplayedAsTheRecordsThatTheyWere(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	n.createTopic("in", 2)
	n.createTopic("out", 2)
	n.deploy(dlqSpec("f"))
	if r := n.replay("f", nil); r.Replayed != 0 || r.Left != 0 || len(r.Until) != 2 {
		t.Errorf("nothing to replay: %+v", r)
	}
	at := time.UnixMilli(1_600_000_000_000)
	header := []kgo.RecordHeader{{Key: "trace", Value: []byte{0xff}}, {Key: "none"}}
	n.produce("in", 2, "yes0")
	n.produceRecords(&kgo.Record{Topic: "in", Partition: 1, Value: []byte("poison yes"), Timestamp: at, Headers: header},
		&kgo.Record{Topic: "in", Partition: 1, Value: []byte("poison"), Key: []byte("k")},
		&kgo.Record{Topic: "in", Partition: 0, Value: []byte("poison for ever")})
	n.untilDone("f")
	if got := n.records("f.dlq"); len(got) != 3 {
		t.Fatalf("%d dead letters", len(got))
	}
	// Before the fix: all of them fail again, are letters anew, and are not met twice by one replay.
	r := n.replay("f", nil)
	if r.Replayed != 3 || r.Failed != 3 || r.Passed+r.Dropped+r.Left+r.Foreign != 0 || !strings.Contains(r.LastError, "unreachable") {
		t.Errorf("before the fix: %+v", r)
	}
	n.http("POST", "/v1/deployments/f/pause", nil, nil)
	n.produceRecords(&kgo.Record{Topic: "f.dlq", Partition: 0, Value: []byte("somebody else's")})
	n.fix("poison for ever")
	r = n.replay("f", nil)
	if r.Replayed != 3 || r.Passed != 1 || r.Dropped != 1 || r.Failed != 1 || r.Foreign != 1 || r.Out != 1 || r.Left != 0 {
		t.Errorf("after the fix: %+v", r)
	}
	if r := n.replay("f", nil); r.Replayed != 1 || r.Failed != 1 {
		t.Errorf("once more: %+v", r)
	}
	var out []*kgo.Record
	for _, r := range n.records("out") {
		if !strings.HasPrefix(string(r.Value), "yes") {
			out = append(out, r)
		}
	}
	if len(out) != 1 || out[0].Partition != 1 || string(out[0].Value) != "poison yes" || !out[0].Timestamp.Equal(at) || out[0].Key != nil ||
		len(out[0].Headers) != 2 || string(out[0].Headers[0].Value) != "\xff" || out[0].Headers[1].Value != nil {
		t.Errorf("out: %+v", out)
	}
	if seen := n.seen(); !slices.Contains(seen, "in/1 1") || !slices.Contains(seen, "in/0 1") || slices.ContainsFunc(seen, func(s string) bool { return strings.HasPrefix(s, "f.dlq") }) {
		t.Errorf("the guest saw records of %q", seen)
	}
	own, l := n.newestLetter("f.dlq", "poison for ever")
	if l.Topic != "in" || l.Partition != 0 || l.Offset != 1 || len(own) != 0 || l.Attempts != 4 {
		t.Errorf("after three replays the letter says %+v, own headers %q", l, own)
	}
	offsets, err := n.admin.FetchOffsets(t.Context(), "f.replay")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup("f.dlq", 1); !ok || o.At != 4 {
		t.Errorf("any Kafka tool sees offset %+v", o)
	}
	n.stop()

	n = startNode(t, dir)
	n.fix("")
	if r := n.replay("f", nil); r.Replayed != 1 || r.Dropped != 1 {
		t.Errorf("after a restart: %+v", r)
	}
	if r := n.replay("f", nil); r.Replayed != 0 {
		t.Errorf("nothing is left: %+v", r)
	}
}

func TestALongReplayIsDoneInPieces(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(dlqSpec("f"))
	n.produce("in", 1, "poison")
	n.untilDone("f")
	foreign := make([]*kgo.Record, 25_000)
	for i := range foreign {
		foreign[i] = &kgo.Record{Topic: "f.dlq", Value: []byte("x")}
	}
	n.produceRecords(foreign...)
	var total transform.Replay
	requests := 0
	for left := int64(1); left > 0; requests++ {
		var body any
		if total.Until != nil {
			body = map[string]any{"until": total.Until}
		}
		r := n.replay("f", body)
		total.Replayed, total.Foreign, total.Until, left = total.Replayed+r.Replayed, total.Foreign+r.Foreign, r.Until, r.Left
		if requests > 100 {
			t.Fatal("the replay does not end")
		}
	}
	// The letter failed again behind the end that the replay began with.
	if total.Replayed != 1 || total.Foreign != 25_000 || requests < 3 || !maps.Equal(total.Until, map[int32]int64{0: 25_001}) {
		t.Errorf("%+v after %d requests", total, requests)
	}
}

func TestAReplayThatCannotBeIsRefused(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(filterSpec("plain"))
	n.deploy(dlqSpec("f"))
	n.produce("in", 1, "poison yes")
	n.untilDone("f")
	if _, err := n.admin.DeleteTopics(t.Context(), "f.dlq"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"plain": "400 deployment plain has no dead letters: its --on-error is stop",
		"none":  "404 there is no deployment none",
		"f":     "400 dead-letter topic f.dlq of deployment f does not exist",
	} {
		var answer struct{ Error string }
		status := n.http("POST", "/v1/deployments/"+name+"/replay", nil, &answer)
		if got := fmt.Sprint(status, " ", answer.Error); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	n.deploy(func() transform.DeploySpec { s := dlqSpec("g"); s.From = "earliest"; return s }())
	n.untilDone("g")
	if _, err := n.admin.DeleteTopics(t.Context(), "out"); err != nil {
		t.Fatal(err)
	}
	n.fix("")
	var answer struct{ Error string }
	if status := n.http("POST", "/v1/deployments/g/replay", nil, &answer); status != 400 || !strings.Contains(answer.Error, "out does not exist") {
		t.Errorf("without its output: %d %s", status, answer.Error)
	}
	n.createTopic("out", 1)
	if r := n.replay("g", nil); r.Replayed != 1 || r.Failed != 0 {
		t.Errorf("the letter is still there: %+v", r)
	}
}

func TestTheModuleOfADeploymentCanBeFetched(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(filterSpec("f"))
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+strings.TrimPrefix(n.HTTPAddr(), "http://")+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b strings.Builder
		if err := resp.Write(&b); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b.String()
	}
	sha := n.describe("f").Module.SHA256
	for path, want := range map[string]int{
		"/v1/deployments/f/module":                                   200,
		"/v1/deployments/f/module?sha256=" + sha:                     200,
		"/v1/deployments/f/module?sha256=" + strings.Repeat("0", 64): 404,
		"/v1/deployments/f/module?sha256=short":                      400,
		"/v1/deployments/none/module":                                404,
	} {
		if status, text := get(path); status != want || want == 200 && !strings.HasSuffix(text, "\r\n\r\ncontains") {
			t.Errorf("%s: %d %q", path, status, text)
		}
	}
}
