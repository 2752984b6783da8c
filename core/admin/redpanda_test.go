package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/millrun/millrun/core/transform"
)

func TestADeployInRedpandasShapeIsADeployment(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	for offset, from := range map[string]string{
		"": "", `,"offset":{"format":"from_start","value":0}`: "earliest", `,"offset":{"format":"from_end","value":0}`: "latest",
		`,"offset":{"format":"timestamp","value":1700000000000}`: "@1700000000000", `,"compression":"none"`: "",
	} {
		body := `{"name":"f","input_topic":"in","output_topics":["a","b"],"environment":[{"key":"K","value":"v"}]` + offset + "}\x00asm{}\xff"
		status, text := do(t, "POST", s.URL+"/v1/transform/deploy", "", strings.NewReader(body))
		want := transform.DeploySpec{Name: "f", Module: "f", Input: []string{"in"}, Output: []string{"a", "b"}, Config: map[string]string{"K": "v"}, From: from}
		if status != http.StatusOK || text != "{}\n" || !reflect.DeepEqual(f.spec, want) || string(f.wasm) != "\x00asm{}\xff" {
			t.Errorf("%d %q: %+v with %q", status, text, f.spec, f.wasm)
		}
	}
}

func TestADeployOfANameThatIsTakenIsAnUpgrade(t *testing.T) {
	for err, want := range map[error]int{nil: 200, transform.ErrUnchanged: 200, transform.ErrRegression: 400} {
		f := &fake{taken: true, err: err}
		s := serve(t, f)
		body := `{"name":"f","input_topic":"in","output_topics":["out"],"environment":[{"key":"K","value":"v"}]}` + "\x00asm"
		status, text := do(t, "POST", s.URL+"/v1/transform/deploy", "", strings.NewReader(body))
		u := f.upgrade
		if status != want || strings.Join(f.asked, ",") != "deploy,upgrade f" || string(f.wasm) != "\x00asm" || !u.ClearConfig || *u.Config["K"] != "v" || u.Input[0] != "in" || u.Output[0] != "out" {
			t.Errorf("%v: %d %s, asked %q: %+v", err, status, text, f.asked, u)
		}
	}
}

func TestABadDeployInRedpandasShapeIsRefusedInIt(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	const good = `"name":"f","input_topic":"in","output_topics":["out"]`
	for body, want := range map[string]string{
		"":                              "invalid JSON request body",
		"{" + good:                      "invalid JSON request body",
		"\x00asm":                       "invalid JSON request body",
		"{" + good + "}":                "no module follows",
		`{"name":"f"}\0asm`:             "name, input_topic and output_topics are required",
		`{"nom":"f"}\0asm`:              "unknown field",
		"{" + good + `,"env":[]}` + "x": "unknown field",
		`{"name":"f","input_topic":"in","output_topics":[]}x`:                      "no output topic",
		"{" + good + `,"compression":"zstd"}x`:                                     "compression zstd is not supported",
		"{" + good + `,"compression":"zip"}x`:                                      "Unrecognized compression mode: 'zip'",
		"{" + good + `,"offset":{"format":"from_end","value":7}}x`:                 "is not supported",
		"{" + good + `,"offset":{"format":"from_end","value":-1}}x`:                "expected value >= 0",
		"{" + good + `,"offset":{"format":"middle","value":0}}x`:                   "Unsupported format (middle)",
		`{"environment":"` + strings.Repeat("x", maxSpecBytes) + `",` + good + "}": "invalid JSON request body",
	} {
		status, text := do(t, "POST", s.URL+"/v1/transform/deploy", "", strings.NewReader(body))
		var answer struct {
			Message string
			Code    int
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusBadRequest || answer.Code != status || !strings.Contains(answer.Message, want) {
			t.Errorf("%.80q: %d %s, want %q", body, status, text, want)
		}
	}
	large := "{" + good + "}" + strings.Repeat("x", transform.MaxModuleBytes+1)
	if status, text := do(t, "POST", s.URL+"/v1/transform/deploy", "", strings.NewReader(large)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large module: %d %s", status, text)
	}
	if len(f.asked) > 0 {
		t.Errorf("asked %v", f.asked)
	}
}

func TestTheListIsRedpandas(t *testing.T) {
	s := serve(t, &fake{})
	for _, path := range []string{"/v1/transform", "/v1/transform/"} {
		status, text := do(t, "GET", s.URL+path, "", nil)
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(text)); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s: %v", status, text, err)
		}
		want := `[{"name":"f","input_topic":"","output_topics":null,"status":[{"node_id":-1,"partition":0,"status":"running","lag":2}],"environment":[]}]`
		if compact.String() != want {
			t.Errorf("got  %s\nwant %s", &compact, want)
		}
	}
	full := &transform.Status{Partitions: []transform.PartitionStatus{{Topic: "in", Partition: 0}, {Topic: "in", Partition: 1, Lag: 5}}}
	full.Inputs, full.Outputs, full.Config, full.State = []string{"in", "in2"}, []string{"out"}, map[string]string{"B": "2", "A": "1"}, "stopped"
	full.Members = []transform.MemberStatus{
		{Local: true, Partitions: []transform.MemberPartition{{Topic: "in", Partition: 1}}},
		{Partitions: []transform.MemberPartition{{Topic: "in", Partition: 0}}},
	}
	c := config(&fake{})
	c.NodeID = 7
	got := (&handler{c}).redpandaView(full)
	want := redpandaTransform{
		InputTopic: "in,in2", OutputTopics: []string{"out"}, Environment: []redpandaVariable{{"A", "1"}, {"B", "2"}},
		Status: []redpandaPartitionStatus{{-1, 0, "errored", 0}, {7, 1, "errored", 5}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for state, want := range map[string]string{"running": "running", "paused": "inactive", "stopped": "errored", "failed": "errored", "starting": "unknown"} {
		if got := redpandaState(state); got != want {
			t.Errorf("%s is %s", state, got)
		}
	}
}

func TestRedpandasVerbsReachTheDeployment(t *testing.T) {
	for _, test := range []struct {
		request, body string
		status        int
		asked         string
	}{
		{"DELETE /v1/transform/f", "", 200, "delete f false"},
		{"PUT /v1/transform/f/meta", `{"is_paused":true}`, 200, "pause f"},
		{"PUT /v1/transform/f/meta", `{"is_paused":false}`, 200, "resume f"},
		{"PUT /v1/transform/f/meta", `{"env":[{"key":"K","value":"v"}],"is_paused":true}`, 200, "upgrade f,pause f"},
		{"PUT /v1/transform/f/meta", `{"env":[]}`, 200, "upgrade f"},
		{"PUT /v1/transform/f/meta", `{}`, 200, ""},
		{"PUT /v1/transform/f/meta", `{"compression":"none"}`, 200, ""},
		{"PUT /v1/transform/f/meta", `{"compression":"lz4"}`, 400, ""},
		{"PUT /v1/transform/f/meta", `{"paused":true}`, 400, ""},
		{"PUT /v1/transform/f/meta", ``, 400, ""},
	} {
		f := &fake{}
		s := serve(t, f)
		method, path, _ := strings.Cut(test.request, " ")
		status, text := do(t, method, s.URL+path, "", strings.NewReader(test.body))
		if status != test.status || strings.Join(f.asked, ",") != test.asked || status == 200 && text != "{}\n" {
			t.Errorf("%s %s: %d %s, asked %q", test.request, test.body, status, text, f.asked)
		}
	}
}

// Whatever is wrong with a request is 400 there; rpk tells by the text.
func TestErrorsOfTransformsAreRedpandas(t *testing.T) {
	for err, want := range map[error]int{
		fmt.Errorf("a: %w", transform.ErrInvalid):     400,
		fmt.Errorf("a: %w", transform.ErrBusy):        400,
		fmt.Errorf("a: %w", transform.ErrUnknown):     400,
		fmt.Errorf("a: %w", transform.ErrUnsupported): 400,
		errors.New("disk"):                            500,
	} {
		s := serve(t, &fake{err: err})
		status, text := do(t, "DELETE", s.URL+"/v1/transform/f", "", nil)
		if status != want || !strings.Contains(text, fmt.Sprintf(`"code": %d`, want)) || !strings.Contains(text, fmt.Sprintf(`"message": %q`, err.Error())) {
			t.Errorf("%v: %d %s", err, status, text)
		}
	}
}

// FuzzRedpandaDeploy: a body is refused, or is an object and the bytes behind it.
func FuzzRedpandaDeploy(f *testing.F) {
	f.Add([]byte(`{"name":"f","input_topic":"in","output_topics":["out"],"environment":[{"key":"K","value":"v"}]}` + "\x00asm\x01"))
	f.Add([]byte(`{"name":"f","input_topic":"in","output_topics":["out"],"offset":{"format":"timestamp","value":1}}{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		spec, wasm, err := readRedpandaDeploy(bytes.NewReader(body))
		if err != nil {
			return
		}
		if len(wasm) == 0 || !bytes.HasSuffix(body, wasm) || len(spec.Input) != 1 || len(spec.Output) == 0 {
			t.Errorf("%+v with %d bytes", spec, len(wasm))
		}
		var object map[string]any
		if err := json.Unmarshal(body[:len(body)-len(wasm)], &object); err != nil {
			t.Errorf("what is before the module: %v", err)
		}
	})
}
