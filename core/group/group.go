package group

import (
	"slices"

	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// State is the state of a classic group. Its values are Kafka's names.
type State string

// The states of a group; Dead is that of one that does not exist.
const (
	Empty               State = "Empty"
	PreparingRebalance  State = "PreparingRebalance"
	CompletingRebalance State = "CompletingRebalance"
	Stable              State = "Stable"
	Dead                State = "Dead"
)

// Group is one consumer group. Package doc lists its invariants.
type Group struct {
	id string

	// durable: changed by Replay alone
	stored  []byte // the value of its record, nil if there is none
	offsets offsets
	writing bool // a record was asked for and not replayed yet

	// volatile
	state        State
	fromEmpty    bool  // in PreparingRebalance: the state before was Empty
	since        int64 // when the state was entered, -1 if that is not known
	generation   int32
	protocolType string // "" if it never had members
	protocol     string // "" before the first is chosen, and when the group is empty
	leader       string // "" if it has no members
	members      map[string]*Member
	order        []*Member         // the members, as they came
	static       map[string]string // instance id to member id
	pending      map[string]*timer // ids given out whose members have not come yet
	protocols    map[string]int    // how many members support each
	awaiting     int               // members whose join waits
	owing        int               // members that owe a sync
	// topics of the members' subscriptions; nil if they are not known
	subscribed map[string]bool
	grown      bool // in the initial rebalance: a member came since its timer was set
	// of the initial rebalance: how long the timer runs, and how much longer it may be set again
	initialDelayMs, initialLeftMs int64
	joinTimer, syncTimer          timer
}

func (g *Group) is(states ...State) bool { return slices.Contains(states, g.state) }

func (g *Group) enter(state State, now int64) {
	g.fromEmpty = state == PreparingRebalance && g.state == Empty
	g.state, g.since = state, now
}

func (g *Group) isLeader(memberID string) bool { return g.leader == memberID && memberID != "" }

// supports tells whether a member with these protocols could be one of the group.
func (g *Group) supports(protocolType string, ps []kmsg.JoinGroupRequestProtocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(ps) > 0
	}
	return protocolType == g.protocolType && slices.ContainsFunc(ps, func(p kmsg.JoinGroupRequestProtocol) bool {
		return g.supportedByAll(p.Name)
	})
}

func (g *Group) supportedByAll(protocol string) bool { return g.protocols[protocol] == len(g.members) }

func (g *Group) count(m *Member, by int) {
	for i := range m.protocols {
		name := m.protocols[i].Name
		if g.protocols[name] += by; g.protocols[name] == 0 {
			delete(g.protocols, name)
		}
	}
}

// add makes m a member.
func (g *Group) add(m *Member, protocolType string) {
	if len(g.members) == 0 {
		g.protocolType = protocolType
	}
	if g.leader == "" {
		g.leader = m.id
	}
	if m.instance != nil {
		g.static[*m.instance] = m.id
	}
	if m.joining != machine.NoTicket {
		g.awaiting++
	}
	g.members[m.id] = m
	g.order = append(g.order, m)
	g.count(m, 1)
}

// remove takes m out, whose requests must have been answered. If it led, the member that came first does now.
func (g *Group) remove(m *Member) {
	m.session.cancel()
	g.setOwing(m, false)
	g.count(m, -1)
	delete(g.members, m.id)
	g.order = slices.DeleteFunc(g.order, func(o *Member) bool { return o == m })
	if m.instance != nil {
		delete(g.static, *m.instance)
	}
	if g.leader == m.id {
		g.leader = ""
		if len(g.order) > 0 {
			g.leader = g.order[0].id
		}
	}
}

func (g *Group) removePending(id string) {
	if t := g.pending[id]; t != nil {
		t.cancel()
		delete(g.pending, id)
	}
}

func (g *Group) setOwing(m *Member, owes bool) {
	if m.owesSync == owes {
		return
	}
	m.owesSync = owes
	if owes {
		g.owing++
	} else {
		g.owing--
	}
}

func (g *Group) clearOwing() {
	for _, m := range g.order {
		m.owesSync = false
	}
	g.owing = 0
}

// update takes over what a member says with a new join.
func (g *Group) update(m *Member, req *kmsg.JoinGroupRequest) {
	g.count(m, -1)
	m.protocols = cloneProtocols(req.Protocols)
	g.count(m, 1)
	m.rebalanceMs, m.sessionMs = rebalanceMs(req), req.SessionTimeoutMillis
}

func (g *Group) allJoined() bool { return g.awaiting == len(g.members) && len(g.pending) == 0 }

// rebalanceMs is how long a rebalance may take: what the most patient member allows.
func (g *Group) rebalanceMs() int64 {
	var ms int32
	for _, m := range g.order {
		ms = max(ms, m.rebalanceMs)
	}
	return int64(ms)
}

// choose is the protocol that most members prefer among those that all support; the first by name if votes are equal.
func (g *Group) choose() string {
	votes := make(map[string]int)
	for _, m := range g.order {
		votes[m.vote(g.supportedByAll)]++
	}
	best := ""
	for name, n := range votes {
		if n > votes[best] || n == votes[best] && name < best {
			best = name
		}
	}
	return best
}

// electJoined makes sure that the leader is one that has joined. False: nobody has.
func (g *Group) electJoined() bool {
	if m := g.members[g.leader]; m != nil && m.joining != machine.NoTicket {
		return true
	}
	for _, m := range g.order {
		if m.joining != machine.NoTicket {
			g.leader = m.id
			return true
		}
	}
	return false
}

// learnTopics finds out what the group is subscribed to. It stays unknown for groups that are not consumers', and if a
// member's metadata does not tell.
func (g *Group) learnTopics() {
	g.subscribed = nil
	if g.protocolType != consumerProtocol {
		return
	}
	topics := make(map[string]bool)
	for _, m := range g.order {
		known, sound := subscribedTopics(m.metadata(g.protocol), func(topic []byte) {
			if !topics[string(topic)] {
				topics[string(topic)] = true
			}
		})
		if !known || !sound {
			return
		}
	}
	g.subscribed = topics
}

// subscribes tells whether members read the topic; if that is not known, consumers are taken to.
func (g *Group) subscribes(topic string) bool {
	if g.subscribed == nil {
		return g.protocolType == consumerProtocol
	}
	return g.subscribed[topic]
}

// validate tells whether a member is who it says: known, and not replaced by another of the same instance.
func (g *Group) validate(memberID string, instance *string) Code {
	if instance != nil {
		switch current, ok := g.static[*instance]; {
		case !ok:
			return UnknownMemberID
		case current != memberID:
			return FencedInstanceID
		}
	}
	if g.members[memberID] == nil {
		return UnknownMemberID
	}
	return None
}

// value encodes the group's record. assignment tells what each member has been assigned.
func (g *Group) value(dst []byte, assignment func(m *Member) []byte) []byte {
	v := kmsg.GroupMetadataValue{
		Version: groupValueVersion, ProtocolType: g.protocolType, Generation: g.generation,
		Protocol: orNil(g.protocol), Leader: orNil(g.leader), CurrentStateTimestamp: g.since,
		Members: make([]kmsg.GroupMetadataValueMember, len(g.order)),
	}
	for i, m := range g.order {
		v.Members[i] = kmsg.GroupMetadataValueMember{
			MemberID: m.id, InstanceID: m.instance, ClientID: m.clientID, ClientHost: m.clientHost,
			RebalanceTimeoutMillis: m.rebalanceMs, SessionTimeoutMillis: m.sessionMs,
			Subscription: m.metadata(g.protocol), Assignment: assignment(m),
		}
	}
	return v.AppendTo(dst)
}

// orNil is nil for the empty string.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// activate makes a live group of its record.
func (s *Shard) activate(g *Group, v groupValue) {
	g.protocolType, g.generation, g.since = v.protocolType, v.generation, v.sinceMs
	if v.protocol != nil {
		g.protocol = *v.protocol
	}
	for i := range v.members {
		mv := &v.members[i]
		if g.members[mv.id] != nil {
			continue
		}
		m := &Member{
			id: mv.id, instance: mv.instance, clientID: mv.clientID, clientHost: mv.clientHost,
			rebalanceMs: mv.rebalanceMs, sessionMs: mv.sessionMs, assignment: cloneBytes(mv.assignment),
			protocols: []Protocol{{g.protocol, cloneBytes(mv.subscription)}},
		}
		m.session = newTimer(func() { s.sessionDue(g, m) })
		g.add(m, v.protocolType)
		s.extend(m)
	}
	if len(g.members) > 0 {
		g.state = Stable
	}
	if v.leader != nil && g.members[*v.leader] != nil {
		g.leader = *v.leader
	}
	g.learnTopics()
}
