package group

import (
	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (op Heartbeat) decide(s *Shard, t machine.Ticket) {
	r := kmsg.NewPtrHeartbeatResponse()
	r.ErrorCode = int16(s.heartbeat(op.Req))
	s.answer(t, r)
}

func (s *Shard) heartbeat(req *kmsg.HeartbeatRequest) Code {
	g := s.groups[req.Group]
	switch {
	case req.Group == "":
		return InvalidGroupID
	case g == nil:
		return UnknownMemberID
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != None {
		return code
	}
	if req.Generation != g.generation {
		return IllegalGeneration
	}
	s.extend(g.members[req.MemberID])
	if g.is(PreparingRebalance) {
		return RebalanceInProgress
	}
	return None
}
