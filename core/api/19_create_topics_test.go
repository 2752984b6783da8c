package api

import (
	"context"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrun/millrun/core/meta"
)

func newTopicRequest(name string, partitions int32) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	return t
}

// ask calls a handler in process and fails the test if the request is refused.
func ask[S kmsg.Response](t *testing.T, h *Handler, version int16, req kmsg.Request) S {
	t.Helper()
	req.SetVersion(version)
	resp, err := h.Call(context.Background(), "test", "/127.0.0.1", req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(S)
}

func createForTest(t *testing.T, h *Handler, topics ...kmsg.CreateTopicsRequestTopic) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = topics
	for _, r := range ask[*kmsg.CreateTopicsResponse](t, h, 7, req).Topics {
		if r.ErrorCode != codeNone {
			t.Fatalf("%s: code %d", r.Topic, r.ErrorCode)
		}
	}
}

func TestValidateOnlyCreatesNothing(t *testing.T) {
	h := newAdminHandler(t)
	req := kmsg.NewPtrCreateTopicsRequest()
	req.ValidateOnly = true
	req.Topics = append(req.Topics, newTopicRequest("a", 3))
	r := ask[*kmsg.CreateTopicsResponse](t, h, 7, req).Topics[0]
	if r.ErrorCode != codeNone || r.NumPartitions != 3 || len(r.Configs) == 0 {
		t.Errorf("validated: %+v", r)
	}
	if n := h.cfg.Cluster.Image().NumTopics(); n != 0 {
		t.Errorf("%d topics exist", n)
	}
}

func TestTheIDThatIsAnsweredIsTheTopics(t *testing.T) {
	h := newAdminHandler(t)
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, newTopicRequest("a", 1), newTopicRequest("b", 1))
	for _, r := range ask[*kmsg.CreateTopicsResponse](t, h, 7, req).Topics {
		topic, ok := h.cfg.Cluster.Image().TopicByID(r.TopicID)
		if !ok || topic.Name != r.Topic {
			t.Errorf("%s: id %v is that of %v", r.Topic, r.TopicID, topic)
		}
	}
}

// racingCluster lets another change come first: decide runs twice.
type racingCluster struct {
	*memoryCluster
	first meta.Command
}

func (c *racingCluster) Change(ctx context.Context, decide func(*meta.Image) (meta.Command, error)) (*meta.Image, error) {
	if c.first == nil {
		return c.memoryCluster.Change(ctx, decide)
	}
	if _, err := decide(c.Image()); err != nil {
		return nil, err
	}
	first := c.first
	c.first = nil
	if _, err := c.memoryCluster.Change(ctx, func(*meta.Image) (meta.Command, error) { return first, nil }); err != nil {
		return nil, err
	}
	return c.memoryCluster.Change(ctx, decide)
}

func TestALostRaceIsAnsweredByWhatWonIt(t *testing.T) {
	h := newAdminHandler(t)
	createForTest(t, h, newTopicRequest("old", 1))
	old, _ := h.cfg.Cluster.Image().Topic("old")
	memory := h.cfg.Cluster.(*memoryCluster)

	rival, errs := meta.DecideCreateTopics(memory.Image(), []meta.NewTopic{{Name: "a", ID: randomTopicID(), Partitions: 1, ReplicationFactor: 1}}, meta.TopicDefaults{})
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	h.cfg.Cluster = &racingCluster{memory, rival}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, newTopicRequest("a", 5), newTopicRequest("b", 1))
	created := ask[*kmsg.CreateTopicsResponse](t, h, 7, req)
	if a, b := created.Topics[0], created.Topics[1]; a.ErrorCode != codeTopicAlreadyExists || a.NumPartitions != -1 || b.ErrorCode != codeNone {
		t.Errorf("a: %d with %d partitions, b: %d", a.ErrorCode, a.NumPartitions, b.ErrorCode)
	}

	h.cfg.Cluster = &racingCluster{memory, &meta.DeleteTopics{IDs: []meta.TopicID{old.ID}}}
	del := kmsg.NewPtrDeleteTopicsRequest()
	for _, name := range []string{"old", "b"} {
		d := kmsg.NewDeleteTopicsRequestTopic()
		d.Topic = kmsg.StringPtr(name)
		del.Topics = append(del.Topics, d)
	}
	deleted := ask[*kmsg.DeleteTopicsResponse](t, h, 6, del)
	if o, b := deleted.Topics[0], deleted.Topics[1]; o.ErrorCode != codeUnknownTopicOrPartition || b.ErrorCode != codeNone {
		t.Errorf("old: %d, b: %d", o.ErrorCode, b.ErrorCode)
	}
	if n := memory.Image().NumTopics(); n != 1 {
		t.Errorf("%d topics are left, want a alone", n)
	}
}

func TestTopicsAreDeletedByID(t *testing.T) {
	h := newAdminHandler(t)
	createForTest(t, h, newTopicRequest("a", 1), newTopicRequest("b", 1))
	a, _ := h.cfg.Cluster.Image().Topic("a")
	req := kmsg.NewPtrDeleteTopicsRequest()
	d := kmsg.NewDeleteTopicsRequestTopic()
	d.TopicID = a.ID
	req.Topics = append(req.Topics, d, d)
	resp := ask[*kmsg.DeleteTopicsResponse](t, h, 6, req)
	if len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != codeInvalidRequest {
		t.Fatalf("an id given twice: %+v", resp.Topics)
	}
	req.Topics = req.Topics[:1]
	resp = ask[*kmsg.DeleteTopicsResponse](t, h, 6, req)
	if r := resp.Topics[0]; r.ErrorCode != codeNone || r.Topic == nil || *r.Topic != "a" || r.TopicID != a.ID {
		t.Errorf("%+v", r)
	}
	if _, ok := h.cfg.Cluster.Image().Topic("a"); ok {
		t.Error("a still exists")
	}
}

func TestDeletionCanBeTurnedOff(t *testing.T) {
	h := newAdminHandler(t)
	h.cfg.Settings = mustSettings(t, map[string]string{"delete.topic.enable": "false"})
	createForTest(t, h, newTopicRequest("a", 1))
	for version, want := range map[int16]int16{1: codeInvalidRequest, 5: codeTopicDeletionDisabled} {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TopicNames = []string{"a"}
		if r := ask[*kmsg.DeleteTopicsResponse](t, h, version, req).Topics; len(r) != 1 || r[0].ErrorCode != want {
			t.Errorf("v%d: %+v, want code %d", version, r, want)
		}
	}
}

func TestPagesOfPartitionsMakeUpTheWhole(t *testing.T) {
	h := newAdminHandler(t)
	want := map[string]int{}
	for i := range 7 {
		name := fmt.Sprintf("t%d", i)
		want[name] = i*3 + 1
		createForTest(t, h, newTopicRequest(name, int32(want[name])))
	}
	got := map[string]int{}
	var cursor *kmsg.DescribeTopicPartitionsRequestCursor
	for pages := 0; ; pages++ {
		if pages > 100 {
			t.Fatal("the pages do not end")
		}
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.ResponsePartitionLimit, req.Cursor = 4, cursor
		resp := ask[*kmsg.DescribeTopicPartitionsResponse](t, h, 0, req)
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				if int(p.Partition) != got[*topic.Topic] {
					t.Fatalf("%s: partition %d after %d others", *topic.Topic, p.Partition, got[*topic.Topic])
				}
				got[*topic.Topic]++
			}
		}
		if resp.NextCursor == nil {
			break
		}
		c := kmsg.NewDescribeTopicPartitionsRequestCursor()
		c.Topic, c.Partition = resp.NextCursor.Topic, resp.NextCursor.Partition
		cursor = &c
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d of %d partitions", name, got[name], n)
		}
	}
}
