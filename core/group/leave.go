package group

import (
	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaveBatch is the first version of LeaveGroup that names several members.
const leaveBatch = 3

func (op Leave) decide(s *Shard, t machine.Ticket) {
	req := op.Req
	r := kmsg.NewPtrLeaveGroupResponse()
	if req.Group == "" {
		r.ErrorCode = int16(InvalidGroupID)
		s.answer(t, r)
		return
	}
	leaving := req.Members
	if req.Version < leaveBatch {
		leaving = []kmsg.LeaveGroupRequestMember{{MemberID: req.MemberID}}
	}
	g := s.groups[req.Group]
	left := false
	for i := range leaving {
		code, was := s.leave(g, &leaving[i])
		left = left || was
		r.Members = append(r.Members, kmsg.LeaveGroupResponseMember{
			MemberID: leaving[i].MemberID, InstanceID: leaving[i].InstanceID, ErrorCode: int16(code),
		})
	}
	if left {
		s.afterRemoval(g)
	}
	if req.Version < leaveBatch {
		r.ErrorCode, r.Members = r.Members[0].ErrorCode, nil
	}
	s.answer(t, r)
}

// leave removes one member, and tells whether it was one: an id given out that has not joined yet may be given back. An
// administrator may name a static member by its instance alone.
func (s *Shard) leave(g *Group, who *kmsg.LeaveGroupRequestMember) (code Code, wasMember bool) {
	if g == nil {
		return UnknownMemberID, false
	}
	id := who.MemberID
	if id == "" {
		if who.InstanceID == nil || g.static[*who.InstanceID] == "" {
			return UnknownMemberID, false
		}
		id = g.static[*who.InstanceID]
	} else if g.pending[id] != nil {
		g.removePending(id)
		s.completeIfJoined(g)
		s.dropIfUnused(g)
		return None, false
	}
	if code := g.validate(id, who.InstanceID); code != None {
		return code, false
	}
	s.expel(g, g.members[id], UnknownMemberID)
	return None, true
}
