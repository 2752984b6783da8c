package transform

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumer is one member of a group that is balanced again and again.
type consumer struct {
	id         string
	instance   string
	topics     []string
	owned      []TopicPartition
	generation int32
}

func (c *consumer) join(a *assignor) kmsg.JoinGroupResponseMember {
	m := kmsg.NewJoinGroupResponseMember()
	m.MemberID = c.id
	if c.instance != "" {
		m.InstanceID = &c.instance
	}
	m.ProtocolMetadata = a.joinMetadata(c.topics, c.owned, c.generation)
	return m
}

// round has the assignor lead the group once and gives every consumer what it is assigned.
func round(t *testing.T, a *assignor, consumers []*consumer, partitions map[string]int32, generation int32) {
	t.Helper()
	var members []kmsg.JoinGroupResponseMember
	for _, c := range consumers {
		members = append(members, c.join(a))
	}
	assignments, errs := a.lead(members, func(topic string) int32 { return partitions[topic] })
	if len(errs) > 0 {
		t.Fatalf("%s: %v", a.name, errs)
	}
	byID := make(map[string][]byte)
	for _, s := range assignments {
		byID[s.MemberID] = s.MemberAssignment
	}
	if len(byID) != len(consumers) {
		t.Fatalf("%s: %d assignments for %d members", a.name, len(byID), len(consumers))
	}
	for _, c := range consumers {
		owned, err := decodeAssignment(byID[c.id])
		if err != nil {
			t.Fatal(err)
		}
		c.owned, c.generation = owned, generation
	}
}

// settle rebalances until a cooperative group has nothing left to hand over.
func settle(t *testing.T, a *assignor, consumers []*consumer, partitions map[string]int32, generation *int32) {
	t.Helper()
	for range 3 {
		*generation++
		round(t, a, consumers, partitions, *generation)
		if !a.cooperative {
			return
		}
	}
}

func checkWhole(t *testing.T, what string, consumers []*consumer, partitions map[string]int32) {
	t.Helper()
	owners := make(map[TopicPartition]string)
	for _, c := range consumers {
		for _, tp := range c.owned {
			if !slices.Contains(c.topics, tp.Topic) {
				t.Errorf("%s: %s got %s, to which it does not subscribe", what, c.id, tp)
			}
			if other, taken := owners[tp]; taken {
				t.Errorf("%s: %s and %s both got %s", what, other, c.id, tp)
			}
			owners[tp] = c.id
		}
	}
	for topic, n := range partitions {
		wanted := slices.ContainsFunc(consumers, func(c *consumer) bool { return slices.Contains(c.topics, topic) })
		for p := range n {
			if _, ok := owners[TopicPartition{topic, p}]; ok != wanted {
				t.Errorf("%s: %s/%d assigned: %t, subscribed: %t", what, topic, p, ok, wanted)
			}
		}
	}
}

// checkBalanced fails if a partition of a loaded member could go to one with two fewer.
func checkBalanced(t *testing.T, what string, consumers []*consumer) {
	t.Helper()
	for _, from := range consumers {
		for _, to := range consumers {
			if len(from.owned) < len(to.owned)+2 {
				continue
			}
			for _, tp := range from.owned {
				if slices.Contains(to.topics, tp.Topic) {
					t.Errorf("%s: %s has %d, and %s, which could have %s, has %d", what, from.id, len(from.owned), to.id, tp, len(to.owned))
				}
			}
		}
	}
}

func randomGroup(r *rand.Rand) ([]*consumer, map[string]int32) {
	partitions := make(map[string]int32)
	var topics []string
	for i := range 1 + r.IntN(5) {
		topic := fmt.Sprintf("t%d", i)
		topics = append(topics, topic)
		partitions[topic] = int32(r.IntN(9))
	}
	same := r.IntN(2) == 0
	var consumers []*consumer
	for i := range 1 + r.IntN(8) {
		c := &consumer{id: fmt.Sprintf("m%02d", i), topics: topics, generation: -1}
		if r.IntN(3) == 0 {
			c.instance = fmt.Sprintf("i%02d", r.IntN(100)*100+i)
		}
		if !same {
			c.topics = nil
			for _, topic := range topics {
				if r.IntN(3) > 0 {
					c.topics = append(c.topics, topic)
				}
			}
		}
		consumers = append(consumers, c)
	}
	return consumers, partitions
}

func TestEveryAssignorGivesEachPartitionToOneSubscriber(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		consumers, partitions := randomGroup(r)
		for _, a := range assignors {
			var generation int32
			for _, c := range consumers {
				c.owned, c.generation = nil, -1
			}
			settle(t, a, consumers, partitions, &generation)
			what := fmt.Sprintf("seed %d, %s", seed, a.name)
			checkWhole(t, what, consumers, partitions)
			if a.name == "sticky" || a.name == "cooperative-sticky" {
				checkBalanced(t, what, consumers)
			}
		}
	}
}

func TestStickyAssignorsStayBalancedAndMoveLittleWhenMembersComeAndGo(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		consumers, partitions := randomGroup(r)
		for i := range consumers {
			consumers[i].topics = consumers[0].topics
		}
		for _, name := range []string{"sticky", "cooperative-sticky"} {
			a := assignorNamed(name)
			group, generation := slices.Clone(consumers), int32(0)
			settle(t, a, group, partitions, &generation)
			for step := range 6 {
				before := owners(group)
				if len(group) > 1 && r.IntN(2) == 0 {
					group = slices.Delete(group, 0, 1)
				} else {
					group = append(group, &consumer{id: fmt.Sprintf("n%d-%d", generation, step), topics: consumers[0].topics, generation: -1})
				}
				settle(t, a, group, partitions, &generation)
				what := fmt.Sprintf("seed %d, %s, step %d", seed, name, step)
				checkWhole(t, what, group, partitions)
				checkBalanced(t, what, group)
				checkMoves(t, what, before, group)
			}
		}
	}
}

func owners(group []*consumer) map[TopicPartition]string {
	out := make(map[TopicPartition]string)
	for _, c := range group {
		for _, tp := range c.owned {
			out[tp] = c.id
		}
	}
	return out
}

// checkMoves fails if a partition went from a member that is still there to one that was there before: with the same
// subscriptions, only newcomers gain from those who stay.
func checkMoves(t *testing.T, what string, before map[TopicPartition]string, group []*consumer) {
	t.Helper()
	had := make(map[string]bool)
	for _, id := range before {
		had[id] = true
	}
	present := make(map[string]bool)
	for _, c := range group {
		present[c.id] = true
	}
	for tp, now := range owners(group) {
		if old := before[tp]; old != now && present[old] && had[now] {
			t.Errorf("%s: %s moved from %s to %s, both of which stayed", what, tp, old, now)
		}
	}
}

func TestCooperativeAssignorNeverGivesAPartitionThatAnotherStillHolds(t *testing.T) {
	a := assignorNamed("cooperative-sticky")
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		consumers, partitions := randomGroup(r)
		for generation := int32(1); generation < 8; generation++ {
			held := make(map[TopicPartition]string)
			for _, c := range consumers {
				for _, tp := range c.owned {
					held[tp] = c.id
				}
			}
			round(t, a, consumers, partitions, generation)
			for _, c := range consumers {
				for _, tp := range c.owned {
					if holder, ok := held[tp]; ok && holder != c.id {
						t.Fatalf("seed %d, generation %d: %s got %s while %s held it", seed, generation, c.id, tp, holder)
					}
				}
			}
			if i := r.IntN(len(consumers)); r.IntN(2) == 0 {
				consumers[i].owned, consumers[i].generation = nil, -1 // it was restarted
			}
		}
	}
}

func TestAClaimOfAnOlderGenerationIsNotOwnership(t *testing.T) {
	a := assignorNamed("cooperative-sticky")
	tp := TopicPartition{"t", 0}
	old := &consumer{id: "a", topics: []string{"t"}, owned: []TopicPartition{tp}, generation: 3}
	current := &consumer{id: "b", topics: []string{"t"}, owned: []TopicPartition{tp}, generation: 5}
	round(t, a, []*consumer{old, current}, map[string]int32{"t": 1}, 6)
	if len(old.owned) != 0 || len(current.owned) != 1 {
		t.Errorf("the stale member has %v, the owner %v", old.owned, current.owned)
	}
}

func TestRangeAndRoundRobinAssignAsKafkaDoes(t *testing.T) {
	partitions := map[string]int32{"a": 3, "b": 3}
	for _, test := range []struct {
		assignor string
		want     map[string][]TopicPartition
	}{
		{"range", map[string][]TopicPartition{
			"m1": {{"a", 0}, {"a", 1}, {"b", 0}, {"b", 1}},
			"m2": {{"a", 2}, {"b", 2}},
		}},
		{"roundrobin", map[string][]TopicPartition{
			"m1": {{"a", 0}, {"a", 2}, {"b", 1}},
			"m2": {{"a", 1}, {"b", 0}, {"b", 2}},
		}},
	} {
		consumers := []*consumer{{id: "m2", topics: []string{"a", "b"}}, {id: "m1", topics: []string{"a", "b"}}}
		round(t, assignorNamed(test.assignor), consumers, partitions, 1)
		for _, c := range consumers {
			if !slices.Equal(c.owned, test.want[c.id]) {
				t.Errorf("%s: %s has %v, want %v", test.assignor, c.id, c.owned, test.want[c.id])
			}
		}
	}
}

func TestAMemberWithDamagedMetadataGetsNothingAndTheOthersEverything(t *testing.T) {
	for _, a := range assignors {
		whole := (&consumer{id: "whole", topics: []string{"t"}, generation: -1}).join(a)
		damaged := kmsg.NewJoinGroupResponseMember()
		damaged.MemberID, damaged.ProtocolMetadata = "damaged", []byte{0, 3, 0xff}
		assignments, errs := a.lead([]kmsg.JoinGroupResponseMember{damaged, whole, whole}, func(string) int32 { return 4 })
		if len(errs) != 1 || len(assignments) != 2 {
			t.Fatalf("%s: %d errors, %d assignments", a.name, len(errs), len(assignments))
		}
		for _, s := range assignments {
			got, err := decodeAssignment(s.MemberAssignment)
			if want := map[string]int{"whole": 4}[s.MemberID]; err != nil || len(got) != want {
				t.Errorf("%s: %s has %v, %v", a.name, s.MemberID, got, err)
			}
		}
	}
}

var kgoBalancers = map[string]kgo.GroupBalancer{
	"cooperative-sticky": kgo.CooperativeStickyBalancer(), "range": kgo.RangeBalancer(),
	"roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(),
}

func TestFranzGoReadsOurMetadataAndWeReadIts(t *testing.T) {
	owned := []TopicPartition{{"a", 0}, {"a", 2}, {"b", 1}}
	topics := []string{"a", "b"}
	partitions := map[string]int32{"a": 3, "b": 3}
	for _, a := range assignors {
		theirs := kgoBalancers[a.name]
		holder := &consumer{id: "holder", topics: topics, owned: owned, generation: 4}
		other := kmsg.NewJoinGroupResponseMember()
		other.MemberID = "other"
		other.ProtocolMetadata = theirs.JoinGroupMetadata(topics, map[string][]int32{"a": {1}, "b": {0, 2}}, 4)

		read, err := a.decodeMember(&other)
		if err != nil {
			t.Fatal(err)
		}
		sticky := a.name == "sticky" || a.cooperative
		if want := []TopicPartition{{"a", 1}, {"b", 0}, {"b", 2}}; !slices.Equal(read.topics, topics) || sticky && (!slices.Equal(read.owned, want) || read.generation != 4) {
			t.Errorf("%s: read topics %v, owned %v, generation %d", a.name, read.topics, read.owned, read.generation)
		}

		members := []kmsg.JoinGroupResponseMember{holder.join(a), other}
		balancer, _, err := theirs.MemberBalancer(members)
		if err != nil {
			t.Fatalf("%s: %v", a.name, err)
		}
		plan, err := balancer.(kgo.GroupMemberBalancerOrError).BalanceOrError(partitions)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range plan.IntoSyncAssignment() {
			got, err := decodeAssignment(s.MemberAssignment)
			if err != nil || len(got) < 2 || len(got) > 4 {
				t.Errorf("%s: franz-go gave %s %v, %v", a.name, s.MemberID, got, err)
			}
			if sticky && s.MemberID == "holder" && !slices.Equal(got, owned) {
				t.Errorf("%s: franz-go did not see what the member owned: %v", a.name, got)
			}
		}
		assigned := 0
		ours, _ := a.lead(members, func(topic string) int32 { return partitions[topic] })
		for _, s := range ours {
			got, err := theirs.ParseSyncAssignment(s.MemberAssignment)
			if err != nil {
				t.Errorf("%s: franz-go cannot read our assignment: %v", a.name, err)
			}
			assigned += len(got["a"]) + len(got["b"])
		}
		if assigned != 6 {
			t.Errorf("%s: franz-go reads %d partitions in our assignments", a.name, assigned)
		}
	}
}

func TestOlderFormsOfMetadataAreRead(t *testing.T) {
	a := assignorNamed("cooperative-sticky")
	javaV1 := kmsg.ConsumerMemberMetadata{Version: 1, Topics: []string{"t"}, UserData: []byte{0, 0, 0, 9},
		OwnedPartitions: []kmsg.ConsumerMemberMetadataOwnedPartition{{Topic: "t", Partitions: []int32{2}}}}
	newer := kmsg.ConsumerMemberMetadata{Version: 4, Topics: []string{"t"}, Generation: 9,
		OwnedPartitions: javaV1.OwnedPartitions}
	cut := (&kmsg.ConsumerMemberMetadata{Version: 0, Topics: []string{"t"}}).AppendTo(nil)
	cut[1] = 1 // says version 1, lacks its field
	for _, test := range []struct {
		name       string
		metadata   []byte
		owned      int
		generation int32
	}{
		{"version 1 as Java writes it", javaV1.AppendTo(nil), 1, 9},
		{"a version that is still to come", append(newer.AppendTo(nil), 1, 2, 3), 1, 9},
		{"version 1 without its field", cut, 0, -1},
	} {
		m := kmsg.NewJoinGroupResponseMember()
		m.ProtocolMetadata = test.metadata
		got, err := a.decodeMember(&m)
		if err != nil || len(got.topics) != 1 || len(got.owned) != test.owned || got.generation != test.generation {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
	}
}

func FuzzMemberMetadata(f *testing.F) {
	for _, a := range assignors {
		f.Add(a.joinMetadata([]string{"a", "b"}, []TopicPartition{{"a", 0}, {"b", 7}}, 3))
	}
	f.Add([]byte{0, 1, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x7f, 0xff, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, metadata []byte) {
		for _, a := range assignors {
			hostile := kmsg.NewJoinGroupResponseMember()
			hostile.MemberID, hostile.ProtocolMetadata = "hostile", slices.Clone(metadata)
			good := &consumer{id: "good", topics: []string{"t"}, generation: 1}
			assignments, _ := a.lead([]kmsg.JoinGroupResponseMember{hostile, good.join(a)}, func(topic string) int32 { return 3 })
			seen := make(map[TopicPartition]bool)
			for _, s := range assignments {
				tps, err := decodeAssignment(s.MemberAssignment)
				if err != nil {
					t.Fatal(err)
				}
				for _, tp := range tps {
					if seen[tp] {
						t.Fatalf("%s assigned twice", tp)
					}
					seen[tp] = true
				}
			}
		}
	})
}

func FuzzAssignment(f *testing.F) {
	for _, s := range encodePlan([]groupMember{{id: "m"}}, plan{{{"a", 0}, {"a", 1}, {"b", 5}}}) {
		f.Add(s.MemberAssignment)
	}
	f.Add([]byte{0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		tps, err := decodeAssignment(b)
		if err != nil {
			return
		}
		for i, tp := range tps {
			if tp.Partition < 0 || i > 0 && compareTopicPartitions(tps[i-1], tp) >= 0 {
				t.Fatalf("%v is not sorted, unique and positive", tps)
			}
		}
	})
}

func BenchmarkStickyAssignmentOf1000Members(b *testing.B) {
	a := assignorNamed("sticky")
	var members []groupMember
	for i := range 1000 {
		members = append(members, groupMember{id: fmt.Sprintf("m%04d", i), topics: []string{"t"}, generation: -1})
	}
	b.ReportAllocs()
	for b.Loop() {
		a.assign(members, map[string]int32{"t": 10_000})
	}
}
