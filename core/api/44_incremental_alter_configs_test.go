package api

import (
	"context"
	"maps"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/config"
	"github.com/millrun/millrun/core/meta"
)

func mustSettings(t *testing.T, given map[string]string) *config.BrokerSettings {
	t.Helper()
	s, _, err := config.ParseBroker(given)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// alter does one operation on one setting and returns the code.
func alter(t *testing.T, h *Handler, kind kmsg.ConfigResourceType, resource string, op kmsg.IncrementalAlterConfigOp, name, value string) int16 {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, resource
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op, c.Value = name, op, &value
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	return ask[*kmsg.IncrementalAlterConfigsResponse](t, h, 1, req).Resources[0].ErrorCode
}

func topicConfigs(t *testing.T, h *Handler, name string) map[string]string {
	t.Helper()
	topic, ok := h.cfg.Cluster.Image().Topic(name)
	if !ok {
		t.Fatalf("no topic %s", name)
	}
	return topic.Configs
}

func TestListsAreAppendedToAndSubtractedFrom(t *testing.T) {
	h := newAdminHandler(t)
	createForTest(t, h, newTopicRequest("a", 1))
	const add, remove = kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract
	for _, c := range []struct {
		op          kmsg.IncrementalAlterConfigOp
		value, want string
	}{
		{add, "compact", "delete,compact"}, // the default, and one more
		{add, "compact", "delete,compact"},
		{remove, "delete", "compact"},
		{remove, "delete", "compact"},
		{remove, "compact", ""},
		{add, "delete, compact", "delete,compact"},
	} {
		if code := alter(t, h, kmsg.ConfigResourceTypeTopic, "a", c.op, "cleanup.policy", c.value); code != codeNone {
			t.Fatalf("%v %s: code %d", c.op, c.value, code)
		}
		if got := topicConfigs(t, h, "a")["cleanup.policy"]; got != c.want {
			t.Errorf("%v %s: %q, want %q", c.op, c.value, got, c.want)
		}
	}
}

func TestAlterConfigsReplacesTheWholeSet(t *testing.T) {
	h := newAdminHandler(t)
	createForTest(t, h, newTopicRequest("a", 1))
	alter(t, h, kmsg.ConfigResourceTypeTopic, "a", kmsg.IncrementalAlterConfigOpSet, "retention.ms", "7")
	req := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "a"
	c := kmsg.NewAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "segment.ms", kmsg.StringPtr("9")
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	if code := ask[*kmsg.AlterConfigsResponse](t, h, 2, req).Resources[0].ErrorCode; code != codeNone {
		t.Fatalf("code %d", code)
	}
	if got := topicConfigs(t, h, "a"); !maps.Equal(got, map[string]string{"segment.ms": "9"}) {
		t.Errorf("the topic has %v", got)
	}
	req.Resources = append(req.Resources, r)
	for _, r := range ask[*kmsg.AlterConfigsResponse](t, h, 2, req).Resources {
		if r.ErrorCode != codeInvalidRequest {
			t.Errorf("a resource named twice: code %d", r.ErrorCode)
		}
	}
}

func TestWhatIsRefusedChangesNothing(t *testing.T) {
	h := newAdminHandler(t)
	createForTest(t, h, newTopicRequest("a", 1))
	before := h.cfg.Cluster.Image().Seq()
	const set = kmsg.IncrementalAlterConfigOpSet
	for _, c := range []struct {
		kind                  kmsg.ConfigResourceType
		resource, name, value string
		want                  int16
	}{
		{kmsg.ConfigResourceTypeTopic, "a", "min.compaction.lag.ms", "9223372036854775807", codeNone}, // allowed, unlike the next
		{kmsg.ConfigResourceTypeTopic, "a", "max.compaction.lag.ms", "5", codeInvalidConfig},
		{kmsg.ConfigResourceTypeTopic, "a", "retention.ms", "soon", codeInvalidConfig},
		{kmsg.ConfigResourceTypeTopic, "none", "retention.ms", "1", codeUnknownTopicOrPartition},
		{kmsg.ConfigResourceTypeBroker, "1", "log.roll.ms", "0", codeInvalidRequest},
		{kmsg.ConfigResourceTypeBroker, "2", "message.max.bytes", "9", codeInvalidRequest},
		{kmsg.ConfigResourceTypeGroupConfig, "g", "consumer.session.timeout.ms", "1", codeInvalidConfig},
		{kmsg.ConfigResourceTypeGroupConfig, "g", "consumer.session.timeout.ms", "50000", codeInvalidRequest},
	} {
		if code := alter(t, h, c.kind, c.resource, set, c.name, c.value); code != c.want {
			t.Errorf("%s %s=%s: code %d, want %d", c.resource, c.name, c.value, code, c.want)
		}
	}
	if after := h.cfg.Cluster.Image().Seq(); after != before+1 {
		t.Errorf("%d commands were written, want one", after-before)
	}
}

// describe returns one setting of a resource.
func describe(t *testing.T, h *Handler, kind kmsg.ConfigResourceType, resource, name string) kmsg.DescribeConfigsResponseResourceConfig {
	t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, resource, []string{name}
	req.Resources = append(req.Resources, r)
	req.IncludeDocumentation = true
	got := ask[*kmsg.DescribeConfigsResponse](t, h, 4, req).Resources[0]
	if got.ErrorCode != codeNone || len(got.Configs) != 1 {
		t.Fatalf("%s of %s: %+v", name, resource, got)
	}
	return got.Configs[0]
}

func TestABrokersSettingsChangeAtRunTime(t *testing.T) {
	h := newAdminHandler(t)
	createForTest(t, h, newTopicRequest("a", 1))
	const set, remove = kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete
	for _, c := range []struct {
		resource string
		op       kmsg.IncrementalAlterConfigOp
		value    string
		want     string
		source   kmsg.ConfigSource
	}{
		{"", set, "2000", "2000", kmsg.ConfigSourceDynamicDefaultBrokerConfig},
		{"1", set, "3000", "3000", kmsg.ConfigSourceDynamicBrokerConfig},
		{"1", remove, "", "2000", kmsg.ConfigSourceDynamicDefaultBrokerConfig},
		{"", remove, "", "1048588", kmsg.ConfigSourceDefaultConfig},
	} {
		if code := alter(t, h, kmsg.ConfigResourceTypeBroker, c.resource, c.op, "message.max.bytes", c.value); code != codeNone {
			t.Fatalf("%+v: code %d", c, code)
		}
		d := describe(t, h, kmsg.ConfigResourceTypeTopic, "a", "max.message.bytes")
		if *d.Value != c.want || d.Source != c.source || d.Documentation == nil || *d.Documentation == "" {
			t.Errorf("%+v: the topic has %s from %v", c, *d.Value, d.Source)
		}
		topic, _ := h.cfg.Cluster.Image().Topic("a")
		if got := config.TopicSettings(h.settings(), topic.Configs).MaxMessageBytes; c.want != strconv.FormatInt(got, 10) {
			t.Errorf("%+v: %d in force", c, got)
		}
	}
}

func TestAChangeThatFailsIsNotAcknowledged(t *testing.T) {
	h := newAdminHandler(t)
	createForTest(t, h, newTopicRequest("a", 1))
	h.cfg.Cluster = failingCluster{h.cfg.Cluster}
	if code := alter(t, h, kmsg.ConfigResourceTypeTopic, "a", kmsg.IncrementalAlterConfigOpSet, "retention.ms", "1"); code != codeRequestTimedOut {
		t.Errorf("settings: code %d", code)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = append(create.Topics, newTopicRequest("b", 1))
	if r := ask[*kmsg.CreateTopicsResponse](t, h, 7, create).Topics[0]; r.ErrorCode != codeRequestTimedOut || r.NumPartitions != -1 {
		t.Errorf("creation: %+v", r)
	}
	more := kmsg.NewPtrCreatePartitionsRequest()
	m := kmsg.NewCreatePartitionsRequestTopic()
	m.Topic, m.Count = "a", 2
	more.Topics = append(more.Topics, m)
	if r := ask[*kmsg.CreatePartitionsResponse](t, h, 3, more).Topics[0]; r.ErrorCode != codeRequestTimedOut {
		t.Errorf("partitions: code %d", r.ErrorCode)
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.TopicNames = []string{"a"}
	if r := ask[*kmsg.DeleteTopicsResponse](t, h, 5, del).Topics[0]; r.ErrorCode != codeRequestTimedOut {
		t.Errorf("deletion: code %d", r.ErrorCode)
	}
}

// failingCluster decides, and then cannot append.
type failingCluster struct{ Cluster }

func (c failingCluster) Change(_ context.Context, decide func(*meta.Image) (meta.Command, error)) (*meta.Image, error) {
	if _, err := decide(c.Image()); err != nil {
		return nil, err
	}
	return nil, context.DeadlineExceeded
}
