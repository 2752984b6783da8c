package group

import (
	"slices"
	"strings"

	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// classicType is the type of the groups of this protocol, as ListGroups names it.
const classicType = "classic"

func (op Describe) decide(s *Shard, t machine.Ticket) {
	d := kmsg.NewDescribeGroupsResponseGroup()
	d.Group, d.State = op.Group, string(Dead)
	g := s.groups[op.Group]
	if g == nil {
		d.ErrorCode = int16(GroupIDNotFound)
		s.answer(t, &d)
		return
	}
	d.State, d.ProtocolType = string(g.state), g.protocolType
	stable := g.is(Stable)
	if stable {
		d.Protocol = g.protocol
	}
	for _, m := range g.order {
		member := kmsg.DescribeGroupsResponseGroupMember{
			MemberID: m.id, InstanceID: m.instance, ClientID: m.clientID, ClientHost: m.clientHost,
			ProtocolMetadata: []byte{}, MemberAssignment: []byte{},
		}
		if stable {
			member.ProtocolMetadata, member.MemberAssignment = m.metadata(g.protocol), m.assignment
		}
		d.Members = append(d.Members, member)
	}
	s.answer(t, &d)
}

func (op List) decide(s *Shard, t machine.Ticket) {
	listed := []kmsg.ListGroupsResponseGroup{}
	if admits(op.Types, classicType) {
		for _, g := range s.sorted() {
			if admits(op.States, string(g.state)) {
				listed = append(listed, kmsg.ListGroupsResponseGroup{
					Group: g.id, ProtocolType: g.protocolType, GroupState: string(g.state), GroupType: classicType,
				})
			}
		}
	}
	s.answer(t, listed)
}

// admits tells whether a filter lets v pass; an empty one does.
func admits(filter []string, v string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, v) })
}
