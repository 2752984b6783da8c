package broker

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	kafkaAddr    = flag.String("kafka", "", "address of an Apache Kafka to record the answers about groups from")
	groupAnswers = "../../spec/vectors/api/groups.json"
)

// TestGroupAnswersAreThoseOfKafka sends requests at all their versions and compares the answers with those recorded from
// Apache Kafka 4.3.1 (with `peer/kafka start`, and `go test -run GroupAnswers -kafka 127.0.0.1:19092`).
func TestGroupAnswersAreThoseOfKafka(t *testing.T) {
	if *kafkaAddr != "" {
		answers := groupConversation(t, *kafkaAddr)
		text, err := json.MarshalIndent(answers, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(groupAnswers, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	recorded, err := os.ReadFile(groupAnswers)
	if err != nil {
		t.Fatal(err)
	}
	var want []exchange
	if err := json.Unmarshal(recorded, &want); err != nil {
		t.Fatal(err)
	}
	b := startGroupBroker(t, "", "group.min.session.timeout.ms=6000", "num.partitions=1")
	got := groupConversation(t, b.KafkaAddr())
	if len(got) != len(want) {
		t.Errorf("%d answers, recorded are %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s\n got: %s\nwant: %s", got[i].Asked, got[i].Answer, want[i].Answer)
		}
	}
}

// exchange is one request, by what it is about, and its answer as JSON.
type exchange struct{ Asked, Answer string }

// conversation is one connection to a broker.
type conversation struct {
	t      *testing.T
	cl     *kgo.Client
	all    []exchange
	topics map[string]string // ids to names
	ids    map[string][16]byte
}

func groupConversation(t *testing.T, addr string) []exchange {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ClientID("wire"), kgo.RequestRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	c := &conversation{t: t, cl: cl, topics: map[string]string{}, ids: map[string][16]byte{}}
	c.createTopics("t", "u")
	c.findCoordinator()
	for v := range int16(10) {
		c.lifecycle(v)
	}
	c.refusals()
	c.staticMembers()
	c.offsets()
	c.listing()
	return c.all
}

// roundTrip sends a request at the version that is set on it, whatever the client would have chosen.
func (c *conversation) roundTrip(req kmsg.Request) kmsg.Response {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	resp, err := c.cl.Broker(1).RetriableRequest(ctx, fixedVersion{req})
	if err != nil {
		c.t.Fatalf("%T v%d: %v", req, req.GetVersion(), err)
	}
	return resp
}

// fixedVersion is a request whose version its sender cannot choose.
type fixedVersion struct{ kmsg.Request }

func (f fixedVersion) SetVersion(int16)  {}
func (f fixedVersion) MaxVersion() int16 { return f.GetVersion() }

func (c *conversation) ask(about string, req kmsg.Request, version int16) kmsg.Response {
	c.t.Helper()
	req.SetVersion(version)
	resp := c.roundTrip(req)
	c.all = append(c.all, exchange{fmt.Sprintf("%s v%d: %s", kmsg.NameForKey(req.Key()), version, about), c.normal(resp)})
	return resp
}

var (
	uuid    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	dropped = []string{"ThrottleMillis", "UnknownTags", "Version", "Host", "Port", "NodeID"}
)

// normal is a response as JSON without what differs from broker to broker and from run to run.
func (c *conversation) normal(resp kmsg.Response) string {
	text, err := json.Marshal(resp)
	if err != nil {
		c.t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		c.t.Fatal(err)
	}
	text, err = json.Marshal(c.walk(v))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

func (c *conversation) walk(v any) any {
	switch v := v.(type) {
	case string:
		return uuid.ReplaceAllString(v, "UUID")
	case []any:
		for i := range v {
			v[i] = c.walk(v[i])
		}
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	case map[string]any:
		for _, key := range dropped {
			delete(v, key)
		}
		for key, value := range v {
			if key == "TopicID" {
				v[key] = c.topics[fmt.Sprint(value)]
			} else {
				v[key] = c.walk(value)
			}
		}
	}
	return v
}

func (c *conversation) createTopics(names ...string) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(7)
	req.TimeoutMillis = 10_000
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 2, 1
		req.Topics = append(req.Topics, topic)
	}
	for _, t := range c.roundTrip(req).(*kmsg.CreateTopicsResponse).Topics {
		if t.ErrorCode != 0 {
			c.t.Fatalf("topic %s: error %d", t.Topic, t.ErrorCode)
		}
		list := make([]any, 16)
		for i := range list {
			list[i] = float64(t.TopicID[i])
		}
		c.topics[fmt.Sprint(list)], c.ids[t.Topic] = t.Topic, t.TopicID
	}
	time.Sleep(200 * time.Millisecond) // Kafka answers before it serves
}

func (c *conversation) findCoordinator() {
	for v := range int16(7) {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKey, req.CoordinatorKeys = "g", []string{"g", "h"}
		for {
			req.SetVersion(v)
			r := c.roundTrip(req).(*kmsg.FindCoordinatorResponse)
			if r.ErrorCode != 15 && (len(r.Coordinators) == 0 || r.Coordinators[0].ErrorCode != 15) {
				break
			}
			time.Sleep(100 * time.Millisecond) // Kafka makes its topic
		}
		c.ask("a group", req, v)
	}
	for i := 0; i < 200; { // which takes a while to serve, partition by partition
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = []string{fmt.Sprint("warm ", i)}
		if c.roundTrip(req).(*kmsg.DescribeGroupsResponse).Groups[0].ErrorCode != 0 {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		i++
	}
}

func (c *conversation) join(about, group, member string, v int16, change ...func(*kmsg.JoinGroupRequest)) *kmsg.JoinGroupResponse {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = group, member, 30_000, 5000
	req.ProtocolType = "consumer"
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = []string{"t"}
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: m.AppendTo(nil)}}
	for _, f := range change {
		f(req)
	}
	return c.ask(about, req, v).(*kmsg.JoinGroupResponse)
}

func (c *conversation) sync(about, group, member string, generation int32, v int16, assign bool, change ...func(*kmsg.SyncGroupRequest)) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = group, member, generation
	if v >= 5 {
		req.ProtocolType, req.Protocol = ptr("consumer"), ptr("range")
	}
	if assign {
		req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: member, MemberAssignment: []byte("work")}}
	}
	for _, f := range change {
		f(req)
	}
	c.ask(about, req, v)
}

func ptr[T any](v T) *T { return &v }

func (c *conversation) heartbeat(about, group, member string, generation int32, v int16, instance *string) {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = group, member, generation, instance
	c.ask(about, req, v)
}

func (c *conversation) leave(about, group, member string, v int16, members ...kmsg.LeaveGroupRequestMember) {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID, req.Members = group, member, members
	if v >= 3 && members == nil {
		req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: member}}
	}
	c.ask(about, req, v)
}

func (c *conversation) describe(about, group string, v int16) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{group}, true
	c.ask(about, req, v)
}

// lifecycle is a group of one member from its first join to its deletion, at one version of each request.
func (c *conversation) lifecycle(v int16) {
	g := fmt.Sprintf("life-%d", v)
	c.describe("before", g, min(v, 6))
	r := c.join("first", g, "", v)
	if r.ErrorCode != 0 {
		r = c.join("second", g, r.MemberID, v)
	}
	member := r.MemberID
	c.describe("joined", g, min(v, 6))
	c.heartbeat("joined", g, member, r.Generation, min(v, 4), nil)
	c.sync("leader", g, member, r.Generation, min(v, 5), true)
	c.sync("again", g, member, r.Generation, min(v, 5), false)
	c.describe("stable", g, min(v, 6))
	c.heartbeat("stable", g, member, r.Generation, min(v, 4), nil)
	c.commit("member", g, member, r.Generation, min(max(v, 2), 10))
	c.join("leader again", g, member, v)
	c.heartbeat("old generation", g, member, r.Generation, min(v, 4), nil)
	c.commit("old generation", g, member, r.Generation, min(max(v, 2), 10))
	c.commit("while the leader assigns", g, member, r.Generation+1, min(max(v, 2), 10))
	c.sync("without assignments", g, member, r.Generation+1, min(v, 5), false)
	c.deleteGroup("with members", g, min(v, 2))
	c.leave("", g, member, min(v, 5))
	c.leave("again", g, member, min(v, 5))
	c.heartbeat("gone", g, member, r.Generation+1, min(v, 4), nil)
	c.describe("empty", g, min(v, 6))
	c.fetch("empty", g, min(max(v, 1), 10))
	c.deleteGroup("empty", g, min(v, 2))
	c.deleteGroup("again", g, min(v, 2))
	c.fetch("deleted", g, min(max(v, 1), 10))
}

func (c *conversation) commit(about, group, member string, generation int32, v int16, change ...func(*kmsg.OffsetCommitRequest)) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = group, member, generation
	for _, name := range []string{"t", "no such topic"} {
		topic := kmsg.NewOffsetCommitRequestTopic()
		topic.Topic = name
		topic.TopicID = c.ids[name]
		for _, p := range []int32{0, 1, 9} {
			partition := kmsg.NewOffsetCommitRequestTopicPartition()
			partition.Partition, partition.Offset, partition.LeaderEpoch, partition.Metadata = p, int64(v), 0, ptr("meta")
			topic.Partitions = append(topic.Partitions, partition)
		}
		req.Topics = append(req.Topics, topic)
	}
	for _, f := range change {
		f(req)
	}
	c.ask(about, req, v)
}

func (c *conversation) fetch(about, group string, v int16) {
	for _, all := range []bool{false, true} {
		if all && v < 2 {
			continue
		}
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group = group
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = group
		for _, name := range []string{"t", "no such topic"} {
			if !all {
				req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: name, Partitions: []int32{0, 9}})
				g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: name, TopicID: c.ids[name], Partitions: []int32{0, 9}})
			}
		}
		other := kmsg.NewOffsetFetchRequestGroup()
		other.Group = "nobody"
		req.Groups = []kmsg.OffsetFetchRequestGroup{g, other}
		c.ask(fmt.Sprintf("%s, all %v", about, all), req, v)
	}
}

func (c *conversation) deleteGroup(about, group string, v int16) {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{group}
	c.ask(about, req, v)
}

func (c *conversation) refusals() {
	c.join("no group", "", "", 9)
	c.join("short session", "refused", "", 9, func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 5999 })
	c.join("long session", "refused", "", 9, func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1_800_001 })
	c.join("unknown member", "refused", "m", 9)
	c.join("unknown static member", "refused", "m", 9, func(r *kmsg.JoinGroupRequest) { r.InstanceID = ptr("i") })
	c.join("no protocols", "refused", "", 9, func(r *kmsg.JoinGroupRequest) { r.Protocols = nil })
	c.join("no protocol type", "refused", "", 9, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" })
	r := c.join("alone", "refused", "", 3)
	c.join("other type", "refused", "", 9, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	c.join("other protocol", "refused", "", 9, func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = "sticky" })
	c.join("unknown member of a group", "refused", "m", 9)
	c.sync("no group", "", "m", 1, 5, false)
	c.sync("unknown group", "nobody", "m", 1, 5, false)
	c.sync("unknown member", "refused", "m", 1, 5, false)
	c.sync("wrong generation", "refused", r.MemberID, 7, 5, false)
	c.sync("wrong protocol", "refused", r.MemberID, 1, 5, false, func(r *kmsg.SyncGroupRequest) { r.Protocol = ptr("sticky") })
	c.sync("wrong type", "refused", r.MemberID, 1, 5, false, func(r *kmsg.SyncGroupRequest) { r.ProtocolType = ptr("connect") })
	c.sync("unknown instance", "refused", r.MemberID, 1, 5, false, func(r *kmsg.SyncGroupRequest) { r.InstanceID = ptr("i") })
	c.heartbeat("no group", "", "m", 1, 4, nil)
	c.heartbeat("unknown group", "nobody", "m", 1, 4, nil)
	c.heartbeat("unknown member", "refused", "m", 1, 4, nil)
	c.heartbeat("unknown instance", "refused", r.MemberID, 1, 4, ptr("i"))
	for _, v := range []int16{2, 5} {
		c.leave("no group", "", "m", v)
		c.leave("unknown group", "nobody", "m", v)
		c.leave("unknown member", "refused", "m", v)
	}
	c.leave("several unknown", "refused", "", 5, kmsg.LeaveGroupRequestMember{MemberID: "x"}, kmsg.LeaveGroupRequestMember{InstanceID: ptr("i")},
		kmsg.LeaveGroupRequestMember{MemberID: r.MemberID, InstanceID: ptr("i")})
	c.deleteGroup("unknown", "nobody", 2)
	c.deleteGroup("without a name", "", 2)
	c.describe("without a name", "", 5)
	c.leave("the last", "refused", r.MemberID, 5)
}

func (c *conversation) staticMembers() {
	static := func(r *kmsg.JoinGroupRequest) { r.InstanceID = ptr("i") }
	g := "static"
	r := c.join("static", g, "", 5, static)
	c.sync("static", g, r.MemberID, 1, 5, true, func(r *kmsg.SyncGroupRequest) { r.InstanceID = ptr("i") })
	second := c.join("static, again, v5", g, "", 5, static)
	c.heartbeat("fenced", g, r.MemberID, 1, 4, ptr("i"))
	c.heartbeat("replaced, by its id alone", g, r.MemberID, 1, 4, nil)
	c.join("fenced", g, r.MemberID, 9, static)
	c.commit("fenced", g, r.MemberID, 1, 8, func(r *kmsg.OffsetCommitRequest) { r.InstanceID = ptr("i") })
	c.commit("its successor", g, second.MemberID, 1, 8, func(r *kmsg.OffsetCommitRequest) { r.InstanceID = ptr("i") })
	third := c.join("static, again, v9", g, "", 9, static)
	c.sync("static, again", g, third.MemberID, 1, 5, false, func(r *kmsg.SyncGroupRequest) { r.InstanceID = ptr("i") })
	c.describe("static", g, 5)
	c.leave("fenced", g, "", 5, kmsg.LeaveGroupRequestMember{MemberID: r.MemberID, InstanceID: ptr("i")})
	c.leave("by its instance", g, "", 5, kmsg.LeaveGroupRequestMember{InstanceID: ptr("i")})
	c.describe("left", g, 5)
}

func (c *conversation) offsets() {
	for v := int16(2); v <= 10; v++ {
		g := fmt.Sprintf("simple-%d", v)
		c.fetch("nothing yet", g, v)
		c.commit("simple", g, "", -1, v)
		c.fetch("simple", g, v)
		c.commit("not a member", g, "m", 3, v)
		c.commit("unknown group", "nobody", "m", 3, v)
		c.describe("simple", g, 5)
	}
	c.commit("much metadata", "simple-2", "", -1, 8, func(r *kmsg.OffsetCommitRequest) {
		r.Topics[0].Partitions[0].Metadata = ptr(strings.Repeat("x", 4097))
		r.Topics[0].Partitions[1].Metadata = nil
	})
	c.commit("an empty group id", "", "", -1, 8)
	c.fetch("an empty group id", "", 8)
	c.commit("no topics", "simple-3", "", -1, 8, func(r *kmsg.OffsetCommitRequest) { r.Topics = nil })
	forget := func(about, group string) {
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = group
		for _, name := range []string{"t", "u", "no such topic"} {
			req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{Topic: name, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}, {Partition: 9}}})
		}
		c.ask(about, req, 0)
	}
	forget("simple", "simple-2")
	forget("unknown", "nobody")
	forget("without a name", "")
	c.fetch("after deleting", "simple-2", 8)
	r := c.join("subscriber", "subscribed", "", 3)
	forget("joining", "subscribed")
	c.sync("subscriber", "subscribed", r.MemberID, 1, 5, true)
	c.commit("subscriber", "subscribed", r.MemberID, 1, 8)
	forget("subscribed", "subscribed")
	other := c.join("of another type", "other", "", 3, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	forget("of another type", "other")
	c.commit("stranger", "subscribed", "", -1, 8)
	c.leave("", "subscribed", r.MemberID, 5)
	c.leave("", "other", other.MemberID, 5)
}

func (c *conversation) listing() {
	for v := range int16(6) {
		for _, filter := range []string{"", "Empty", "stable", "nonsense"} {
			req := kmsg.NewPtrListGroupsRequest()
			if filter != "" {
				req.StatesFilter = []string{filter}
			}
			c.ask("states "+filter, req, v)
			if v < 4 {
				break
			}
		}
	}
	for _, filter := range []string{"classic", "Classic", "consumer"} {
		req := kmsg.NewPtrListGroupsRequest()
		req.TypesFilter = []string{filter}
		c.ask("types "+filter, req, 5)
	}
}
