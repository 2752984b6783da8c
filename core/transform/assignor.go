package transform

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func (tp TopicPartition) String() string { return fmt.Sprintf("%s/%d", tp.Topic, tp.Partition) }

func compareTopicPartitions(a, b TopicPartition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Partition) - int(b.Partition)
}

// protocolType is what consumers call their kind of group.
const protocolType = "consumer"

// groupMember is what a group's leader knows of a member when it assigns.
type groupMember struct {
	id         string
	instanceID string   // "" for a dynamic member
	topics     []string // sorted, each once
	owned      []TopicPartition
	generation int32 // in which owned was assigned, -1 unknown
}

// plan is an assignment: for each member, in the order they were given, its partitions.
type plan [][]TopicPartition

// assignor is one way to share partitions, under the name that consumers of all languages know it by.
type assignor struct {
	name        string
	cooperative bool // members keep what they own while the group rebalances
	assign      func(members []groupMember, partitions map[string]int32) plan
}

// assignors are what a member offers, the preferred one first. All of them can be led. The table is read-only.
var assignors = []*assignor{
	{name: "cooperative-sticky", cooperative: true, assign: assignCooperative},
	{name: "range", assign: assignRange},
	{name: "roundrobin", assign: assignRoundRobin},
	{name: "sticky", assign: assignSticky},
}

func assignorNamed(name string) *assignor {
	for _, a := range assignors {
		if a.name == name {
			return a
		}
	}
	return nil
}

// joinMetadata is what a member says of itself under the assignor's name. Both places where clients look for what a
// sticky member owned are filled: the fields of version 1 and later, and the user data of the eager assignor.
func (a *assignor) joinMetadata(topics []string, owned []TopicPartition, generation int32) []byte {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version = 3
	meta.Topics = topics
	meta.Generation = generation
	if !a.cooperative && a.name != "sticky" {
		return meta.AppendTo(nil)
	}
	sticky := kmsg.NewStickyMemberMetadata()
	sticky.Generation = generation
	for topic, partitions := range byTopic(owned) {
		sticky.CurrentAssignment = append(sticky.CurrentAssignment,
			kmsg.StickyMemberMetadataCurrentAssignment{Topic: topic, Partitions: partitions})
		if a.cooperative {
			meta.OwnedPartitions = append(meta.OwnedPartitions,
				kmsg.ConsumerMemberMetadataOwnedPartition{Topic: topic, Partitions: partitions})
		}
	}
	meta.UserData = sticky.AppendTo(nil)
	return meta.AppendTo(nil)
}

// decodeMember reads what a member said of itself in its join. What cannot be read, or makes no sense, is left out: a
// member with damaged metadata gets nothing, and the others are served.
func (a *assignor) decodeMember(m *kmsg.JoinGroupResponseMember) (groupMember, error) {
	out := groupMember{id: m.MemberID, generation: -1}
	if m.InstanceID != nil {
		out.instanceID = *m.InstanceID
	}
	meta := kmsg.NewConsumerMemberMetadata()
	if err := readMetadata(&meta, m.ProtocolMetadata); err != nil {
		return out, fmt.Errorf("metadata of member %q: %w", m.MemberID, err)
	}
	out.topics = slices.Compact(slices.Sorted(slices.Values(meta.Topics)))
	switch {
	case a.cooperative:
		for _, o := range meta.OwnedPartitions {
			out.owned = appendPartitions(out.owned, o.Topic, o.Partitions)
		}
		out.generation = ownedGeneration(&meta)
	case a.name == "sticky":
		var sticky kmsg.StickyMemberMetadata
		if len(meta.UserData) == 0 || sticky.ReadFrom(meta.UserData) != nil {
			break
		}
		for _, o := range sticky.CurrentAssignment {
			out.owned = appendPartitions(out.owned, o.Topic, o.Partitions)
		}
		out.generation = sticky.Generation
	}
	return out, nil
}

// readMetadata reads a subscription. Some clients say version 1 and leave out its field: those are read as version 0.
func readMetadata(meta *kmsg.ConsumerMemberMetadata, b []byte) error {
	err := meta.ReadFrom(b)
	if err == nil || !bytes.HasPrefix(b, []byte{0, 1}) {
		return err
	}
	old := append([]byte{0, 0}, b[2:]...)
	return meta.ReadFrom(old)
}

// ownedGeneration is the generation in which a cooperative member got what it owns: a field since version 2, before that
// four bytes of user data (Java) or the end of a sticky member's user data (others).
func ownedGeneration(meta *kmsg.ConsumerMemberMetadata) int32 {
	if meta.Version >= 2 {
		return meta.Generation
	}
	if len(meta.UserData) == 4 {
		return int32(binary.BigEndian.Uint32(meta.UserData))
	}
	var sticky kmsg.StickyMemberMetadata
	if len(meta.UserData) == 0 || sticky.ReadFrom(meta.UserData) != nil {
		return -1
	}
	return sticky.Generation
}

// lead makes the assignments of a whole group from its members' metadata, as its leader sends them. partitions tells how
// many partitions each topic has; a topic that is not in it gets none assigned. Errors tell of members that got nothing.
func (a *assignor) lead(members []kmsg.JoinGroupResponseMember, partitions func(topic string) int32) ([]kmsg.SyncGroupRequestGroupAssignment, []error) {
	var errs []error
	decoded := make([]groupMember, 0, len(members))
	seen := make(map[string]bool, len(members))
	counts := make(map[string]int32)
	for i := range members {
		if seen[members[i].MemberID] {
			continue
		}
		seen[members[i].MemberID] = true
		m, err := a.decodeMember(&members[i])
		if err != nil {
			errs = append(errs, err)
		}
		for _, t := range m.topics {
			counts[t] = partitions(t)
		}
		decoded = append(decoded, m)
	}
	slices.SortFunc(decoded, compareMembers)
	return encodePlan(decoded, a.assign(decoded, counts)), errs
}

// compareMembers orders members as the Java client does: static ones first, by instance, then the rest by id.
func compareMembers(a, b groupMember) int {
	switch {
	case a.instanceID != "" && b.instanceID != "":
		return strings.Compare(a.instanceID, b.instanceID)
	case a.instanceID != "":
		return -1
	case b.instanceID != "":
		return 1
	}
	return strings.Compare(a.id, b.id)
}

func encodePlan(members []groupMember, p plan) []kmsg.SyncGroupRequestGroupAssignment {
	out := make([]kmsg.SyncGroupRequestGroupAssignment, 0, len(members))
	for i := range members {
		assignment := kmsg.NewConsumerMemberAssignment()
		for topic, partitions := range byTopic(p[i]) {
			assignment.Topics = append(assignment.Topics,
				kmsg.ConsumerMemberAssignmentTopic{Topic: topic, Partitions: partitions})
		}
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID = members[i].id
		a.MemberAssignment = assignment.AppendTo(nil)
		out = append(out, a)
	}
	return out
}

// decodeAssignment reads what the group's leader assigned, whoever that is: sorted, each partition once, none negative.
// No bytes at all are an empty assignment.
func decodeAssignment(b []byte) ([]TopicPartition, error) {
	if len(b) == 0 {
		return nil, nil
	}
	assignment := kmsg.NewConsumerMemberAssignment()
	if err := assignment.ReadFrom(b); err != nil {
		return nil, fmt.Errorf("assignment: %w", err)
	}
	var out []TopicPartition
	for _, t := range assignment.Topics {
		out = appendPartitions(out, t.Topic, t.Partitions)
	}
	slices.SortFunc(out, compareTopicPartitions)
	return slices.Compact(out), nil
}

func appendPartitions(dst []TopicPartition, topic string, partitions []int32) []TopicPartition {
	for _, p := range partitions {
		if p >= 0 {
			dst = append(dst, TopicPartition{topic, p})
		}
	}
	return dst
}

// byTopic yields the partitions of each topic, topics and partitions in order.
func byTopic(tps []TopicPartition) func(yield func(string, []int32) bool) {
	sorted := slices.SortedFunc(slices.Values(tps), compareTopicPartitions)
	return func(yield func(string, []int32) bool) {
		for len(sorted) > 0 {
			topic := sorted[0].Topic
			var partitions []int32
			for len(sorted) > 0 && sorted[0].Topic == topic {
				partitions = append(partitions, sorted[0].Partition)
				sorted = sorted[1:]
			}
			if !yield(topic, partitions) {
				return
			}
		}
	}
}
