package transform_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrun/millrun/core/broker"
	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/transform"
	"github.com/millrun/millrun/wasmhost/abi"
)

// goRunner runs "modules" that are written in Go: the bytes are the module's name. All let a record pass whose value
// contains the config's "text".
func goRunner(_ context.Context, s transform.Spec) (transform.Program, error) {
	switch name := string(s.Wasm); name {
	case "contains", "contains2", "poisoned", "chatty", "red":
		return &program{name, s.Config["text"]}, nil
	default:
		return nil, fmt.Errorf("imports unknown function %s", name)
	}
}

type program struct{ name, text string }

func (p *program) Filter() bool                { return true }
func (p *program) Wants() abi.Wants            { return abi.WantRaw }
func (p *program) Redpanda() bool              { return p.name == "red" }
func (p *program) Close(context.Context) error { return nil }
func (p *program) Instance(_ context.Context, log abi.LogFunc) (transform.Instance, error) {
	return &instance{p, log}, nil
}

type instance struct {
	*program
	log abi.LogFunc
}

func (i *instance) Close(context.Context) error { return nil }
func (i *instance) Fuel() uint64                { return 0 }
func (i *instance) MemoryBytes() int64          { return 0 }
func (i *instance) Transform(context.Context, abi.Call, []byte, int) ([]byte, error) {
	return nil, errors.New("this is a filter")
}

func (i *instance) Filter(_ context.Context, call abi.Call, in []byte, n int) ([]byte, error) {
	bitmap := make([]byte, abi.BitmapLen(n))
	r, rec := record.NewReader(in, n), record.Record{}
	for at := 0; ; at++ {
		ok, err := r.Next(&rec)
		if err != nil || !ok {
			return bitmap, err
		}
		if i.name == "poisoned" && string(rec.Value) == "poison" {
			return nil, errors.New("wasm trap: unreachable")
		}
		if i.name == "chatty" || i.name == "red" {
			i.log(abi.LevelWarn, "saw "+string(rec.Value))
		}
		if bytes.Contains(rec.Value, []byte(i.text)) {
			abi.SetPass(bitmap, at)
		}
	}
}

// node is a broker in this process with a client for it.
type node struct {
	*testing.T
	*broker.Broker
	client  *kgo.Client
	admin   *kadm.Client
	fixable *fixable
}

func startNode(t *testing.T, dir string) *node {
	t.Helper()
	guests := newFixable()
	b, err := broker.Start(t.Context(), broker.Config{
		DataDir: dir, Runner: guests.run,
		Shipped:  func(name string) ([]byte, bool) { return []byte(name), true },
		Settings: map[string]string{"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4"},
	})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{T: t, Broker: b, fixable: guests}
	n.client = n.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	n.admin = kadm.NewClient(n.client)
	t.Cleanup(n.stop)
	return n
}

func (n *node) stop() {
	n.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		n.Error(err)
	}
}

func (n *node) newClient(opts ...kgo.Opt) *kgo.Client {
	n.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(n.KafkaAddr()))...)
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(c.Close)
	return c
}

func (n *node) createTopic(topic string, partitions int32) {
	n.Helper()
	if _, err := n.admin.CreateTopic(n.Context(), partitions, 1, nil, topic); err != nil {
		n.Fatal(err)
	}
}

// produce writes a record to every partition for each value.
func (n *node) produce(topic string, partitions int32, values ...string) {
	n.Helper()
	var records []*kgo.Record
	for _, v := range values {
		for p := range partitions {
			records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: []byte(v)})
		}
	}
	if err := n.client.ProduceSync(n.Context(), records...).FirstErr(); err != nil {
		n.Fatal(err)
	}
}

// http makes a request of the HTTP side and reads the answer into out.
func (n *node) http(method, path string, body, out any) int {
	n.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		n.Fatal(err)
	}
	req, err := http.NewRequestWithContext(n.Context(), method, "http://"+strings.TrimPrefix(n.HTTPAddr(), "http://")+path, bytes.NewReader(text))
	if err != nil {
		n.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.Fatal(err)
	}
	defer resp.Body.Close()
	if out != nil {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			n.Fatalf("%s %s: %s: %v", method, path, resp.Status, err)
		}
	}
	return resp.StatusCode
}

func (n *node) deploy(spec transform.DeploySpec) {
	n.Helper()
	var answer struct{ Error string }
	if status := n.http("POST", "/v1/deployments", spec, &answer); status != http.StatusCreated {
		n.Fatalf("deploy: %d %s", status, answer.Error)
	}
}

func (n *node) describe(name string) transform.Status {
	n.Helper()
	var s transform.Status
	if status := n.http("GET", "/v1/deployments/"+name, nil, &s); status != http.StatusOK {
		n.Fatalf("describe: %d", status)
	}
	return s
}

// until waits for a state that is described.
func (n *node) until(name, what string, ok func(s transform.Status) bool) transform.Status {
	n.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		s := n.describe(name)
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			n.Fatalf("%s never: %+v", what, s)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (n *node) untilDone(name string) transform.Status {
	n.Helper()
	return n.until(name, "running without lag", func(s transform.Status) bool { return s.State == "running" && s.Lag == 0 })
}

// read returns all values of a topic, sorted.
func (n *node) read(topic string) []string {
	n.Helper()
	ends, err := n.admin.ListEndOffsets(n.Context(), topic)
	if err != nil {
		n.Fatal(err)
	}
	left := 0
	ends.Each(func(o kadm.ListedOffset) { left += int(o.Offset) })
	c := n.newClient(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	var values []string
	for left > 0 {
		fetches := c.PollFetches(n.Context())
		if err := fetches.Err(); err != nil {
			n.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			values = append(values, string(r.Value))
			left--
		})
	}
	slices.Sort(values)
	return values
}

func filterSpec(name string) transform.DeploySpec {
	return transform.DeploySpec{Name: name, Module: "contains", Input: []string{"in"}, Output: []string{"out"}, Config: map[string]string{"text": "yes"}}
}

func TestADeploymentProcessesWhatIsProducedAfterItsAnswer(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 4)
	n.createTopic("out", 4)
	n.produce("in", 4, "yes before")
	n.deploy(filterSpec("f"))
	n.produce("in", 4, "yes", "no", "yes!")
	s := n.untilDone("f")
	want := slices.Sorted(slices.Values(slices.Concat(slices.Repeat([]string{"yes"}, 4), slices.Repeat([]string{"yes!"}, 4))))
	if got := n.read("out"); !slices.Equal(got, want) {
		t.Errorf("out: %q", got)
	}
	if s.Counters.In != 12 || s.Counters.Out != 8 || s.Counters.Dropped != 4 || s.Group != "f" || s.Module.Name != "contains" || s.Module.Version != 1 {
		t.Errorf("%+v", s)
	}
	if len(s.Members) != 1 || !s.Members[0].Local || s.Members[0].Client != "millrun-wasm-f" || len(s.Members[0].Partitions) != 4 {
		t.Errorf("members: %+v", s.Members)
	}
	if len(s.Partitions) != 4 || s.Partitions[0].Offset != 4 || s.Partitions[0].End != 4 {
		t.Errorf("partitions: %+v", s.Partitions)
	}
}

func TestADeploymentBeginsWhereItIsTold(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	at := time.Now().Add(-time.Hour)
	for i, v := range []string{"yes old", "yes new"} {
		r := &kgo.Record{Topic: "in", Value: []byte(v), Timestamp: at.Add(time.Duration(i) * time.Minute)}
		if err := n.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for i, test := range []struct {
		from string
		want []string
	}{
		{"earliest", []string{"yes new", "yes old"}},
		{fmt.Sprintf("@%d", at.Add(time.Second).UnixMilli()), []string{"yes new"}},
		{fmt.Sprintf("@%d", at.Add(time.Hour).UnixMilli()), nil},
		{"latest", nil},
	} {
		spec := filterSpec(fmt.Sprint("f", i))
		spec.From, spec.Output, spec.CreateOutputs = test.from, []string{fmt.Sprint("out", i)}, true
		n.deploy(spec)
		n.untilDone(spec.Name)
		if got := n.read(spec.Output[0]); !slices.Equal(got, test.want) {
			t.Errorf("from %s: %q", test.from, got)
		}
	}
}

// A broker that is killed while it deletes a deployment leaves its members in the group until their sessions end.
func TestMembersThatADeletedDeploymentLeftBehindDoNotHinderTheNext(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.produce("in", 1, "yes")
	left := n.newClient(kgo.ConsumerGroup("f"), kgo.InstanceID("millrun-wasm-f-1-1"), kgo.ConsumeTopics("in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if fetches := left.PollFetches(t.Context()); fetches.NumRecords() != 1 {
		t.Fatalf("it reads %d records: %v", fetches.NumRecords(), fetches.Err())
	}
	left.Close() // a static member does not leave
	spec := filterSpec("f")
	spec.From = "earliest"
	n.deploy(spec)
	n.untilDone("f")
	if got := n.read("out"); !slices.Equal(got, []string{"yes"}) {
		t.Errorf("read %q", got)
	}
}

// outside is a consumer of another kind in the deployment's group.
type outside struct {
	client *kgo.Client
	values chan string
}

func (n *node) join(group string, b kgo.GroupBalancer) *outside {
	n.Helper()
	o := &outside{values: make(chan string, 10_000)}
	o.client = n.newClient(kgo.ConsumerGroup(group), kgo.ConsumeTopics("in"), kgo.Balancers(b), kgo.HeartbeatInterval(100*time.Millisecond),
		kgo.AutoCommitInterval(100*time.Millisecond))
	go func() {
		for {
			fetches := o.client.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				close(o.values)
				return
			}
			fetches.EachRecord(func(r *kgo.Record) { o.values <- string(r.Value) })
		}
	}()
	return o
}

func shared(s transform.Status) bool {
	return len(s.Members) == 2 && len(s.Members[0].Partitions) == 2 && len(s.Members[1].Partitions) == 2
}

func TestAnOutsideConsumerTakesHalfOfThePartitionsAndGivesThemBack(t *testing.T) {
	for _, balancer := range []kgo.GroupBalancer{
		kgo.CooperativeStickyBalancer(), kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(),
	} {
		t.Run(balancer.ProtocolName(), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, "")
			n.createTopic("in", 4)
			n.createTopic("out", 4)
			n.deploy(filterSpec("f"))
			produced := make(map[string]bool)
			produce := func(what string) {
				for i := range 20 {
					value := fmt.Sprintf("yes %s %d", what, i)
					for p := range int32(4) {
						unique := fmt.Sprintf("%s/%d", value, p)
						produced[unique] = true
						if err := n.client.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Partition: p, Value: []byte(unique)}).FirstErr(); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			produce("alone")
			n.untilDone("f")
			o := n.join("f", balancer)
			produce("joining")
			s := n.until("f", "half each", shared)
			for _, m := range s.Members {
				if m.Local != (m.Client == "millrun-wasm-f") {
					t.Errorf("member %+v", m)
				}
			}
			produce("shared")
			n.untilDone("f")
			o.client.Close()
			n.until("f", "all given back", func(s transform.Status) bool { return len(s.Members) == 1 && len(s.Members[0].Partitions) == 4 })
			produce("again alone")
			n.untilDone("f")

			seen := make(map[string]int)
			outsiders := 0
			for v := range o.values {
				seen[v]++
				outsiders++
			}
			for _, v := range n.read("out") {
				seen[v]++
			}
			if missing := len(produced) - len(seen); missing != 0 || outsiders < 30 {
				t.Errorf("%d of %d values were seen by nobody, %d by the outside consumer", missing, len(produced), outsiders)
			}
		})
	}
}

func TestTwoDeploymentsShareAGroup(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 4)
	n.createTopic("out", 4)
	a, b := filterSpec("a"), filterSpec("b")
	a.Group, b.Group = "g", "g"
	a.Members = 2
	n.deploy(a)
	n.deploy(b)
	s := n.until("a", "three members", func(s transform.Status) bool {
		return len(s.Members) == 3 && !slices.ContainsFunc(s.Members, func(m transform.MemberStatus) bool { return len(m.Partitions) == 0 })
	})
	local := 0
	for _, m := range s.Members {
		if m.Local {
			local++
		}
	}
	if local != 2 {
		t.Errorf("%d members are said to be the deployment's: %+v", local, s.Members)
	}
	n.produce("in", 4, "yes1", "yes2")
	n.untilDone("a")
	if got := n.read("out"); len(got) != 8 {
		t.Errorf("out: %q", got)
	}
}

func TestAPoisonRecordStopsTheDeploymentForGoodUntilItIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	spec := filterSpec("f")
	spec.Module, spec.Retries = "poisoned", new(int32)
	n.deploy(spec)
	n.produce("in", 1, "yes1", "poison", "yes2")
	stopped := func(s transform.Status) bool { return s.State == "stopped" && len(s.Members) == 0 }
	s := n.until("f", "stopped", stopped)
	if !strings.Contains(s.Reason, "in/0 offset 1") || !strings.Contains(s.Reason, "unreachable") || s.Partitions[0].Offset != 1 {
		t.Errorf("%+v", s)
	}
	n.stop()

	n = startNode(t, dir)
	s = n.until("f", "stopped after a restart", stopped)
	if !strings.Contains(s.Reason, "in/0 offset 1") {
		t.Errorf("reason after a restart: %q", s.Reason)
	}
	var offsets kadm.Offsets
	offsets.AddOffset("in", 0, 2, -1)
	if err := n.admin.CommitAllOffsets(t.Context(), "f", offsets); err != nil {
		t.Fatal(err)
	}
	n.http("POST", "/v1/deployments/f/resume", nil, nil)
	n.untilDone("f")
	if got := n.read("out"); !slices.Equal(got, []string{"yes1", "yes2"}) {
		t.Errorf("out: %q", got)
	}
}

func TestAPausedDeploymentIsResetByItsOffsets(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 2)
	n.createTopic("out", 2)
	n.deploy(filterSpec("f"))
	n.produce("in", 2, "yes")
	n.untilDone("f")
	var s transform.Status
	if status := n.http("POST", "/v1/deployments/f/pause", nil, &s); status != http.StatusOK || s.State != "paused" || len(s.Members) != 0 {
		t.Fatalf("paused: %d %+v", status, s)
	}
	n.produce("in", 2, "yes")
	var offsets kadm.Offsets
	offsets.AddOffset("in", 0, 0, -1)
	if err := n.admin.CommitAllOffsets(t.Context(), "f", offsets); err != nil {
		t.Fatal(err)
	}
	if s := n.describe("f"); s.Lag != 3 {
		t.Errorf("lag %d after the reset", s.Lag)
	}
	n.http("POST", "/v1/deployments/f/resume", nil, nil)
	n.untilDone("f")
	if got := n.read("out"); len(got) != 5 {
		t.Errorf("out has %d records, not 2 and 2 and the one that was reset to", len(got))
	}
	n.http("DELETE", "/v1/deployments/f", nil, nil)
	if status := n.http("GET", "/v1/deployments/f", nil, nil); status != http.StatusNotFound {
		t.Errorf("after delete: %d", status)
	}
}

func TestADeploymentGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	n.createTopic("in", 4)
	n.createTopic("out", 4)
	n.deploy(filterSpec("f"))
	n.produce("in", 4, "yes1")
	n.untilDone("f")
	n.produce("in", 4, "yes2")
	n.stop()
	n = startNode(t, dir)
	n.produce("in", 4, "yes3")
	n.untilDone("f")
	count := make(map[string]int)
	for _, v := range n.read("out") {
		count[v]++
	}
	if !maps.Equal(count, map[string]int{"yes1": 4, "yes2": 4, "yes3": 4}) {
		t.Errorf("out: %v", count)
	}
}

func TestPartitionsThatAreAddedAreReadFromTheirStart(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 3)
	n.deploy(filterSpec("f"))
	n.untilDone("f")
	if _, err := n.admin.CreatePartitions(t.Context(), 2, "in"); err != nil {
		t.Fatal(err)
	}
	n.produce("in", 3, "yes")
	n.until("f", "three partitions", func(s transform.Status) bool {
		return len(s.Members) == 1 && len(s.Members[0].Partitions) == 3 && s.Lag == 0
	})
	if got := n.read("out"); len(got) != 3 {
		t.Errorf("out: %q", got)
	}
}

func TestWhatGuestsLogIsInTheLogsTopic(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 2)
	n.createTopic("out", 2)
	spec := filterSpec("f")
	spec.Module = "chatty"
	n.deploy(spec)
	n.produce("in", 2, "yes")
	n.untilDone("f")
	c := n.newClient(kgo.ConsumeTopics(transform.LogsTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := make(map[int32]bool)
	for len(seen) < 2 {
		c.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			var line transform.LogLine
			if err := json.Unmarshal(r.Value, &line); err != nil {
				t.Fatalf("%q: %v", r.Value, err)
			}
			if string(r.Key) != "f" || line.Deployment != "f" || line.Level != "warn" || line.Message != "saw yes" || time.Since(line.Time) > time.Minute {
				t.Errorf("key %q, %+v", r.Key, line)
			}
			seen[line.Partition] = true
		})
	}
	configs, err := n.admin.DescribeTopicConfigs(t.Context(), transform.LogsTopic)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "retention.ms" && c.MaybeValue() != "86400000" {
			t.Errorf("retention.ms = %s", c.MaybeValue())
		}
	}
}

// The shape is Redpanda's, field by field: its tools read it.
func TestWhatRedpandasModulesLogIsInRedpandasTopic(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	spec := filterSpec("f")
	spec.Module = "red"
	n.deploy(spec)
	n.produce("in", 1, "yes")
	n.untilDone("f")
	c := n.newClient(kgo.ConsumeTopics(transform.RedpandaLogsTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	records := c.PollFetches(t.Context()).Records()
	if len(records) == 0 || string(records[0].Key) != "f" {
		t.Fatalf("%v", records)
	}
	got := regexp.MustCompile(`"timeUnixNano":[1-9][0-9]{18},`).ReplaceAllString(string(records[0].Value), "<time>")
	if want := `{"body":{"stringValue":"saw yes"},<time>"severityNumber":13,"attributes":[{"key":"transform_name","value":{"stringValue":"f"}},{"key":"node","value":{"intValue":1}}]}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var record transform.OTelLogRecord
	if err := json.Unmarshal(records[0].Value, &record); err != nil {
		t.Fatal(err)
	}
	if line := record.Line(); line.Level != "warn" || line.Message != "saw yes" {
		t.Errorf("%+v", line)
	}
}
