package transform_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrun/millrun/core/record"
	"github.com/millrun/millrun/core/transform"
)

func dlqSpec(name string) transform.DeploySpec {
	spec := filterSpec(name)
	spec.Module, spec.OnError, spec.Retries = "fixable", "dlq", new(int32)
	return spec
}

// records returns everything in a topic, by partition and offset.
func (n *node) records(topic string) []*kgo.Record {
	n.Helper()
	ends, err := n.admin.ListEndOffsets(n.Context(), topic)
	if err != nil {
		n.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	c := n.newClient(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	var out []*kgo.Record
	for int64(len(out)) < left {
		fetches := c.PollFetches(n.Context())
		if err := fetches.Err(); err != nil {
			n.Fatal(err)
		}
		out = append(out, fetches.Records()...)
	}
	slices.SortFunc(out, func(a, b *kgo.Record) int {
		return int(a.Partition-b.Partition)<<32 + int(a.Offset-b.Offset)
	})
	return out
}

func letterOf(t *testing.T, r *kgo.Record) (own []record.Header, l transform.DeadLetter) {
	t.Helper()
	var headers []record.Header
	for _, h := range r.Headers {
		headers = append(headers, record.Header{Key: h.Key, Value: h.Value})
	}
	own, l, ok := transform.ReadDeadLetter(headers)
	if !ok {
		t.Fatalf("%q is no dead letter: %v", r.Value, r.Headers)
	}
	return own, l
}

func TestDeadLettersGoToATopicOfTheirOwn(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 3)
	n.createTopic("out", 3)
	n.deploy(dlqSpec("f"))
	n.produce("in", 3, "yes1")
	at := time.UnixMilli(1_500_000_000_000) // any retention by time would take it at once
	poison := &kgo.Record{Topic: "in", Partition: 2, Key: []byte{0xff, 0}, Value: []byte("poison"), Timestamp: at,
		Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte{1, 2}}, {Key: "none"}}}
	if err := n.client.ProduceSync(t.Context(), poison).FirstErr(); err != nil {
		t.Fatal(err)
	}
	n.produce("in", 3, "yes2")
	s := n.untilDone("f")
	if s.Counters.Failed != 1 || s.Counters.In != 7 || s.Counters.Out != 6 {
		t.Errorf("%+v", s.Counters)
	}
	if got := n.read("out"); len(got) != 6 {
		t.Errorf("out: %q", got)
	}
	topics, err := n.admin.ListTopics(t.Context(), "f.dlq")
	if err != nil || len(topics["f.dlq"].Partitions) != 3 {
		t.Fatalf("f.dlq: %+v, %v", topics, err)
	}
	configs, err := n.admin.DescribeTopicConfigs(t.Context(), "f.dlq")
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, c := range configs[0].Configs {
		set[c.Key] = c.MaybeValue()
	}
	if set["retention.ms"] != "-1" || set["cleanup.policy"] != "delete" || set["max.message.bytes"] != fmt.Sprint(1048588+64<<10) {
		t.Errorf("settings: %v", set)
	}
	dead := n.records("f.dlq")
	if len(dead) != 1 {
		t.Fatalf("%d dead letters", len(dead))
	}
	r := dead[0]
	own, l := letterOf(t, r)
	if r.Partition != 2 || string(r.Key) != "\xff\x00" || string(r.Value) != "poison" || !r.Timestamp.Equal(at) || len(own) != 2 ||
		string(own[0].Value) != "\x01\x02" || own[1].Value != nil {
		t.Errorf("the record is %+v", r)
	}
	if l.Deployment != "f" || l.Topic != "in" || l.Partition != 2 || l.Offset != 1 || !strings.Contains(l.Error, "unreachable") ||
		l.Module != "fixable" || len(l.SHA256) != 64 || l.Attempts != 1 && l.Attempts != 2 || time.Since(l.FailedAt) > time.Minute {
		t.Errorf("the letter says %+v", l)
	}
}

func TestTheLargestRecordOfAnInputFitsTheDeadLetters(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	spec := dlqSpec("f")
	spec.DLQ = "letters"
	n.deploy(spec)
	// Hardly smaller than what the input takes, and not to be compressed: with headers it is larger.
	client := n.newClient(kgo.ProducerBatchMaxBytes(1<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	key := strings.Repeat("k", 1<<20-200)
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Key: []byte(key), Value: []byte("poison")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	n.untilDone("f")
	if dead := n.records("letters"); len(dead) != 1 || string(dead[0].Key) != key {
		t.Errorf("%d dead letters", len(dead))
	}
}

func TestADeploymentWhoseDeadLetterTopicIsDeletedStopsAndLosesNothing(t *testing.T) {
	n := startNode(t, "")
	n.createTopic("in", 1)
	n.createTopic("out", 1)
	n.deploy(dlqSpec("f"))
	n.produce("in", 1, "yes1")
	n.untilDone("f")
	if _, err := n.admin.DeleteTopics(t.Context(), "f.dlq"); err != nil {
		t.Fatal(err)
	}
	n.produce("in", 1, "poison", "yes2")
	s := n.until("f", "stopped", func(s transform.Status) bool { return s.State == "stopped" })
	if !strings.Contains(s.Reason, "in/0 offset 1") || !strings.Contains(s.Reason, "topic f.dlq does not exist") || s.Partitions[0].Offset != 1 {
		t.Errorf("%+v", s)
	}
	n.createTopic("f.dlq", 1)
	n.http("POST", "/v1/deployments/f/resume", nil, nil)
	n.untilDone("f")
	if got := n.read("out"); !slices.Equal(got, []string{"yes1", "yes2"}) {
		t.Errorf("out: %q", got)
	}
	if dead := n.records("f.dlq"); len(dead) != 1 || string(dead[0].Value) != "poison" {
		t.Errorf("%d dead letters", len(dead))
	}
}
