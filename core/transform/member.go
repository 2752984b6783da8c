package transform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millrun/millrun/core/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// sessionTimeout is how long the group waits for a member that is silent.
	sessionTimeout = 45 * time.Second
	// rebalanceTimeout is how long the group waits for a member to join again.
	rebalanceTimeout = 60 * time.Second
	// heartbeatInterval is short, as a heartbeat costs no network here: it is how soon a rebalance is noticed.
	heartbeatInterval = 500 * time.Millisecond
	// leaveTimeout bounds the last commit, and then the leaving itself.
	leaveTimeout = 750 * time.Millisecond
	// drainTimeout bounds a commit that partitions are given up after.
	drainTimeout = 5 * time.Second
)

// identity is what a group knows a member by in one generation.
type identity struct {
	memberID   string
	generation int32
}

// memberConfig is what a member is given by its worker.
type memberConfig struct {
	group, instanceID string
	inputs            func() []string                            // the topics to read now, sorted
	ready             func(ctx context.Context, topics []string) // called before each join for these topics
	requester         requester
	partitionCount    func(topic string) int32
	startOf           func(tp TopicPartition) record.Offset // where to begin if nothing is committed
	joined            func()                                // the member has an assignment
	hindered          func(err error)                       // it cannot join and tries again
	stays             func() time.Duration                  // at its end: how long it may take to commit if it keeps its place, 0 if it leaves
	logger            *slog.Logger
}

// member is one member of the deployment's group: what an outside client would be, with requests in place of a socket. It
// is a static member, so that a node that comes back after a crash takes its old place at once.
//
// The fields below identity belong to the goroutine that runs run.
type member struct {
	memberConfig
	proc     *processor
	poked    chan struct{} // holds one: look at the group at once
	identity atomic.Pointer[identity]

	topics     []string // the inputs, as of the last join
	id         string
	asked      bool  // a join has been sent since the member last left
	generation int32 // of the assignment in owned, -1 without one
	protocol   *assignor
	owned      []TopicPartition
	led        map[string]int32 // if this member leads: how many partitions each topic had when it assigned
}

func newMember(c memberConfig) *member {
	return &member{memberConfig: c, poked: make(chan struct{}, 1), generation: -1}
}

// errAgain asks for another round of joining.
var errAgain = errors.New("the group rebalances again")

// poke has the member look at its group, and at the number of partitions if it leads. It never blocks.
func (m *member) poke() {
	select {
	case m.poked <- struct{}{}:
	default:
	}
}

// run keeps the member in its group until ctx ends, and leaves it then.
func (m *member) run(ctx context.Context) {
	defer m.leave()
	failures := 0
	for ctx.Err() == nil {
		err := m.rebalance(ctx)
		switch {
		case err == nil:
			failures = 0
			m.joined()
			m.steady(ctx)
		case errors.Is(err, errAgain):
			failures = 0
		case ctx.Err() == nil:
			failures++
			m.logger.Warn("the group cannot be joined yet", "group", m.group, "attempt", failures, "error", err)
			m.hindered(err)
			sleep(ctx, backoff(failures))
		}
	}
}

// sleep returns early if ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// steady sends heartbeats until it is time to join again.
func (m *member) steady(ctx context.Context) {
	ticker := time.NewTicker(heartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-m.poked:
		}
		if m.topicsGrew() || !slices.Equal(m.inputs(), m.topics) {
			return
		}
		switch err := m.heartbeat(ctx); {
		case err == nil:
		case errors.Is(err, codeRebalancing):
			return
		case errors.Is(err, codeUnknownMember), errors.Is(err, codeIllegalGeneration), errors.Is(err, codeFencedInstance):
			m.logger.Warn("membership was lost", "group", m.group, "error", err)
			m.forget(err)
			return
		case ctx.Err() == nil:
			m.logger.Warn("heartbeat failed", "group", m.group, "error", err)
		}
	}
}

// topicsGrew tells a leader that its assignment no longer covers all partitions.
func (m *member) topicsGrew() bool {
	for topic, n := range m.led {
		if m.partitionCount(topic) != n {
			return true
		}
	}
	return false
}

func (m *member) heartbeat(ctx context.Context) error {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = m.group, m.generation, m.id, &m.instanceID
	resp, err := request[*kmsg.HeartbeatResponse](ctx, m.requester, versionHeartbeat, req)
	if err != nil {
		return err
	}
	return check(resp.ErrorCode)
}

// forget gives up everything without a commit, as somebody else may have it already. The member id stays unless the group
// does not know it.
func (m *member) forget(why error) {
	if errors.Is(why, codeUnknownMember) || errors.Is(why, codeFencedInstance) {
		m.id = ""
	}
	m.identity.Store(nil)
	m.proc.do(context.Background(), m.proc.dropAll)
	m.generation, m.protocol, m.owned, m.led = -1, nil, nil, nil
}

// rebalance joins the group, with what is owned if the group is cooperative, and takes over what it is assigned.
func (m *member) rebalance(ctx context.Context) error {
	m.prepare(ctx)
	m.topics = m.inputs()
	m.ready(ctx, m.topics)
	unknown := m.id == ""
	joined, err := m.join(ctx)
	if err != nil {
		return err
	}
	returned := unknown && (joined.LeaderID != joined.MemberID || joined.SkipAssignment)
	protocol := (*assignor)(nil)
	if joined.Protocol != nil {
		protocol = assignorNamed(*joined.Protocol)
	}
	if protocol == nil {
		return fmt.Errorf("group %s chose an assignor that was not offered", m.group)
	}
	if !protocol.cooperative && len(m.owned) > 0 {
		// The group turned eager while this member kept its partitions: others may get them any moment.
		m.proc.do(ctx, func() { m.proc.suspended = true })
	}
	assignment, err := m.sync(ctx, joined, protocol)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if !errors.Is(err, codeRebalancing) || !protocol.cooperative {
			m.forget(err)
		}
		if errors.Is(err, codeRebalancing) || errors.Is(err, codeIllegalGeneration) || errors.Is(err, codeUnknownMember) {
			return errAgain
		}
		return err
	}
	m.generation, m.protocol = joined.Generation, protocol
	m.identity.Store(&identity{m.id, m.generation})
	if err := m.takeOver(ctx, assignment); err != nil || !returned || m.settled(ctx) {
		return err
	}
	m.joined() // it works already on what it has
	return errAgain
}

// prepare commits before the group rebalances, and in an eager group gives everything up.
func (m *member) prepare(ctx context.Context) {
	if len(m.owned) == 0 {
		return
	}
	eager := !m.protocol.cooperative
	m.proc.do(ctx, func() {
		m.commitNow(ctx, drainTimeout)
		if eager {
			m.proc.dropAll()
		}
	})
	if eager {
		m.owned = nil
	}
}

// commitNow commits on the processor's goroutine. If it does not succeed, whoever gets the partitions begins where the
// last commit was.
func (m *member) commitNow(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := m.proc.commitAll(ctx); err != nil {
		m.logger.Warn("last commit before a rebalance failed, records will be processed twice", "group", m.group, "error", err)
	}
}

// takeOver makes what is owned equal to the assignment. In a cooperative group what was taken away is committed first,
// and the group has to be joined once more, so that it can be given to others.
func (m *member) takeOver(ctx context.Context, assignment []TopicPartition) error {
	lost, added := minus(m.owned, assignment), minus(assignment, m.owned)
	if len(lost) > 0 {
		m.proc.do(ctx, func() {
			if m.protocol.cooperative {
				m.commitNow(ctx, drainTimeout)
			}
			m.proc.drop(lost)
		})
	}
	positions, err := m.fetchPositions(ctx, added)
	if err != nil {
		m.forget(codeIllegalGeneration)
		return err
	}
	m.proc.do(ctx, func() {
		m.proc.add(positions)
		m.proc.suspended = false
	})
	m.owned = assignment
	if m.protocol.cooperative && len(lost) > 0 {
		return errAgain
	}
	return nil
}

// minus returns what is in a but not in b; both are sorted.
func minus(a, b []TopicPartition) []TopicPartition {
	var out []TopicPartition
	for _, tp := range a {
		if _, found := slices.BinarySearchFunc(b, tp, compareTopicPartitions); !found {
			out = append(out, tp)
		}
	}
	return out
}

// leave commits, gives everything up and tells the group, so that others need not wait for the session to end; unless the
// place is kept for a member that comes next.
func (m *member) leave() {
	stays := m.stays()
	timeout := max(stays, leaveTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	m.proc.do(ctx, func() {
		if m.proc.dirty() {
			m.commitNow(ctx, timeout)
		}
		m.proc.dropAll()
	})
	m.identity.Store(nil)
	if !m.asked || stays > 0 {
		return
	}
	leave, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = m.group
	who := kmsg.NewLeaveGroupRequestMember()
	who.MemberID, who.InstanceID = m.id, &m.instanceID
	req.Members = append(req.Members, who)
	if _, err := request[*kmsg.LeaveGroupResponse](leave, m.requester, versionLeaveGroup, req); err != nil {
		m.logger.Warn("the group could not be left", "group", m.group, "error", err)
	}
}
