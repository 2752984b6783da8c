package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/millrun/millrun/core/meta"
	"github.com/millrun/millrun/core/transform"
)

// fake is Deployments that remembers what it was asked and answers with err.
type fake struct {
	asked   []string
	spec    transform.DeploySpec
	upgrade transform.UpgradeSpec
	wasm    []byte
	taken   bool // a deploy finds that its name is
	err     error
}

func (f *fake) status() *transform.Status {
	s := &transform.Status{Partitions: []transform.PartitionStatus{{Topic: "in", Partition: 0, Offset: 3, End: 5, Lag: 2}}}
	s.Name, s.State, s.Lag, s.Counters.In = "f", "running", 2, 7
	s.Counters.Fuel, s.Counters.GuestNs, s.Counters.FuelPerRecord = 1234567890123, 250_000_000, 12.5
	s.Rates.Out, s.Memory = 0.5, transform.MemoryStatus{Bytes: 17 << 16, Instances: 3}
	s.Module.Name, s.Module.Version = "a \"b\"\n", 4
	s.LastError = &transform.ErrorStatus{Time: time.Unix(1_500_000_000, 0), Message: "trap"}
	return s
}

func (f *fake) Deploy(_ context.Context, spec transform.DeploySpec, wasm []byte) (*transform.Status, error) {
	f.asked, f.spec, f.wasm = append(f.asked, "deploy"), spec, wasm
	if f.taken {
		return nil, transform.ErrExists
	}
	return f.status(), f.err
}

func (f *fake) Describe(_ context.Context, name string) (*transform.Status, error) {
	f.asked = append(f.asked, "describe "+name)
	return f.status(), f.err
}

func (f *fake) List(context.Context) ([]transform.Summary, error) {
	return []transform.Summary{f.status().Summary}, f.err
}

func (f *fake) DescribeAll(context.Context) ([]transform.Status, error) {
	return []transform.Status{*f.status()}, f.err
}

func (f *fake) Pause(_ context.Context, name string) error {
	f.asked = append(f.asked, "pause "+name)
	return f.err
}

func (f *fake) Resume(_ context.Context, name string) error {
	f.asked = append(f.asked, "resume "+name)
	return f.err
}

func (f *fake) Upgrade(_ context.Context, name string, spec transform.UpgradeSpec, wasm []byte) (*transform.Upgraded, error) {
	f.asked, f.upgrade, f.wasm = append(f.asked, "upgrade "+name), spec, wasm
	return &transform.Upgraded{Status: f.status(), Switched: true, Trial: &transform.Trial{Tried: 3, Same: 3}}, f.err
}

func (f *fake) Rollback(_ context.Context, name string) (*transform.Upgraded, error) {
	f.asked = append(f.asked, "rollback "+name)
	return &transform.Upgraded{Status: f.status(), Switched: true}, f.err
}

func (f *fake) Delete(_ context.Context, name string, purge bool) (*transform.Deleted, error) {
	f.asked = append(f.asked, fmt.Sprintf("delete %s %t", name, purge))
	return &transform.Deleted{Name: name}, f.err
}

func (f *fake) Replay(_ context.Context, name string, until map[int32]int64) (*transform.Replay, error) {
	f.asked = append(f.asked, fmt.Sprint("replay ", name, until))
	return &transform.Replay{Replayed: 3, Until: map[int32]int64{0: 7}}, f.err
}

func (f *fake) Module(_ context.Context, name, sha256 string) ([]byte, meta.ModuleRef, error) {
	f.asked = append(f.asked, "module "+name+" "+sha256)
	return []byte("\x00asm"), meta.ModuleRef{SHA256: "abcd"}, f.err
}

func serve(t *testing.T, f *fake) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(newHandler(config(f), true))
	t.Cleanup(s.Close)
	return s
}

func config(f *fake) Config {
	return Config{
		Deployments: f,
		Shipped:     func(name string) ([]byte, bool) { return []byte("bytes of " + name), name == "filter" },
		Stats:       func() Stats { return Stats{Partitions: 12, ProducedBytesTotal: 99} },
		Ready:       func() error { return nil },
		Logger:      slog.New(slog.DiscardHandler),
	}
}

func do(t *testing.T, method, url, contentType string, body io.Reader, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// form makes a multipart body of name and content pairs.
func form(t *testing.T, parts ...string) (string, io.Reader) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i := 0; i < len(parts); i += 2 {
		part, err := w.CreateFormFile(parts[i], parts[i]+".bin")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, parts[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), &body
}

const goodSpec = `{"name":"f","module":"mine","input":["in"],"output":["out"],"config":{"k":"v"},"on-error":"skip","retries":0,"create-outputs":true}`

func TestADeployIsReadAsAFormWithItsModule(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	kind, body := form(t, "module", "\x00asm", "spec", goodSpec)
	status, text := do(t, "POST", s.URL+"/v1/deployments", kind, body)
	if status != http.StatusCreated || string(f.wasm) != "\x00asm" {
		t.Fatalf("%d %s", status, text)
	}
	if f.spec.Name != "f" || f.spec.OnError != "skip" || f.spec.Retries == nil || *f.spec.Retries != 0 || !f.spec.CreateOutputs || f.spec.Config["k"] != "v" {
		t.Errorf("spec: %+v", f.spec)
	}
	var answer transform.Status
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Lag != 2 || len(answer.Partitions) != 1 {
		t.Errorf("answer %s: %v", text, err)
	}
}

func TestAShippedModuleIsDeployedByName(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	spec := `{"name":"f","module":"filter","input":["in"]}`
	kind, body := form(t, "spec", spec)
	for _, request := range []struct {
		kind string
		body io.Reader
	}{{kind, body}, {"application/json; charset=utf-8", strings.NewReader(spec)}} {
		f.wasm = nil
		if status, text := do(t, "POST", s.URL+"/v1/deployments", request.kind, request.body); status != http.StatusCreated || string(f.wasm) != "bytes of filter" {
			t.Errorf("%d %s, module %q", status, text, f.wasm)
		}
	}
}

func TestAnUpgradeIsReadAsAFormOrASpecAlone(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	spec := `{"config":{"k":"v","gone":null},"retries":0,"shadow":true}`
	kind, body := form(t, "module", "\x00asm", "spec", spec)
	status, text := do(t, "POST", s.URL+"/v1/deployments/f/upgrade", kind, body)
	if status != http.StatusOK || string(f.wasm) != "\x00asm" || !f.upgrade.Shadow || *f.upgrade.Config["k"] != "v" || *f.upgrade.Retries != 0 {
		t.Errorf("%d %s: %+v with %q", status, text, f.upgrade, f.wasm)
	}
	if gone, there := f.upgrade.Config["gone"]; !there || gone != nil || f.upgrade.CreateOutputs != nil {
		t.Errorf("config %+v", f.upgrade)
	}
	for _, want := range []string{`"switched": true`, `"tried": 3`, `"lag": 2`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	for spec, want := range map[string]string{
		spec:                  "", // the present module stays
		`{"module":"filter"}`: "bytes of filter",
	} {
		f.wasm = nil
		if status, text := do(t, "POST", s.URL+"/v1/deployments/f/upgrade", "application/json", strings.NewReader(spec)); status != http.StatusOK || string(f.wasm) != want {
			t.Errorf("%s: %d %s with %q", spec, status, text, f.wasm)
		}
	}
	kind, body = form(t, "module", "\x00asm") // a new module with the present settings
	if status, text := do(t, "POST", s.URL+"/v1/deployments/f/upgrade", kind, body); status != http.StatusOK || string(f.wasm) != "\x00asm" {
		t.Errorf("a module alone: %d %s", status, text)
	}
	if status, text := do(t, "POST", s.URL+"/v1/deployments/f/upgrade", "application/json", strings.NewReader(`{"module":"nope"}`)); status != 400 {
		t.Errorf("a module that does not ship: %d %s", status, text)
	}
}

func TestBadDeploysAreRefusedWithAReason(t *testing.T) {
	s := serve(t, &fake{})
	for _, test := range []struct {
		parts  []string
		status int
		want   string
	}{
		{[]string{"spec", `{"name":"f","input":["in"]}`}, 400, "there is no module"},
		{[]string{"spec", `{"name":"f","module":"nope","input":["in"]}`}, 400, `no module \"nope\" ships`},
		{[]string{"spec", `{"name":"f","onerror":"skip"}`, "module", "x"}, 400, "onerror"},
		{[]string{"spec", `{"name":1}`, "module", "x"}, 400, "spec: name must not be number"},
		{[]string{"spec", `[]`, "module", "x"}, 400, "spec: it must be a JSON object, not array"},
		{[]string{"spec", ``, "module", "x"}, 400, "spec: it is empty"},
		{[]string{"spec", `{"name":`, "module", "x"}, 400, "does not end"},
		{[]string{"spec", `{} {}`, "module", "x"}, 400, "something follows"},
		{[]string{"module", "x"}, 400, `there is no part \"spec\"`},
		{[]string{"spec", goodSpec, "spec", goodSpec}, 400, "there twice"},
		{[]string{"spec", goodSpec, "other", "x"}, 400, `part \"other\"`},
		{[]string{"spec", goodSpec, "module", strings.Repeat("x", transform.MaxModuleBytes+1)}, 413, "larger than"},
		{[]string{"spec", `{"name":"` + strings.Repeat("x", maxSpecBytes) + `"}`, "module", "x"}, 413, "larger than"},
	} {
		kind, body := form(t, test.parts...)
		status, text := do(t, "POST", s.URL+"/v1/deployments", kind, body)
		if status != test.status || !strings.Contains(text, test.want) || !strings.HasPrefix(text, "{\n  \"error\":") {
			t.Errorf("parts %.60q: %d %s", test.parts, status, text)
		}
	}
	for kind, body := range map[string]string{
		"":                                "{}",
		"text/plain":                      "{}",
		"multipart/form-data":             "no boundary",
		"multipart/form-data; boundary=x": "--x\r\nhalf a part",
		"application/json":                "[",
	} {
		if status, text := do(t, "POST", s.URL+"/v1/deployments", kind, strings.NewReader(body)); status != http.StatusBadRequest {
			t.Errorf("content type %q: %d %s", kind, status, text)
		}
	}
}

func TestErrorsHaveTheStatusThatBelongsToThem(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	for err, want := range map[error]int{
		fmt.Errorf("a: %w", transform.ErrInvalid):     http.StatusBadRequest,
		fmt.Errorf("a: %w", transform.ErrExists):      http.StatusConflict,
		fmt.Errorf("a: %w", transform.ErrUnknown):     http.StatusNotFound,
		fmt.Errorf("a: %w", transform.ErrBusy):        http.StatusConflict,
		fmt.Errorf("a: %w", transform.ErrUnchanged):   http.StatusConflict,
		fmt.Errorf("a: %w", transform.ErrRegression):  http.StatusConflict,
		fmt.Errorf("a: %w", transform.ErrUnsupported): http.StatusNotImplemented,
		errors.New("disk"):                            http.StatusInternalServerError,
	} {
		f.err = err
		for _, request := range []string{"POST /v1/deployments", "GET /v1/deployments/f", "POST /v1/deployments/f/pause",
			"POST /v1/deployments/f/upgrade", "POST /v1/deployments/f/rollback", "DELETE /v1/deployments/f"} {
			method, path, _ := strings.Cut(request, " ")
			status, text := do(t, method, s.URL+path, "application/json", strings.NewReader(`{"name":"f","module":"filter"}`))
			if status != want || !strings.Contains(text, err.Error()) {
				t.Errorf("%s with %q: %d %s", request, err, status, text)
			}
		}
	}
}

func TestVerbsReachTheDeployment(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	for _, test := range []struct {
		request string
		status  int
		asked   string
	}{
		{"GET /v1/deployments/a.b-c_d", 200, "describe a.b-c_d"},
		{"POST /v1/deployments/f/pause", 200, "pause f,describe f"},
		{"POST /v1/deployments/f/resume", 200, "resume f,describe f"},
		{"POST /v1/deployments/f/upgrade", 400, ""}, // without a body
		{"POST /v1/deployments/f/rollback", 200, "rollback f"},
		{"POST /v1/deployments/f/replay", 200, "replay fmap[]"},
		{"GET /v1/deployments/f/module?sha256=ab", 200, "module f ab"},
		{"POST /v1/deployments/f/explode", 404, ""},
		{"DELETE /v1/deployments/f", 200, "delete f false"},
		{"DELETE /v1/deployments/f?purge=true", 200, "delete f true"},
		{"DELETE /v1/deployments/f?purge=perhaps", 400, ""},
		{"PUT /v1/deployments/f", 405, ""},
		{"GET /v1/deployments/f/pause", 405, ""},
		{"POST /healthz", 405, ""},
		{"GET /", 404, ""},
		{"GET /v2/deployments", 404, ""},
		{"GET /healthz", 200, ""},
		{"GET /readyz", 200, ""},
	} {
		f.asked = nil
		method, path, _ := strings.Cut(test.request, " ")
		status, text := do(t, method, s.URL+path, "", nil)
		if status != test.status || strings.Join(f.asked, ",") != test.asked {
			t.Errorf("%s: %d %s, asked %q", test.request, status, text, f.asked)
		}
		if status == http.StatusMethodNotAllowed && !strings.Contains(text, "takes ") {
			t.Errorf("%s: %s does not say which methods there are", test.request, text)
		}
		if status >= 400 && !strings.Contains(text, `"error"`) {
			t.Errorf("%s: the error is %q", test.request, text)
		}
	}
}

func TestAReplayEndsWhereItIsTold(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	if status, text := do(t, "POST", s.URL+"/v1/deployments/f/replay", "application/json", strings.NewReader(`{"until":{"0":7,"2":1}}`)); status != 200 ||
		strings.Join(f.asked, ",") != "replay fmap[0:7 2:1]" || !strings.Contains(text, `"0": 7`) {
		t.Errorf("%d %s, asked %q", status, text, f.asked)
	}
	for _, body := range []string{`{"until":7}`, `{"to":{}}`, `[`, `{"until":{"x":1}}`} {
		if status, text := do(t, "POST", s.URL+"/v1/deployments/f/replay", "application/json", strings.NewReader(body)); status != 400 {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	resp, err := http.Get(s.URL + "/v1/deployments/f/module")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != "\x00asm" || err != nil || resp.Header.Get("ETag") != `"abcd"` || resp.Header.Get("Content-Type") != "application/wasm" {
		t.Errorf("%q %v %v", b, err, resp.Header)
	}
}

func TestTheListLeavesOutPartitions(t *testing.T) {
	s := serve(t, &fake{})
	_, text := do(t, "GET", s.URL+"/v1/deployments", "", nil)
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	if _, there := list[0]["partitions"]; there || list[0]["lag"] != 2.0 {
		t.Errorf("list: %s", text)
	}
}

func TestABrowsersPageFromElsewhereIsRefused(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	for _, headers := range [][]string{
		{"Origin", "https://evil.example"},
		{"Sec-Fetch-Site", "cross-site"},
		{"Host", "evil.example:8090"},
	} {
		kind, body := form(t, "spec", goodSpec, "module", "x")
		if status, text := do(t, "POST", s.URL+"/v1/deployments", kind, body, headers...); status != http.StatusForbidden || len(f.asked) > 0 {
			t.Errorf("%q: %d %s", headers, status, text)
		}
	}
	for _, host := range []string{"localhost:1", "127.0.0.1", "[::1]:8090", "[::1]", "10.1.2.3:80"} {
		if status, text := do(t, "GET", s.URL+"/healthz", "", nil, "Host", host); status != http.StatusOK {
			t.Errorf("host %s: %d %s", host, status, text)
		}
	}
}

func TestMetricsAreThereEvenIfDeploymentsCannotBeListed(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	_, text := do(t, "GET", s.URL+"/metrics", "", nil)
	for _, want := range []string{
		"millrun_partitions 12\n", "millrun_produced_bytes_total 99\n", "millrun_wasm_lag{deployment=\"f\"} 2\n",
		"millrun_wasm_state{deployment=\"f\",state=\"running\"} 1\n", "millrun_wasm_state{deployment=\"f\",state=\"failed\"} 0\n",
		"millrun_wasm_records_in_total{deployment=\"f\"} 7\n", "process_",
		"millrun_wasm_partition_lag{deployment=\"f\",topic=\"in\",partition=\"0\"} 2\n", "millrun_wasm_fuel_per_record{deployment=\"f\"} 12.5\n",
		"millrun_wasm_records_per_second{deployment=\"f\",kind=\"out\"} 0.5\n", "millrun_wasm_memory_bytes{deployment=\"f\"} 1114112\n",
		"millrun_wasm_instances{deployment=\"f\"} 3\n", "millrun_wasm_partitions{deployment=\"f\"} 1\n",
		"millrun_wasm_fuel_total{deployment=\"f\"} 1234567890123\n", "millrun_wasm_guest_seconds_total{deployment=\"f\"} 0.25\n",
		"millrun_wasm_module_info{deployment=\"f\",module=\"a \\\"b\\\"\\n\",version=\"4\",sha256=\"\"} 1\n",
		"millrun_wasm_last_error_timestamp_seconds{deployment=\"f\"} 1500000000\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
	f.err = errors.New("the coordinator is starting")
	status, text := do(t, "GET", s.URL+"/metrics", "", nil)
	if status != http.StatusOK || !strings.Contains(text, "millrun_partitions 12\n") {
		t.Errorf("%d without the broker's own numbers", status)
	}
}

func TestSeriesOfPartitionsAreBounded(t *testing.T) {
	all := make([]transform.Status, 3)
	for i := range all {
		all[i].Name = fmt.Sprint(i)
		all[i].Partitions = make([]transform.PartitionStatus, maxLagSeries/2-1)
	}
	var out bytes.Buffer
	writeDeployments(&out, all)
	if n := strings.Count(out.String(), "millrun_wasm_partition_lag{"); n != maxLagSeries-2 {
		t.Errorf("%d series", n)
	}
	if !strings.Contains(out.String(), "millrun_wasm_lag{deployment=\"2\"}") {
		t.Error("a deployment whose partitions do not fit has no sum")
	}
}

func TestTheSpecPageHasEachFieldOfADeployOnce(t *testing.T) {
	page, err := os.ReadFile("../../spec/http.md")
	if err != nil {
		t.Fatal(err)
	}
	var inCode, onPage []string
	for field := range reflect.TypeFor[transform.DeploySpec]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inCode = append(inCode, name)
	}
	table := string(page)[strings.Index(string(page), "| field |"):strings.Index(string(page), "## Upgrade")]
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(table, -1) {
		onPage = append(onPage, row[1])
	}
	if !reflect.DeepEqual(inCode, onPage) {
		t.Errorf("code has %q\npage has %q", inCode, onPage)
	}
}

func TestTheServerServesOnceTheAddressIsKnown(t *testing.T) {
	s, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(s.Addr()); err == nil || !strings.Contains(err.Error(), s.Addr()) || !strings.Contains(err.Error(), "--http") {
		t.Errorf("a taken port: %v", err)
	}
	s.Serve(config(&fake{}))
	if status, _ := do(t, "GET", "http://"+s.Addr()+"/healthz", "", nil); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	unserved, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := unserved.Close(ctx); err != nil {
		t.Error(err)
	}
}

func FuzzDeployForm(f *testing.F) {
	f.Add("x", []byte("--x\r\nContent-Disposition: form-data; name=\"spec\"\r\n\r\n"+goodSpec+"\r\n--x--\r\n"))
	f.Add("", []byte(goodSpec))
	f.Fuzz(func(t *testing.T, boundary string, body []byte) {
		kind := "application/json"
		if boundary != "" {
			kind = "multipart/form-data; boundary=" + boundary
		}
		r := httptest.NewRequest("POST", "/v1/deployments", bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		spec, _, err := readDeploy(r)
		if (spec == nil) == (err == nil) {
			t.Errorf("spec %v with error %v", spec, err)
		}
	})
}

func TestAnErrorInABodyDoesNotNameGoTypes(t *testing.T) {
	s := serve(t, &fake{})
	for request, body := range map[string]string{
		"POST /v1/deployments":          `{"input":"in"}`,
		"POST /v1/deployments/f/replay": `{"until":[]}`,
		"PUT /v1/transform/f/meta":      `{"env":5}`,
		"POST /v1/transform/deploy":     `{"name":5}`,
	} {
		method, path, _ := strings.Cut(request, " ")
		status, text := do(t, method, s.URL+path, "application/json", strings.NewReader(body))
		if status != http.StatusBadRequest || strings.Contains(text, "Go ") || !strings.Contains(text, " must not be ") {
			t.Errorf("%s: %d %s", request, status, text)
		}
	}
}
