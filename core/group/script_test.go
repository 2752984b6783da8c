package group

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var update = flag.Bool("update", false, "write the scripts' output into them")

// TestScripts runs every file of testdata. A line that does not begin with a space is a command, the indented lines behind
// it are what the shard did: answers, and records as they were replayed. See testdata/README for the language.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, testConfig())
	var out, want, got strings.Builder
	at := ""
	compare := func() {
		if got.String() != want.String() && !*update {
			t.Errorf("%s: %s\ngot:\n%swant:\n%s", file, at, got.String(), want.String())
		}
		out.WriteString(got.String())
		got.Reset()
		want.Reset()
	}
	for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, " ") {
			want.WriteString(line + "\n")
			continue
		}
		compare()
		out.WriteString(line + "\n")
		at = fmt.Sprintf("line %d: %s", n+1, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, o := range d.run(line) {
			got.WriteString("  " + o + "\n")
		}
		d.checkInvariants(at)
	}
	compare()
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// testConfig has Kafka's defaults, but for the initial delay.
func testConfig() Config {
	return Config{
		MinSessionTimeoutMs: 6000, MaxSessionTimeoutMs: 1_800_000, MaxSize: 1 << 30,
		OffsetMetadataMaxBytes: 4096, OffsetsRetentionMs: 7 * 24 * 3600 * 1000, RetentionCheckMs: 600_000,
		MaxRecordBytes: 1 << 20,
	}
}

// args are a command's key=value words.
type args map[string]string

func (a args) text(key, otherwise string) string {
	if v, ok := a[key]; ok {
		return v
	}
	return otherwise
}

func (a args) number(key string, otherwise int64) int64 {
	if v, ok := a[key]; ok {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	return otherwise
}

func (a args) pointer(key string) *string {
	if v, ok := a[key]; ok {
		return &v
	}
	return nil
}

// driver stands in for the loop: it replays at once and prints what happens.
type driver struct {
	t       testing.TB
	cfg     Config
	s       *Shard
	now     int64
	last    machine.Ticket
	waiting map[machine.Ticket]string
	ids     int
	log     []machine.Record
	// generation is the highest that each group has had since it was created
	generation map[string]int32
}

func newDriver(t testing.TB, cfg Config) *driver {
	d := &driver{t: t, cfg: cfg, waiting: make(map[machine.Ticket]string), generation: make(map[string]int32)}
	d.restart()
	return d
}

// restart makes a fresh shard of the log.
func (d *driver) restart() {
	s, err := New(d.cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, r := range d.log {
		if err := s.Replay(r); err != nil {
			d.t.Fatal(err)
		}
	}
	d.s = s
	clear(d.waiting)
	clear(d.generation)
	s.Loaded(d.now)
}

// do has the shard decide op for the request called label.
func (d *driver) do(label string, op Op) []machine.Answer[Reply] {
	d.last++
	d.waiting[d.last] = label
	var fx Effects
	d.s.Decide(d.now, d.last, op, &fx)
	for _, a := range d.carry(&fx) {
		delete(d.waiting, a.To)
	}
	return fx.Answers
}

func (d *driver) carry(fx *Effects) []machine.Answer[Reply] {
	for _, r := range fx.Records {
		own := machine.Record{Key: append([]byte(nil), r.Key...)}
		if r.Value != nil {
			own.Value = append([]byte{}, r.Value...)
		}
		d.log = append(d.log, own)
		if err := d.s.Replay(r); err != nil {
			d.t.Fatalf("replay of our own record: %v", err)
		}
	}
	return fx.Answers
}

// advance moves the clock and wakes the shard at each time it asked for.
func (d *driver) advance(ms int64, each func(fx *Effects)) {
	end := d.now + ms
	for d.s.NextWake() <= end {
		d.now = max(d.now, d.s.NextWake())
		var fx Effects
		d.s.Wake(d.now, &fx)
		d.carry(&fx)
		each(&fx)
	}
	d.now = end
}

func (d *driver) run(line string) []string {
	words := strings.Fields(line)
	a := args{}
	var names []string
	for _, w := range words[1:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			a[k] = v
		} else {
			names = append(names, w)
		}
	}
	var out []string
	collect := func(fx *Effects) { out = append(out, d.print(fx)...) }
	switch words[0] {
	case "time":
		d.advance(mustInt(names[0]), func(fx *Effects) {
			for _, o := range d.print(fx) {
				out = append(out, fmt.Sprintf("%d %s", d.now, o))
			}
		})
	case "restart":
		d.restart()
	case "config":
		d.configure(a)
	case "state":
		out = d.describe(names[0])
	case "list":
		out = d.list(a)
	default:
		op := d.op(words[0], names, a)
		d.last++
		d.waiting[d.last] = names[0]
		var fx Effects
		d.s.Decide(d.now, d.last, op, &fx)
		d.carry(&fx)
		collect(&fx)
		if d.s.NextWake() <= d.now {
			fx = Effects{}
			d.s.Wake(d.now, &fx)
			d.carry(&fx)
			collect(&fx)
		}
	}
	return out
}

func mustInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (d *driver) configure(a args) {
	d.cfg.InitialRebalanceDelayMs = int32(a.number("delay", int64(d.cfg.InitialRebalanceDelayMs)))
	d.cfg.MaxSize = int(a.number("max", int64(d.cfg.MaxSize)))
	d.cfg.OffsetsRetentionMs = a.number("retention", d.cfg.OffsetsRetentionMs)
	d.cfg.MaxRecordBytes = int(a.number("record", int64(d.cfg.MaxRecordBytes)))
	d.restart()
}

// op makes the operation of a command: its first name is the request's label.
func (d *driver) op(verb string, names []string, a args) Op {
	group := a.text("group", "g")
	member, instance := a.text("member", ""), a.pointer("instance")
	generation := int32(a.number("gen", -1))
	version := int16(a.number("v", 9))
	switch verb {
	case "join":
		d.ids++
		return Join{Req: d.joinRequest(group, version, a), ClientID: names[0], ClientHost: "/h", NewID: strconv.Itoa(d.ids)}
	case "sync":
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.MemberID, req.InstanceID, req.Generation = group, member, instance, generation
		req.ProtocolType, req.Protocol = a.pointer("type"), a.pointer("protocol")
		for _, x := range list(a["assign"]) {
			m, v, _ := strings.Cut(x, ":")
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
				MemberID: m, MemberAssignment: []byte(v),
			})
		}
		return Sync{req}
	case "heartbeat":
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID, req.InstanceID, req.Generation = group, member, instance, generation
		return Heartbeat{req}
	case "leave":
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version, req.Group, req.MemberID = version, group, member
		for _, x := range list(a["members"]) {
			id, inst, ok := strings.Cut(x, ":")
			m := kmsg.LeaveGroupRequestMember{MemberID: id}
			if ok {
				m.InstanceID = &inst
			}
			req.Members = append(req.Members, m)
		}
		return Leave{req}
	case "commit":
		op := Commit{Group: group, Member: member, Instance: instance, Generation: generation, Version: version, RetentionMs: a.number("retain", -1)}
		for _, x := range list(a["offsets"]) { // topic:partition:offset
			f := strings.Split(x, ":")
			op.Offsets = append(op.Offsets, CommitOffset{
				Topic: f[0], Partition: int32(mustInt(f[1])), Offset: mustInt(f[2]), LeaderEpoch: 7,
				Metadata: strings.Repeat("x", int(a.number("metadata", 0))),
			})
		}
		return op
	case "fetch":
		op := Fetch{Group: group, All: a["offsets"] == ""}
		for _, x := range list(a["offsets"]) {
			topic, p, _ := strings.Cut(x, ":")
			op.Topics = append(op.Topics, FetchTopic{topic, []int32{int32(mustInt(p))}})
		}
		return op
	case "forget":
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = group
		for _, x := range list(a["offsets"]) {
			topic, p, _ := strings.Cut(x, ":")
			req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{
				Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: int32(mustInt(p))}},
			})
		}
		return DeleteOffsets{req}
	case "delete":
		return Delete{group}
	}
	d.t.Fatalf("no command %q", verb)
	return nil
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func (d *driver) joinRequest(group string, version int16, a args) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID = version, group, a.text("member", ""), a.pointer("instance")
	req.SessionTimeoutMillis = int32(a.number("session", 10_000))
	req.RebalanceTimeoutMillis = int32(a.number("rebalance", 60_000))
	req.ProtocolType = a.text("type", consumerProtocol)
	for _, name := range list(a.text("protocols", "range")) {
		metadata := subscription(list(a.text("topics", "t"))...)
		if raw, ok := a["metadata"]; ok {
			metadata = []byte(raw)
		}
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: metadata})
	}
	return req
}

// subscription is a consumer's metadata.
func subscription(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = topics
	return m.AppendTo(nil)
}
