package group

import (
	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberIDRequired is the first version of JoinGroup whose new dynamic members join twice: first to be given an id, so
// that a client that never hears the answer leaves no member behind (KIP-394).
const memberIDRequired = 4

// skipAssignment is the first version of JoinGroup that can tell a returning leader not to assign (KIP-814).
const skipAssignment = 9

func (op Join) decide(s *Shard, t machine.Ticket) {
	req := op.Req
	if code := s.checkJoin(req); code != None {
		s.answer(t, joinError(req.MemberID, code))
		return
	}
	g := s.groups[req.Group]
	if g == nil {
		if req.MemberID != "" {
			s.answer(t, joinError(req.MemberID, UnknownMemberID))
			return
		}
		g = s.create(req.Group)
	}
	switch {
	case !s.hasRoom(g, req.MemberID):
		s.turnAway(g, req.MemberID)
		s.answer(t, joinError("", GroupMaxSizeReached))
	case !g.supports(req.ProtocolType, req.Protocols):
		s.answer(t, joinError(req.MemberID, InconsistentGroupProtocol))
	case req.MemberID == "":
		s.joinNew(g, op, t)
	default:
		s.joinKnown(g, op, t)
	}
	s.dropIfUnused(g)
}

// checkJoin judges what can be judged without the group.
func (s *Shard) checkJoin(req *kmsg.JoinGroupRequest) Code {
	switch {
	case req.Group == "" || len(req.Group) > maxNameBytes:
		return InvalidGroupID
	case req.SessionTimeoutMillis < s.cfg.MinSessionTimeoutMs || req.SessionTimeoutMillis > s.cfg.MaxSessionTimeoutMs:
		return InvalidSessionTimeout
	case req.InstanceID != nil && len(*req.InstanceID) > maxNameBytes:
		return InvalidRequest
	case len(req.ProtocolType) > maxNameBytes || !soundProtocols(req):
		return InconsistentGroupProtocol
	}
	return None
}

// soundProtocols refuses protocols without a name, named twice, or, of a consumer, with metadata that is none.
func soundProtocols(req *kmsg.JoinGroupRequest) bool {
	seen := make(map[string]bool, len(req.Protocols))
	for i := range req.Protocols {
		p := &req.Protocols[i]
		if p.Name == "" || len(p.Name) > maxNameBytes || seen[p.Name] {
			return false
		}
		seen[p.Name] = true
		if req.ProtocolType == consumerProtocol {
			if _, sound := subscribedTopics(p.Metadata, func([]byte) {}); !sound {
				return false
			}
		}
	}
	return true
}

// hasRoom tells whether the group may take the member. While it forms, those who wait are counted and not its members:
// who comes last is turned away.
func (s *Shard) hasRoom(g *Group, memberID string) bool {
	m := g.members[memberID]
	switch g.state {
	case Empty:
		return true
	case PreparingRebalance:
		return m != nil && m.joining != machine.NoTicket || g.awaiting < s.cfg.MaxSize
	default:
		return m != nil || len(g.members) < s.cfg.MaxSize
	}
}

// turnAway removes a member that found no room in the group it belonged to.
func (s *Shard) turnAway(g *Group, memberID string) {
	g.removePending(memberID)
	if m := g.members[memberID]; m != nil {
		s.expel(g, m, UnknownMemberID)
	}
	s.completeIfJoined(g)
}

// joinNew takes a member without an id.
func (s *Shard) joinNew(g *Group, op Join, t machine.Ticket) {
	req := op.Req
	if req.InstanceID != nil {
		id := *req.InstanceID + "-" + op.NewID
		if old := g.members[g.static[*req.InstanceID]]; old != nil {
			s.replaceStatic(g, old, id, op, t)
			return
		}
		s.addMember(g, id, op, t)
		return
	}
	id := clipString(op.ClientID) + "-" + op.NewID
	if req.Version < memberIDRequired {
		s.addMember(g, id, op, t)
		return
	}
	expiry := newTimer(func() {
		g.removePending(id)
		s.completeIfJoined(g)
		s.dropIfUnused(g)
	})
	g.pending[id] = &expiry
	s.timers.set(&expiry, s.now+int64(req.SessionTimeoutMillis))
	s.answer(t, joinError(id, MemberIDRequired))
}

// joinKnown takes a member that has an id.
func (s *Shard) joinKnown(g *Group, op Join, t machine.Ticket) {
	req := op.Req
	if g.pending[req.MemberID] != nil {
		if req.InstanceID != nil {
			s.answer(t, joinError(req.MemberID, InvalidRequest))
			return
		}
		g.removePending(req.MemberID)
		s.addMember(g, req.MemberID, op, t)
		return
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != None {
		s.answer(t, joinError(req.MemberID, code))
		return
	}
	m := g.members[req.MemberID]
	unchanged := m.offers(req.Protocols)
	switch {
	case g.is(CompletingRebalance) && unchanged:
		// It may have missed its answer. Its generation stands.
		s.answer(t, g.joined(m))
	case g.is(Stable) && unchanged && !g.isLeader(m.id):
		s.answer(t, g.joined(m))
	default:
		// A leader that joins again asks for a rebalance: what it assigns by may have changed.
		g.update(m, req)
		s.park(g, m, t)
		s.rebalanceOrComplete(g)
	}
}

// addMember makes a new member, whose join waits, and starts a rebalance or lets it go on.
func (s *Shard) addMember(g *Group, id string, op Join, t machine.Ticket) {
	m := &Member{
		id: id, instance: op.Req.InstanceID, clientID: clipString(op.ClientID), clientHost: op.ClientHost,
		rebalanceMs: rebalanceMs(op.Req), sessionMs: op.Req.SessionTimeoutMillis,
		protocols: cloneProtocols(op.Req.Protocols), joining: t, isNew: true,
	}
	m.session = newTimer(func() { s.sessionDue(g, m) })
	if g.is(PreparingRebalance) && g.fromEmpty {
		g.grown = true
	}
	g.add(m, op.Req.ProtocolType)
	s.timers.set(&m.session, s.now+newMemberJoinTimeoutMs)
	s.rebalanceOrComplete(g)
}

// park makes t the join of m that waits. One that waited before has been given up by its client.
func (s *Shard) park(g *Group, m *Member, t machine.Ticket) {
	if m.joining == machine.NoTicket {
		g.awaiting++
	} else {
		s.answer(m.joining, joinError(m.id, RebalanceInProgress))
	}
	m.joining = t
}

// answerJoin lets the waiting join of m go, if there is one.
func (s *Shard) answerJoin(g *Group, m *Member, r *kmsg.JoinGroupResponse) {
	if m.joining == machine.NoTicket {
		return
	}
	s.answer(m.joining, r)
	m.joining = machine.NoTicket
	g.awaiting--
}

// answerSync lets the waiting sync of m go, if there is one; its session begins anew.
func (s *Shard) answerSync(m *Member, r *kmsg.SyncGroupResponse) {
	if m.syncing == machine.NoTicket {
		return
	}
	s.answer(m.syncing, r)
	m.syncing = machine.NoTicket
	s.extend(m)
}

// expel removes a member and answers what it waits for.
func (s *Shard) expel(g *Group, m *Member, why Code) {
	s.answerJoin(g, m, joinError("", why))
	s.answerSync(m, syncError(why))
	g.remove(m)
}

// extend begins a member's session anew.
func (s *Shard) extend(m *Member) { s.timers.set(&m.session, s.now+int64(m.sessionMs)) }

// replaceStatic gives a static member that starts again a new id. Its old self is fenced. The group goes on without a
// rebalance if it is stable and would choose the same protocol.
func (s *Shard) replaceStatic(g *Group, old *Member, id string, op Join, t machine.Ticket) {
	leader := g.leader
	s.answerJoin(g, old, joinError(old.id, FencedInstanceID))
	s.answerSync(old, syncError(FencedInstanceID))
	g.rename(old, id)
	old.isNew = false // its client has been heard of
	s.extend(old)
	g.update(old, op.Req)
	s.park(g, old, t)
	switch g.state {
	case Stable:
		if g.choose() != g.protocol {
			s.rebalanceOrComplete(g)
			return
		}
		s.resume(g, old, leader, op.Req.Version)
	case CompletingRebalance:
		// The leader may have been told of the old id, and assign to it.
		s.prepareRebalance(g)
	default:
		s.completeIfJoined(g)
	}
}

// rename gives a member another id.
func (g *Group) rename(m *Member, id string) {
	delete(g.members, m.id)
	if g.leader == m.id {
		g.leader = id
	}
	m.id = id
	g.members[id] = m
	g.static[*m.instance] = id
}

// resume answers a static member that came back to a stable group: it has what it had. A leader is told so, or, where
// that cannot be said, told that another leads, so that it does not assign again.
func (s *Shard) resume(g *Group, m *Member, leaderBefore string, version int16) {
	g.learnTopics()
	s.putGroup(g, func(m *Member) []byte { return m.assignment })
	r := g.joined(m)
	if version >= skipAssignment {
		r.SkipAssignment = g.isLeader(m.id)
	} else {
		r.LeaderID, r.Members = leaderBefore, nil
	}
	s.answerJoin(g, m, r)
}

// joined is the answer to a join: the generation, and to the leader its members.
func (g *Group) joined(m *Member) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	r.MemberID, r.Generation, r.LeaderID = m.id, g.generation, g.leader
	r.ProtocolType, r.Protocol = orNil(g.protocolType), orNil(g.protocol)
	if !g.isLeader(m.id) {
		return r
	}
	r.Members = make([]kmsg.JoinGroupResponseMember, len(g.order))
	for i, o := range g.order {
		r.Members[i] = kmsg.JoinGroupResponseMember{
			MemberID: o.id, InstanceID: o.instance, ProtocolMetadata: o.metadata(g.protocol),
		}
	}
	return r
}

func joinError(memberID string, code Code) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	r.MemberID, r.ErrorCode, r.Generation = memberID, int16(code), -1
	return r
}

// rebalanceMs is how long a member may take to join again. Version 0 has no field for it.
func rebalanceMs(req *kmsg.JoinGroupRequest) int32 {
	if req.RebalanceTimeoutMillis < 0 {
		return req.SessionTimeoutMillis
	}
	return req.RebalanceTimeoutMillis
}

func clipString(s string) string { return s[:min(len(s), maxClientIDBytes)] }
