package group

import (
	"bytes"
	"slices"

	"github.com/millrun/millrun/core/machine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Protocol is one way to assign that a member offers: a name that all must share, and what it tells the leader.
type Protocol struct {
	Name     string
	Metadata []byte // never written to
}

// Member is one member of a group.
type Member struct {
	id                     string
	instance               *string // nil: a dynamic member
	clientID, clientHost   string
	rebalanceMs, sessionMs int32
	protocols              []Protocol // in the member's order of preference
	assignment             []byte     // never written to
	// joining and syncing are its requests that wait; NoTicket if none does.
	joining, syncing machine.Ticket
	isNew            bool // it has never had an answer to a join
	owesSync         bool // it has had its join's answer of this generation, and not synced
	session          timer
}

// metadata is what the member says under a protocol.
func (m *Member) metadata(protocol string) []byte {
	for i := range m.protocols {
		if m.protocols[i].Name == protocol {
			return m.protocols[i].Metadata
		}
	}
	return nil
}

// vote is the first protocol of the member's that every member supports.
func (m *Member) vote(all func(protocol string) bool) string {
	for i := range m.protocols {
		if all(m.protocols[i].Name) {
			return m.protocols[i].Name
		}
	}
	return ""
}

func (m *Member) offers(ps []kmsg.JoinGroupRequestProtocol) bool {
	return slices.EqualFunc(m.protocols, ps, func(a Protocol, b kmsg.JoinGroupRequestProtocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// alive tells that a member needs no heartbeat: it waits for the others. A new member is not trusted to.
func (m *Member) alive() bool {
	return !m.isNew && (m.joining != machine.NoTicket || m.syncing != machine.NoTicket)
}

func cloneProtocols(ps []kmsg.JoinGroupRequestProtocol) []Protocol {
	own := make([]Protocol, len(ps))
	for i := range ps {
		own[i] = Protocol{ps[i].Name, cloneBytes(ps[i].Metadata)}
	}
	return own
}

// cloneBytes copies b; the result is never nil.
func cloneBytes(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }
