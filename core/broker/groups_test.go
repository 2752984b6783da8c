package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// startGroupBroker starts a broker on dir, or on a folder of its own.
func startGroupBroker(t testing.TB, dir string, settings ...string) *Broker {
	t.Helper()
	set := map[string]string{"group.initial.rebalance.delay.ms": "0", "num.partitions": "4", "group.min.session.timeout.ms": "100"}
	for _, s := range settings {
		k, v, _ := strings.Cut(s, "=")
		set[k] = v
	}
	if dir == "" {
		dir = t.TempDir()
	}
	b, err := Start(t.Context(), Config{DataDir: dir, Settings: set})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopBroker(t, b) })
	return b
}

func stopBroker(t testing.TB, b *Broker) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func newClient(t testing.TB, b *Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.KafkaAddr()), kgo.AllowAutoTopicCreation()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produceN produces values from to from+n-1.
func produceN(t testing.TB, cl *kgo.Client, topic string, from, n int) {
	t.Helper()
	for i := range n {
		cl.Produce(t.Context(), &kgo.Record{Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Append(nil, from+i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// seen collects what several consumers read.
type seen struct {
	mu     sync.Mutex
	values map[string]int
}

func newSeen() *seen { return &seen{values: map[string]int{}} }

func (s *seen) add(rs []*kgo.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rs {
		s.values[string(r.Value)]++
	}
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.values)
}

func (s *seen) wait(t testing.TB, n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); s.count() < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("read %d values of %d", s.count(), n)
		}
	}
}

// consume polls until the client is closed, committing what it has read.
func consume(t testing.TB, cl *kgo.Client, s *seen) {
	for {
		f := cl.PollFetches(t.Context())
		if f.IsClientClosed() || t.Context().Err() != nil {
			return
		}
		f.EachError(func(topic string, p int32, err error) { t.Errorf("%s-%d: %v", topic, p, err) })
		s.add(f.Records())
		cl.AllowRebalance()
	}
}

func TestGroupsRebalanceWhileTheyRead(t *testing.T) {
	for name, balancer := range map[string]kgo.GroupBalancer{
		"cooperative-sticky": kgo.CooperativeStickyBalancer(), "range": kgo.RangeBalancer(), "sticky": kgo.StickyBalancer(),
	} {
		t.Run(name, func(t *testing.T) {
			b := startGroupBroker(t, "")
			producer := newClient(t, b)
			produceN(t, producer, "t", 0, 1000)
			all := newSeen()
			var wg sync.WaitGroup
			t.Cleanup(wg.Wait) // after the clients have been closed
			member := func() *kgo.Client {
				cl := newClient(t, b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.Balancers(balancer), kgo.BlockRebalanceOnPoll(),
					kgo.AutoCommitMarks(), kgo.HeartbeatInterval(50*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
				wg.Go(func() { consume(t, cl, all) })
				return cl
			}
			first := member()
			all.wait(t, 1000)
			second, third := member(), member()
			produceN(t, producer, "t", 1000, 1000)
			all.wait(t, 2000)
			first.CloseAllowingRebalance()
			produceN(t, producer, "t", 2000, 1000)
			all.wait(t, 3000)
			second.CloseAllowingRebalance()
			third.CloseAllowingRebalance()
			d, err := kadm.NewClient(producer).DescribeGroups(t.Context(), "g")
			if err != nil || d["g"].State != "Empty" {
				t.Errorf("at the end: %+v, %v", d["g"], err)
			}
		})
	}
}

func TestStaticMemberComesBackWithoutARebalance(t *testing.T) {
	b := startGroupBroker(t, "")
	producer := newClient(t, b)
	produceN(t, producer, "t", 0, 100)
	all := newSeen()
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait) // after the clients have been closed
	member := func(instance string) *kgo.Client {
		cl := newClient(t, b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.InstanceID(instance), kgo.HeartbeatInterval(50*time.Millisecond),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		wg.Go(func() { consume(t, cl, all) })
		return cl
	}
	member("a")
	second := member("b")
	all.wait(t, 100)
	adm := kadm.NewClient(producer)
	before := waitStable(t, adm, 2)
	if err := second.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	second.Close() // a static member does not leave
	member("b")
	produceN(t, producer, "t", 100, 100)
	all.wait(t, 200)
	after := waitStable(t, adm, 2)
	for instance, id := range before {
		if instance == "a" && after[instance] != id {
			t.Errorf("the member that stayed was %s, is %s", id, after[instance])
		}
		if instance == "b" && after[instance] == id {
			t.Errorf("the member that came back has its old id %s", id)
		}
	}
	// An administrator may remove one by its instance alone.
	left, err := adm.LeaveGroup(t.Context(), kadm.LeaveGroup("g").InstanceIDs("b").Reason("gone"))
	if err != nil || !left.Ok() {
		t.Errorf("leave: %v, %v", left.Error(), err)
	}
}

// waitStable waits until the group g is stable with n members and returns their ids by instance.
func waitStable(t testing.TB, adm *kadm.Client, n int) map[string]string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		d, err := adm.DescribeGroups(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		g := d["g"]
		if g.State == "Stable" && len(g.Members) == n {
			ids := map[string]string{}
			for _, m := range g.Members {
				instance := m.MemberID
				if m.InstanceID != nil {
					instance = *m.InstanceID
				}
				ids[instance] = m.MemberID
			}
			return ids
		}
		if time.Now().After(end) {
			t.Fatalf("group: %s with %d members", g.State, len(g.Members))
		}
	}
}

func TestGroupsAndOffsetsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	b := startGroupBroker(t, dir)
	cl := newClient(t, b)
	produceN(t, cl, "t", 0, 50)
	join := joinRaw(t, cl, "g", "")
	commitRaw(t, cl, "g", join.MemberID, join.Generation, 7)
	simple := kadm.Offsets{}
	for p := range int32(4) {
		simple.Add(kadm.Offset{Topic: "t", Partition: p, At: int64(p) + 1, LeaderEpoch: -1, Metadata: "kept"})
	}
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "simple", simple); err != nil {
		t.Fatal(err)
	}
	cl.Close()
	stopBroker(t, b)

	b = startGroupBroker(t, dir)
	cl = newClient(t, b)
	adm := kadm.NewClient(cl)
	for group, want := range map[string]int64{"g": 7, "simple": 3} {
		os, err := adm.FetchOffsets(t.Context(), group)
		if o, _ := os.Lookup("t", 2); err != nil || o.At != want {
			t.Errorf("%s: %+v, %v", group, o, err)
		}
	}
	// The member goes on in its generation.
	h := kmsg.NewPtrHeartbeatRequest()
	h.Group, h.MemberID, h.Generation = "g", join.MemberID, join.Generation
	if r, err := h.RequestWith(t.Context(), cl); err != nil || r.ErrorCode != 0 {
		t.Errorf("heartbeat: %+v, %v", r, err)
	}
	commitRaw(t, cl, "g", join.MemberID, join.Generation, 8)
	groups, err := adm.ListGroups(t.Context())
	if names := slices.Sorted(maps.Keys(groups)); err != nil || !slices.Equal(names, []string{"g", "simple"}) {
		t.Errorf("groups %v, %v", names, err)
	}
}

// joinRaw makes a group of one member by hand, with a session of an hour's half.
func joinRaw(t testing.TB, cl *kgo.Client, group, instance string) *kmsg.JoinGroupResponse {
	t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = group, 1_800_000, 60_000, "consumer"
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = []string{"t"}
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: m.AppendTo(nil)}}
	if instance != "" {
		req.InstanceID = &instance
	}
	var r *kmsg.JoinGroupResponse
	for range 2 {
		var err error
		if r, err = req.RequestWith(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
		req.MemberID = r.MemberID
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation, sync.InstanceID = group, r.MemberID, r.Generation, req.InstanceID
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: r.MemberID, MemberAssignment: []byte{0, 0}}}
	if s, err := sync.RequestWith(t.Context(), cl); err != nil || r.ErrorCode != 0 || s.ErrorCode != 0 {
		t.Fatalf("join %+v, sync %+v, %v", r, s, err)
	}
	return r
}

// commitRaw commits one offset for each of t's four partitions.
func commitRaw(t testing.TB, cl *kgo.Client, group, member string, generation int32, offset int64) {
	t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = group, member, generation
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = "t"
	if d, err := kadm.NewClient(cl).ListTopics(t.Context(), "t"); err == nil {
		topic.TopicID = d["t"].ID
	}
	for p := range int32(4) {
		partition := kmsg.NewOffsetCommitRequestTopicPartition()
		partition.Partition, partition.Offset = p, offset
		topic.Partitions = append(topic.Partitions, partition)
	}
	req.Topics = append(req.Topics, topic)
	r, err := req.RequestWith(t.Context(), cl)
	if err != nil || r.Topics[0].Partitions[3].ErrorCode != 0 {
		t.Fatalf("commit: %+v, %v", r, err)
	}
}

func TestOffsetsGoWithTheirTopic(t *testing.T) {
	dir := t.TempDir()
	b := startGroupBroker(t, dir)
	cl := newClient(t, b)
	adm := kadm.NewClient(cl)
	ctx := t.Context()
	for _, topic := range []string{"kept", "gone"} {
		if _, err := adm.CreateTopic(ctx, 1, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	os := kadm.Offsets{}
	os.Add(kadm.Offset{Topic: "kept", At: 5, LeaderEpoch: -1})
	os.Add(kadm.Offset{Topic: "gone", At: 6, LeaderEpoch: -1})
	if err := adm.CommitAllOffsets(ctx, "g", os); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.DeleteTopic(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	waitOffsets(t, adm, 1)
	// A topic of the same name is another one, also if nobody held the group when it came.
	cl.Close()
	stopBroker(t, b)
	b = startGroupBroker(t, dir)
	cl = newClient(t, b)
	adm = kadm.NewClient(cl)
	if _, err := adm.DeleteTopic(ctx, "kept"); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, "kept"); err != nil {
		t.Fatal(err)
	}
	waitOffsets(t, adm, 0)
}

// waitOffsets waits until the group g has n offsets.
func waitOffsets(t testing.TB, adm *kadm.Client, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		os, err := adm.FetchOffsets(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		if len(os.Offsets().Sorted()) == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("offsets: %v", os)
		}
	}
}

func TestGroupTopicIsMadeOnFirstNeed(t *testing.T) {
	b := startGroupBroker(t, "", "offsets.topic.num.partitions=7", "offsets.topic.segment.bytes=1048576")
	cl := newClient(t, b)
	adm := kadm.NewClient(cl)
	topics, err := adm.ListTopicsWithInternal(t.Context())
	if err != nil || len(topics) != 0 {
		t.Fatalf("topics before: %v, %v", topics.Names(), err)
	}
	if groups, err := adm.ListGroups(t.Context()); err != nil || len(groups) != 0 {
		t.Fatalf("groups before: %v, %v", groups, err)
	}
	joinRaw(t, cl, "g", "")
	adm = kadm.NewClient(newClient(t, b)) // which remembers no metadata
	topics, err = adm.ListTopicsWithInternal(t.Context())
	if d := topics["__consumer_offsets"]; err != nil || len(d.Partitions) != 7 || !d.IsInternal {
		t.Errorf("topic: %+v, %v", d, err)
	}
	configs, err := adm.DescribeTopicConfigs(t.Context(), "__consumer_offsets")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if want, ok := map[string]string{"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "1048576"}[c.Key]; ok && *c.Value != want {
			t.Errorf("%s is %s", c.Key, *c.Value)
		}
	}
}

func TestOtherCoordinatorsAreRefusedAtOnce(t *testing.T) {
	b := startGroupBroker(t, "")
	cl := newClient(t, b, kgo.RequestRetries(0))
	for kind := int8(1); kind <= 3; kind++ {
		for _, v := range []int16{1, 3, 4, 6} {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.Version, req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = v, kind, "x", []string{"x"}
			resp, err := cl.Broker(1).Request(t.Context(), fixedVersion{req})
			if err != nil {
				t.Fatal(err)
			}
			r := resp.(*kmsg.FindCoordinatorResponse)
			code := r.ErrorCode
			if v >= 4 {
				code = r.Coordinators[0].ErrorCode
			}
			want := int16(42)
			if kind == 1 {
				want = 53 // librdkafka asks again after any other
			}
			if code != want {
				t.Errorf("type %d, v%d: error %d, want %d", kind, v, code, want)
			}
		}
	}
}

// TestRefusedJoinsAreAnswered: a Kafka 4.3.1 never answers these.
func TestRefusedJoinsAreAnswered(t *testing.T) {
	b := startGroupBroker(t, "")
	cl := newClient(t, b)
	for name, change := range map[string]func(*kmsg.JoinGroupRequest){
		"garbage metadata":       func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Metadata = []byte("garbage metadata") },
		"a protocol named twice": func(r *kmsg.JoinGroupRequest) { r.Protocols = append(r.Protocols, r.Protocols[0]) },
		"a nameless protocol":    func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = "" },
		"a long protocol name":   func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = strings.Repeat("x", 20_000) },
	} {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = "g", 10_000, 10_000, "consumer"
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: make([]byte, 10)}}
		change(req)
		if r, err := req.RequestWith(t.Context(), cl); err != nil || r.ErrorCode != 23 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.SessionTimeoutMillis, req.ProtocolType = strings.Repeat("g", 20_000), 10_000, "consumer"
	if r, err := req.RequestWith(t.Context(), cl); err != nil || r.ErrorCode != 24 {
		t.Errorf("a long group id: %+v, %v", r, err)
	}
}
