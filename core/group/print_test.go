package group

import (
	"fmt"
	"strings"

	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var codeNames = map[Code]string{
	None: "ok", UnknownServerError: "UNKNOWN_SERVER_ERROR", UnknownTopicOrPartition: "UNKNOWN_TOPIC_OR_PARTITION",
	OffsetMetadataTooLarge: "OFFSET_METADATA_TOO_LARGE", IllegalGeneration: "ILLEGAL_GENERATION",
	InconsistentGroupProtocol: "INCONSISTENT_GROUP_PROTOCOL", InvalidGroupID: "INVALID_GROUP_ID",
	UnknownMemberID: "UNKNOWN_MEMBER_ID", InvalidSessionTimeout: "INVALID_SESSION_TIMEOUT",
	RebalanceInProgress: "REBALANCE_IN_PROGRESS", InvalidRequest: "INVALID_REQUEST", NonEmptyGroup: "NON_EMPTY_GROUP",
	GroupIDNotFound: "GROUP_ID_NOT_FOUND", MemberIDRequired: "MEMBER_ID_REQUIRED", GroupMaxSizeReached: "GROUP_MAX_SIZE_REACHED",
	FencedInstanceID: "FENCED_INSTANCE_ID", GroupSubscribedToTopic: "GROUP_SUBSCRIBED_TO_TOPIC",
}

func codeName(code int16) string { return codeNames[Code(code)] }

// print renders effects: records first, as they come before the answers in time.
func (d *driver) print(fx *Effects) []string {
	var out []string
	for _, r := range fx.Records {
		out = append(out, "record "+printRecord(r))
	}
	for _, a := range fx.Answers {
		label, ok := d.waiting[a.To]
		if !ok {
			d.t.Errorf("an answer to ticket %d, which does not wait", a.To)
		}
		delete(d.waiting, a.To)
		out = append(out, label+": "+printReply(a.Reply))
	}
	return out
}

func printRecord(r machine.Record) string {
	k, err := decodeKey(r.Key)
	if err != nil {
		return err.Error()
	}
	if k.isOffset() {
		s := fmt.Sprintf("offset %s %s-%d", k.group, k.topic, k.partition)
		if r.Value == nil {
			return s + " tombstone"
		}
		o, err := decodeOffset(r.Value)
		if err != nil {
			return err.Error()
		}
		s += fmt.Sprintf(" %d epoch=%d at=%d", o.Offset, o.LeaderEpoch, o.CommitMs)
		if o.ExpireMs >= 0 {
			s += fmt.Sprintf(" expires=%d", o.ExpireMs)
		}
		return s
	}
	if r.Value == nil {
		return fmt.Sprintf("group %s tombstone", k.group)
	}
	v, err := decodeGroup(r.Value)
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprintf("group %s gen=%d %s/%s leader=%s since=%d", k.group, v.generation, v.protocolType, orDash(v.protocol), orDash(v.leader), v.sinceMs)
	for _, m := range v.members {
		s += fmt.Sprintf(" %s=%s", m.id, m.assignment)
		if m.instance != nil {
			s += "(" + *m.instance + ")"
		}
	}
	return s
}

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func printReply(reply Reply) string {
	switch r := reply.(type) {
	case Code:
		return codeName(int16(r))
	case *kmsg.JoinGroupResponse:
		if r.ErrorCode != 0 {
			return fmt.Sprintf("%s member=%s", codeName(r.ErrorCode), r.MemberID)
		}
		s := fmt.Sprintf("joined member=%s gen=%d %s/%s leader=%s", r.MemberID, r.Generation, orDash(r.ProtocolType), orDash(r.Protocol), r.LeaderID)
		if r.SkipAssignment {
			s += " skip"
		}
		for i, m := range r.Members {
			if i == 0 {
				s += " members:"
			}
			s += " " + m.MemberID
			if m.InstanceID != nil {
				s += "(" + *m.InstanceID + ")"
			}
		}
		return s
	case *kmsg.SyncGroupResponse:
		if r.ErrorCode != 0 {
			return codeName(r.ErrorCode)
		}
		return fmt.Sprintf("synced %s/%s %q", orDash(r.ProtocolType), orDash(r.Protocol), r.MemberAssignment)
	case *kmsg.HeartbeatResponse:
		return codeName(r.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		s := codeName(r.ErrorCode)
		for _, m := range r.Members {
			s += fmt.Sprintf(" %s(%s)=%s", m.MemberID, orDash(m.InstanceID), codeName(m.ErrorCode))
		}
		return s
	case CommitReply:
		var s []string
		for _, c := range r {
			s = append(s, codeName(int16(c)))
		}
		return strings.Join(s, " ")
	case []FetchedTopic:
		var s []string
		for _, t := range r {
			for _, p := range t.Partitions {
				s = append(s, fmt.Sprintf("%s-%d=%d", t.Topic, p.Partition, p.Offset))
			}
		}
		return "fetched " + strings.Join(s, " ")
	case *kmsg.OffsetDeleteResponse:
		s := codeName(r.ErrorCode)
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				s += fmt.Sprintf(" %s-%d=%s", t.Topic, p.Partition, codeName(p.ErrorCode))
			}
		}
		return s
	}
	return fmt.Sprintf("%v", reply)
}

func (d *driver) describe(group string) []string {
	a := d.do("state", Describe{group})
	g := a[0].Reply.(*kmsg.DescribeGroupsResponseGroup)
	if g.ErrorCode != 0 {
		return []string{codeName(g.ErrorCode) + " " + g.State}
	}
	out := []string{fmt.Sprintf("%s type=%q protocol=%q", g.State, g.ProtocolType, g.Protocol)}
	for _, m := range g.Members {
		out = append(out, fmt.Sprintf("%s(%s) client=%s host=%s assigned=%q", m.MemberID, orDash(m.InstanceID), m.ClientID, m.ClientHost, m.MemberAssignment))
	}
	return out
}

func (d *driver) list(a args) []string {
	r := d.do("list", List{States: list(a["states"]), Types: list(a["types"])})
	var out []string
	for _, g := range r[0].Reply.([]kmsg.ListGroupsResponseGroup) {
		out = append(out, fmt.Sprintf("%s type=%q %s %s", g.Group, g.ProtocolType, g.GroupState, g.GroupType))
	}
	return out
}

// checkInvariants verifies what package doc numbers.
func (d *driver) checkInvariants(at string) {
	d.t.Helper()
	for id, g := range d.s.groups {
		if g.id != id {
			d.t.Errorf("%s: group %q is filed under %q", at, g.id, id)
		}
		for _, wrong := range g.wrongs(d.generation[id]) {
			d.t.Errorf("%s: group %s: %s", at, id, wrong)
		}
		d.generation[id] = g.generation
	}
	for id := range d.generation {
		if d.s.groups[id] == nil {
			delete(d.generation, id) // a group that comes again begins anew
		}
	}
	for t, label := range d.waiting {
		if !d.knows(t) {
			d.t.Errorf("%s: request %s waits, and no member knows of it", at, label)
			delete(d.waiting, t)
		}
	}
}

// knows tells whether some member still has the ticket.
func (d *driver) knows(t machine.Ticket) bool {
	for _, g := range d.s.groups {
		for _, m := range g.order {
			if m.joining == t || m.syncing == t {
				return true
			}
		}
	}
	return false
}

func (g *Group) wrongs(generationBefore int32) (wrongs []string) {
	wrong := func(format string, args ...any) { wrongs = append(wrongs, fmt.Sprintf(format, args...)) }
	if g.generation < generationBefore {
		wrong("generation fell from %d to %d", generationBefore, g.generation)
	}
	if len(g.order) != len(g.members) {
		wrong("%d members in order, %d in the map", len(g.order), len(g.members))
	}
	if (len(g.members) == 0) != (g.leader == "") || g.leader != "" && g.members[g.leader] == nil {
		wrong("leader %q of %d members", g.leader, len(g.members))
	}
	if g.state == Empty && len(g.members) > 0 || len(g.members) == 0 && g.is(CompletingRebalance, Stable) {
		wrong("%s with %d members", g.state, len(g.members))
	}
	awaiting, owing, static := 0, 0, 0
	protocols := map[string]int{}
	for _, m := range g.order {
		if m.joining != 0 {
			awaiting++
			if g.state != PreparingRebalance {
				wrong("%s: %s waits in a join", g.state, m.id)
			}
		}
		if m.syncing != 0 && g.state != CompletingRebalance {
			wrong("%s: %s waits in a sync", g.state, m.id)
		}
		if m.owesSync {
			owing++
		}
		if m.instance != nil {
			static++
			if g.static[*m.instance] != m.id {
				wrong("instance %s is %q, not %s", *m.instance, g.static[*m.instance], m.id)
			}
		}
		for _, p := range m.protocols {
			protocols[p.Name]++
		}
		if g.is(CompletingRebalance, Stable) && m.metadata(g.protocol) == nil {
			wrong("%s does not support %s", m.id, g.protocol)
		}
	}
	if awaiting != g.awaiting || owing != g.owing || static != len(g.static) {
		wrong("counts: awaiting %d (%d), owing %d (%d), static %d (%d)", g.awaiting, awaiting, g.owing, owing, len(g.static), static)
	}
	if fmt.Sprint(protocols) != fmt.Sprint(g.protocols) {
		wrong("protocols %v, counted %v", g.protocols, protocols)
	}
	return wrongs
}
