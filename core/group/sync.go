package group

import (
	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (op Sync) decide(s *Shard, t machine.Ticket) {
	req := op.Req
	g := s.groups[req.Group]
	if code := g.checkSync(req); code != None {
		s.answer(t, syncError(code))
		return
	}
	m := g.members[req.MemberID]
	switch g.state {
	case PreparingRebalance:
		s.answer(t, syncError(RebalanceInProgress))
	case CompletingRebalance:
		s.synced(g, m)
		if m.syncing != machine.NoTicket {
			s.answer(m.syncing, syncError(RebalanceInProgress))
		}
		m.syncing = t
		if g.isLeader(m.id) {
			s.assign(g, req)
		}
	default:
		s.synced(g, m)
		s.answer(t, g.assigned(m))
	}
}

func (g *Group) checkSync(req *kmsg.SyncGroupRequest) Code {
	switch {
	case req.Group == "":
		return InvalidGroupID
	case g == nil || g.is(Empty):
		return UnknownMemberID
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != None {
		return code
	}
	switch {
	case req.Generation != g.generation:
		return IllegalGeneration
	case differs(req.ProtocolType, g.protocolType) || differs(req.Protocol, g.protocol):
		return InconsistentGroupProtocol
	}
	return None
}

// differs tells that something was said, and not what is.
func differs(said *string, is string) bool { return said != nil && *said != is }

// synced notes that a member has sent its sync.
func (s *Shard) synced(g *Group, m *Member) {
	g.setOwing(m, false)
	if g.owing == 0 {
		g.syncTimer.cancel()
	}
}

// assign takes the leader's assignments. They are written, and with them the members and the generation; then the group
// is stable. Members that were left out get nothing to do.
func (s *Shard) assign(g *Group, req *kmsg.SyncGroupRequest) {
	assigned := make(map[string][]byte, len(req.GroupAssignment))
	for i := range req.GroupAssignment {
		assigned[req.GroupAssignment[i].MemberID] = req.GroupAssignment[i].MemberAssignment
	}
	if !s.putGroup(g, func(m *Member) []byte { return assigned[m.id] }) {
		for _, m := range g.order {
			s.answerSync(m, syncError(UnknownServerError))
		}
		s.prepareRebalance(g)
		return
	}
	for _, m := range g.order {
		m.assignment = cloneBytes(assigned[m.id])
	}
	g.enter(Stable, s.now)
	for _, m := range g.order {
		s.answerSync(m, g.assigned(m))
	}
}

// assigned is the answer to a sync: what the member has to do.
func (g *Group) assigned(m *Member) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	r.ProtocolType, r.Protocol, r.MemberAssignment = orNil(g.protocolType), orNil(g.protocol), m.assignment
	return r
}

func syncError(code Code) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	r.ErrorCode = int16(code)
	r.MemberAssignment = []byte{}
	return r
}
